//! A server, a runner, and orders for it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use nightshift_api::runner::{AuthorOrder, CommitOrder, Limits, WorkOrder};
use nightshift_domain::brief::Brief;
use nightshift_domain::check::{Acceptance, Check, SealedFile};
use nightshift_domain::config::{Agent, Environment, Harness, Network};
use nightshift_domain::git_name::{ObjectId, RefName};
use nightshift_domain::id::{JobId, ProjectId, RunId};
use nightshift_domain::job::Kind;
use nightshift_domain::trust::Trust;
use nightshift_runner::broker::BrokerProgram;
use nightshift_runner::config::{Config, Endpoints, OperatorNetwork, Timing};
use nightshift_runner::harness::Programs;
use nightshift_runner::registry::Registries;
use nightshift_runner::sandbox::{Backend, SandboxProgram};
use nightshift_runner::secret::Secret;
use nightshift_testkit::git::{FileChange, FileContent, Mode, NewCommit, Person};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::server::{RUNNER_TOKEN, Server};

/// The time of every test.
pub(crate) const NOW: Timestamp = Timestamp::constant(1_790_000_000, 0);

/// Everything of one test. Dropped, the runner's task ends.
pub(crate) struct House {
    pub(crate) dir: TempDir,
    pub(crate) server: Server,
    pub(crate) base: ObjectId,
    shutdown: CancellationToken,
    runner: Option<JoinHandle<anyhow::Result<()>>>,
    next: u128,
}

/// Short enough for tests, long enough for a busy machine.
pub(crate) fn timing() -> Timing {
    Timing {
        heartbeat: Duration::from_millis(300),
        cut_off: Duration::from_secs(4),
        claim_wait: Duration::from_secs(2),
        grace: Duration::from_millis(500),
        rescue: Duration::from_secs(15),
        publish: Duration::from_secs(30),
    }
}

/// The engine of most tests.
pub(crate) fn bubblewrap() -> Backend {
    Backend::Bubblewrap {
        program: "/usr/bin/bwrap".into(),
    }
}

/// The other one; where it is missing the test fails.
pub(crate) fn container() -> Backend {
    Backend::Container {
        socket: nightshift_testkit::containers::socket(),
    }
}

/// The configuration of a runner for the server at this address.
pub(crate) fn config(server: &str, data: &Path) -> Config {
    Config {
        server: server.to_owned(),
        token: Secret::new(RUNNER_TOKEN),
        data: data.to_owned(),
        slots: 2,
        kinds: Kind::ALL.to_vec(),
        version: "test".to_owned(),
        program: SandboxProgram {
            path: env!("CARGO_BIN_EXE_nightshift-sandbox").into(),
            prefix_args: Vec::new(),
        },
        broker: BrokerProgram {
            path: env!("CARGO_BIN_EXE_nightshift-sandbox").into(),
            args: vec!["broker".to_owned()],
        },
        backend: bubblewrap(),
        git: "git".into(),
        read_only: Vec::new(),
        programs: Programs::default(),
        endpoints: Endpoints::default(),
        prices: Vec::new(),
        network: OperatorNetwork::default(),
        registries: Registries::default(),
        timing: timing(),
    }
}

impl House {
    /// With a repository of these files on `main`, and no runner yet.
    pub(crate) async fn empty(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::start(dir.path()).await;
        let base = commit(&server, &[], files).await;
        Self {
            dir,
            server,
            base,
            shutdown: CancellationToken::new(),
            runner: None,
            next: 1,
        }
    }

    /// With a runner.
    pub(crate) async fn new(files: &[(&str, &str)]) -> Self {
        let mut house = Self::empty(files).await;
        house.runner(house.config());
        house
    }

    /// Starts a runner.
    pub(crate) fn runner(&mut self, config: Config) {
        let shutdown = self.shutdown.clone();
        self.runner = Some(tokio::spawn(nightshift_runner::run(
            config,
            Arc::new(|| NOW),
            shutdown,
        )));
    }

    pub(crate) fn config(&self) -> Config {
        config(&self.server.address, &self.dir.path().join("data"))
    }

    /// Tells the runner to shut down and waits for its end.
    pub(crate) async fn drain(&mut self) {
        self.shutdown.cancel();
        let runner = self.runner.take().unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(60), runner).await;
        ended.expect("the runner drains").unwrap().unwrap();
    }

    pub(crate) fn begin_drain(&self) {
        self.shutdown.cancel();
    }

    /// An author order for an issue with this body, by the `script` harness.
    pub(crate) fn author(&mut self, body: &str) -> WorkOrder {
        let base = self.base.clone();
        let mut order = self.order(Kind::Author, &base);
        order.author = Some(AuthorOrder {
            agent: Agent::script(),
            prompt: format!("Do this.\n\n{body}"),
            resumed_prompt: "Go on.".to_owned(),
            brief: Brief {
                project: "tally".to_owned(),
                number: 1,
                round: 1,
                title: "Sum".to_owned(),
                body: Some(body.to_owned()),
                trust: Some(Trust::Maintainer),
                ..Brief::default()
            },
            issue_body: body.to_owned(),
            feedback: None,
            session: None,
            attempt_ref: RefName::attempt(order.run),
            repair_in_run: 2,
            commit: CommitOrder {
                author_name: "script".to_owned(),
                author_email: "script@agents.example".to_owned(),
                message: format!(
                    "Do it\n\nCo-authored-by: Ada <ada@example.com>\nNightshift-Issue: tally#1\nNightshift-Run: {}\n",
                    order.run
                ),
            },
        });
        order
    }

    /// The same with a `command` agent.
    pub(crate) fn command(&mut self, line: &str) -> WorkOrder {
        let mut order = self.author("Fix it.");
        let agent = &mut order.author.as_mut().unwrap().agent;
        agent.name = "own".to_owned();
        agent.harness = Harness::Command;
        agent.command = Some(line.to_owned());
        order
    }

    /// A proof of `head`.
    pub(crate) fn verify(&mut self, head: &ObjectId) -> WorkOrder {
        self.order(Kind::Verify, head)
    }

    /// A trial of `head` with the definitions of another order.
    pub(crate) fn trial(&mut self, head: &ObjectId, like: &WorkOrder) -> WorkOrder {
        let WorkOrder {
            run, job, token, ..
        } = self.order(Kind::Trial, head);
        WorkOrder {
            run,
            job,
            token,
            kind: Kind::Trial,
            checks: Vec::new(),
            ..like.clone()
        }
    }

    fn order(&mut self, kind: Kind, start: &ObjectId) -> WorkOrder {
        let number = self.next;
        self.next += 1;
        let run = RunId(Uuid::from_u128(0x1000 + number));
        WorkOrder {
            run,
            job: JobId(Uuid::from_u128(0x2000 + number)),
            epoch: 1,
            kind,
            project_id: ProjectId(Uuid::from_u128(7)),
            project: "tally".to_owned(),
            number: 1,
            round: 1,
            git_path: "/git/tally.git".to_owned(),
            token: format!("run-token-{run}"),
            base: self.base.clone(),
            start: start.clone(),
            environment: Environment {
                image: None,
                install: None,
                setup: None,
                setup_timeout_s: 60,
                cache: Vec::new(),
            },
            network: Network::default(),
            grants: Vec::new(),
            checks: Vec::new(),
            acceptance: None,
            secrets: Vec::new(),
            withheld: Vec::new(),
            author: None,
            limits: Limits {
                wall_s: 120,
                log_bytes: 8 << 20,
                disk_bytes: 1 << 30,
                memory_bytes: 1 << 30,
                processes: 256,
                cost_micro_usd: None,
            },
        }
    }

    /// Queues the order; returns its run.
    pub(crate) fn give(&self, order: &WorkOrder) -> RunId {
        self.server.queue(order.clone());
        order.run
    }

    /// What git says in the server's repository.
    pub(crate) fn git(&self, args: &[&str]) -> String {
        git(self.server.repo.path(), args)
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if let Some(runner) = self.runner.take() {
            runner.abort();
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the test's own git")]
fn git(dir: &Path, args: &[&str]) -> String {
    let output = std::process::Command::new("git")
        .args(args)
        .current_dir(dir)
        .output()
        .unwrap();
    assert!(output.status.success(), "git {args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A commit of these files alone, on `main` if it has no parent.
pub(crate) async fn commit(
    server: &Server,
    parents: &[ObjectId],
    files: &[(&str, &str)],
) -> ObjectId {
    let changes: Vec<_> = files
        .iter()
        .map(|(path, text)| FileChange {
            path: (*path).into(),
            content: FileContent::Bytes(Mode::File, text.as_bytes().to_vec()),
        })
        .collect();
    let tree = server.repo.write_tree_with(None, &changes).await.unwrap();
    let person = Person {
        name: "Ada".to_owned(),
        email: "ada@example.com".to_owned(),
    };
    let commit = server
        .repo
        .commit_tree(NewCommit {
            tree: &tree,
            parents,
            author: &person,
            committer: &person,
            message: "a commit\n",
            time: 1_780_000_000,
        })
        .await
        .unwrap();
    let name = match parents {
        [] => "refs/heads/main".to_owned(),
        _ => format!("refs/heads/side-{commit}"),
    };
    let update = nightshift_testkit::git::RefUpdate {
        name: name.parse().unwrap(),
        old: ObjectId::zero(),
        new: commit.clone(),
    };
    server.repo.update_refs(&[update], "test").await.unwrap();
    commit
}

pub(crate) fn sealed(path: &str, content: &str, run: &str) -> Acceptance {
    Acceptance {
        run: run.to_owned(),
        already_green: false,
        timeout_s: 60,
        files: vec![SealedFile {
            path: path.to_owned(),
            executable: false,
            content_base64: STANDARD.encode(content),
        }],
    }
}

pub(crate) fn check(name: &str, run: &str) -> Check {
    Check {
        name: name.to_owned(),
        run: run.to_owned(),
        timeout_s: 60,
    }
}
