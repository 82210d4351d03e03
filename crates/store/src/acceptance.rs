//! Table `acceptances`: the sealed tests of an issue, apart from it because their files are big.
//!
//! Deliberately absent: `issues.has_acceptance`; the caller keeps it in step.

use nightshift_domain::check::Acceptance;
use nightshift_domain::id::IssueId;

use crate::column::Columns;
use crate::engine::Tx;
use crate::error::Error;
use crate::statement::{sql, values};

const COLUMNS: Columns = Columns("acceptance test");

sql! { "acceptance test";
    SET = both("INSERT INTO acceptances (issue_id, acceptance) VALUES ($1, $2) ON CONFLICT (issue_id) DO UPDATE SET acceptance = excluded.acceptance");
    REMOVE = both("DELETE FROM acceptances WHERE issue_id = $1");
    GET = both("SELECT acceptance FROM acceptances WHERE issue_id = $1");
}

/// Replaces the sealed tests of an issue, or removes them.
pub async fn acceptance_set(
    tx: &mut Tx,
    issue: IssueId,
    acceptance: Option<&Acceptance>,
) -> Result<(), Error> {
    match acceptance {
        Some(acceptance) => {
            tx.run(&SET, values![issue, COLUMNS.to_json(acceptance)?])
                .await
        }
        None => tx.run(&REMOVE, values![issue]).await,
    }
    .map(|_| ())
}

/// The sealed tests of an issue.
pub async fn acceptance_get(tx: &mut Tx, issue: IssueId) -> Result<Option<Acceptance>, Error> {
    let row: Option<(String,)> = tx.one(&GET, values![issue]).await?;
    row.map(|(text,)| COLUMNS.json("acceptance", &text))
        .transpose()
}
