//! Hosts that a run could not reach: asked by the agent or seen by the platform, decided by a person,
//! and then the work goes on.
//!
//! Invariants: a grant for an issue is given to its author runs and to nothing else, so no proof ever
//! leans on it: what a proof misses is a question of its own, which the project's list alone answers;
//! one for the project is a commit to its settings, by somebody who may make it; every decision is in
//! the audit log with who made it. What the project's list names by now is answered by that, however
//! it came there. The work goes on by itself once nothing is open: a question is
//! answered, a failure is tried again. Deliberately absent: the walls (the broker's).

use jiff::Timestamp;
use nightshift_domain::access::Action;
use nightshift_domain::check::Colour;
use nightshift_domain::config::Config;
use nightshift_domain::config::edit::{Edit, Path};
use nightshift_domain::config::field::Value as FieldValue;
use nightshift_domain::failure::{Failure, Reason};
use nightshift_domain::grant::{self, Asked, Decided, Decision, Need};
use nightshift_domain::host::{Allowed, AllowedError};
use nightshift_domain::id::{IssueId, Number, RunId};
use nightshift_domain::issue::{Event, Phase};
use nightshift_domain::speech::{self, Speech};
use nightshift_domain::traffic::Traffic;
use nightshift_domain::trust::Trust;
use nightshift_store::issue::Issue;
use nightshift_store::message::{Message, MessageKind};
use nightshift_store::project::Project;
use nightshift_store::run::{Run, RunState};
use nightshift_store::{Tx, host_ask, issue, message, project, pull, run, verdict};
use serde_json::{Value, json};

use super::account::SYSTEM;
use super::issue::IssueView;
use super::settings::{SaveSettings, SettingsChange};
use crate::change::Context;
use crate::error::plain;
use crate::say::{issue as say, quoted};
use crate::{App, Caller, Error};

/// The longest reason, in bytes.
const LONGEST_WHY: usize = 2_000;
/// The most hosts that are decided for one issue.
const MOST_DECIDED: usize = 100;

impl App {
    /// An agent asks for hosts. It is the one question of its run: the run's end turns it into
    /// `needs-input`.
    ///
    /// # Errors
    /// `Invalid` for what is no host; `Refused` for one that is decided, that no answer can open, and
    /// for a second question.
    pub async fn run_request_hosts(
        &self,
        caller: &Caller,
        id: RunId,
        hosts: &[String],
        why: &str,
    ) -> Result<(), Error> {
        self.own(caller, id).await?;
        let why = speech::fit("why", why, LONGEST_WHY)?;
        let hosts = read(hosts)?;
        let now = self.now();
        let mut tx = self.db().write().await?;
        let found = self.speaking(&mut tx, id, Speech::Ask, now).await?;
        let home = project::project_get(&mut tx, found.project)
            .await?
            .ok_or_else(|| plain::not_found("the run's project is gone"))?;
        let known = host_ask::host_ask_list(&mut tx, found.issue).await?;
        for host in &hosts {
            undecided(host, &known, &home.config)?;
        }
        for host in &hosts {
            let asked = Asked {
                issue: found.issue,
                host: host.clone(),
                need: Need::Author,
                run: Some(found.id),
                why: Some(why.clone()),
                at: now,
                decided: None,
            };
            host_ask::host_ask_set(&mut tx, &asked).await?;
        }
        let said = Message {
            id: self.ids().uuid(),
            issue: found.issue,
            round: found.round,
            kind: MessageKind::Question,
            author: caller.actor(),
            trust: Trust::Tool,
            body: grant::question(&hosts, &why).into(),
            created_at: now,
        };
        message::message_insert(&mut tx, &said).await?;
        let data = json!({ "number": found.number, "hosts": hosts });
        self.record_run(&mut tx, &found, caller, "run.asked", data)
            .await?;
        self.commit(tx, caller).await
    }

    /// Keeps which hosts a run was refused where that may be why it did not bring its result.
    pub(crate) async fn keep_blocked(
        &self,
        tx: &mut Tx,
        ended: &Run,
        now: Timestamp,
    ) -> Result<(), Error> {
        let lacks = match &ended.state {
            RunState::Asked { .. } => true,
            RunState::Failed { failure } => matches!(
                failure.reason,
                Reason::SetupFailed | Reason::AgentFailed | Reason::NoChange | Reason::TimeLimit
            ),
            RunState::Running | RunState::Succeeded | RunState::Stopped => false,
        };
        let Some(traffic) = ended.traffic.as_ref().filter(|_| lacks) else {
            return Ok(());
        };
        self.keep_refused(tx, ended, traffic, Need::Author, now)
            .await
    }

    /// Keeps which hosts the proof of the present head was refused where it is red or could not be
    /// made; else nothing is missed any more.
    pub(crate) async fn keep_missed(
        &self,
        tx: &mut Tx,
        ended: &Run,
        red: bool,
        now: Timestamp,
    ) -> Result<(), Error> {
        let current = pull::pull_get(tx, ended.issue).await?;
        if current.is_none_or(|current| current.head != ended.start) {
            return Ok(());
        }
        if !red {
            return Ok(host_ask::host_ask_forget(tx, ended.issue, Need::Proof).await?);
        }
        match &ended.traffic {
            Some(traffic) => {
                self.keep_refused(tx, ended, traffic, Need::Proof, now)
                    .await
            }
            None => Ok(()),
        }
    }

    /// Keeps which hosts a trial was refused that is red or could not be made, and says which of
    /// them are a question: what was denied before is none.
    pub(crate) async fn keep_missed_by_trial(
        &self,
        tx: &mut Tx,
        ended: &Run,
        now: Timestamp,
    ) -> Result<Vec<Allowed>, Error> {
        let Some(traffic) = &ended.traffic else {
            return Ok(Vec::new());
        };
        self.keep_refused(tx, ended, traffic, Need::Proof, now)
            .await?;
        let asked = host_ask::host_ask_list(tx, ended.issue).await?;
        let mut missed = grant::worth_asking(traffic);
        missed.retain(|host| {
            let is_open =
                |one: &Asked| one.host == *host && one.need == Need::Proof && one.decided.is_none();
            asked.iter().any(is_open)
        });
        Ok(missed)
    }

    async fn keep_refused(
        &self,
        tx: &mut Tx,
        ended: &Run,
        traffic: &Traffic,
        need: Need,
        now: Timestamp,
    ) -> Result<(), Error> {
        let known = host_ask::host_ask_list(tx, ended.issue).await?;
        for host in grant::worth_asking(traffic) {
            let before = known
                .iter()
                .find(|one| one.host == host && one.need == need);
            // What is open stays with the words of who asked; a no is a no.
            let open = before.is_some_and(|one| one.decided.is_none());
            let denied = before.is_some_and(|one| decision(one) == Some(Decision::Denied));
            if open || denied {
                continue;
            }
            let asked = Asked {
                issue: ended.issue,
                host,
                need,
                run: Some(ended.id),
                why: None,
                at: now,
                decided: None,
            };
            host_ask::host_ask_set(tx, &asked).await?;
        }
        Ok(())
    }

    /// Who answers a question for hosts in words has decided: the hosts stay closed.
    pub(crate) async fn close_asked(
        &self,
        tx: &mut Tx,
        row: &Issue,
        caller: &Caller,
        context: &Context<'_>,
    ) -> Result<(), Error> {
        let Phase::NeedsInput { run, .. } = row.state.phase else {
            return Ok(());
        };
        for mut asked in host_ask::host_ask_list(tx, row.id).await? {
            let of_the_question = asked.run == Some(run) && asked.why.is_some();
            if !of_the_question || asked.decided.is_some() {
                continue;
            }
            asked.decided = Some(Decided {
                decision: Decision::Denied,
                by: caller.actor(),
                at: context.now,
            });
            host_ask::host_ask_set(tx, &asked).await?;
            let data = json!({
                "number": row.number, "host": asked.host, "for": "denied", "run": run, "in_words": true,
            });
            self.record(tx, row, "host.denied", context, data).await?;
        }
        Ok(())
    }

    /// The hosts that a person allowed for the author runs of an issue.
    pub(crate) async fn grants(&self, tx: &mut Tx, issue: IssueId) -> Result<Vec<Allowed>, Error> {
        let asked = host_ask::host_ask_list(tx, issue).await?;
        Ok(asked
            .into_iter()
            .filter(|one| decision(one) == Some(Decision::Issue))
            .map(|one| one.host)
            .collect())
    }

    /// A person decides about a host, and the work goes on where nothing else is open.
    ///
    /// # Errors
    /// `Invalid` for what is no host; `Forbidden` below writer, and below maintainer for the project;
    /// `Refused` for an issue that has ended, and for a no to what nobody asked.
    pub async fn host_decide(
        &self,
        caller: &Caller,
        name: &str,
        number: Number,
        host: &str,
        decision: Decision,
    ) -> Result<IssueView, Error> {
        caller.person()?;
        let host: Allowed = host.parse().map_err(|error: AllowedError| {
            Error::invalid(say::bad_host(quoted(host), error.said()))
        })?;
        // Who may not decide here changes no settings either.
        let mut tx = self.db().read().await?;
        self.project_for(&mut tx, caller, name, Action::HostDecide)
            .await?;
        drop(tx);
        if decision == Decision::Project {
            self.allow_in_project(caller, name, &host).await?;
        }
        let now = self.now();
        let mut tx = self.db().write().await?;
        let (found, standing) = self
            .project_for(&mut tx, caller, name, Action::HostDecide)
            .await?;
        let row = self.issue_row(&mut tx, &found, number).await?;
        if row.state.phase.is_final() {
            return Err(Error::refused(say::nothing_runs(
                number,
                row.state.phase.name(),
            )));
        }
        let known = host_ask::host_ask_list(&mut tx, row.id).await?;
        let before: Vec<&Asked> = known.iter().filter(|one| one.host == host).collect();
        let needs = grant::answers(&before, decision).map_err(|rule| {
            Error::refused(match rule {
                grant::Refused::NothingToDeny => say::host_not_asked(host.to_string(), rule.said()),
                grant::Refused::OnlyForTheProject => {
                    say::host_of_proof(host.to_string(), rule.said())
                }
            })
        })?;
        if before.is_empty() && known.len() >= MOST_DECIDED {
            return Err(Error::refused(say::hosts_many(MOST_DECIDED, number)));
        }
        let mut run = None;
        for need in &needs {
            let before = before.iter().find(|one| one.need == *need);
            let asked = Asked {
                issue: row.id,
                host: host.clone(),
                need: *need,
                run: before.and_then(|one| one.run),
                why: before.and_then(|one| one.why.clone()),
                at: before.map_or(now, |one| one.at),
                decided: Some(Decided {
                    decision,
                    by: caller.actor(),
                    at: now,
                }),
            };
            host_ask::host_ask_set(&mut tx, &asked).await?;
            run = run.or(asked.run);
        }
        let actor = caller.actor();
        let context = Context::new(&actor, now);
        let kind = match decision {
            Decision::Issue | Decision::Project => "host.allowed",
            Decision::Denied => "host.denied",
        };
        let data: Value =
            json!({ "number": number, "host": host, "for": decision.as_str(), "run": run });
        self.record(&mut tx, &row, kind, &context, data).await?;
        let trust = Trust::of(standing);
        self.host_decided(&mut tx, row, &needs, decision, trust, &context)
            .await?;
        self.commit(tx, caller).await?;
        self.issue_get(caller, name, number).await
    }

    /// Answers what an issue's runs asked for and the project's list names by now, whoever brought it
    /// there, and lets the work go on. Whether there was any.
    pub(crate) async fn hosts_answered(&self, home: &Project, id: IssueId) -> Result<bool, Error> {
        let list = &home.config.network.allow;
        let mut tx = self.db().read().await?;
        if answered(&mut tx, id, list).await?.is_empty() {
            return Ok(false);
        }
        drop(tx);
        let now = self.now();
        let context = Context::new(&SYSTEM, now);
        let mut tx = self.db().write().await?;
        let Some(row) = issue::issue_lock(&mut tx, id).await? else {
            return Ok(false);
        };
        // Somebody may have decided meanwhile.
        let found = answered(&mut tx, id, list).await?;
        if found.is_empty() || row.state.phase.is_final() {
            return Ok(false);
        }
        let needs: Vec<Need> = found.iter().map(|one| one.need).collect();
        for mut asked in found {
            asked.decided = Some(Decided {
                decision: Decision::Project,
                by: SYSTEM,
                at: now,
            });
            host_ask::host_ask_set(&mut tx, &asked).await?;
            let data = json!({
                "number": row.number, "host": asked.host, "for": Decision::Project.as_str(),
                "run": asked.run, "settings": home.config_commit,
            });
            self.record(&mut tx, &row, "host.allowed", &context, data)
                .await?;
        }
        let (decision, trust) = (Decision::Project, Trust::Operator);
        self.host_decided(&mut tx, row, &needs, decision, trust, &context)
            .await?;
        self.commit_plain(tx).await?;
        Ok(true)
    }

    /// The work goes on where nothing else is open.
    async fn host_decided(
        &self,
        tx: &mut Tx,
        row: Issue,
        needs: &[Need],
        decision: Decision,
        trust: Trust,
        context: &Context<'_>,
    ) -> Result<(), Error> {
        let of_proof = needs.contains(&Need::Proof);
        if of_proof && row.state.phase == Phase::InReview {
            self.prove_with_hosts(tx, row, context).await
        } else if of_proof && row.state.phase == Phase::Landing {
            self.land_with_hosts(tx, row, context).await
        } else if needs.contains(&Need::Author) {
            self.go_on_with_hosts(tx, row, trust, decision, context)
                .await
        } else {
            Ok(())
        }
    }

    /// Answers the question, or tries the failed run again, once nothing is open.
    async fn go_on_with_hosts(
        &self,
        tx: &mut Tx,
        row: Issue,
        trust: Trust,
        decision: Decision,
        context: &Context<'_>,
    ) -> Result<(), Error> {
        let mut all = host_ask::host_ask_list(tx, row.id).await?;
        all.retain(|one| one.need == Need::Author);
        if all.iter().any(|one| one.decided.is_none()) {
            return Ok(());
        }
        if let Phase::NeedsInput { run, .. } = row.state.phase {
            let asked: Vec<&Asked> = all
                .iter()
                .filter(|one| one.run == Some(run) && one.why.is_some())
                .collect();
            // Another question is answered in words.
            if asked.is_empty() {
                return Ok(());
            }
            let said = Message {
                id: self.ids().uuid(),
                issue: row.id,
                round: row.state.round,
                kind: MessageKind::Answer,
                author: context.actor.clone(),
                trust,
                body: grant::answer(&asked).into(),
                created_at: context.now,
            };
            message::message_insert(tx, &said).await?;
            self.change(tx, row, Event::Answered, context).await?;
            return Ok(());
        }
        let waits =
            row.state.failed.is_some() && matches!(row.state.phase, Phase::Ready | Phase::InReview);
        if waits && decision != Decision::Denied && self.budget_of(tx, &row).await?.left.is_ok() {
            self.change(tx, row, Event::Retried, context).await?;
        }
        Ok(())
    }

    /// Proves the head again, once nothing is open that its proof missed and something of it is in reach.
    async fn prove_with_hosts(
        &self,
        tx: &mut Tx,
        row: Issue,
        context: &Context<'_>,
    ) -> Result<(), Error> {
        let mut missed = host_ask::host_ask_list(tx, row.id).await?;
        missed.retain(|one| one.need == Need::Proof);
        let Some(change) = pull::pull_get(tx, row.id).await? else {
            return Ok(());
        };
        let made = verdict::verdict_of(tx, row.id, &change.head).await?;
        let since = made.as_ref().map(|made| made.created_at);
        let is_new = |one: &Asked| {
            one.decided.as_ref().is_some_and(|decided| {
                decided.decision == Decision::Project
                    && since.is_none_or(|since| decided.at >= since)
            })
        };
        let decided = missed.iter().all(|one| one.decided.is_some());
        let helps = made.is_none_or(|made| made.colour == Colour::Red);
        if decided && helps && missed.iter().any(is_new) {
            self.change(tx, row, Event::ProofRetried, context).await?;
        }
        Ok(())
    }

    /// Lets the merge queue go on with a change whose trial asked, once nothing is open. Where all was
    /// denied, the next trial decides without them, and asks no more.
    async fn land_with_hosts(
        &self,
        tx: &mut Tx,
        row: Issue,
        context: &Context<'_>,
    ) -> Result<(), Error> {
        let asks = |failure: &Failure| failure.reason == Reason::HostMissing;
        if !row.state.failed.as_ref().is_some_and(asks) {
            return Ok(());
        }
        let asked = host_ask::host_ask_list(tx, row.id).await?;
        let is_open = |one: &Asked| one.need == Need::Proof && one.decided.is_none();
        if !asked.iter().any(is_open) {
            self.change(tx, row, Event::Retried, context).await?;
        }
        Ok(())
    }

    /// Puts the host into the project's list, unless it is there.
    async fn allow_in_project(
        &self,
        caller: &Caller,
        name: &str,
        host: &Allowed,
    ) -> Result<(), Error> {
        let view = self.settings_get(caller, name).await?;
        // A list that cannot be read must not be replaced by one that can.
        let config = Config::parse(&view.text).map_err(|error| {
            Error::refused(say::host_not_added(host.to_string(), name, error.said()))
        })?;
        let mut allow = config.network.allow;
        if allow.contains(host) {
            return Ok(());
        }
        allow.push(host.clone());
        let list = allow.iter().map(ToString::to_string).collect();
        let path: Path = "network.allow".parse().map_err(Error::invalid)?;
        let save = SaveSettings {
            blob: view.blob,
            change: SettingsChange::Edits(vec![Edit::Set(path, Some(FieldValue::List(list)))]),
            message: Some(format!("settings: let runs reach {host}")),
            dry: false,
        };
        // The request's key is kept with the decision itself.
        let mut caller = caller.clone();
        caller.once = None;
        self.settings_save(&caller, name, &save).await?;
        Ok(())
    }
}

/// What an issue's runs asked for and this list names by now.
async fn answered(tx: &mut Tx, id: IssueId, list: &[Allowed]) -> Result<Vec<Asked>, Error> {
    let mut found = Vec::new();
    for asked in host_ask::host_ask_list(tx, id).await? {
        if asked.decided.is_some() {
            continue;
        }
        let by = match asked.run {
            Some(run) => run::run_get(tx, run).await?,
            None => None,
        };
        let traffic = by.as_ref().and_then(|run| run.traffic.as_ref());
        if grant::is_answered(&asked, traffic, list) {
            found.push(asked);
        }
    }
    Ok(found)
}

/// The hosts that an agent names.
fn read(hosts: &[String]) -> Result<Vec<Allowed>, Error> {
    if hosts.is_empty() || hosts.len() > grant::MOST {
        return Err(plain::invalid(format!(
            "`hosts` names {}; 1 to {} can be asked for",
            hosts.len(),
            grant::MOST
        )));
    }
    let mut read = Vec::new();
    for text in hosts {
        let host = grant::one(text).map_err(|error| {
            plain::invalid(format!(
                "`hosts`: {text:?}: {error}; name single hosts, as packages.example.com"
            ))
        })?;
        if !grant::can_be_opened(host.host()) {
            return Err(plain::refused(format!(
                "{host} is no public host, and nobody can open it for you: do without"
            )));
        }
        if !read.contains(&host) {
            read.push(host);
        }
    }
    Ok(read)
}

/// Refuses to ask about what is decided.
fn undecided(host: &Allowed, known: &[Asked], config: &Config) -> Result<(), Error> {
    let before = known
        .iter()
        .find(|one| one.host == *host && one.need == Need::Author);
    let decided = before.and_then(|one| one.decided.as_ref());
    let open = grant::is_named(host, &config.network.allow);
    match decided.map(|decided| decided.decision) {
        Some(Decision::Denied) => {
            let by = decided
                .map(|decided| decided.by.label())
                .unwrap_or_default();
            Err(plain::refused(format!(
                "{host} was denied by {by}: do without, and say in your summary what that means"
            )))
        }
        Some(Decision::Issue) => Err(reachable(host)),
        Some(Decision::Project) | None if open => Err(reachable(host)),
        Some(Decision::Project) | None => Ok(()),
    }
}

fn reachable(host: &Allowed) -> Error {
    plain::refused(format!(
        "you may reach {host} already, through the proxy that HTTPS_PROXY names: nothing was asked"
    ))
}

fn decision(asked: &Asked) -> Option<Decision> {
    asked.decided.as_ref().map(|decided| decided.decision)
}
