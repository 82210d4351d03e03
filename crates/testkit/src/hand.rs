//! A runner that does by hand what a test says, through the real protocol and with real pushes.

use bytes::Bytes;
use nightshift_api::Nothing;
use nightshift_api::client::{CallError, Client};
use nightshift_api::operations as op;
use nightshift_api::run::RunPath;
use nightshift_api::runner::{
    ClaimRequest, Complete, Completed, End, Heartbeat, HeartbeatAnswer, LogAppended, SessionState,
    WorkOrder,
};
use nightshift_domain::check::{CheckResult, Outcome, ProofReport};
use nightshift_domain::failure::{Failure, Reason};
use nightshift_domain::git_name::ObjectId;
use nightshift_domain::job::Kind;
use nightshift_domain::sentence::Kept;
use nightshift_domain::transcript::Usage;
use nightshift_domain::tryout::Report;

use crate::checkout::Checkout;
use crate::person::http;

/// A runner in the test's hand.
#[derive(Debug, Clone)]
pub struct Hand {
    client: Client,
    url: String,
    harnesses: Option<Vec<String>>,
    images: bool,
}

impl Hand {
    /// A runner that holds this token.
    #[must_use]
    pub fn new(url: &str, token: &str) -> Self {
        Self {
            client: Client::new(http(), url, Some(token.to_owned())),
            url: url.to_owned(),
            harnesses: None,
            images: false,
        }
    }

    /// One whose sandboxes can have images.
    #[must_use]
    pub fn with_images(self) -> Self {
        Self {
            images: true,
            ..self
        }
    }

    /// One that has the programs and endpoints of these harnesses only.
    #[must_use]
    pub fn with_harnesses(self, names: &[&str]) -> Self {
        let names = names.iter().map(|&name| name.to_owned());
        Self {
            harnesses: Some(names.collect()),
            ..self
        }
    }

    /// Its client.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Takes the next job, if there is one at once.
    pub async fn claims(&self) -> Option<WorkOrder> {
        self.claims_of(Kind::ALL).await
    }

    /// Takes the next job of these kinds, if there is one at once.
    pub async fn claims_of(&self, kinds: &[Kind]) -> Option<WorkOrder> {
        let request = ClaimRequest {
            kinds: kinds.to_vec(),
            slots: 4,
            version: "test".to_owned(),
            harnesses: self.harnesses.clone(),
            images: self.images,
            wait_s: 0,
        };
        let answer = self
            .client
            .call::<op::RunnerClaim>(&Nothing {}, &Nothing {}, &request)
            .await;
        answer
            .expect("an answer to a claim")
            .order
            .map(|order| *order)
    }

    /// Says that a run is alive.
    ///
    /// # Errors
    /// As the server says.
    pub async fn beats(&self, order: &WorkOrder) -> Result<HeartbeatAnswer, CallError> {
        let beat = Heartbeat {
            epoch: order.epoch,
            handed: Vec::new(),
            usage: None,
        };
        self.client
            .call::<op::RunnerHeartbeat>(&path(order), &Nothing {}, &beat)
            .await
    }

    /// Says that a run is alive, and what its agent used so far.
    ///
    /// # Errors
    /// As the server says.
    pub async fn used(
        &self,
        order: &WorkOrder,
        usage: Usage,
    ) -> Result<HeartbeatAnswer, CallError> {
        let beat = Heartbeat {
            epoch: order.epoch,
            handed: Vec::new(),
            usage: Some(usage),
        };
        self.client
            .call::<op::RunnerHeartbeat>(&path(order), &Nothing {}, &beat)
            .await
    }

    /// Says that a run is alive, and that its agent was given these words.
    ///
    /// # Errors
    /// As the server says.
    pub async fn heard(
        &self,
        order: &WorkOrder,
        handed: Vec<uuid::Uuid>,
    ) -> Result<HeartbeatAnswer, CallError> {
        let beat = Heartbeat {
            epoch: order.epoch,
            handed,
            usage: None,
        };
        self.client
            .call::<op::RunnerHeartbeat>(&path(order), &Nothing {}, &beat)
            .await
    }

    /// Appends a text to the log.
    ///
    /// # Errors
    /// As the server says.
    pub async fn logs(&self, order: &WorkOrder, offset: u64, text: &str) -> Result<i64, CallError> {
        let query = [
            ("epoch", order.epoch.to_string()),
            ("offset", offset.to_string()),
        ];
        let body = Some(Bytes::from(text.to_owned()));
        let answer = self
            .client
            .bytes(&op::LOG_APPEND, &path(order), &query, body)
            .await?;
        let appended: LogAppended = serde_json::from_slice(&answer).expect("an answer");
        Ok(appended.size)
    }

    /// Brings the end of a run.
    ///
    /// # Errors
    /// As the server says.
    pub async fn ends(
        &self,
        order: &WorkOrder,
        end: End,
        attempt: Option<ObjectId>,
    ) -> Result<Completed, CallError> {
        let complete = Complete {
            epoch: order.epoch,
            end,
            usage: None,
            traffic: None,
            session: order.author.as_ref().map(|author| SessionState {
                id: format!("session-{}", order.number),
                agent: author.agent.name.clone(),
                totals: serde_json::json!({}),
            }),
            attempt,
            handed: Vec::new(),
        };
        self.client
            .call::<op::RunnerComplete>(&path(order), &Nothing {}, &complete)
            .await
    }

    /// Brings the end of a run as it is given.
    ///
    /// # Errors
    /// As the server says.
    pub async fn completes(
        &self,
        order: &WorkOrder,
        complete: Complete,
    ) -> Result<Completed, CallError> {
        self.client
            .call::<op::RunnerComplete>(&path(order), &Nothing {}, &complete)
            .await
    }

    /// Ends a run with a failure.
    ///
    /// # Errors
    /// As the server says.
    pub async fn fails(&self, order: &WorkOrder, reason: Reason) -> Result<Completed, CallError> {
        let failure = Failure {
            reason,
            detail: Kept::quoted("as the test says"),
            retry_at: None,
        };
        self.ends(order, End::Failed { failure }, None).await
    }

    /// A working copy at the order's start, used with the run's own token.
    #[must_use]
    pub fn workspace(&self, order: &WorkOrder) -> Checkout {
        let checkout = Checkout::empty(&format!("{}{}", self.url, order.git_path), &order.token);
        checkout.take(order.start.as_str());
        checkout
    }

    /// Tries to fetch with a run's token that must not work any more; returns git's words.
    ///
    /// # Panics
    /// When the token still works.
    #[must_use]
    pub fn workspace_refused(&self, order: &WorkOrder) -> String {
        let checkout = Checkout::empty(&format!("{}{}", self.url, order.git_path), &order.token);
        let output = checkout.run(&["fetch", "origin"]);
        assert!(!output.status.success(), "the token still works");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Writes these files on top of the start and pushes the attempt; returns its commit.
    #[must_use]
    pub fn pushes(&self, order: &WorkOrder, files: &[(&str, &str)]) -> ObjectId {
        let checkout = self.workspace(order);
        for (path, text) in files {
            checkout.write(path, text);
        }
        let author = order.author.as_ref().expect("an author's order");
        let commit = checkout.commit(&author.commit.message);
        let refspec = format!("HEAD:{}", author.attempt_ref);
        checkout.push(&[&refspec]).expect("the attempt is taken");
        commit.parse().expect("a commit")
    }

    /// Does an author's job: writes these files, pushes, reports.
    ///
    /// # Errors
    /// As the server says.
    pub async fn authors(
        &self,
        order: &WorkOrder,
        files: &[(&str, &str)],
    ) -> Result<Completed, CallError> {
        let attempt = self.pushes(order, files);
        let end = End::Authored {
            summary: "did it".to_owned(),
            self_checks: Vec::new(),
        };
        self.ends(order, end, Some(attempt)).await
    }

    /// Does a proof: every check and the sealed tests end like this.
    ///
    /// # Errors
    /// As the server says.
    pub async fn proves(&self, order: &WorkOrder, passed: bool) -> Result<Completed, CallError> {
        self.ends(
            order,
            End::Proved {
                report: report(order, passed),
            },
            None,
        )
        .await
    }

    /// Claims the trying of sealed tests and does it: on the base they end with this exit status.
    ///
    /// # Errors
    /// As the server says.
    pub async fn tries(&self, code: i32, output: &str) -> Result<Completed, CallError> {
        let order = self.claims_of(&[Kind::Tryout]).await.expect("a tryout");
        self.ends(&order, tried(&order, code, output), None).await
    }

    /// Claims an author's job and does it, then claims its proof and does that; all green.
    pub async fn works(&self, files: &[(&str, &str)]) {
        let order = self
            .claims_of(&[Kind::Author])
            .await
            .expect("an author's job");
        self.authors(&order, files).await.expect("authored");
        let order = self
            .claims_of(&[Kind::Verify])
            .await
            .expect("a proof's job");
        self.proves(&order, true).await.expect("proved");
    }
}

/// The results of a proof in which everything ended like this.
#[must_use]
pub fn report(order: &WorkOrder, passed: bool) -> ProofReport {
    let outcome = if passed {
        Outcome::Passed
    } else {
        Outcome::Failed { code: 1 }
    };
    let result = |name: &str, commit: &ObjectId, outcome: &Outcome| CheckResult {
        name: name.to_owned(),
        commit: commit.clone(),
        outcome: outcome.clone(),
        duration_ms: 5,
        output_tail: String::new(),
    };
    let red = Outcome::Failed { code: 1 };
    ProofReport {
        head: order.start.clone(),
        setup: order
            .environment
            .setup
            .as_ref()
            .map(|_| result("setup", &order.start, &Outcome::Passed)),
        acceptance_on_base: order
            .acceptance
            .as_ref()
            .map(|_| result("acceptance", &order.base, &red)),
        acceptance_on_head: order
            .acceptance
            .as_ref()
            .map(|_| result("acceptance", &order.start, &outcome)),
        checks: order
            .checks
            .iter()
            .map(|check| result(&check.name, &order.start, &outcome))
            .collect(),
    }
}

/// The end of a tryout whose tests ended with this exit status.
#[must_use]
pub fn tried(order: &WorkOrder, code: i32, output: &str) -> End {
    let outcome = match code {
        0 => Outcome::Passed,
        code => Outcome::Failed { code },
    };
    End::Tried {
        report: Report {
            base: order.base.clone(),
            setup: None,
            acceptance: Some(CheckResult {
                name: "acceptance".to_owned(),
                commit: order.base.clone(),
                outcome,
                duration_ms: 5,
                output_tail: output.to_owned(),
            }),
        },
    }
}

fn path(order: &WorkOrder) -> RunPath {
    RunPath { run: order.run.0 }
}
