//! Issues: file, edit, ready, answer, retry, close; and what a person sees of them.

use jiff::Timestamp;
use nightshift_domain::access::Action;
use nightshift_domain::check::Acceptance;
use nightshift_domain::config::DEFAULT_AGENT;
use nightshift_domain::id::{IssueId, Number, ProjectId};
use nightshift_domain::issue::{self as machine, Event, Phase};
use nightshift_domain::trust::Trust;
use nightshift_domain::waiting;
use nightshift_store::Tx;
use nightshift_store::issue::{Issue, IssueFilter};
use nightshift_store::message::{Message, MessageKind};
use nightshift_store::project::Project;
use nightshift_store::{
    acceptance as sealed, block, issue, job as jobs, message, project, pull, queue, runner, user,
};
use serde_json::json;

use super::account::alive;
use crate::change::Context;
use crate::{App, Caller, Error, acceptance};

/// The most issues that one issue may wait for.
const MAX_BLOCKERS: usize = 100;

/// An issue to be filed.
#[derive(Debug, Clone, Default)]
pub struct NewIssue {
    /// One line.
    pub title: String,
    /// The order.
    pub body: String,
    /// Labels.
    pub labels: Vec<String>,
    /// 0 to 3.
    pub priority: Option<i64>,
    /// Who looks after it.
    pub assignee: Option<String>,
    /// The agent.
    pub agent: Option<String>,
    /// Numbers of issues that must be done first.
    pub blocked_by: Vec<Number>,
    /// Sealed tests.
    pub acceptance: Option<Acceptance>,
    /// Whether it may start.
    pub ready: bool,
}

/// A change of an issue; `None` leaves a field as it is.
#[derive(Debug, Clone, Default)]
pub struct EditIssue {
    /// One line.
    pub title: Option<String>,
    /// The order.
    pub body: Option<String>,
    /// Labels.
    pub labels: Option<Vec<String>>,
    /// 0 to 3.
    pub priority: Option<i64>,
    /// Who looks after it; empty for nobody.
    pub assignee: Option<String>,
    /// The agent.
    pub agent: Option<String>,
    /// Numbers of issues that must be done first.
    pub blocked_by: Option<Vec<Number>>,
    /// Sealed tests.
    pub acceptance: Option<Acceptance>,
    /// The version the edit is based on.
    pub version: Option<i64>,
}

/// An issue in a list.
#[derive(Debug, Clone)]
pub struct IssueLine {
    /// The issue.
    pub issue: Issue,
    /// Its project's name.
    pub project: String,
    /// Why it does not move.
    pub waiting: Option<String>,
}

/// An issue, whole.
#[derive(Debug, Clone)]
pub struct IssueView {
    /// What a list shows.
    pub line: IssueLine,
    /// Who filed it.
    pub requester: String,
    /// Numbers of issues that must be done first.
    pub blocked_by: Vec<Number>,
    /// Sealed tests.
    pub acceptance: Option<Acceptance>,
    /// Whether it has a pull request.
    pub has_pull: bool,
    /// What was said.
    pub messages: Vec<Message>,
}

impl App {
    /// Files an issue.
    ///
    /// # Errors
    /// `Invalid` names the field; `Forbidden` below writer.
    pub async fn issue_create(
        &self,
        caller: &Caller,
        name: &str,
        new: NewIssue,
    ) -> Result<IssueView, Error> {
        let (own, _) = caller.person()?;
        if let Some(acceptance) = &new.acceptance {
            acceptance::check(acceptance)?;
        }
        let now = self.now();
        let mut tx = self.db().write().await?;
        let (found, standing) = self
            .project_for(&mut tx, caller, name, Action::IssueWrite)
            .await?;
        let change = machine::Issue::filed(false);
        let row = Issue {
            id: IssueId(self.ids().uuid()),
            project: found.id,
            number: project::project_next_number(&mut tx, found.id).await?,
            title: new.title.trim().to_owned(),
            body: new.body,
            labels: new.labels,
            priority: new.priority.unwrap_or(2),
            assignee: new.assignee.filter(|name| !name.is_empty()),
            agent: new.agent.unwrap_or_else(|| DEFAULT_AGENT.to_owned()),
            requester: own,
            state: change.next,
            trust: Trust::of(standing),
            has_acceptance: new.acceptance.is_some(),
            version: 1,
            created_at: now,
            updated_at: now,
        };
        self.check_fields(&mut tx, &found, &row).await?;
        issue::issue_insert(&mut tx, &row).await?;
        sealed::acceptance_set(&mut tx, row.id, new.acceptance.as_ref()).await?;
        self.set_blockers(&mut tx, &row, &new.blocked_by).await?;
        let actor = caller.actor();
        let context = Context::new(&actor, now);
        let data = json!({ "number": row.number, "title": row.title, "phase": "draft" });
        self.record(&mut tx, &row, "issue.filed", &context, data)
            .await?;
        if new.ready {
            self.change(&mut tx, row.clone(), Event::MarkReady, &context)
                .await?;
        }
        self.commit(tx, caller).await?;
        self.issue_get(caller, name, row.number).await
    }

    async fn check_fields(&self, tx: &mut Tx, project: &Project, row: &Issue) -> Result<(), Error> {
        let title = row.title.chars().count();
        if title == 0 || title > 200 || row.title.contains(['\n', '\r']) {
            return Err(Error::invalid(
                "`title` must be one line of 1 to 200 characters",
            ));
        }
        if row.body.len() > 256 << 10 {
            return Err(Error::invalid(
                "`body` is larger than 256 KiB: put long material into the repository and refer to it",
            ));
        }
        if row.labels.len() > 20
            || row
                .labels
                .iter()
                .any(|label| label.trim().is_empty() || label.len() > 50 || label.contains(','))
        {
            return Err(Error::invalid(
                "`labels`: at most 20, each 1 to 50 characters without a comma",
            ));
        }
        if !(0..=3).contains(&row.priority) {
            return Err(Error::invalid("`priority` must be 0 (urgent) to 3 (low)"));
        }
        if project.config.agent(&row.agent).is_none() {
            return Err(Error::invalid(format!(
                "`agent`: {:?} is not defined in .nightshift/config.toml; it knows {}",
                row.agent,
                project.config.agent_names()
            )));
        }
        if let Some(assignee) = &row.assignee
            && user::user_by_name(tx, assignee).await?.is_none()
        {
            return Err(Error::invalid(format!(
                "`assignee`: no person named {assignee:?}"
            )));
        }
        Ok(())
    }

    async fn set_blockers(
        &self,
        tx: &mut Tx,
        row: &Issue,
        numbers: &[Number],
    ) -> Result<(), Error> {
        if numbers.len() > MAX_BLOCKERS {
            return Err(Error::invalid(format!(
                "`blocked_by`: {} issues are too many; the limit is {MAX_BLOCKERS}",
                numbers.len()
            )));
        }
        let mut ids = Vec::new();
        for number in numbers {
            let blocker = issue::issue_by_number(tx, row.project, *number)
                .await?
                .ok_or_else(|| {
                    Error::invalid(format!("`blocked_by`: there is no issue #{number}"))
                })?;
            if !ids.contains(&blocker.id) {
                ids.push(blocker.id);
            }
        }
        if ids.contains(&row.id) || block::block_would_cycle(tx, row.id, &ids).await? {
            return Err(Error::invalid(
                "`blocked_by`: these issues would wait for each other for ever",
            ));
        }
        Ok(block::block_set(tx, row.id, &ids).await?)
    }

    /// Changes an issue that no agent works on.
    ///
    /// # Errors
    /// `Refused` while an agent works or once it has ended; `Conflict` for an old version.
    pub async fn issue_edit(
        &self,
        caller: &Caller,
        name: &str,
        number: Number,
        edit: EditIssue,
    ) -> Result<IssueView, Error> {
        if let Some(acceptance) = &edit.acceptance {
            acceptance::check(acceptance)?;
        }
        let now = self.now();
        let mut tx = self.db().write().await?;
        let (found, standing) = self
            .project_for(&mut tx, caller, name, Action::IssueWrite)
            .await?;
        let mut row = self.issue_row(&mut tx, &found, number).await?;
        if let Some(version) = edit.version.filter(|version| *version != row.version) {
            return Err(Error::conflict(format!(
                "#{number} is at version {} and your edit is based on {version}: look at it again",
                row.version
            )));
        }
        let text_changes = edit.title.is_some() || edit.body.is_some() || edit.acceptance.is_some();
        match row.state.phase {
            Phase::Draft | Phase::Ready | Phase::NeedsInput { .. } | Phase::InReview => {}
            Phase::Working | Phase::Landing if !text_changes => {}
            Phase::Working | Phase::Landing => {
                return Err(Error::refused(format!(
                    "#{number} is {}: the order cannot change under the agent; answer, send back, \
                     or cancel the run first",
                    row.state.phase.as_str()
                )));
            }
            Phase::Done { .. } | Phase::Closed { .. } => {
                return Err(Error::refused(format!(
                    "#{number} has ended ({}): reopen it or file a new one",
                    row.state.phase.as_str()
                )));
            }
        }
        if edit.acceptance.is_some() && pull::pull_get(&mut tx, row.id).await?.is_some() {
            return Err(Error::refused(format!(
                "the acceptance tests of #{number} are sealed since its first result: close it and \
                 file a new issue to change them"
            )));
        }
        if text_changes {
            row.trust = row.trust.min(Trust::of(standing));
        }
        if let Some(title) = edit.title {
            row.title = title.trim().to_owned();
        }
        if let Some(body) = edit.body {
            row.body = body;
        }
        if let Some(labels) = edit.labels {
            row.labels = labels;
        }
        if let Some(priority) = edit.priority {
            row.priority = priority;
        }
        if let Some(assignee) = edit.assignee {
            row.assignee = Some(assignee).filter(|name| !name.is_empty());
        }
        if let Some(agent) = edit.agent {
            row.agent = agent;
        }
        row.has_acceptance |= edit.acceptance.is_some();
        self.check_fields(&mut tx, &found, &row).await?;
        issue::issue_save(&mut tx, &row, now).await?;
        row.version += 1;
        if edit.acceptance.is_some() {
            sealed::acceptance_set(&mut tx, row.id, edit.acceptance.as_ref()).await?;
        }
        if let Some(numbers) = &edit.blocked_by {
            self.set_blockers(&mut tx, &row, numbers).await?;
        }
        let actor = caller.actor();
        let context = Context::new(&actor, now);
        let data = json!({ "number": number, "title": row.title });
        self.record(&mut tx, &row, "issue.edited", &context, data)
            .await?;
        self.commit(tx, caller).await?;
        self.issue_get(caller, name, number).await
    }

    /// Says that an issue may start.
    ///
    /// # Errors
    /// `Refused` unless it is a draft.
    pub async fn issue_ready(
        &self,
        caller: &Caller,
        name: &str,
        number: Number,
    ) -> Result<IssueView, Error> {
        self.issue_event(caller, name, number, Action::IssueWrite, Event::MarkReady)
            .await
    }

    /// Takes an issue back to draft.
    ///
    /// # Errors
    /// `Refused` once an agent started.
    pub async fn issue_draft(
        &self,
        caller: &Caller,
        name: &str,
        number: Number,
    ) -> Result<IssueView, Error> {
        self.issue_event(caller, name, number, Action::IssueWrite, Event::MarkDraft)
            .await
    }

    /// Tries again after a failure.
    ///
    /// # Errors
    /// `Refused` when nothing failed.
    pub async fn issue_retry(
        &self,
        caller: &Caller,
        name: &str,
        number: Number,
    ) -> Result<IssueView, Error> {
        self.issue_event(caller, name, number, Action::RunControl, Event::Retried)
            .await
    }

    /// Ends an issue without a change.
    ///
    /// # Errors
    /// `Refused` when it has ended.
    pub async fn issue_close(
        &self,
        caller: &Caller,
        name: &str,
        number: Number,
        reason: &str,
    ) -> Result<IssueView, Error> {
        let event = Event::Closed {
            reason: reason.trim().to_owned(),
        };
        self.issue_event(caller, name, number, Action::IssueWrite, event)
            .await
    }

    /// Takes a closed issue up again.
    ///
    /// # Errors
    /// `Refused` unless it is closed.
    pub async fn issue_reopen(
        &self,
        caller: &Caller,
        name: &str,
        number: Number,
    ) -> Result<IssueView, Error> {
        self.issue_event(caller, name, number, Action::IssueWrite, Event::Reopened)
            .await
    }

    /// Answers the agent's question.
    ///
    /// # Errors
    /// `Refused` when none is open, `Invalid` when empty.
    pub async fn issue_answer(
        &self,
        caller: &Caller,
        name: &str,
        number: Number,
        text: &str,
    ) -> Result<IssueView, Error> {
        if text.trim().is_empty() {
            return Err(Error::invalid("`text` is empty: say the answer"));
        }
        let now = self.now();
        let mut tx = self.db().write().await?;
        let (found, standing) = self
            .project_for(&mut tx, caller, name, Action::IssueAnswer)
            .await?;
        let row = self.issue_row(&mut tx, &found, number).await?;
        self.say(
            &mut tx,
            &row,
            MessageKind::Answer,
            caller,
            Trust::of(standing),
            text,
            now,
        )
        .await?;
        let actor = caller.actor();
        let context = Context::new(&actor, now);
        self.change(&mut tx, row, Event::Answered, &context).await?;
        self.commit(tx, caller).await?;
        self.issue_get(caller, name, number).await
    }

    /// Adds a note for people; no agent reads it.
    ///
    /// # Errors
    /// `Invalid` when empty.
    pub async fn issue_note(
        &self,
        caller: &Caller,
        name: &str,
        number: Number,
        text: &str,
    ) -> Result<IssueView, Error> {
        if text.trim().is_empty() {
            return Err(Error::invalid("`text` is empty: say the note"));
        }
        let now = self.now();
        let mut tx = self.db().write().await?;
        let (found, standing) = self
            .project_for(&mut tx, caller, name, Action::IssueWrite)
            .await?;
        let row = self.issue_row(&mut tx, &found, number).await?;
        self.say(
            &mut tx,
            &row,
            MessageKind::Note,
            caller,
            Trust::of(standing),
            text,
            now,
        )
        .await?;
        let actor = caller.actor();
        let context = Context::new(&actor, now);
        let data = json!({ "number": number });
        self.record(&mut tx, &row, "issue.noted", &context, data)
            .await?;
        self.commit(tx, caller).await?;
        self.issue_get(caller, name, number).await
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one message")]
    async fn say(
        &self,
        tx: &mut Tx,
        row: &Issue,
        kind: MessageKind,
        caller: &Caller,
        trust: Trust,
        text: &str,
        now: Timestamp,
    ) -> Result<(), Error> {
        if text.len() > 64 << 10 {
            return Err(Error::invalid("`text` is larger than 64 KiB"));
        }
        let said = Message {
            id: self.ids().uuid(),
            issue: row.id,
            round: row.state.round,
            kind,
            author: caller.actor(),
            trust,
            body: text.to_owned(),
            created_at: now,
        };
        Ok(message::message_insert(tx, &said).await?)
    }

    async fn issue_event(
        &self,
        caller: &Caller,
        name: &str,
        number: Number,
        action: Action,
        event: Event,
    ) -> Result<IssueView, Error> {
        let mut tx = self.db().write().await?;
        let (found, _) = self.project_for(&mut tx, caller, name, action).await?;
        let row = self.issue_row(&mut tx, &found, number).await?;
        let actor = caller.actor();
        let context = Context::new(&actor, self.now());
        self.change(&mut tx, row, event, &context).await?;
        self.commit(tx, caller).await?;
        self.issue_get(caller, name, number).await
    }

    /// A project's issue, locked for a change.
    pub(crate) async fn issue_row(
        &self,
        tx: &mut Tx,
        found: &Project,
        number: Number,
    ) -> Result<Issue, Error> {
        let missing = || {
            Error::not_found(format!(
                "no issue #{number} in {}: `nightshift issue list` shows them",
                found.name
            ))
        };
        let row = issue::issue_by_number(tx, found.id, number)
            .await?
            .ok_or_else(missing)?;
        issue::issue_lock(tx, row.id).await?.ok_or_else(missing)
    }

    /// Shows an issue.
    ///
    /// # Errors
    /// `NotFound` where the caller may not see it.
    pub async fn issue_get(
        &self,
        caller: &Caller,
        name: &str,
        number: Number,
    ) -> Result<IssueView, Error> {
        let mut tx = self.db().read().await?;
        let (found, _) = self
            .project_for(&mut tx, caller, name, Action::ProjectRead)
            .await?;
        let row = issue::issue_by_number(&mut tx, found.id, number)
            .await?
            .ok_or_else(|| {
                Error::not_found(format!(
                    "no issue #{number} in {name}: `nightshift issue list` shows them"
                ))
            })?;
        let requester = user::user_get(&mut tx, row.requester)
            .await?
            .map(|person| person.name)
            .unwrap_or_default();
        let blocked_by = block::blockers(&mut tx, row.id)
            .await?
            .iter()
            .map(|blocker| blocker.number)
            .collect();
        let acceptance = sealed::acceptance_get(&mut tx, row.id).await?;
        let has_pull = pull::pull_get(&mut tx, row.id).await?.is_some();
        let messages = message::message_list(&mut tx, row.id).await?;
        let alive = self.runners_alive(&mut tx).await?;
        let line = self.issue_line(&mut tx, &found, row, alive).await?;
        Ok(IssueView {
            line,
            requester,
            blocked_by,
            acceptance,
            has_pull,
            messages,
        })
    }

    /// Lists a project's issues, newest first.
    ///
    /// # Errors
    /// `NotFound` where the caller may not see the project.
    pub async fn issue_list(
        &self,
        caller: &Caller,
        name: &str,
        filter: IssueFilter,
        after: Option<(Timestamp, IssueId)>,
        limit: i64,
    ) -> Result<Vec<IssueLine>, Error> {
        for phase in &filter.phases {
            if !Phase::WORDS.contains(&phase.as_str()) {
                return Err(Error::invalid(format!(
                    "`phase`: {phase:?} is none of {}",
                    Phase::WORDS.join(", ")
                )));
            }
        }
        let mut tx = self.db().read().await?;
        let (found, _) = self
            .project_for(&mut tx, caller, name, Action::ProjectRead)
            .await?;
        let filter = IssueFilter {
            project: Some(found.id),
            ..filter
        };
        let alive = self.runners_alive(&mut tx).await?;
        let mut lines = Vec::new();
        for row in issue::issue_list(&mut tx, &filter, after, limit).await? {
            lines.push(self.issue_line(&mut tx, &found, row, alive).await?);
        }
        Ok(lines)
    }

    pub(crate) async fn runners_alive(&self, tx: &mut Tx) -> Result<usize, Error> {
        let now = self.now();
        let known = runner::runner_list(tx).await?;
        Ok(known.iter().filter(|runner| alive(runner, now)).count())
    }

    /// An issue with the reason it waits.
    pub(crate) async fn issue_line(
        &self,
        tx: &mut Tx,
        found: &Project,
        row: Issue,
        runners_alive: usize,
    ) -> Result<IssueLine, Error> {
        let blockers: Vec<Number> = match row.state.phase {
            Phase::Ready | Phase::Draft => block::blockers(tx, row.id)
                .await?
                .iter()
                .filter(|blocker| !blocker.state.phase.is_final())
                .map(|blocker| blocker.number)
                .collect(),
            Phase::Working
            | Phase::NeedsInput { .. }
            | Phase::InReview
            | Phase::Landing
            | Phase::Done { .. }
            | Phase::Closed { .. } => Vec::new(),
        };
        let live = jobs::job_list_live_of_issue(tx, row.id).await?;
        let queue = self.queue_reason(tx, found.id, &row).await?;
        let facts = waiting::Facts {
            issue: &row.state,
            blockers: &blockers,
            job: live.first().map(|job| (job.kind, &job.state.phase)),
            runners_alive,
            queue: queue.as_deref(),
            agent_known: found.config.agent(&row.agent).is_some(),
        };
        let waiting = waiting::reason(&facts, self.now());
        Ok(IssueLine {
            issue: row,
            project: found.name.clone(),
            waiting,
        })
    }

    /// Why an approved change does not land, as the queue's own planner says.
    async fn queue_reason(
        &self,
        tx: &mut Tx,
        project: ProjectId,
        row: &Issue,
    ) -> Result<Option<String>, Error> {
        if row.state.phase != Phase::Landing {
            return Ok(None);
        }
        let entries = queue::queue_list(tx, project).await?;
        let ahead = entries
            .iter()
            .take_while(|entry| entry.issue != row.id)
            .last()
            .map(|entry| format!("#{} is ahead in the merge queue", entry.number));
        Ok(ahead)
    }
}
