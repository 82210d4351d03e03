//! The budget of an issue: what it is, what was used, what is left.

use nightshift_domain::budget::{Budget, Left, Spent};
use nightshift_domain::failure::{Failure, Reason};
use nightshift_store::issue::Issue;
use nightshift_store::project::Project;
use nightshift_store::run::Run;
use nightshift_store::{Tx, project, run};

use crate::error::plain;
use crate::{App, Error};

/// How an issue's budget stands.
#[derive(Debug, Clone)]
pub(crate) struct BudgetNow {
    /// Its own budget, with the project's where it says nothing.
    pub budget: Budget,
    /// What its author runs used that are over.
    pub spent: Spent,
    /// What the next one may use.
    pub left: Result<Left, Failure>,
    /// Its project.
    pub project: Project,
}

impl App {
    /// How an issue's budget stands.
    pub(crate) async fn budget_of(&self, tx: &mut Tx, row: &Issue) -> Result<BudgetNow, Error> {
        let project = project::project_get(tx, row.project)
            .await?
            .ok_or_else(|| plain::not_found("the issue's project is gone"))?;
        let (runs, cost, wall) = run::run_cost_of_issue(tx, row.id).await?;
        let spent = Spent {
            runs: runs.unsigned_abs(),
            cost_micro_usd: cost.unsigned_abs(),
            wall_ms: wall.unsigned_abs(),
        };
        let budget = row.budget.or(project.config.budget);
        Ok(BudgetNow {
            budget,
            spent,
            left: budget.left(spent, row.number),
            project,
        })
    }

    /// The failure of an author run that ran out of time: the issue's minutes, where it was those.
    pub(crate) async fn time_or_budget(
        &self,
        live: &Run,
        failure: Failure,
    ) -> Result<Failure, Error> {
        if failure.reason != Reason::TimeLimit {
            return Ok(failure);
        }
        let mut tx = self.db().read().await?;
        let Some(row) = nightshift_store::issue::issue_get(&mut tx, live.issue).await? else {
            return Ok(failure);
        };
        let now = self.budget_of(&mut tx, &row).await?;
        let used = self.now().as_millisecond() - live.started_at.as_millisecond();
        let spent = Spent {
            runs: now.spent.runs + 1,
            wall_ms: now.spent.wall_ms + u64::try_from(used).unwrap_or(0),
            ..now.spent
        };
        Ok(match now.budget.left(spent, row.number) {
            Err(spent) => spent,
            Ok(_) => failure,
        })
    }
}
