//! Turns a claimed job into everything a runner needs: where to start, by whose definitions, with
//! which words.
//!
//! Definitions come from the default branch as it is now; what they were is kept with the job, so
//! that the verdict is judged by the same. Deliberately absent: secrets other than the run's own
//! one-ref token and those that the base's settings name for its steps.

use std::time::Duration;

use nightshift_domain::access::Actor;
use nightshift_domain::brief::{self, Brief};
use nightshift_domain::budget::Left;
use nightshift_domain::check::{Acceptance, Check};
use nightshift_domain::config::secret::withheld;
use nightshift_domain::config::{Agent, Environment, Network};
use nightshift_domain::failure::{Failure, Reason};
use nightshift_domain::git_name::{ObjectId, RefName};
use nightshift_domain::host::Allowed;
use nightshift_domain::issue::{Cause, Event};
use nightshift_domain::job::Kind;
use nightshift_domain::prompt::{self, Prompt, Said, What};
use nightshift_domain::route::{Needs, Runner};
use nightshift_domain::sentence::Sentence;
use nightshift_domain::told::failure as say;
use nightshift_domain::trust::Trust;
use nightshift_git::{Merge, NewCommit, Person, Repository};
use nightshift_store::issue::Issue;
use nightshift_store::job::Job;
use nightshift_store::message::MessageKind;
use nightshift_store::project::Project;
use nightshift_store::review::Decision;
use nightshift_store::run::{Run, RunState, Session};
use nightshift_store::token::{Holder, Token};
use nightshift_store::{
    acceptance, issue, job as jobs, message, pull, review, run, steer, token, user, verdict,
};

use crate::change::{Asked, Context, Order};
use crate::error::plain;
use crate::say::quoted;
use crate::use_case::secret::GivenSecret;
use crate::{App, Error, RunLimits, Secret};

/// The name under which the platform proves and commits.
pub(crate) const PLATFORM: &str = "nightshift";
/// Slack on top of an agent's own limit for set-up, checks and publishing.
const AROUND_AGENT: u64 = 1_800;

/// Everything a runner needs for one run.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The run.
    pub run: Run,
    /// The project.
    pub project: Project,
    /// The run's own token.
    pub token: Secret,
    /// The tip of the default branch.
    pub base: ObjectId,
    /// Set-up.
    pub environment: Environment,
    /// What may be reached beside the platform and the model.
    pub network: Network,
    /// What a person allowed for this issue besides; none for a proof.
    pub grants: Vec<Allowed>,
    /// Required checks.
    pub checks: Vec<Check>,
    /// Sealed tests.
    pub acceptance: Option<Acceptance>,
    /// Secrets for some of its steps.
    pub secrets: Vec<GivenSecret>,
    /// Steps that need a secret which this run does not get.
    pub withheld: Vec<String>,
    /// For an author.
    pub author: Option<PreparedAuthor>,
    /// Caps.
    pub limits: RunLimits,
    /// What is left of the issue's budget, in millionths of a US dollar; none where it has none.
    pub cost_micro_usd: Option<u64>,
    /// Wall-clock limit, in seconds.
    pub wall_s: u64,
}

/// What an author run needs besides.
#[derive(Debug, Clone)]
pub struct PreparedAuthor {
    /// The agent.
    pub agent: Agent,
    /// The two texts.
    pub prompt: Prompt,
    /// The order as its agent may look it up.
    pub brief: Brief,
    /// The issue's body alone.
    pub issue_body: String,
    /// What a person wrote when sending back.
    pub feedback: Option<String>,
    /// The session to resume.
    pub session: Option<Session>,
    /// How often red checks go back to the same session.
    pub repair_in_run: i64,
    /// The one ref the token may write.
    pub attempt_ref: RefName,
    /// The commit's author.
    pub author_name: String,
    /// The author's address.
    pub author_email: String,
    /// The commit's message.
    pub message: String,
}

/// Where a run starts.
struct Start {
    commit: ObjectId,
    conflict: Vec<String>,
}

impl App {
    /// Prepares a run that was just claimed by a runner with this.
    ///
    /// # Errors
    /// `Ok(Err(failure))` where the order itself is impossible; the caller ends the run with it.
    pub(crate) async fn prepare(
        &self,
        mut job: Job,
        mut made: Run,
        able: &Runner,
    ) -> Result<Result<Prepared, Failure>, Error> {
        let project = self.refresh_config(job.project).await?;
        let Some(base) = self.base_tip(&project).await? else {
            return Ok(Err(misconfigured(say::unborn(
                &project.name,
                project.default_branch.as_str(),
            ))));
        };
        let repository = self.repository(project.id)?;
        let mut order = Order::of(&job)?;
        let mut tx = self.db().read().await?;
        let Some(row) = issue::issue_get(&mut tx, job.issue).await? else {
            return Ok(Err(misconfigured(say::issue_gone())));
        };
        let sealed = acceptance::acceptance_get(&mut tx, job.issue).await?;
        drop(tx);
        // The settings may have been read anew since the job was picked.
        if !able.can(Needs::of(made.kind, &project.config, &row.agent)) {
            return Ok(Err(given_back()));
        }
        let secrets = match self.secrets_for(&project, made.kind).await? {
            Ok(secrets) => secrets,
            Err(failure) => return Ok(Err(failure)),
        };
        let mut author = None;
        let mut grants = Vec::new();
        let mut left = Left::default();
        let mut start = Start {
            commit: base.clone(),
            conflict: Vec::new(),
        };
        let config = &project.config;
        match &mut order {
            Order::Author { cause } => {
                let Some(agent) = config.agent(&row.agent) else {
                    return Ok(Err(misconfigured(say::no_agent(
                        quoted(&row.agent),
                        config.agent_names(),
                    ))));
                };
                let mut tx = self.db().read().await?;
                left = match self.budget_of(&mut tx, &row).await?.left {
                    Ok(left) => left,
                    Err(failure) => return Ok(Err(failure)),
                };
                grants = self.grants(&mut tx, row.id).await?;
                drop(tx);
                start = self.author_start(&repository, &row, &base).await?;
                if !start.conflict.is_empty() {
                    *cause = Cause::Conflict {
                        paths: start.conflict.clone(),
                    };
                }
                let prepared = self
                    .prepare_author(
                        &project,
                        &row,
                        agent,
                        cause,
                        sealed.as_ref(),
                        &start,
                        &made,
                        &grants,
                    )
                    .await?;
                author = Some(prepared);
            }
            Order::Verify { head, asked } => {
                start.commit = head.clone();
                *asked = Some(asked_now(&project, &base));
            }
            Order::Trial { commit, asked } => {
                start.commit = commit.clone();
                *asked = Some(asked_now(&project, &base));
            }
            Order::Tryout { seal } => {
                if sealed.as_ref().map(crate::acceptance::seal).as_ref() != Some(seal) {
                    return Ok(Err(misconfigured(say::tests_changed())));
                }
            }
        }
        made.start = start.commit;
        let wall_s = wall(made.kind, &project, sealed.as_ref(), author.as_ref())
            .min(left.wall_s.unwrap_or(u64::MAX));
        let secret = Secret::new(self.ids().secret());
        self.hand_out(&mut job, &made, &order, &secret, wall_s)
            .await?;
        self.set_ref(
            &repository,
            &format!("refs/starts/{}", made.id),
            &made.start,
        )
        .await?;
        let made_kind = made.kind;
        Ok(Ok(Prepared {
            run: made,
            token: secret,
            base,
            environment: project.config.environment.clone(),
            network: project.config.network.clone(),
            grants,
            checks: match order {
                // What is tried is the sealed tests alone.
                Order::Tryout { .. } => Vec::new(),
                Order::Author { .. } | Order::Verify { .. } | Order::Trial { .. } => {
                    project.config.checks.clone()
                }
            },
            acceptance: sealed,
            secrets,
            withheld: withheld(&project.config.secrets, made_kind),
            author,
            limits: self.settings().limits,
            cost_micro_usd: left.cost_micro_usd,
            wall_s,
            project,
        }))
    }

    /// Saves what the run was prepared with, its token, and that the author started.
    async fn hand_out(
        &self,
        job: &mut Job,
        made: &Run,
        order: &Order,
        secret: &Secret,
        wall_s: u64,
    ) -> Result<(), Error> {
        let now = self.now();
        let mut tx = self.db().write().await?;
        let Some(row) = issue::issue_lock(&mut tx, job.issue).await? else {
            return Err(plain::not_found("the issue is gone"));
        };
        let Some(locked) = jobs::job_lock(&mut tx, job.id).await? else {
            return Err(plain::not_found("the job is gone"));
        };
        if locked.state.epoch != made.epoch || locked.state.phase.is_final() {
            return Err(plain::stale_epoch(
                "the lease was lost while the run was prepared",
            ));
        }
        *job = locked;
        job.order = order.to_value()?;
        jobs::job_save(&mut tx, job, now).await?;
        run::run_save(&mut tx, made).await?;
        let new = Token {
            id: nightshift_domain::id::TokenId(self.ids().uuid()),
            holder: Holder::Run {
                run: made.id,
                project: made.project,
            },
            label: format!("run {}", made.id),
            expires_at: Some(now + Duration::from_secs(wall_s + 600)),
            revoked_at: None,
            created_at: now,
            used_at: None,
        };
        token::token_insert(&mut tx, &new, &secret.hash()).await?;
        if made.kind == Kind::Author {
            let actor = Actor::Runner {
                runner: made.runner,
            };
            let context = Context::new(&actor, now);
            self.change(&mut tx, row, Event::AuthorStarted, &context)
                .await?;
        }
        self.commit_plain(tx).await
    }

    /// The commit an author starts from: what there is of the change, up to date with the base.
    async fn author_start(
        &self,
        repository: &Repository,
        row: &Issue,
        base: &ObjectId,
    ) -> Result<Start, Error> {
        let mut tx = self.db().read().await?;
        let known = pull::pull_get(&mut tx, row.id).await?;
        let runs = run::run_list(&mut tx, Some(row.id), None, None, 20).await?;
        drop(tx);
        let adopted_at = known.as_ref().map(|pull| pull.updated_at);
        let rescued = runs
            .into_iter()
            .filter(|run| run.kind == Kind::Author && run.state != RunState::Running)
            .find(|run| run.attempt.is_some())
            .filter(|run| run.state != RunState::Succeeded)
            .filter(|run| adopted_at.is_none_or(|at| run.started_at >= at))
            .and_then(|run| run.attempt);
        let own = rescued.or(known.map(|pull| pull.head));
        let plain = |commit: ObjectId| Start {
            commit,
            conflict: Vec::new(),
        };
        let Some(own) = own else {
            return Ok(plain(base.clone()));
        };
        if repository.is_ancestor(base, &own).await? {
            return Ok(plain(own));
        }
        if repository.is_ancestor(&own, base).await? {
            return Ok(plain(base.clone()));
        }
        let (tree, conflict) = match repository.merge(&own, base, None).await? {
            Merge::Merged { tree } => (tree, Vec::new()),
            Merge::Conflicted {
                paths, marked_tree, ..
            } => (
                marked_tree,
                paths
                    .iter()
                    .map(|path| path.to_text().into_owned())
                    .collect(),
            ),
        };
        let platform = platform();
        let message = format!("Bring #{} up to date with the default branch\n", row.number);
        let commit = repository
            .commit_tree(NewCommit {
                tree: &tree,
                parents: &[own, base.clone()],
                author: &platform,
                committer: &platform,
                message: &message,
                time: self.now().as_second(),
            })
            .await?;
        Ok(Start { commit, conflict })
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one call site; each is a part of one order"
    )]
    async fn prepare_author(
        &self,
        project: &Project,
        row: &Issue,
        agent: &Agent,
        cause: &Cause,
        sealed: Option<&Acceptance>,
        start: &Start,
        made: &Run,
        grants: &[Allowed],
    ) -> Result<PreparedAuthor, Error> {
        let mut tx = self.db().read().await?;
        let requester = user::user_get(&mut tx, row.requester)
            .await?
            .map_or_else(|| "somebody".to_owned(), |person| person.name);
        let said = self.said(&mut tx, row).await?;
        let unheard: Vec<Said> = steer::steer_list_of_issue(&mut tx, row.id)
            .await?
            .into_iter()
            .filter(|steer| steer.late_at.is_some() && steer.round + 1 >= row.state.round)
            .map(steered)
            .collect();
        let session = run::run_last_session(&mut tx, row.id, &agent.name)
            .await?
            .filter(|session| session.runner == made.runner);
        let last = verdict::verdict_latest(&mut tx, row.id).await?;
        drop(tx);
        let red = last
            .as_ref()
            .filter(|last| last.colour == nightshift_domain::check::Colour::Red)
            .filter(|_| matches!(cause, Cause::RedVerdict | Cause::SentBack));
        let results: Vec<_> = red
            .iter()
            .flat_map(|verdict| {
                let report = &verdict.report;
                report
                    .setup
                    .iter()
                    .chain(&report.acceptance_on_head)
                    .chain(&report.checks)
            })
            .cloned()
            .collect();
        let checks: Vec<(String, String)> = project
            .config
            .checks
            .iter()
            .map(|check| (check.name.clone(), check.run.clone()))
            .collect();
        let hosts: Vec<String> = project
            .config
            .network
            .allow
            .iter()
            .chain(grants)
            .map(ToString::to_string)
            .collect();
        let guidelines = match self.base_tip(project).await? {
            Some(tip) => self.guidelines(project, &tip).await?,
            None => None,
        };
        let reasons: Vec<String> = red
            .iter()
            .flat_map(|verdict| verdict.reasons.iter().map(ToString::to_string))
            .collect();
        let prompt = prompt::build(&prompt::Input {
            project: &project.name,
            number: row.number,
            title: &row.title,
            body: &row.body,
            trust: row.trust,
            instructions: agent.instructions.as_deref(),
            guidelines: guidelines.as_deref(),
            acceptance: sealed,
            checks: &checks,
            said: &said,
            unheard: &unheard,
            cause,
            verdict: red.map(|_| (reasons.as_slice(), results.as_slice())),
            start: &start.commit,
            hosts: &hosts,
            tools: agent.harness.takes_tools(),
        });
        let brief = Brief {
            project: project.name.clone(),
            number: row.number,
            round: row.state.round,
            title: row.title.clone(),
            body: row.trust.reaches_prompts().then(|| row.body.clone()),
            trust: Some(row.trust),
            said: brief::heard(said.iter().chain(&unheard)),
            red: reasons,
            results,
        };
        let feedback = said
            .iter()
            .rev()
            .find(|said| said.what == What::Feedback && said.round + 1 == row.state.round)
            .map(|said| said.text.clone());
        let message = format!(
            "{}\n\nCo-authored-by: {requester} <{requester}@users.nightshift.invalid>\n\
             Nightshift-Issue: {}#{}\nNightshift-Run: {}\n",
            row.title, project.name, row.number, made.id
        );
        Ok(PreparedAuthor {
            prompt,
            brief,
            issue_body: if row.trust.reaches_prompts() {
                row.body.clone()
            } else {
                String::new()
            },
            feedback,
            session,
            repair_in_run: project.config.repair.in_run,
            attempt_ref: RefName::attempt(made.id),
            author_name: agent.name.clone(),
            author_email: format!("{}@agents.nightshift.invalid", agent.name),
            message,
            agent: agent.clone(),
        })
    }

    /// What was said on an issue that an agent shall hear, oldest first.
    async fn said(&self, tx: &mut nightshift_store::Tx, row: &Issue) -> Result<Vec<Said>, Error> {
        let mut said = Vec::new();
        for message in message::message_list(tx, row.id).await? {
            let what = match message.kind {
                MessageKind::Question => What::Question,
                MessageKind::Answer => What::Answer,
                MessageKind::Feedback | MessageKind::Note => continue,
            };
            said.push((
                message.created_at,
                Said {
                    what,
                    by: message.author.label(),
                    trust: message.trust,
                    text: message.body.to_string(),
                    round: message.round,
                },
            ));
        }
        for review in review::review_list(tx, row.id).await? {
            if review.decision != Decision::SendBack || review.withdrawn_at.is_some() {
                continue;
            }
            let mut text = review.body.clone();
            for comment in &review.comments {
                let line = match (comment.first, comment.line) {
                    (Some(first), Some(last)) if first < last => format!(":{first}-{last}"),
                    (_, Some(line)) => format!(":{line}"),
                    (_, None) => String::new(),
                };
                text.push_str(&format!("\n\n`{}{line}`: {}", comment.path, comment.body));
            }
            said.push((
                review.created_at,
                Said {
                    what: What::Feedback,
                    by: review.by_name,
                    // Only people with write access can review.
                    trust: Trust::Collaborator,
                    text,
                    round: review.round,
                },
            ));
        }
        for steer in steer::steer_list_of_issue(tx, row.id).await? {
            // What came too late is news, not history.
            if steer.handed_at.is_some() || steer.round + 1 < row.state.round {
                said.push((steer.created_at, steered(steer)));
            }
        }
        said.sort_by_key(|(at, _)| *at);
        Ok(said.into_iter().map(|(_, said)| said).collect())
    }
}

/// Words to a run as an agent hears them.
fn steered(steer: steer::Steer) -> Said {
    Said {
        what: What::Steer,
        by: steer.author.label(),
        trust: steer.trust,
        text: steer.body,
        round: steer.round,
    }
}

/// The platform as the author of its own commits.
pub(crate) fn platform() -> Person {
    Person {
        name: PLATFORM.to_owned(),
        email: "nightshift@users.nightshift.invalid".to_owned(),
    }
}

fn asked_now(project: &Project, base: &ObjectId) -> Asked {
    Asked {
        base: base.clone(),
        checks: project.config.checks.clone(),
        has_setup: project.config.environment.setup.is_some(),
    }
}

fn wall(
    kind: Kind,
    project: &Project,
    sealed: Option<&Acceptance>,
    author: Option<&PreparedAuthor>,
) -> u64 {
    let config = &project.config;
    let setup = config.environment.setup_timeout_s;
    let tests = sealed.map_or(0, |sealed| sealed.timeout_s);
    let checks = config
        .checks
        .iter()
        .map(|check| check.timeout_s)
        .sum::<u64>();
    // Where what it leaves is kept, it may run once more, by itself.
    let kept = match config.environment.cache.is_empty() {
        true => 0,
        false => setup,
    };
    let proof = setup * 2 + kept + checks + tests * 2;
    match (kind, author) {
        (_, Some(author)) => author.agent.timeout_s + proof.min(AROUND_AGENT) + 300,
        (Kind::Tryout, None) => setup + kept + tests + 300,
        (Kind::Author | Kind::Verify | Kind::Trial, None) => proof + 600,
    }
}

/// The job goes to another runner; the start does not count.
fn given_back() -> Failure {
    Failure::new(Reason::Released, say::given_back())
}

fn misconfigured(said: Sentence) -> Failure {
    Failure::new(Reason::Misconfigured, said)
}
