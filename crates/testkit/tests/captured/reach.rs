//! What a run's token reaches: its own attempt's ref and what it may say itself, nothing else.

use nightshift_api::client::CallError;
use nightshift_api::issue::{DecideHost, EditIssue, Words};
use nightshift_api::operations as op;
use nightshift_api::project::{MemberPath, NewProject, NewToken, NewUser, SetMember};
use nightshift_api::pull::{Decision, NewReview};
use nightshift_api::run::{NewHostAsk, NewProposal, NewSplit, RunPath};
use nightshift_api::runner::{ClaimRequest, Complete, End, Heartbeat, WorkOrder};
use nightshift_api::{Nothing, Operation};
use nightshift_domain::access::Role;
use nightshift_domain::grant::Decision as HostDecision;
use nightshift_domain::job::Kind;
use nightshift_store::event;
use nightshift_testkit::person::{home, place};
use nightshift_testkit::{Checkout, Person, World, invariants};

/// A live run of #2 in "tally", whose #1 is in review, beside a project "secret".
struct Stage {
    world: World,
    agent: Person,
    order: WorkOrder,
    other: WorkOrder,
}

async fn stage() -> Stage {
    let world = World::new().await;
    world.project("tally").await;
    world.project("secret").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    alice.files_ready("tally", "First").await;
    hand.works(&[("a.txt", "a\n")]).await;
    alice.files_ready("tally", "Second").await;
    let order = hand.claims().await.expect("a job");
    alice.files_ready("secret", "Hidden").await;
    let other = hand.claims().await.expect("a job");
    let agent = Person::new("agent", &world.url, &order.token);
    Stage {
        world,
        agent,
        order,
        other,
    }
}

impl Stage {
    /// What was written down about this run being refused.
    async fn refusals(&self) -> Vec<String> {
        let mut tx = self.world.db().read().await.expect("a transaction");
        let all = event::event_list(&mut tx, 0, None, None, 100_000)
            .await
            .expect("events");
        all.into_iter()
            .filter(|event| event.kind == "run.refused" && event.run == Some(self.order.run))
            .map(|event| event.data["what"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    /// Tries an operation: it must be refused, and written down.
    async fn refused<O: Operation>(&self, path: O::Path, input: O::Input) {
        let before = self.refusals().await.len();
        let query = O::Query::default();
        let answer = self.agent.client().call::<O>(&path, &query, &input).await;
        let Err(error) = answer else {
            panic!("{} was allowed", O::ID);
        };
        assert!(
            matches!(error.kind(), Some("forbidden" | "not-found")),
            "{}: {error}",
            O::ID
        );
        assert_eq!(
            self.refusals().await.len(),
            before + 1,
            "{} was not written down",
            O::ID
        );
    }

    fn workspace(&self) -> Checkout {
        let url = format!("{}{}", self.world.url, self.order.git_path);
        let checkout = Checkout::empty(&url, &self.order.token);
        checkout.take(self.order.start.as_str());
        checkout.write("evil.txt", "evil\n");
        checkout.commit("evil");
        checkout
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_decides_nothing_and_makes_nothing() {
    let stage = stage().await;
    let words = || Words {
        text: "as I say".to_owned(),
    };
    let head = stage.world.alice().pull("tally", 1).await.line.head;
    for decision in [Decision::Approve, Decision::SendBack] {
        let review = NewReview {
            head: head.clone(),
            decision,
            body: "fine".to_owned(),
            comments: Vec::new(),
            accept_unproven: true,
            hold_s: 0,
        };
        stage
            .refused::<op::PullReview>(place("tally", 1), review)
            .await;
    }
    let token = |runner: Option<&str>, user: Option<&str>| NewToken {
        label: "mine".to_owned(),
        user: user.map(str::to_owned),
        runner: runner.map(str::to_owned),
        expires_in_days: None,
    };
    for new in [
        token(None, None),
        token(Some("r1"), None),
        token(None, Some("alice")),
    ] {
        stage.refused::<op::TokenCreate>(Nothing {}, new).await;
    }
    let user = NewUser {
        name: "mallory".to_owned(),
        is_admin: true,
    };
    stage.refused::<op::UserCreate>(Nothing {}, user).await;
    let project = NewProject {
        name: "mine".to_owned(),
        default_branch: None,
    };
    stage
        .refused::<op::ProjectCreate>(Nothing {}, project)
        .await;
    let member = MemberPath {
        project: "tally".to_owned(),
        user: "alice".to_owned(),
    };
    let set = SetMember { role: Role::Reader };
    stage.refused::<op::MemberSet>(member.clone(), set).await;
    stage.refused::<op::MemberRemove>(member, Nothing {}).await;
    let new = nightshift_api::issue::NewIssue {
        title: "More work".to_owned(),
        ready: true,
        ..Default::default()
    };
    stage.refused::<op::IssueCreate>(home("tally"), new).await;
    let edit = EditIssue {
        body: Some("Push to main.".to_owned()),
        ..EditIssue::default()
    };
    for number in [1, 2] {
        let at = || place("tally", number);
        stage.refused::<op::IssueEdit>(at(), edit.clone()).await;
        stage.refused::<op::IssueClose>(at(), words()).await;
        stage.refused::<op::IssueNote>(at(), words()).await;
        stage.refused::<op::IssueAnswer>(at(), words()).await;
        stage.refused::<op::IssueReady>(at(), Nothing {}).await;
        let allow = DecideHost {
            host: "evil.example.com".to_owned(),
            decision: HostDecision::Project,
        };
        stage.refused::<op::IssueHost>(at(), allow).await;
        stage.refused::<op::IssueRetry>(at(), Nothing {}).await;
    }
    let own = || RunPath {
        run: stage.order.run.0,
    };
    stage.refused::<op::RunCancel>(own(), Nothing {}).await;
    let claim = ClaimRequest {
        kinds: Kind::ALL.to_vec(),
        slots: 1,
        version: "x".to_owned(),
        harnesses: None,
        images: false,
        wait_s: 0,
    };
    stage.refused::<op::RunnerClaim>(Nothing {}, claim).await;
    let epoch = stage.order.epoch;
    let beat = Heartbeat {
        epoch,
        handed: Vec::new(),
        usage: None,
    };
    stage.refused::<op::RunnerHeartbeat>(own(), beat).await;
    let complete = Complete {
        epoch,
        end: End::Stopped,
        usage: None,
        traffic: None,
        session: None,
        attempt: None,
        handed: Vec::new(),
    };
    stage.refused::<op::RunnerComplete>(own(), complete).await;
    stage.world.settle().await;
    invariants::hold(&stage.world, "a captured agent").await;
    assert_eq!(stage.world.alice().phase("tally", 1).await, "in-review");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_reads_and_speaks_for_nobody_else() {
    let stage = stage().await;
    for project in ["tally", "secret"] {
        stage
            .refused::<op::ProjectGet>(home(project), Nothing {})
            .await;
        stage
            .refused::<op::IssueGet>(place(project, 1), Nothing {})
            .await;
        stage
            .refused::<op::PullGet>(place(project, 1), Nothing {})
            .await;
    }
    stage
        .refused::<op::ProjectList>(Nothing {}, Nothing {})
        .await;
    stage.refused::<op::RunList>(Nothing {}, Nothing {}).await;
    stage.refused::<op::EventList>(Nothing {}, Nothing {}).await;
    stage.refused::<op::UserList>(Nothing {}, Nothing {}).await;
    let theirs = || RunPath {
        run: stage.other.run.0,
    };
    let words = || Words {
        text: "as I say".to_owned(),
    };
    stage.refused::<op::RunGet>(theirs(), Nothing {}).await;
    stage.refused::<op::RunAsk>(theirs(), words()).await;
    stage.refused::<op::RunProgress>(theirs(), words()).await;
    let proposal = NewProposal {
        text: "Approve everything.".to_owned(),
        source: None,
    };
    stage.refused::<op::RunPropose>(theirs(), proposal).await;
    let hosts = NewHostAsk {
        hosts: vec!["evil.example.com".to_owned()],
        why: "To phone home.".to_owned(),
    };
    stage.refused::<op::RunHosts>(theirs(), hosts).await;
    let split = NewSplit {
        title: "Mine".to_owned(),
        body: "Now.".to_owned(),
    };
    stage.refused::<op::RunSplit>(theirs(), split).await;

    let url = format!("{}/git/secret.git", stage.world.url);
    let before = stage.refusals().await.len();
    let fetched = Checkout::empty(&url, &stage.order.token).run(&["fetch", "origin"]);
    assert!(!fetched.status.success(), "another project was fetched");
    assert!(stage.refusals().await.len() > before, "not written down");
    assert!(
        String::from_utf8_lossy(&fetched.stderr).contains("not found"),
        "{fetched:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_moves_no_ref_but_its_own() {
    let stage = stage().await;
    let tree = stage.workspace();
    let own = stage
        .order
        .author
        .as_ref()
        .expect("an author")
        .attempt_ref
        .clone();
    let mine = format!("HEAD:{own}");
    let theirs = format!("HEAD:refs/attempts/{}", stage.other.run);
    let beside = format!("HEAD:{own}/2");
    let start = format!("HEAD:refs/starts/{}", stage.order.run);
    let bad: &[&[&str]] = &[
        &["HEAD:refs/heads/main"],
        &["+HEAD:refs/heads/main"],
        &[":refs/heads/main"],
        &["+HEAD:refs/heads/nightshift/1"],
        &["HEAD:refs/heads/nightshift/2"],
        &[":refs/heads/nightshift/1"],
        &["HEAD:refs/heads/mine"],
        &["HEAD:refs/tags/v1"],
        &["HEAD:refs/notes/commits"],
        &["HEAD:refs/pull/1/head"],
        &["HEAD:refs/candidates/1"],
        &[theirs.as_str()],
        &[beside.as_str()],
        &[start.as_str()],
        &[mine.as_str(), "HEAD:refs/heads/main"],
        &[mine.as_str(), "HEAD:refs/heads/mine"],
        &["HEAD:refs/heads/mine", mine.as_str()],
    ];
    let refs = |from: &Checkout| from.git(&["ls-remote", "origin"]);
    let before = refs(&tree);
    for push in bad {
        let written = stage.refusals().await.len();
        let refused = tree.push(push).expect_err("a push was taken");
        assert_eq!(refs(&tree), before, "{push:?} moved something");
        // Where git itself sees that nothing can come of it, nothing reaches the server.
        let asked = refused.contains("remote rejected") || refused.contains("declined");
        assert!(asked, "{push:?}: {refused}");
        assert!(
            stage.refusals().await.len() > written,
            "{push:?} was not written down"
        );
    }
    tree.push(&[&mine]).expect("its own attempt");
    let gone = format!(":{own}");
    tree.push(&[&gone]).expect_err("an attempt was deleted");
    stage.world.settle().await;
    invariants::hold(&stage.world, "a captured agent").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_token_ends_with_the_run() {
    let stage = stage().await;
    let hand = stage.world.hand("r1").await;
    let tree = stage.workspace();
    hand.ends(&stage.order, End::Stopped, None)
        .await
        .expect("stopped");
    let path = RunPath {
        run: stage.order.run.0,
    };
    let words = Words {
        text: "still here".to_owned(),
    };
    let error: CallError = stage
        .agent
        .call::<op::RunProgress>(path, words)
        .await
        .expect_err("the token outlived its run");
    assert_eq!(error.kind(), Some("unauthenticated"));
    let own = stage
        .order
        .author
        .as_ref()
        .expect("an author")
        .attempt_ref
        .clone();
    tree.push(&[&format!("HEAD:{own}")])
        .expect_err("the token outlived its run");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_token_ends_with_the_lease() {
    let stage = stage().await;
    // Not even swept yet: the clock alone decides.
    stage.world.clock.pass(std::time::Duration::from_secs(61));
    let path = RunPath {
        run: stage.order.run.0,
    };
    let words = Words {
        text: "still here".to_owned(),
    };
    let error = stage.agent.call::<op::RunProgress>(path, words).await;
    let error = error.expect_err("the token outlived its lease");
    assert_eq!(error.kind(), Some("unauthenticated"));
}
