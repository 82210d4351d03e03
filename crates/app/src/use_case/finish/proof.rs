//! Proofs at their end: what they mean, and what follows for the change or the merge queue.

use nightshift_domain::check::{self, Colour, ProofReport, Required};
use nightshift_domain::failure::Failure;
use nightshift_domain::git_name::ObjectId;
use nightshift_domain::id::JobId;
use nightshift_domain::issue::Event;
use nightshift_domain::job::Kind;
use nightshift_domain::merge::Trial;
use nightshift_domain::sentence::Kept;
use nightshift_domain::size::Size;
use nightshift_store::Tx;
use nightshift_store::issue::Issue;
use nightshift_store::run::Run;
use nightshift_store::verdict::Verdict;
use nightshift_store::{acceptance, job as jobs, project, pull, pull_head, queue, verdict};

use super::Checked;
use crate::change::{Asked, Context, Order};
use crate::error::plain;
use crate::{App, Error, acceptance as sealed, findings};

/// A proof, judged.
pub(super) struct Judged {
    pub(super) report: ProofReport,
    pub(super) asked: Asked,
    pub(super) colour: Colour,
    pub(super) reasons: Vec<Kept>,
    pub(super) findings: Vec<nightshift_domain::facts::Finding>,
    pub(super) size: Option<Size>,
}

impl App {
    /// Judges a proof by the definitions it was asked for with.
    pub(super) async fn judge(&self, live: &Run, report: ProofReport) -> Result<Checked, Error> {
        let mut tx = self.db().read().await?;
        let job = jobs::job_get(&mut tx, live.job)
            .await?
            .ok_or_else(|| plain::not_found("the run's job is gone"))?;
        let acceptance = acceptance::acceptance_get(&mut tx, live.issue).await?;
        let known = pull::pull_get(&mut tx, live.issue).await?;
        let home = project::project_get(&mut tx, live.project)
            .await?
            .ok_or_else(|| plain::not_found("the run's project is gone"))?;
        drop(tx);
        let (head, asked) = match Order::of(&job)? {
            Order::Verify { head, asked }
            | Order::Trial {
                commit: head,
                asked,
            } => (head, asked),
            Order::Author { .. } | Order::Tryout { .. } => {
                return Err(plain::invalid("such a run proves nothing"));
            }
        };
        let asked = asked.ok_or_else(|| plain::invalid("the run was never handed out"))?;
        let repository = self.repository(live.project)?;
        let sealed_changed = match &acceptance {
            Some(acceptance) => sealed::changed(&repository, &head, acceptance).await?,
            None => Vec::new(),
        };
        // The base of a trial holds what others landed since; only a verdict asks for red there.
        let mut acceptance = acceptance;
        let mut report = report;
        if live.kind == Kind::Trial {
            if let Some(acceptance) = &mut acceptance {
                acceptance.already_green = true;
            }
            if report.acceptance_on_base.is_none() {
                report
                    .acceptance_on_base
                    .clone_from(&report.acceptance_on_head);
            }
        }
        let (colour, reasons) = check::judge(
            &report,
            &Required {
                head: &head,
                checks: &asked.checks,
                acceptance: acceptance.as_ref(),
                sealed_changed: &sealed_changed,
                has_setup: asked.has_setup,
            },
        );
        let (findings, size) = match (&known, live.kind) {
            (Some(known), Kind::Verify) => {
                let protected = &home.config.merge.protect;
                let (findings, size) =
                    findings::of(&repository, &known.base, &head, protected).await?;
                (findings, Some(size))
            }
            _ => (Vec::new(), None),
        };
        Ok(Checked::Judge(Box::new(Judged {
            report,
            asked,
            colour,
            reasons,
            findings,
            size,
        })))
    }

    pub(super) async fn take_proof(
        &self,
        tx: &mut Tx,
        row: Issue,
        ended: &Run,
        judged: Judged,
        context: &Context<'_>,
    ) -> Result<(), Error> {
        let head = judged.report.head.clone();
        if ended.kind == Kind::Trial {
            return self.take_trial(tx, &row, &head, judged).await;
        }
        let made = Verdict {
            issue: row.id,
            head: head.clone(),
            base: judged.asked.base,
            colour: judged.colour,
            reasons: judged.reasons,
            findings: judged.findings,
            report: judged.report,
            run: ended.id,
            created_at: context.now,
        };
        verdict::verdict_insert(tx, &made).await?;
        if let Some(size) = &judged.size {
            pull_head::head_measure(tx, row.id, &head, size).await?;
        }
        let current = pull::pull_get(tx, row.id).await?;
        if current.is_none_or(|current| current.head != head) {
            // The branch moved while the old head was proved; the new head has its own job.
            return Ok(());
        }
        let home = project::project_get(tx, row.project).await?;
        let config = home.map(|home| home.config).unwrap_or_default();
        let by_agent = pull_head::head_list(tx, row.id)
            .await?
            .last()
            .is_some_and(|head| head.run.is_some());
        let event = Event::Judged {
            green: made.colour == Colour::Green,
            repairable: made.colour == Colour::Red
                && by_agent
                && config
                    .agent(&row.agent)
                    .is_some_and(|agent| agent.harness.can_repair()),
            max_repairs: config.repair.after_verdict,
        };
        match self.change(tx, row, event, context).await {
            Ok(_) | Err(Error::Refused { .. }) => Ok(()),
            Err(other) => Err(other),
        }
    }

    /// A trial asks a person: the change keeps its approval and its place in the merge queue, which
    /// passes it over until it is answered and then builds it anew.
    pub(crate) async fn trial_asks(
        &self,
        tx: &mut Tx,
        row: Issue,
        trial: JobId,
        failure: Failure,
        context: &Context<'_>,
    ) -> Result<(), Error> {
        let entry = queue::queue_get(tx, row.id).await?;
        if entry.is_none_or(|entry| entry.trial_job != Some(trial)) {
            return Ok(());
        }
        queue::queue_set_candidate(tx, row.id, None, None).await?;
        let event = Event::TrialAsked { failure };
        match self.change(tx, row, event, context).await {
            Ok(_) | Err(Error::Refused { .. }) => Ok(()),
            Err(other) => Err(other),
        }
    }

    async fn take_trial(
        &self,
        tx: &mut Tx,
        row: &Issue,
        commit: &ObjectId,
        judged: Judged,
    ) -> Result<(), Error> {
        let Some(entry) = queue::queue_get(tx, row.id).await? else {
            return Ok(());
        };
        let Some(mut candidate) = entry.candidate.filter(|c| c.commit == *commit) else {
            return Ok(());
        };
        candidate.trial = match judged.colour {
            // A candidate without any check has nothing that could fail.
            Colour::Green | Colour::Unproven => Trial::Green,
            Colour::Red if candidate.trial == (Trial::Running { after_red: true }) => Trial::Red {
                reasons: judged.reasons,
            },
            Colour::Red => Trial::RedOnce,
        };
        Ok(queue::queue_set_candidate(tx, row.id, Some(&candidate), entry.trial_job).await?)
    }
}
