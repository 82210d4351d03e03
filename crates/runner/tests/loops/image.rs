//! Whole runs whose project names an image: what an author's run brings and its proof, what is added to
//! the image once for all of them, and what a person reads where the image is not there.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use nightshift_api::runner::{End, WorkOrder};
use nightshift_domain::check::Outcome;
use nightshift_domain::config::Harness;
use nightshift_domain::failure::{Failure, Reason};
use nightshift_domain::id::RunId;
use nightshift_domain::transcript::Entry;
use nightshift_runner::broker::{Dialect, EndpointSpec, KeySource};
use nightshift_testkit::model::{ModelServer, Script, Step};
use nix::sys::signal::Signal;

use super::crash::Runner;
use super::end::{gone, is_up};
use super::house::{House, check, container, sealed};
use super::picture::{self, Files};

/// A house whose runner has the engine of containers.
async fn house(files: &[(&str, &str)]) -> House {
    let mut house = House::empty(files).await;
    let mut config = house.config();
    config.backend = container();
    house.runner(config);
    house
}

/// The same with a model at this address for agents of this harness.
async fn modelled(harness: Harness, model: &str) -> House {
    let mut house = House::empty(&[("a.txt", "one\n")]).await;
    let key = house.dir.path().join("key");
    std::fs::write(&key, "k").unwrap();
    let (dialect, header, prefix) = match harness {
        Harness::ClaudeCode => (Dialect::Anthropic, "x-api-key", ""),
        _ => (Dialect::OpenAi, "authorization", "Bearer "),
    };
    let mut config = house.config();
    config.backend = container();
    config.endpoints.by_name.insert(
        "house".to_owned(),
        EndpointSpec {
            url: model.to_owned(),
            header: header.to_owned(),
            prefix: prefix.to_owned(),
            dialect,
            keys: vec![KeySource::File(key)],
        },
    );
    config.endpoints.default = vec![(harness, "house".to_owned())];
    house.runner(config);
    house
}

/// Where the packages of the real agent programs are.
#[expect(
    clippy::disallowed_methods,
    reason = "the programs are where the environment says"
)]
fn agents() -> PathBuf {
    let named = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let cache = named("XDG_CACHE_HOME").or_else(|| Some(named("HOME")?.join(".cache")));
    let dir = named("NIGHTSHIFT_AGENTS_DIR").or_else(|| Some(cache?.join("nightshift/agents")));
    dir.expect("a home").join("node_modules")
}

/// The images that the house's runner made, which are removed.
async fn made(house: &House) -> usize {
    let label = picture::label(&house.dir.path().join("data"));
    let names = picture::made_by(&label).await;
    for name in &names {
        picture::remove(name).await;
    }
    names.len()
}

pub(crate) fn names(order: &mut WorkOrder, image: &str) {
    order.environment.image = Some(image.parse().unwrap());
}

pub(crate) fn text(house: &House, run: RunId) -> String {
    let seen = house.server.run(run).unwrap();
    let said = seen
        .records()
        .into_iter()
        .filter_map(|record| match record.entry {
            Entry::Output { text, .. } => text,
            Entry::Status { text } => Some(text),
            _ => None,
        });
    said.collect::<Vec<_>>().join("\n")
}

pub(crate) async fn failed(house: &House, run: RunId) -> Failure {
    match house.server.ended(run).await.end {
        End::Failed { failure } => failure,
        other => panic!("it did not fail: {other:?}\n{}", text(house, run)),
    }
}

/// A file by which the image is known, and none of this machine's programs.
const SEES: &str = "test -f /of-the-image && test ! -e /usr/bin/git && echo in the image";

pub(crate) async fn image() -> String {
    let mut files = Files::plain();
    files.file("of-the-image", 0o644, b"x");
    files.image(&["ENV TOOL=of-the-image"]).await
}

mod container {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn an_author_and_its_proof_see_the_projects_system() {
        let house = &mut house(&[("a.txt", "one\n"), ("t.sh", "grep -q two a.txt\n")]).await;
        let image = image().await;
        let body = format!(
            "```sh\n{SEES}\nprintf 'one\\ntwo\\n' >a.txt\ncat /opt/added\necho $TOOL\n```\n"
        );
        let mut order = house.author(&body);
        names(&mut order, &image);
        order.environment.install =
            Some("id -u; if env | grep -i token || ls /workspace/a.txt; then echo leaked; fi; mkdir /opt && echo added once >/opt/added".to_owned());
        order.environment.setup = Some(format!("{SEES}; echo ready >ready"));
        order.checks = vec![check(
            "test",
            "sh t.sh && test -f ready && test -f /opt/added",
        )];
        let run = house.give(&order);
        let complete = house.server.ended(run).await;
        let said = text(house, run);
        let (End::Authored { self_checks, .. }, Some(attempt)) = (&complete.end, &complete.attempt)
        else {
            panic!("no change was brought: {complete:?}\n{said}");
        };
        assert_eq!(self_checks[0].outcome, Outcome::Passed, "{said}");
        let changed = house.git(&["show", "--format=", "--name-only", attempt.as_str()]);
        assert_eq!(changed, "a.txt\nready");
        let seen = said.lines().filter(|line| *line == "in the image").count();
        assert_eq!(seen, 2, "{said}");
        assert!(
            said.contains(&format!("the image {image}: id sha256:")),
            "{said}"
        );
        assert!(
            said.contains("install: passed") && said.contains("added once"),
            "{said}"
        );
        assert!(said.contains("\nof-the-image\n"), "{said}");
        assert!(
            !said.contains("run-token") && !said.lines().any(|l| l == "leaked"),
            "{said}"
        );

        let mut proof = house.verify(attempt);
        proof.environment = order.environment.clone();
        proof.acceptance = Some(sealed("sealed/t.sh", "sh t.sh\n", "sh sealed/t.sh"));
        proof.checks = vec![
            check("sees", SEES),
            check(
                "added",
                "cat /opt/added; touch /opt/x 2>/dev/null || echo read-only",
            ),
            check("alone", "env | grep -c NIGHTSHIFT; ls /nightshift/sockets"),
        ];
        let run = house.give(&proof);
        let End::Proved { report } = house.server.ended(run).await.end else {
            panic!("{}", text(house, run));
        };
        let base = report.acceptance_on_base.unwrap();
        assert_eq!(base.outcome, Outcome::Failed { code: 1 }, "{base:?}");
        assert!(report.acceptance_on_head.unwrap().passed());
        assert_eq!(report.checks[0].output_tail, "in the image\n");
        assert_eq!(report.checks[1].output_tail, "added once\nread-only\n");
        assert_eq!(report.checks[2].output_tail, "0\nnetwork\n");
        // What is there is not made again.
        assert!(
            !text(house, run).contains("install: "),
            "{}",
            text(house, run)
        );
        house.drain().await;
        assert_eq!(made(house).await, 1);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn two_runs_at_once_add_to_it_once_and_another_content_anew() {
        let house = &mut house(&[("a.txt", "one\n")]).await;
        let name = format!("localhost/test-moving-{}", std::process::id());
        let system = |word: &str| {
            let mut files = Files::plain();
            files.file("word", 0o644, word.as_bytes());
            picture::archive(files)
        };
        picture::import(&name, system("first"), &[]).await;
        let order = |house: &mut House| {
            let mut order = house.author("```sh\ncat /word /opt/added; echo two >a.txt\n```\n");
            names(&mut order, &name);
            order.environment.install =
                Some("sleep 1; mkdir /opt; cat /word >/opt/added; echo installs".to_owned());
            order
        };
        let (one, two) = (order(house), order(house));
        let runs = [house.give(&one), house.give(&two)];
        let mut all = String::new();
        for run in runs {
            let complete = house.server.ended(run).await;
            let said = text(house, run);
            assert!(
                matches!(complete.end, End::Authored { .. }),
                "{complete:?}\n{said}"
            );
            assert!(said.contains("firstfirst"), "{said}");
            all.push_str(&said);
        }
        assert_eq!(all.matches("\ninstalls\n").count(), 1, "{all}");
        assert!(
            all.contains("waits for another run that adds the same"),
            "{all}"
        );

        picture::import(&name, system("second"), &[]).await;
        let three = order(house);
        let run = house.give(&three);
        house.server.ended(run).await;
        let said = text(house, run);
        assert!(
            said.contains("secondsecond") && said.contains("\ninstalls\n"),
            "{said}"
        );
        house.drain().await;
        assert_eq!(made(house).await, 2);
        picture::remove(&name).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_cannot_be_had_says_both_ways_to_have_it() {
        let house = &mut house(&[("a.txt", "one\n")]).await;
        let mut order = house.author("```sh\ntrue\n```\n");
        names(&mut order, "registry.example.com/team/base:1");
        let run = house.give(&order);
        let failure = failed(house, run).await;
        assert_eq!(failure.reason, Reason::Misconfigured);
        for way in [
            "the image registry.example.com/team/base:1 is not on the runner",
            "pull = [\"registry.example.com/team/base\"]",
            "podman pull registry.example.com/team/base:1",
        ] {
            assert!(failure.detail.as_str().contains(way), "{failure:?}");
        }
        let mut order = house.author("```sh\ntrue\n```\n");
        names(&mut order, "never-was");
        let run = house.give(&order);
        let failure = super::failed(house, run).await;
        assert!(
            failure
                .detail
                .as_str()
                .contains("it has no registry in its name"),
            "{failure:?}"
        );
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_installation_that_fails_ends_the_run_with_its_words() {
        let mirror = mirror().await;
        let mut house = House::empty(&[("a.txt", "one\n")]).await;
        let mut config = house.config();
        config.backend = super::super::house::container();
        config.network.private = vec![mirror.parse().unwrap()];
        house.runner(config);
        let house = &mut house;
        let image = image().await;
        let fetch = format!("wget -q -O /fetched http://{mirror}/ && echo fetched");
        let mut order = house.author("```sh\ncat /fetched; echo two >a.txt\n```\n");
        names(&mut order, &image);
        order.environment.install = Some(fetch);
        // What is allowed for one issue is not allowed for what others get as well.
        order.grants = vec![mirror.parse().unwrap()];
        let run = house.give(&order);
        let failure = failed(house, run).await;
        assert_eq!(failure.reason, Reason::SetupFailed);
        assert!(
            failure
                .detail
                .as_str()
                .starts_with("environment.install failed with exit status"),
            "{failure:?}"
        );
        assert!(
            failure
                .detail
                .as_str()
                .contains(&format!("could not reach {mirror}")),
            "{failure:?}"
        );
        assert!(
            failure.detail.as_str().contains("network.allow"),
            "{failure:?}"
        );

        order.network.allow = vec![mirror.parse().unwrap()];
        let again = house.author("");
        order.run = again.run;
        order.job = again.job;
        order.token = again.token;
        order.author.as_mut().unwrap().attempt_ref = again.author.unwrap().attempt_ref;
        let run = house.give(&order);
        let complete = house.server.ended(run).await;
        let said = text(house, run);
        assert!(
            matches!(complete.end, End::Authored { .. }),
            "{complete:?}\n{said}"
        );
        assert!(said.contains("from the mirror"), "{said}");
        let traffic = complete.traffic.expect("what it reached");
        assert_eq!(traffic.hosts[0].allowed_by.as_deref(), Some("project"));
        house.drain().await;
        assert_eq!(made(house).await, 1);
    }

    /// A host of a company, on this machine.
    async fn mirror() -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let router = Router::new().route("/", get(|| async { "from the mirror" }));
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("localhost:{port}")
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_agents_program_is_the_images_own() {
        let house = &mut modelled(Harness::ClaudeCode, "http://127.0.0.1:9").await;
        let mut order = house.author("Do it.");
        names(&mut order, &image().await);
        let author = order.author.as_mut().unwrap();
        author.agent.harness = Harness::ClaudeCode;
        let run = house.give(&order);
        let failure = failed(house, run).await;
        assert_eq!(failure.reason, Reason::ProgramMissing);
        assert!(
            failure.detail.as_str().contains("has no program claude"),
            "{failure:?}"
        );
        assert!(
            failure
                .detail
                .as_str()
                .contains("npm install -g @anthropic-ai/claude-code"),
            "{failure:?}"
        );
        house.drain().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_built_in_agent_works_in_a_system_without_a_library() {
        let script = Script::new([
            Step::shell(
                "works",
                "cat /of-the-image && echo two >a.txt && echo $TOOL >>a.txt",
            ),
            Step::say("done"),
        ]);
        let model = ModelServer::start(script.key("k")).await;
        let house = &mut modelled(Harness::Native, &model.base_url()).await;
        let mut order = house.author("Do it.");
        names(&mut order, &image().await);
        let agent = &mut order.author.as_mut().unwrap().agent;
        agent.harness = Harness::Native;
        agent.model = Some("m-1".to_owned());
        let run = house.give(&order);
        let complete = house.server.ended(run).await;
        let attempt = complete.attempt.clone();
        let attempt = attempt.unwrap_or_else(|| panic!("{complete:?}\n{}", text(house, run)));
        assert_eq!(
            house.git(&["show", &format!("{attempt}:a.txt")]),
            "two\nof-the-image"
        );
        house.drain().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_real_claude_code_of_an_image_works_there() {
        let mut files = Files::glibc();
        // It looks for this shell.
        files.program("bash", Path::new("/bin/bash"));
        let package = "@anthropic-ai/claude-code-linux-x64/claude";
        files.program("claude", &agents().join(package));
        works(Harness::ClaudeCode, files).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_real_codex_of_an_image_works_there() {
        let mut files = Files::plain();
        let package = "@openai/codex-linux-x64/vendor/x86_64-unknown-linux-musl/bin";
        for name in ["codex", "codex-code-mode-host"] {
            files.program(name, &agents().join(package).join(name));
        }
        works(Harness::Codex, files).await;
    }

    /// An agent's program from these files edits the tree as the model says, and is told the outcome.
    async fn works(harness: Harness, mut files: Files) {
        files.file("of-the-image", 0o644, b"x");
        let image = files.image(&["ENV PATH=/usr/local/bin:/bin"]).await;
        let words = format!("{SEES} >a.txt");
        let script = Script::new([Step::shell("works", &words), Step::say("It is done.")]);
        let model = ModelServer::start(script.key("k")).await;
        let house = &mut modelled(harness, &model.base_url()).await;
        let mut order = house.author("Do it.");
        names(&mut order, &image);
        order.limits.memory_bytes = 4 << 30;
        order.limits.processes = 2048;
        let agent = &mut order.author.as_mut().unwrap().agent;
        agent.harness = harness;
        agent.model = Some("scripted".to_owned());
        let run = house.give(&order);
        let complete = house.server.ended(run).await;
        let said = text(house, run);
        let attempt = complete.attempt.clone();
        let attempt = attempt.unwrap_or_else(|| panic!("{complete:?}\n{said}"));
        assert_eq!(
            house.git(&["show", &format!("{attempt}:a.txt")]),
            "in the image",
            "{said}"
        );
        let main = model.journal().into_iter().filter(|call| call.main);
        assert!(main.count() >= 2, "it was told what the command did");
        assert!(complete.usage.is_some_and(|usage| usage.output_tokens > 0));
        house.drain().await;
        picture::remove(&image).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_runner_that_is_killed_while_it_adds_leaves_nothing() {
        let house = &mut House::empty(&[("a.txt", "one\n")]).await;
        drop(super::super::house::container());
        let image = image().await;
        let runner = Runner::start(house, Some("container"));
        let mut order = house.author("```sh\ntrue\n```\n");
        names(&mut order, &image);
        order.environment.install =
            Some("sleep 10007311 & printf '%s is up\\n' 7311; wait".to_owned());
        let run = house.give(&order);
        is_up(house, run, "7311").await;
        runner.signal(Signal::SIGKILL);
        drop(runner);
        gone("10007311", Duration::from_secs(15)).await;
        // The next one removes what is left of it.
        let mut config = house.config();
        config.backend = super::super::house::container();
        house.runner(config);
        let label = picture::label(&house.dir.path().join("data"));
        let end = Instant::now() + Duration::from_secs(30);
        while picture::containers(&label).await > 0 {
            assert!(Instant::now() < end, "a container is still there");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(made(house).await, 0);
        house.drain().await;
    }
}
