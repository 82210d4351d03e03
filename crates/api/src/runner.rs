//! The runner protocol: claim, beat, append, complete. Runners pull; the server never calls in.
//!
//! Every write names the run, and the run's epoch fences it: after a lease was lost, each of these
//! answers `409 stale-epoch` and changes nothing. Completing twice gives the same answer.

use jiff::Timestamp;
use nightshift_domain::brief::Brief;
use nightshift_domain::check::{Acceptance, Check, CheckResult, ProofReport};
use nightshift_domain::config::{Agent, Environment, Network};
use nightshift_domain::failure::Failure;
use nightshift_domain::git_name::{ObjectId, RefName};
use nightshift_domain::host::Allowed;
use nightshift_domain::id::{Epoch, JobId, Number, ProjectId, RunId};
use nightshift_domain::job::Kind;
use nightshift_domain::traffic::Traffic;
use nightshift_domain::transcript::Usage;
use nightshift_domain::tryout::Report as TryoutReport;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A runner asks for work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClaimRequest {
    /// Kinds of jobs it takes.
    #[schemars(with = "Vec<String>")]
    pub kinds: Vec<Kind>,
    /// All its slots, for the list of runners.
    pub slots: i64,
    /// Its version.
    pub version: String,
    /// Harnesses whose programs and endpoints it has: it is handed author jobs of their agents only,
    /// and with `images` those whose program the project's image brings. Absent where a runner does
    /// not say, as one of an older version: then it is handed all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub harnesses: Option<Vec<String>>,
    /// Whether its sandboxes can have an image that a project names.
    #[serde(default)]
    pub images: bool,
    /// How long to wait for work, in seconds; at most 30.
    pub wait_s: u64,
}

/// Work, or none within the wait.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClaimAnswer {
    /// The work.
    #[schemars(with = "Option<serde_json::Value>")]
    pub order: Option<Box<WorkOrder>>,
}

/// Everything a runner needs for one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkOrder {
    /// The run.
    pub run: RunId,
    /// Its job.
    pub job: JobId,
    /// The fence.
    pub epoch: Epoch,
    /// What kind of work.
    pub kind: Kind,
    /// The project's id: the key of the runner's caches.
    pub project_id: ProjectId,
    /// The project's name.
    pub project: String,
    /// The issue's number.
    pub number: Number,
    /// The round.
    pub round: i64,
    /// The path of the repository on the server.
    pub git_path: String,
    /// A token that reads this project and writes one ref; it may be shown to the sandbox.
    pub token: String,
    /// The tip of the default branch: whose definitions are used, and where sealed tests must be red.
    pub base: ObjectId,
    /// The commit to start from (author), or to prove (verify, trial).
    pub start: ObjectId,
    /// The environment's set-up.
    pub environment: Environment,
    /// What may be reached beside the platform and the model.
    #[serde(default)]
    pub network: Network,
    /// What a person allowed for the author runs of this issue besides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<Allowed>,
    /// Required checks.
    pub checks: Vec<Check>,
    /// Sealed tests.
    pub acceptance: Option<Acceptance>,
    /// Secrets for some of its steps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<SecretOrder>,
    /// Steps that need a secret which this run does not get.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withheld: Vec<String>,
    /// For an author.
    pub author: Option<AuthorOrder>,
    /// What it may use.
    pub limits: Limits,
}

/// A secret for some steps of a run.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretOrder {
    /// The variable in which they find it.
    pub name: String,
    /// Its value.
    pub value: String,
    /// The steps.
    pub steps: Vec<String>,
}

impl std::fmt::Debug for SecretOrder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SecretOrder({})", self.name)
    }
}

/// What an author run needs besides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuthorOrder {
    /// The agent.
    pub agent: Agent,
    /// For a session that knows nothing.
    pub prompt: String,
    /// For the session that did the last round.
    pub resumed_prompt: String,
    /// The order as its agent may look it up; a server of an older version sends none.
    #[serde(default)]
    pub brief: Brief,
    /// The issue's body alone, Markdown; the `script` harness runs its shell blocks.
    pub issue_body: String,
    /// What a person wrote when sending back, Markdown; absent in the first round.
    pub feedback: Option<String>,
    /// The session to resume, if this runner has it.
    pub session: Option<SessionState>,
    /// The one ref the token may write.
    pub attempt_ref: RefName,
    /// How often red checks go back to the same session.
    pub repair_in_run: i64,
    /// Who the commit is by, and what it says.
    pub commit: CommitOrder,
}

/// Who a commit is by, and what it says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitOrder {
    /// The agent's name.
    pub author_name: String,
    /// The agent's address.
    pub author_email: String,
    /// The whole message, with trailers.
    pub message: String,
}

/// What a harness must remember to resume.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionState {
    /// The program's id of the session.
    pub id: String,
    /// The agent's name.
    pub agent: String,
    /// Totals the program counts cumulatively, to tell one run's share.
    pub totals: serde_json::Value,
}

/// Caps of one run; hitting one ends that run only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Wall-clock time of the whole run, in seconds.
    pub wall_s: u64,
    /// Log, in bytes.
    pub log_bytes: u64,
    /// Bytes written to the workspace.
    pub disk_bytes: u64,
    /// Memory, in bytes.
    pub memory_bytes: u64,
    /// Processes and threads.
    pub processes: u64,
    /// What is left of the issue's budget, in millionths of a US dollar; absent where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_micro_usd: Option<u64>,
}

/// A runner says that a run is alive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Heartbeat {
    /// The fence.
    pub epoch: i64,
    /// Words of people that the agent was given since.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub handed: Vec<Uuid>,
    /// What an author's calls to models used so far, as its broker measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Value>")]
    pub usage: Option<Usage>,
}

/// Words of a person, to be given to the agent at the next possible moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SteerOrder {
    /// Their id.
    pub id: Uuid,
    /// Who said it.
    pub by: String,
    /// The words, Markdown.
    pub text: String,
    /// Whether the agent's turn is interrupted for it.
    pub now: bool,
}

/// What the server wants of the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeartbeatAnswer {
    /// Stop now: a person cancelled it.
    pub stop: bool,
    /// Until when the lease holds.
    #[schemars(with = "String")]
    pub lease_until: Timestamp,
    /// Words of people that the agent was not given yet, oldest first; sent until it has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steers: Vec<SteerOrder>,
}

/// Where the log stands after an append.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogAppended {
    /// The log's size in bytes; the next append must begin there.
    pub size: i64,
}

/// The end of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Complete {
    /// The fence.
    pub epoch: i64,
    /// How it ended.
    #[schemars(with = "serde_json::Value")]
    pub end: End,
    /// What an author's program used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Value>")]
    pub usage: Option<Usage>,
    /// What to remember to resume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Value>")]
    pub session: Option<SessionState>,
    /// What was pushed to the attempt's ref, also where the run failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub attempt: Option<ObjectId>,
    /// Words of people that the agent was given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub handed: Vec<Uuid>,
    /// What it reached and what it was refused, as the broker counted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Value>")]
    pub traffic: Option<Traffic>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "kebab-case")]
pub enum End {
    /// An author brought a change; it is pushed.
    Authored {
        /// The agent's summary, Markdown.
        summary: String,
        /// Checks the runner ran in the agent's own sandbox: for the record, never for a verdict.
        self_checks: Vec<CheckResult>,
    },
    /// An author asked and stopped.
    Asked {
        /// The question, Markdown.
        question: String,
    },
    /// A verify or trial run has its results.
    Proved {
        /// The raw results.
        report: ProofReport,
    },
    /// Sealed tests were tried on the base.
    Tried {
        /// The raw results.
        report: TryoutReport,
    },
    /// A person stopped it.
    Stopped,
    /// It failed.
    Failed {
        /// Why.
        failure: Failure,
    },
}

/// The server's answer to a completion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Completed {
    /// The run's state from now on.
    pub state: String,
}

/// A runner in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunnerLine {
    /// Its name.
    pub name: String,
    /// Its slots.
    pub slots: i64,
    /// Its version.
    pub version: String,
    /// Harnesses whose programs and endpoints it has; absent where it does not say, and has all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub harnesses: Option<Vec<String>>,
    /// Whether its sandboxes can have an image that a project names.
    pub images: bool,
    /// Whether it was heard of within the last lease.
    pub alive: bool,
    /// Whether it is handed no new jobs, until an administrator takes it back.
    #[serde(default)]
    pub draining: bool,
    /// When it was last heard of.
    #[schemars(with = "String")]
    pub last_seen_at: Timestamp,
}

/// The name of a runner in a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunnerPath {
    /// The runner's name.
    pub runner: String,
}

/// How many tokens stopped working.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Revoked {
    /// How many.
    pub tokens: i64,
}
