//! Keeps where an issue stands on the desk in step with the issue.
//!
//! Written in the transaction that changes the issue, so that nobody sees a desk that lags behind.
//! What only git knows, the size of a change, is taken from its head; a head that was not measured
//! yet leaves the standing stale, and the reconciler measures it.

use nightshift_domain::check::Colour;
use nightshift_domain::desk::{self, Card, Wanted};
use nightshift_domain::facts::{Finding, Severity};
use nightshift_domain::size::Size;
use nightshift_store::issue::Issue;
use nightshift_store::standing::Standing;
use nightshift_store::{Tx, block, pull, pull_head, standing, verdict};

use crate::{App, Error};

impl App {
    /// Puts the issue where it now stands on the desk, or takes it off.
    pub(crate) async fn stand(&self, tx: &mut Tx, row: &Issue) -> Result<(), Error> {
        let Some(wanted) = Wanted::of(&row.state) else {
            return Ok(standing::standing_remove(tx, row.id).await?);
        };
        let known = pull::pull_get(tx, row.id).await?;
        let (mut made, mut size) = (None, None);
        if let Some(known) = &known {
            made = verdict::verdict_of(tx, row.id, &known.head).await?;
            size = pull_head::head_size(tx, row.id, &known.head).await?;
        }
        let blocks = block::blocks_open_behind(tx, &[row.id]).await?.len();
        let (colour, findings) = made.map_or((None, Vec::new()), |made| {
            (Some(made.colour), made.findings)
        });
        let card = card(row, wanted, colour, &findings, size.as_ref(), blocks);
        let stands = Standing {
            issue: row.id,
            project: row.project,
            weight: desk::weight(&card),
            since: row.updated_at,
            stale: known.is_some() && size.is_none(),
        };
        Ok(standing::standing_set(tx, &stands).await?)
    }
}

/// What the order of the desk goes by.
pub(crate) fn card(
    row: &Issue,
    wanted: Wanted,
    colour: Option<Colour>,
    findings: &[Finding],
    size: Option<&Size>,
    blocks: usize,
) -> Card {
    let worst: Option<Severity> = findings.iter().map(|finding| finding.severity).max();
    Card {
        wanted,
        colour,
        worst,
        lines: size.map(Size::lines),
        blocks,
        priority: row.priority,
        since: row.updated_at,
    }
}
