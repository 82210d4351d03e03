//! Pre-flight: collects what is known around an issue that is filed or is about to be.

use nightshift_domain::access::Action;
use nightshift_domain::check::Acceptance;
use nightshift_domain::config::ConfigError;
use nightshift_domain::failure::Failure;
use nightshift_domain::id::{IssueId, Number};
use nightshift_domain::image::Image;
use nightshift_domain::preflight::{self as rule, Blocker, Facts, Finding, Touched};
use nightshift_store::issue::Issue;
use nightshift_store::project::Project;
use nightshift_store::{Tx, block, issue, pull};

use super::issue::NewIssue;
use super::tryout::{TryoutState, TryoutView};
use crate::{App, Caller, Error};

/// The most blockers of an unfiled issue that are looked at.
const MAX_BLOCKERS: usize = 100;
/// How many other open changes are looked at for the same files.
const MOST_CHANGES: i64 = 20;

/// What the caller has read already.
pub(crate) struct Known<'a> {
    pub acceptance: Option<&'a Acceptance>,
    pub tryout: Option<&'a TryoutView>,
    pub spent: Option<&'a Failure>,
}

impl App {
    /// What would stop an issue that is about to be filed.
    ///
    /// # Errors
    /// `Forbidden` below writer.
    pub async fn issue_check(
        &self,
        caller: &Caller,
        name: &str,
        new: &NewIssue,
    ) -> Result<Vec<Finding>, Error> {
        let mut tx = self.db().read().await?;
        let (found, _) = self
            .project_for(&mut tx, caller, name, Action::IssueWrite)
            .await?;
        let mut blockers = Vec::new();
        for number in new.blocked_by.iter().take(MAX_BLOCKERS) {
            let row = issue::issue_by_number(&mut tx, found.id, *number).await?;
            blockers.push(match row {
                Some(row) => blocker(&row),
                None => Blocker {
                    number: *number,
                    phase: None,
                    failed: false,
                },
            });
        }
        let agent = match &new.agent {
            Some(agent) => agent.as_str(),
            None => nightshift_domain::config::DEFAULT_AGENT,
        };
        let about = About {
            number: None,
            body: &new.body,
            agent,
            blockers,
            cycle: false,
        };
        let known = Known {
            acceptance: new.acceptance.as_ref(),
            tryout: None,
            spent: None,
        };
        self.look(&mut tx, &found, &about, &known).await
    }

    /// What would stop an issue that is filed, and whose agent has not begun.
    pub(crate) async fn preflight_of(
        &self,
        tx: &mut Tx,
        found: &Project,
        row: &Issue,
        known: &Known<'_>,
    ) -> Result<Vec<Finding>, Error> {
        let before = block::blockers(tx, row.id).await?;
        let ids: Vec<IssueId> = before.iter().map(|other| other.id).collect();
        let about = About {
            number: Some(row.number),
            body: &row.body,
            agent: &row.agent,
            cycle: block::block_would_cycle(tx, row.id, &ids).await?,
            blockers: before.iter().map(blocker).collect(),
        };
        self.look(tx, found, &about, known).await
    }

    async fn look(
        &self,
        tx: &mut Tx,
        found: &Project,
        about: &About<'_>,
        known: &Known<'_>,
    ) -> Result<Vec<Finding>, Error> {
        let runners = self.runners_alive(tx).await?;
        let secrets_missing = self.secrets_missing(tx, found).await?;
        let current = known.tryout.filter(|view| view.current);
        let tried = current.and_then(|view| match &view.state {
            TryoutState::Tried { tried, .. } => Some(tried),
            TryoutState::Waiting
            | TryoutState::Running { .. }
            | TryoutState::Failed { .. }
            | TryoutState::Stopped => None,
        });
        let touched = self.touched(tx, found, about).await?;
        Ok(rule::plan(&Facts {
            number: about.number,
            body: about.body,
            agent: about.agent,
            agents: &found.config.agents,
            config_error: found.config_error.as_ref().map(ConfigError::said),
            branch: found.default_branch.as_str(),
            has_base: found.config_commit.is_some(),
            secrets_missing: &secrets_missing,
            checks: found.config.checks.len(),
            acceptance: known.acceptance,
            tried,
            being_tried: current.is_some_and(|view| {
                matches!(
                    view.state,
                    TryoutState::Waiting | TryoutState::Running { .. }
                )
            }),
            blockers: &about.blockers,
            cycle: about.cycle,
            image: found.config.environment.image.as_ref().map(Image::as_str),
            runners: &runners,
            spent: known.spent,
            touched: &touched,
        }))
    }

    /// Open changes that touch files which the order names, but for those that it waits for.
    async fn touched(
        &self,
        tx: &mut Tx,
        found: &Project,
        about: &About<'_>,
    ) -> Result<Vec<Touched>, Error> {
        let names = rule::named(about.body);
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let pulls = pull::pull_list(tx, Some(found.id), None, MOST_CHANGES).await?;
        let ids: Vec<IssueId> = pulls.iter().map(|pull| pull.issue).collect();
        let rows = issue::issue_list_of(tx, &ids).await?;
        let (mut numbers, mut pairs) = (Vec::new(), Vec::new());
        for pull in pulls {
            let is_open = |row: &Issue| row.id == pull.issue && !row.state.phase.is_final();
            let waits = about.blockers.iter().any(|one| one.number == pull.number);
            if about.number == Some(pull.number) || waits || !rows.iter().any(is_open) {
                continue;
            }
            numbers.push(pull.number);
            pairs.push((pull.base, pull.head));
        }
        let touched = match self.repository(found.id)?.touched(&pairs).await {
            Ok(touched) => touched,
            Err(error) => {
                // A hint is not worth a page.
                tracing::warn!(%error, "the files of open changes could not be named");
                return Ok(Vec::new());
            }
        };
        let meant = numbers.into_iter().zip(touched).map(|(number, paths)| {
            let paths: Vec<String> = paths
                .iter()
                .map(|path| path.to_text().into_owned())
                .collect();
            let paths = rule::meant(&names, &paths);
            Touched { number, paths }
        });
        Ok(meant.filter(|touched| !touched.paths.is_empty()).collect())
    }
}

/// What is looked at.
struct About<'a> {
    number: Option<Number>,
    body: &'a str,
    agent: &'a str,
    blockers: Vec<Blocker>,
    cycle: bool,
}

fn blocker(row: &Issue) -> Blocker {
    Blocker {
        number: row.number,
        phase: Some(row.state.phase.as_str()),
        failed: row.state.failed.is_some(),
    }
}
