//! Pull requests: what was proved, and a person's decision on a head.

use std::time::Duration;

use jiff::Timestamp;
use nightshift_domain::access::{Action, May};
use nightshift_domain::check::Colour;
use nightshift_domain::git_name::ObjectId;
use nightshift_domain::id::{IssueId, Number, ReviewId};
use nightshift_domain::issue::Event;
use nightshift_domain::job::{Kind, Phase};
use nightshift_domain::route::Needs;
use nightshift_domain::sentence::{Place, Sentence, joined, text};
use nightshift_domain::{merge, waiting};
use nightshift_git::{ByteStream, DiffOptions, FileDiff};
use nightshift_store::issue::Issue;
use nightshift_store::proposal::Proposal;
use nightshift_store::pull::Pull;
use nightshift_store::pull_head::Head;
use nightshift_store::queue::QueueEntry;
use nightshift_store::review::{Decision, LineComment, Review};
use nightshift_store::verdict::Verdict;
use nightshift_store::{
    issue, job as jobs, proposal, pull, pull_head, queue, review, run, verdict,
};

use super::issue::IssueLine;
use super::suggest;
use crate::change::Context;
use crate::say::change as say;
use crate::{App, Caller, Error};

/// A pull request in a list.
#[derive(Debug, Clone)]
pub struct PullLine {
    /// The issue, with the reason it waits.
    pub line: IssueLine,
    /// The pull request.
    pub pull: Pull,
    /// The colour of the verdict on its head.
    pub colour: Option<Colour>,
}

/// A pull request, whole.
#[derive(Debug)]
pub struct PullView {
    /// What a list shows.
    pub line: PullLine,
    /// The verdict on its head.
    pub verdict: Option<Verdict>,
    /// What changed.
    pub files: Vec<FileDiff>,
    /// Every head, oldest first.
    pub heads: Vec<Head>,
    /// Every decision, oldest first.
    pub reviews: Vec<Review>,
    /// Guidelines that its agent proposes, oldest first.
    pub proposals: Vec<Proposal>,
    /// What the caller may do about it.
    pub may: May,
    /// Whether the last decision is the caller's own, to be taken back.
    pub is_own_decision: bool,
}

/// A decision to be made.
#[derive(Debug, Clone)]
pub struct NewReview {
    /// The commit it is about.
    pub head: ObjectId,
    /// What is decided.
    pub decision: Decision,
    /// What is said.
    pub body: String,
    /// Comments on lines.
    pub comments: Vec<LineComment>,
    /// Approve although nothing was proved.
    pub accept_unproven: bool,
    /// How long it waits before anything comes of it; at most [`LONGEST_HOLD`].
    pub hold: Duration,
}

/// The longest a decision waits so that it can be withdrawn.
pub const LONGEST_HOLD: Duration = Duration::from_secs(60);

/// One entry of the merge queue.
#[derive(Debug, Clone)]
pub struct QueueLine {
    /// The entry.
    pub entry: QueueEntry,
    /// The issue's title.
    pub title: String,
    /// Why it does not move.
    pub waiting: Option<Sentence>,
}

/// A pull request without its files.
#[derive(Debug)]
pub(super) struct PullKnown {
    pub(super) line: PullLine,
    verdict: Option<Verdict>,
    pub(super) heads: Vec<Head>,
    pub(super) reviews: Vec<Review>,
    proposals: Vec<Proposal>,
    may: May,
    is_own_decision: bool,
}

impl PullKnown {
    /// With its files, from the base to the head.
    pub(super) fn with(self, files: Vec<FileDiff>) -> PullView {
        PullView {
            line: self.line,
            verdict: self.verdict,
            files,
            heads: self.heads,
            reviews: self.reviews,
            proposals: self.proposals,
            may: self.may,
            is_own_decision: self.is_own_decision,
        }
    }
}

impl App {
    /// Lists a project's pull requests, newest first.
    ///
    /// # Errors
    /// `NotFound` where the caller may not see the project.
    pub async fn pull_list(
        &self,
        caller: &Caller,
        name: &str,
        after: Option<(Timestamp, IssueId)>,
        limit: i64,
    ) -> Result<Vec<PullLine>, Error> {
        let mut tx = self.db().read().await?;
        let (found, _) = self
            .project_for(&mut tx, caller, name, Action::ProjectRead)
            .await?;
        let alive = self.runners_alive(&mut tx).await?;
        let pulls = pull::pull_list(&mut tx, Some(found.id), after, limit).await?;
        let ids: Vec<IssueId> = pulls.iter().map(|known| known.issue).collect();
        let mut rows = issue::issue_list_of(&mut tx, &ids).await?;
        let surroundings = self.surroundings(&mut tx, &rows, alive).await?;
        let mut lines = Vec::new();
        for known in pulls {
            let Some(at) = rows.iter().position(|row| row.id == known.issue) else {
                continue;
            };
            let row = rows.swap_remove(at);
            let colour = verdict::verdict_of(&mut tx, row.id, &known.head)
                .await?
                .map(|verdict| verdict.colour);
            lines.push(PullLine {
                line: surroundings.line(&found, row, self.now()),
                pull: known,
                colour,
            });
        }
        Ok(lines)
    }

    /// Shows a pull request.
    ///
    /// # Errors
    /// `NotFound` where there is none, or the caller may not see it.
    pub async fn pull_get(
        &self,
        caller: &Caller,
        name: &str,
        number: Number,
    ) -> Result<PullView, Error> {
        let known = self.pull_known(caller, name, number).await?;
        let pull = &known.line.pull;
        let repository = self.repository(pull.project)?;
        let diff = repository
            .diff(&pull.base, &pull.head, &DiffOptions::default())
            .await?;
        Ok(known.with(diff.files))
    }

    /// What is known of a pull request without asking git.
    pub(super) async fn pull_known(
        &self,
        caller: &Caller,
        name: &str,
        number: Number,
    ) -> Result<PullKnown, Error> {
        let mut tx = self.db().read().await?;
        let (found, standing) = self
            .project_for(&mut tx, caller, name, Action::ProjectRead)
            .await?;
        let row = issue::issue_by_number(&mut tx, found.id, number)
            .await?
            .ok_or_else(|| no_pull(name, number))?;
        let known = pull::pull_get(&mut tx, row.id)
            .await?
            .ok_or_else(|| no_pull(name, number))?;
        let made = verdict::verdict_of(&mut tx, row.id, &known.head).await?;
        let heads = pull_head::head_list(&mut tx, row.id).await?;
        let reviews = review::review_list(&mut tx, row.id).await?;
        let own = caller.person().ok().map(|(own, _)| own);
        let is_own_decision = last_decision(&reviews).is_some_and(|last| Some(last.by) == own);
        let proposals = proposal::proposal_list_of_issue(&mut tx, row.id).await?;
        let alive = self.runners_alive(&mut tx).await?;
        let line = self.issue_line(&mut tx, &found, row, alive).await?;
        Ok(PullKnown {
            line: PullLine {
                line,
                pull: known,
                colour: made.as_ref().map(|verdict| verdict.colour),
            },
            verdict: made,
            heads,
            reviews,
            proposals,
            may: May::of(standing),
            is_own_decision,
        })
    }

    /// The change as a unified diff: from the base to the head, or between two heads it had.
    ///
    /// # Errors
    /// `NotFound` where there is none; `Invalid` for commits that are no heads of it.
    pub async fn pull_diff(
        &self,
        caller: &Caller,
        name: &str,
        number: Number,
        from: Option<&ObjectId>,
        to: Option<&ObjectId>,
    ) -> Result<ByteStream, Error> {
        let mut tx = self.db().read().await?;
        let (found, _) = self
            .project_for(&mut tx, caller, name, Action::ProjectRead)
            .await?;
        let row = issue::issue_by_number(&mut tx, found.id, number)
            .await?
            .ok_or_else(|| no_pull(name, number))?;
        let known = pull::pull_get(&mut tx, row.id)
            .await?
            .ok_or_else(|| no_pull(name, number))?;
        let heads = pull_head::head_list(&mut tx, row.id).await?;
        drop(tx);
        let its_own = |id: &ObjectId| {
            *id == known.base
                || heads
                    .iter()
                    .any(|head| head.head == *id || head.base == *id)
        };
        for id in from.iter().chain(to.iter()) {
            if !its_own(id) {
                return Err(Error::invalid(say::no_head(id.to_string(), number)));
            }
        }
        let old = from.unwrap_or(&known.base);
        let new = to.unwrap_or(&known.head);
        Ok(self
            .repository(found.id)?
            .patch_text(old, new, &DiffOptions::default())?)
    }

    /// Decides on a head: approve, or send back. One review starts at most one round.
    ///
    /// # Errors
    /// `StaleHead` when the head moved; `Refused` by the rules of approval.
    pub async fn pull_review(
        &self,
        caller: &Caller,
        name: &str,
        number: Number,
        new: NewReview,
    ) -> Result<PullView, Error> {
        let (own, own_name) = caller.person()?;
        let now = self.now();
        let mut tx = self.db().write().await?;
        let (found, _) = self
            .project_for(&mut tx, caller, name, Action::PullReview)
            .await?;
        let row = self.issue_row(&mut tx, &found, number).await?;
        let known = pull::pull_get(&mut tx, row.id)
            .await?
            .ok_or_else(|| no_pull(name, number))?;
        if known.head != new.head {
            return Err(Error::stale_head(say::head_moved(
                number,
                known.head.short(),
                new.head.short(),
            )));
        }
        let event = match new.decision {
            Decision::Approve => {
                let made = verdict::verdict_of(&mut tx, row.id, &known.head).await?;
                self.check_approval(
                    &row,
                    found.config.merge.four_eyes && row.requester == own,
                    made,
                    &new,
                )?;
                Event::Approved
            }
            Decision::SendBack => {
                if new.body.trim().is_empty() && new.comments.is_empty() {
                    return Err(Error::invalid(say::send_back_empty()));
                }
                Event::SentBack
            }
        };
        if new.body.len() > 64 << 10 || new.comments.len() > 500 {
            return Err(Error::invalid(say::review_large()));
        }
        for comment in &new.comments {
            suggest::check_comment(comment)?;
        }
        let made = Review {
            id: ReviewId(self.ids().uuid()),
            issue: row.id,
            round: row.state.round,
            head: new.head,
            decision: new.decision,
            body: new.body,
            comments: new.comments,
            by: own,
            by_name: own_name.to_owned(),
            created_at: now,
            withdrawn_at: None,
        };
        review::review_insert(&mut tx, &made).await?;
        let actor = caller.actor();
        let context = Context {
            hold: new.hold.min(LONGEST_HOLD),
            ..Context::new(&actor, now)
        };
        self.change(&mut tx, row, event, &context).await?;
        self.commit(tx, caller).await?;
        self.pull_get(caller, name, number).await
    }

    /// Takes one's last decision back, as long as nothing came of it.
    ///
    /// # Errors
    /// `Refused` when it landed, when the agent started, or when the decision is another's.
    pub async fn pull_withdraw(
        &self,
        caller: &Caller,
        name: &str,
        number: Number,
    ) -> Result<PullView, Error> {
        let (own, _) = caller.person()?;
        let now = self.now();
        let mut tx = self.db().write().await?;
        let (found, _) = self
            .project_for(&mut tx, caller, name, Action::PullReview)
            .await?;
        let row = self.issue_row(&mut tx, &found, number).await?;
        let reviews = review::review_list(&mut tx, row.id).await?;
        let Some(last) = last_decision(&reviews).filter(|last| last.by == own) else {
            return Err(Error::refused(say::not_yours(number)));
        };
        let came_of_it = run::run_list(&mut tx, Some(row.id), None, None, 50)
            .await?
            .iter()
            .any(|run| run.kind == Kind::Author && run.started_at > last.created_at);
        if came_of_it {
            return Err(Error::refused(say::agent_began(number)));
        }
        review::review_withdraw(&mut tx, last.id, now).await?;
        let actor = caller.actor();
        let context = Context::new(&actor, now);
        self.change(&mut tx, row, Event::Withdrawn, &context)
            .await?;
        self.commit(tx, caller).await?;
        self.pull_get(caller, name, number).await
    }

    fn check_approval(
        &self,
        row: &Issue,
        own_request: bool,
        made: Option<Verdict>,
        new: &NewReview,
    ) -> Result<(), Error> {
        let number = row.number;
        if own_request {
            return Err(Error::refused(say::four_eyes(number)));
        }
        let Some(made) = made else {
            return Err(Error::refused(say::being_proved(number, new.head.short())));
        };
        match made.colour {
            Colour::Green => Ok(()),
            Colour::Red => Err(Error::refused(say::red(
                number,
                new.head.short(),
                reasons(&made),
            ))),
            Colour::Unproven if new.accept_unproven => Ok(()),
            Colour::Unproven => Err(Error::refused(say::unproven(number, reasons(&made)))),
        }
    }

    /// Shows a project's merge queue.
    ///
    /// # Errors
    /// `NotFound` where the caller may not see the project.
    pub async fn queue_get(&self, caller: &Caller, name: &str) -> Result<Vec<QueueLine>, Error> {
        let mut tx = self.db().read().await?;
        let (found, _) = self
            .project_for(&mut tx, caller, name, Action::ProjectRead)
            .await?;
        let entries = queue::queue_list(&mut tx, found.id).await?;
        let runners = self.runners_alive(&mut tx).await?;
        let mut known = Vec::new();
        for entry in &entries {
            let title = issue::issue_get(&mut tx, entry.issue)
                .await?
                .map(|row| row.title)
                .unwrap_or_default();
            let trial = match entry.trial_job {
                Some(id) => jobs::job_get(&mut tx, id).await?,
                None => None,
            };
            // One that has ended is the queue's own next step.
            let waits = trial
                .filter(|job| matches!(job.state.phase, Phase::Queued { .. }))
                .and_then(|job| {
                    // None of its kinds starts an agent.
                    let needs = Needs::of(job.kind, &found.config, "");
                    waiting::job(&runners, needs, job.kind, &job.state.phase, self.now())
                });
            known.push((title, waits));
        }
        drop(tx);
        let plan = match self.queue_snapshot(&found, &entries).await? {
            Some(snapshot) => merge::plan(&snapshot).waiting,
            None => Vec::new(),
        };
        Ok(entries
            .into_iter()
            .zip(known)
            .map(|(entry, (title, trial))| QueueLine {
                waiting: trial.or_else(|| {
                    plan.iter()
                        .find(|waiting| waiting.issue == entry.issue)
                        .map(|waiting| waiting.reason.clone())
                }),
                entry,
                title,
            })
            .collect())
    }
}

/// Why a verdict is not green, in one sentence.
fn reasons(made: &Verdict) -> Place {
    joined(&made.reasons).unwrap_or_else(|| text(""))
}

fn no_pull(name: &str, number: Number) -> Error {
    Error::not_found(say::no_pull(number, name))
}

/// The decision that counts: the last that was not taken back.
fn last_decision(reviews: &[Review]) -> Option<&Review> {
    reviews.iter().rfind(|review| review.withdrawn_at.is_none())
}
