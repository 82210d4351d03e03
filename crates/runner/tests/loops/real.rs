//! The whole author run with the real Claude Code and Codex, and with the built-in agent, against a scripted model: the key is
//! added outside, red checks go back to the same session, and so does a person's review.

use std::path::PathBuf;
use std::time::Duration;

use nightshift_api::runner::{AuthorOrder, Complete, End, SessionState, WorkOrder};
use nightshift_domain::config::Harness;
use nightshift_domain::failure::Reason;
use nightshift_domain::git_name::ObjectId;
use nightshift_runner::broker::{Dialect, EndpointSpec, KeySource, Price};
use nightshift_runner::config::Config;
use nightshift_runner::harness::Programs;
use nightshift_testkit::model::{Exchange, Fault, ModelServer, Script, Step};
use serde_json::{Value, json};

use super::end::alive;
use super::house::{House, NOW, check};

const KEY: &str = "sk-real-CANARY-7731";

#[expect(
    clippy::disallowed_methods,
    reason = "the programs are where the environment says"
)]
fn programs() -> Programs {
    let named = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let cache = named("XDG_CACHE_HOME").or_else(|| Some(named("HOME")?.join(".cache")));
    let dir = named("NIGHTSHIFT_AGENTS_DIR").or_else(|| Some(cache?.join("nightshift/agents")));
    let found = Programs::find(dir.as_deref(), None);
    assert!(
        found.of("claude-code").is_some() && found.of("codex").is_some(),
        "the agent programs are not in {dir:?}: run scripts/agents/install.sh, or set NIGHTSHIFT_AGENTS_DIR"
    );
    found
}

fn script() -> Script {
    Script::new([
        Step::shell("I fix the operator.", "sed -i 's/a - b/a + b/' calc.py"),
        Step::say("add() is fixed."),
    ])
    .when(
        "no plus here",
        [
            Step::shell("A name.", "sed -i 's/add/plus/' calc.py"),
            Step::say("It is called plus now."),
        ],
    )
    .when(
        "SENT BACK",
        [
            Step::shell("A comment.", "sed -i '1i # sums' calc.py"),
            Step::say("It has a comment."),
        ],
    )
    .key(KEY)
}

fn main_requests(model: &ModelServer) -> Vec<Exchange> {
    model.journal().into_iter().filter(|e| e.main).collect()
}

fn brought(complete: &Complete) -> (ObjectId, SessionState) {
    match (&complete.end, &complete.attempt, &complete.session) {
        (End::Authored { .. }, Some(attempt), Some(session)) => (attempt.clone(), session.clone()),
        other => panic!("nothing was brought: {other:?}"),
    }
}

fn by(order: &mut WorkOrder, harness: Harness) -> &mut AuthorOrder {
    let author = order.author.as_mut().unwrap();
    author.agent.name = harness.as_str().to_owned();
    author.agent.harness = harness;
    author.agent.model = (harness != Harness::ClaudeCode).then(|| "scripted".to_owned());
    author
}

/// A house whose runner has the real programs, and the scripted model for this harness.
async fn furnished(harness: Harness, header: &str, prefix: &str) -> (House, ModelServer) {
    let model = ModelServer::start(script()).await;
    (furnished_with(harness, header, prefix, &model).await, model)
}

/// The same with a model that is there already.
async fn furnished_with(
    harness: Harness,
    header: &str,
    prefix: &str,
    model: &ModelServer,
) -> House {
    let mut house = House::empty(&[("calc.py", "def add(a, b):\n    return a - b\n")]).await;
    let config = config_of(&house, harness, header, prefix, model);
    house.runner(config);
    house
}

fn config_of(
    house: &House,
    harness: Harness,
    header: &str,
    prefix: &str,
    model: &ModelServer,
) -> Config {
    let key = house.dir.path().join("key");
    std::fs::write(&key, KEY).unwrap();
    let mut config = house.config();
    if harness != Harness::Native {
        config.programs = programs();
    }
    config.endpoints.default = vec![(harness, "house".to_owned())];
    config.endpoints.by_name.insert(
        "house".to_owned(),
        EndpointSpec {
            url: model.base_url(),
            header: header.to_owned(),
            prefix: prefix.to_owned(),
            dialect: match header {
                "x-api-key" => Dialect::Anthropic,
                _ => Dialect::OpenAi,
            },
            keys: vec![KeySource::File(key)],
        },
    );
    config
}

/// Red until the function has another name, which the model does when it is told.
fn wants_plus(order: &mut WorkOrder) {
    order.checks = vec![check(
        "test",
        "grep -q 'def plus' calc.py || { echo no plus here; exit 1; }",
    )];
}

async fn is_told_and_resumed(harness: Harness, header: &str, prefix: &str) {
    let (mut house, model) = furnished(harness, header, prefix).await;
    let house = &mut house;
    let mut order = house.author("The sum is wrong.");
    by(&mut order, harness);
    wants_plus(&mut order);
    let run = house.give(&order);
    let complete = house.server.ended(run).await;
    let (attempt, session) = brought(&complete);
    assert_eq!(
        house.git(&["show", &format!("{attempt}:calc.py")]),
        "def plus(a, b):\n    return a + b"
    );
    // Nothing of the program itself is in the change.
    assert_eq!(
        house.git(&["diff", "--name-only", house.base.as_str(), attempt.as_str()]),
        "calc.py"
    );
    assert!(complete.usage.unwrap().output_tokens > 0);
    let text = house.server.run(run).unwrap().text();
    assert!(
        text.contains("I fix the operator.") && !text.contains(KEY),
        "{text}"
    );
    let first = main_requests(&model);
    assert!(
        first.last().unwrap().items > first[0].items,
        "the repair is said in the same conversation"
    );

    // Sent back: another run, the same session.
    let mut order = house.author("The sum is wrong.");
    order.start = attempt;
    order.round = 2;
    let author = by(&mut order, harness);
    author.session = Some(session.clone());
    author.resumed_prompt = "SENT BACK: say what it does.".to_owned();
    let run = house.give(&order);
    let (attempt, resumed) = brought(&house.server.ended(run).await);
    assert_eq!(resumed.id, session.id);
    assert!(
        house
            .git(&["show", &format!("{attempt}:calc.py")])
            .starts_with("# sums")
    );
    let second = &main_requests(&model)[first.len()..];
    assert!(
        second[0].items > first.last().unwrap().items,
        "the conversation goes on"
    );

    // A session that the program does not know any more: a fresh one, with the whole order.
    let mut order = house.author("SENT BACK again, in full.");
    order.start = house.base.clone();
    let author = by(&mut order, harness);
    author.session = Some(SessionState {
        id: "7d2b6e52-5b0e-4f43-8c38-6cc4b3a7d001".to_owned(),
        ..session
    });
    let run = house.give(&order);
    let (attempt, fresh) = brought(&house.server.ended(run).await);
    assert_ne!(fresh.id, resumed.id);
    assert!(
        house
            .git(&["show", &format!("{attempt}:calc.py")])
            .starts_with("# sums")
    );
    let text = house.server.run(run).unwrap().text();
    assert!(text.contains("a fresh one starts"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn real_claude_code_is_told_and_resumed() {
    is_told_and_resumed(Harness::ClaudeCode, "x-api-key", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn real_codex_is_told_and_resumed() {
    is_told_and_resumed(Harness::Codex, "authorization", "Bearer ").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn native_is_told_and_resumed_in_chat() {
    is_told_and_resumed(Harness::Native, "authorization", "Bearer ").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn native_is_told_and_resumed_in_messages() {
    is_told_and_resumed(Harness::Native, "x-api-key", "").await;
}

/// The program is given what is left at each start; what it had is kept.
#[tokio::test(flavor = "multi_thread")]
async fn real_claude_code_stops_at_the_budget_and_its_work_is_kept() {
    let (mut house, _model) = furnished(Harness::ClaudeCode, "x-api-key", "").await;
    let mut order = house.author("The sum is wrong.");
    by(&mut order, Harness::ClaudeCode);
    wants_plus(&mut order);
    let whole = 4_000;
    order.limits.cost_micro_usd = Some(whole);
    let run = house.give(&order);
    let complete = house.server.ended(run).await;
    let End::Failed { failure } = &complete.end else {
        panic!("it did not stop: {complete:?}");
    };
    assert_eq!(failure.reason, Reason::BudgetExhausted, "{failure:?}");
    let cost = complete.usage.and_then(|usage| usage.cost_micro_usd);
    assert!(cost >= Some(whole), "{cost:?}");
    let text = house.server.run(run).unwrap().text();
    assert!(text.contains("repair 1 of 2"), "{text}");
    let kept = complete.attempt.expect("what it had is kept");
    let kept = house.git(&["show", &format!("{kept}:calc.py")]);
    assert!(kept.contains("a + b"), "{kept}");
}

/// Somebody speaks up while the agent works: it hears it when its turn ends, or in the middle of it, and
/// goes on in the same conversation.
async fn is_steered(harness: Harness, header: &str, prefix: &str, now: bool) {
    let mut script = script().when(
        "MIND THE DOCS",
        [
            Step::shell("A comment.", "sed -i '1i # sums' calc.py"),
            Step::say("It has a comment."),
        ],
    );
    // Long enough that the words come in the middle; never ended by itself where it is interrupted.
    let wait = if now {
        "touch began; sleep 300"
    } else {
        "touch began; sleep 4"
    };
    script.steps.insert(1, Step::shell("I wait.", wait));
    let model = ModelServer::start(script).await;
    let mut house = furnished_with(harness, header, prefix, &model).await;
    let mut order = house.author("The sum is wrong.");
    by(&mut order, harness);
    let run = house.give(&order);
    house
        .server
        .until(run, "words", |run| run.text().contains("I wait."))
        .await;
    let words = house.server.steer(run, "MIND THE DOCS, please.", now);
    let complete = house.server.ended(run).await;
    let (attempt, _) = brought(&complete);
    assert_eq!(
        house.git(&["show", &format!("{attempt}:calc.py")]),
        "# sums\ndef add(a, b):\n    return a + b"
    );
    assert_eq!(complete.handed, [words]);
    let seen = house.server.run(run).unwrap();
    assert!(
        seen.text()
            .contains("alice says to the agent: MIND THE DOCS"),
        "{}",
        seen.text()
    );
    assert_eq!(
        seen.text().contains("turn is interrupted"),
        now,
        "{}",
        seen.text()
    );
    let requests = main_requests(&model);
    assert!(
        requests.last().unwrap().items > requests[0].items,
        "it is said in the same conversation"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn real_claude_code_is_steered_between_turns() {
    is_steered(Harness::ClaudeCode, "x-api-key", "", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn real_claude_code_is_steered_in_the_middle_of_a_turn() {
    is_steered(Harness::ClaudeCode, "x-api-key", "", true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn real_codex_is_steered_between_turns() {
    is_steered(Harness::Codex, "authorization", "Bearer ", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn real_codex_is_steered_in_the_middle_of_a_turn() {
    is_steered(Harness::Codex, "authorization", "Bearer ", true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn native_is_steered_between_turns() {
    is_steered(Harness::Native, "x-api-key", "", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn native_is_steered_in_the_middle_of_a_turn() {
    is_steered(Harness::Native, "authorization", "Bearer ", true).await;
}

/// A run of the built-in agent by this script, and how it ended.
async fn native(script: Script, most: Option<u64>) -> (House, ModelServer, WorkOrder) {
    let model = ModelServer::start(script).await;
    let mut house = House::empty(&[("calc.py", "def add(a, b):\n    return a - b\n")]).await;
    let mut config = config_of(&house, Harness::Native, "authorization", "Bearer ", &model);
    config.prices = vec![Price {
        model: "scripted".to_owned(),
        input: 1.0,
        cached: None,
        cache_write: None,
        output: 1.0,
    }];
    house.runner(config);
    let mut order = house.author("The sum is wrong.");
    by(&mut order, Harness::Native);
    order.limits.cost_micro_usd = most;
    (house, model, order)
}

fn reason(complete: &Complete) -> Reason {
    match &complete.end {
        End::Failed { failure } => failure.reason,
        other => panic!("it did not fail: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn native_stops_at_the_budget_and_its_work_is_kept() {
    let (house, model, order) = native(script(), Some(1)).await;
    let run = house.give(&order);
    let complete = house.server.ended(run).await;
    assert_eq!(reason(&complete), Reason::BudgetExhausted, "{complete:?}");
    let kept = complete.attempt.expect("what it had is kept");
    let kept = house.git(&["show", &format!("{kept}:calc.py")]);
    assert!(kept.contains("a + b"), "{kept}");
    assert!(complete.usage.unwrap().cost_micro_usd > Some(0));
    assert_eq!(main_requests(&model).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn native_is_parked_until_the_providers_reset() {
    let limited = Fault {
        at: 1,
        times: 9,
        status: Some(429),
        headers: [("retry-after".to_owned(), "600".to_owned())].into(),
        ..Fault::default()
    };
    let (house, model, order) = native(script().fault(limited), None).await;
    let run = house.give(&order);
    let complete = house.server.ended(run).await;
    assert_eq!(reason(&complete), Reason::RateLimited, "{complete:?}");
    let End::Failed { failure } = &complete.end else {
        panic!("{complete:?}");
    };
    let wait = failure.retry_at.expect("a time").duration_since(NOW);
    assert!((590..=610).contains(&wait.as_secs()), "{wait:?}");
    assert!(complete.attempt.is_some(), "what it had is kept");
    assert!(complete.session.is_some(), "and so is its session");
    assert_eq!(main_requests(&model).len(), 2, "nobody knocks");
}

#[tokio::test(flavor = "multi_thread")]
async fn native_leaves_nothing_when_it_is_cancelled() {
    let wait = "echo here; setsid sh -c 'trap \"\" TERM; while :; do sleep 10007331; done' & \
                trap '' TERM INT; echo wip >calc.py; touch up; while :; do sleep 10007331; done";
    let script = Script::new([Step::shell("I wait.", wait)]).key(KEY);
    let (house, _model, order) = native(script, None).await;
    let run = house.give(&order);
    house
        .server
        .until(run, "a call", |run| run.text().contains("I wait."))
        .await;
    while alive("sleep\x0010007331") < 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    house.server.cancel(run);
    let complete = house.server.ended(run).await;
    assert_eq!(complete.end, End::Stopped);
    assert_eq!(alive("10007331"), 0);
    let kept = complete.attempt.expect("what it had is kept");
    assert_eq!(house.git(&["show", &format!("{kept}:calc.py")]), "wip");
}

/// Calls every tool of the platform, each of which really answers.
async fn uses_the_tools(harness: Harness, header: &str, prefix: &str) {
    let tool =
        |name: &str, args: Value| Step::tool(name, &format!("mcp__nightshift__{name}"), args);
    let script = Script::new([
        tool("get_issue", json!({})),
        tool("get_feedback", json!({})),
        tool("run_checks", json!({})),
        Step::shell("I fix it.", "sed -i 's/a - b/a + b/' calc.py"),
        tool("run_checks", json!({ "only": ["test"] })),
        tool("progress", json!({ "text": "it adds" })),
        tool(
            "propose_guideline",
            json!({ "text": "Add, do not subtract." }),
        ),
        tool(
            "split_issue",
            json!({ "title": "Docs", "body": "Say what it does." }),
        ),
        tool("ask", json!({ "question": "Is that all?" })),
        Step::say("I asked."),
    ])
    .when("THAT IS ALL", [Step::say("Done.")])
    .key(KEY);
    let model = ModelServer::start(script).await;
    let mut house = furnished_with(harness, header, prefix, &model).await;
    let mut order = house.author("The sum is wrong.");
    by(&mut order, harness);
    order.checks = vec![check("test", "grep -n 'a + b' calc.py")];
    let run = house.give(&order);
    let complete = house.server.ended(run).await;
    let (attempt, session) = brought(&complete);
    let seen = house.server.run(run).unwrap();
    assert_eq!(seen.asked, ["Is that all?"], "{}", seen.text());
    let said: Vec<(&str, &Value)> = seen
        .said
        .iter()
        .map(|(what, body)| (&**what, body))
        .collect();
    assert_eq!(
        said,
        [
            ("progress", &json!({ "text": "it adds" })),
            ("guidelines", &json!({ "text": "Add, do not subtract." })),
            (
                "issues",
                &json!({ "title": "Docs", "body": "Say what it does." })
            ),
        ]
    );
    // What the tools answered is what the model was told.
    let told = main_requests(&model).last().unwrap().body.to_string();
    for words in [
        "The sum is wrong.",
        "maintainer",
        "last_verdict_red_because",
        "test: failed with exit status 1",
        "all 1 passed",
        "#7 is a draft",
        "You will be resumed with the answer",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    assert!(!told.contains(KEY));

    // The answer goes into the same conversation.
    let mut order = house.author("The sum is wrong.");
    order.start = attempt;
    order.round = 2;
    let author = by(&mut order, harness);
    author.session = Some(session.clone());
    author.resumed_prompt = "THAT IS ALL.".to_owned();
    let run = house.give(&order);
    let complete = house.server.ended(run).await;
    assert_eq!(complete.session.unwrap().id, session.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn real_claude_code_uses_the_platforms_tools() {
    uses_the_tools(Harness::ClaudeCode, "x-api-key", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn native_uses_the_platforms_tools() {
    uses_the_tools(Harness::Native, "authorization", "Bearer ").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn real_codex_uses_the_platforms_tools() {
    uses_the_tools(Harness::Codex, "authorization", "Bearer ").await;
}
