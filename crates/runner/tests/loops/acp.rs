//! The general adapter for agents that speak the Agent Client Protocol, with a small agent of our own: in
//! the real sandbox, with the real program of ours between them.

use nightshift_api::runner::{Complete, End, SessionState, WorkOrder};
use nightshift_domain::config::Harness;
use nightshift_domain::failure::Reason;
use nightshift_domain::git_name::ObjectId;
use nightshift_domain::transcript::Entry;

use super::house::{House, check};

const AGENT: &str = include_str!("acp_agent.py");

async fn house() -> House {
    House::new(&[
        ("calc.py", "def add(a, b):\n    return a - b\n"),
        ("agent.py", AGENT),
    ])
    .await
}

/// An order for the small agent in this case of its script.
fn order(house: &mut House, case: &str) -> WorkOrder {
    let mut order = house.author("The sum is wrong.");
    let agent = &mut order.author.as_mut().unwrap().agent;
    agent.name = "small".to_owned();
    agent.harness = Harness::Acp;
    agent.command = Some(format!("python3 -B agent.py {case}"));
    order
}

fn brought(complete: &Complete) -> (ObjectId, SessionState) {
    match (&complete.end, &complete.attempt, &complete.session) {
        (End::Authored { .. }, Some(attempt), Some(session)) => (attempt.clone(), session.clone()),
        other => panic!("nothing was brought: {other:?}"),
    }
}

fn failure(complete: &Complete) -> (Reason, String) {
    match &complete.end {
        End::Failed { failure } => (failure.reason, failure.detail.to_string()),
        other => panic!("it did not fail: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_works_is_allowed_what_it_asks_for_and_is_resumed() {
    let house = &mut house().await;
    let mut order_1 = order(house, "works");
    order_1.checks = vec![check("test", "grep -q 'a + b' calc.py")];
    let run = house.give(&order_1);
    let complete = house.server.ended(run).await;
    let seen = house.server.run(run).unwrap();
    assert!(
        matches!(complete.end, End::Authored { .. }),
        "{:?}\n{}",
        complete.end,
        seen.text()
    );
    let (attempt, session) = brought(&complete);
    assert!(
        house
            .git(&["show", &format!("{attempt}:calc.py")])
            .contains("a + b")
    );
    let usage = complete.usage.unwrap();
    assert_eq!(
        (
            usage.input_tokens,
            usage.cached_input_tokens,
            usage.output_tokens
        ),
        (100, 50, 34)
    );
    let told: Vec<Entry> = seen
        .records()
        .into_iter()
        .map(|record| record.entry)
        .collect();
    let has = |wanted: &dyn Fn(&Entry) -> bool| told.iter().any(wanted);
    assert!(
        has(&|e| matches!(e, Entry::Text { text } if text == "I fix it, prompt 1, mode yolo.")),
        "words that come in pieces are one: {told:?}"
    );
    assert!(has(
        &|e| matches!(e, Entry::ToolCall { input, .. } if input["command"].is_string())
    ));
    assert!(
        has(
            &|e| matches!(e, Entry::ToolResult { output, is_error: false, .. } if output.starts_with("[yes]"))
        ),
        "it is allowed once: {told:?}"
    );
    assert!(has(
        &|e| matches!(e, Entry::Output { text: Some(text), .. } if text == "this is no message")
    ));

    // Sent back: another run, the same session, in the mode that is configured.
    let mut order_2 = order(house, "works");
    order_2.start = attempt;
    order_2.round = 2;
    let author = order_2.author.as_mut().unwrap();
    author.agent.mode = Some("ask".to_owned());
    author.session = Some(session.clone());
    author.resumed_prompt = "SENT BACK: say what it is.".to_owned();
    let run = house.give(&order_2);
    let complete = house.server.ended(run).await;
    let text = house.server.run(run).unwrap().text();
    let (attempt, resumed) = brought(&complete);
    assert_eq!(resumed.id, session.id);
    assert!(
        house
            .git(&["show", &format!("{attempt}:calc.py")])
            .ends_with("# sums")
    );
    assert!(text.contains("prompt 2, mode ask"), "{text}");
    assert!(
        !text.contains("THIS WAS BEFORE"),
        "history is not told again: {text}"
    );

    // A session that it does not know: a fresh one, with the whole order.
    let mut order_3 = order(house, "works");
    order_3.author.as_mut().unwrap().session = Some(SessionState {
        id: "s-unknown".to_owned(),
        ..session
    });
    let run = house.give(&order_3);
    let complete = house.server.ended(run).await;
    let text = house.server.run(run).unwrap().text();
    let (_, fresh) = brought(&complete);
    assert_ne!(fresh.id, resumed.id);
    assert!(text.contains("a fresh one starts"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_given_the_platforms_tools_in_a_new_session_and_an_earlier_one() {
    let house = &mut house().await;
    let order_1 = order(house, "tools");
    let run = house.give(&order_1);
    let (attempt, session) = brought(&house.server.ended(run).await);
    let mut order_2 = order(house, "tools");
    order_2.start = attempt;
    order_2.round = 2;
    let author = order_2.author.as_mut().unwrap();
    author.session = Some(session);
    author.resumed_prompt = "SENT BACK: say what it is.".to_owned();
    let again = house.give(&order_2);
    brought(&house.server.ended(again).await);
    for run in [run, again] {
        let seen = house.server.run(run).unwrap();
        let progress = serde_json::json!({ "text": "I read it" });
        assert_eq!(seen.said, [("progress".to_owned(), progress)]);
        let text = seen.text();
        assert!(text.contains("The order says: The sum is wrong."), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mode_that_nobody_asked_for_may_be_refused() {
    let house = &mut house().await;
    let mut asked = order(house, "refuses");
    let run = house.give(&asked);
    let complete = house.server.ended(run).await;
    let text = house.server.run(run).unwrap().text();
    brought(&complete);
    assert!(text.contains("mode None"), "{text}");
    asked = order(house, "refuses");
    asked.author.as_mut().unwrap().agent.mode = Some("yolo".to_owned());
    let run = house.give(&asked);
    let (_, detail) = failure(&house.server.ended(run).await);
    assert!(detail.contains("not in this folder"), "{detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agents_failures_are_told_apart_also_where_it_calls_them_an_end() {
    let house = &mut house().await;
    for (case, mode, reason, words) in [
        (
            "hides",
            None,
            Reason::ModelUnavailable,
            "unexpected status 503",
        ),
        ("limited", None, Reason::RateLimited, "rate"),
        ("dies", None, Reason::AgentFailed, "the agent ended"),
        (
            "works",
            Some("fast"),
            Reason::Misconfigured,
            "it has ask, yolo",
        ),
        ("newer", None, Reason::Misconfigured, "peer negotiated 2"),
    ] {
        let mut order = order(house, case);
        order.author.as_mut().unwrap().agent.mode = mode.map(str::to_owned);
        let run = house.give(&order);
        let (told, detail) = failure(&house.server.ended(run).await);
        let text = house.server.run(run).unwrap().text();
        assert_eq!(told, reason, "{case}: {detail}\n{text}");
        assert!(detail.contains(words), "{case}: {detail}");
    }
    let mut order = order(house, "works");
    order.author.as_mut().unwrap().agent.command = Some("no-such-program-7731 --acp".to_owned());
    let run = house.give(&order);
    let (told, detail) = failure(&house.server.ended(run).await);
    assert_eq!(told, Reason::AgentFailed, "{detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_steered_in_the_middle_of_its_turn() {
    let house = &mut house().await;
    let order = order(house, "hangs");
    let run = house.give(&order);
    house
        .server
        .until(run, "words", |run| run.text().contains("session s-"))
        .await;
    house.server.steer(run, "MIND THE DOCS, please.", true);
    house
        .server
        .until(run, "the words", |run| run.text().contains("I stop."))
        .await;
    house.server.cancel(run);
    let complete = house.server.ended(run).await;
    assert_eq!(complete.end, End::Stopped);
}
