//! The terminal desk: what keys make of a state, as a table; what is drawn, as pictures.

use std::time::Duration;

use nightshift_api::desk::{Card, Desk};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde_json::{Value, json};

use super::draw::{Look, draw, page_height};
use super::keys::Key;
use super::page::page;
use super::state::{Ask, Page, REMARK, State, UNDO};

/// A card of this number; `change` overwrites fields.
fn card(number: i64, wanted: &str, colour: Option<&str>, change: Value) -> Card {
    let head = "a".repeat(40);
    let mut card = json!({
        "project": "tally", "number": number, "title": format!("Title {number}"),
        "wanted": wanted, "round": 1, "agent": "script", "head": null, "proof": null,
        "summary": "", "size": null,
        "question": null, "failed": null, "blocks": [], "runs": 1, "cost_micros": 120_000,
        "took_ms": 65_000, "score": 0, "since": "2026-01-01T00:00:00Z",
        "reasons": [{ "reason": "proved", "weight": 80 }, { "reason": "waits", "count": 3, "weight": 9 }],
    });
    if let Some(colour) = colour {
        let passed = json!({ "name": "test", "commit": head, "outcome": { "outcome": "passed" },
            "duration_ms": 10, "output_tail": "" });
        card["head"] = json!(head);
        card["size"] = json!({ "files": 2, "additions": 12, "deletions": 3,
            "largest": [{ "path": "src/bill.py", "additions": 10, "deletions": 3 }] });
        card["proof"] = json!({
            "head": head, "base": "b".repeat(40), "colour": colour, "reasons": [], "findings": [],
            "setup": null, "acceptance_on_base": null, "acceptance_on_head": null,
            "checks": [passed], "run": "0190a8b0-0000-7000-8000-000000000001",
            "at": "2026-01-01T00:00:00Z",
        });
    }
    for (key, value) in change.as_object().expect("fields") {
        card[key] = value.clone();
    }
    serde_json::from_value(card).expect("a card")
}

/// Two green ones, a red one, a question, and one that failed.
fn state() -> State {
    let failure =
        json!({ "reason": "no-change", "detail": "the tree is as it was", "retry_at": null });
    let desk = Desk {
        cards: vec![
            card(1, "review", Some("green"), json!({})),
            card(2, "review", Some("green"), json!({})),
            card(3, "review", Some("red"), json!({})),
            card(4, "answer", None, json!({ "question": "Red or **blue**?" })),
            card(5, "rescue", None, json!({ "failed": failure })),
        ],
        total: 5,
        parked: 1,
        broken: Vec::new(),
    };
    let state = State {
        server: "http://127.0.0.1:4321".to_owned(),
        height: 10,
        ..State::default()
    };
    state.listed(desk)
}

const NOW: Duration = Duration::from_secs(100);

fn keys(text: &str) -> Vec<Key> {
    text.chars()
        .map(|one| match one {
            '\n' => Key::Enter,
            '\u{1b}' => Key::Escape,
            '\u{8}' => Key::Backspace,
            other => Key::Char(other),
        })
        .collect()
}

/// Presses keys; returns what was asked.
fn press(mut state: State, text: &str) -> (State, Vec<Ask>) {
    let mut all = Vec::new();
    for key in keys(text) {
        let (next, asks) = state.key(key, NOW);
        state = next;
        all.extend(asks);
    }
    (state, all)
}

fn name(number: i64) -> (String, i64) {
    ("tally".to_owned(), number)
}

fn head() -> String {
    "a".repeat(40)
}

#[test]
fn each_key_asks_for_what_it_says() {
    let both = Ask::Approve(vec![(name(1), head()), (name(2), head())]);
    let send = |text: &str| Ask::SendBack(name(1), head(), text.to_owned());
    let answer = Ask::Answer(name(4), "Blue.".to_owned());
    // Keys, what is asked, which card is current then.
    let table: Vec<(&str, Vec<Ask>, Option<i64>)> = vec![
        ("", vec![], Some(1)),
        ("j", vec![], Some(2)),
        ("jk", vec![], Some(1)),
        ("k", vec![], Some(1)),
        ("G", vec![], Some(5)),
        ("Gj", vec![], Some(5)),
        ("Gg", vec![], Some(1)),
        ("a", vec![approve(1)], Some(2)),
        ("ja", vec![approve(2)], Some(3)),
        ("aa", vec![approve(1), approve(2)], Some(3)),
        ("jja", vec![], Some(3)),
        ("jjja", vec![], Some(4)),
        ("Ga", vec![Ask::Retry(name(5))], Some(4)),
        ("Gs", vec![], Some(5)),
        ("sno\n", vec![send("no")], Some(2)),
        ("snox\u{8}\n", vec![send("no")], Some(2)),
        ("s\n", vec![], Some(1)),
        ("sno\u{1b}", vec![], Some(1)),
        // While something is typed, keys are letters.
        ("sjkapxu?/\n", vec![send("jkapxu?/")], Some(2)),
        ("jjjsBlue.\n", vec![answer], Some(5)),
        ("p", vec![Ask::Park(name(1))], Some(2)),
        ("P", vec![Ask::UnparkAll], Some(1)),
        ("u", vec![], Some(1)),
        (
            "au",
            vec![approve(1), Ask::Withdraw(vec![name(1)])],
            Some(2),
        ),
        (
            "auu",
            vec![approve(1), Ask::Withdraw(vec![name(1)])],
            Some(2),
        ),
        (
            "pu",
            vec![Ask::Park(name(1)), Ask::Unpark(name(1))],
            Some(2),
        ),
        ("A", vec![], Some(1)),
        ("xjxA", vec![both.clone()], Some(3)),
        ("xjxxA", vec![approve(1)], Some(2)),
        ("jjxA", vec![], Some(3)),
        (
            "xjxAu",
            vec![both, Ask::Withdraw(vec![name(1), name(2)])],
            Some(3),
        ),
        ("/title 3\n", vec![], Some(3)),
        ("/#4\njjj", vec![], Some(4)),
        ("/nothing\na", vec![], None),
        ("/3\u{1b}", vec![], Some(3)),
        ("/3\n\u{1b}k", vec![], Some(2)),
        ("?a", vec![], Some(1)),
        ("?aa", vec![approve(1)], Some(2)),
        ("r", vec![Ask::Refresh], Some(1)),
        ("q", vec![Ask::Quit], Some(1)),
        ("\n", vec![Ask::Open(name(1))], Some(1)),
        ("\nq", vec![Ask::Open(name(1))], Some(1)),
        ("\na", vec![Ask::Open(name(1)), approve(1)], Some(2)),
        ("\nsno\n", vec![Ask::Open(name(1)), send("no")], Some(2)),
        ("\np", vec![Ask::Open(name(1)), Ask::Park(name(1))], Some(2)),
    ];
    for (keys, asked, current) in table {
        let (state, asks) = press(state(), keys);
        assert_eq!(asks, asked, "{keys:?}");
        assert_eq!(state.current.map(|name| name.1), current, "{keys:?}");
    }
}

#[test]
fn who_may_not_decide_is_told_who_may_and_nothing_is_sent() {
    let may = json!({ "write": false, "answer": false, "hosts": false, "review": false,
        "control": false, "push": false, "configure": false });
    let mut looks = state();
    for card in &mut looks.desk.cards {
        card.may = serde_json::from_value(may.clone()).expect("rights");
    }
    for keys in ["a", "sno\n", "xA", "jjjsBlue.\n", "Ga", "\na"] {
        let (state, asks) = press(looks.clone(), keys);
        let sent = asks.iter().any(|ask| !matches!(ask, Ask::Open(_)));
        assert!(!sent, "{keys:?}: {asks:?}");
        assert_eq!(state.cards().len(), 5, "{keys:?}");
    }
    for keys in ["a", "s", "x", "Ga"] {
        let (state, _) = press(looks.clone(), keys);
        let remark = state.remark.expect("words");
        assert_eq!(remark.text, "writers of tally decide on this", "{keys:?}");
    }
    // What is one's own stays so.
    let (_, asks) = press(looks, "p");
    assert_eq!(asks, [Ask::Park(name(1))]);
}

#[test]
fn what_a_card_lacks_names_the_command_only_to_who_may_type_it() {
    let lacks = json!({ "hosts": ["a.example"], "proof_hosts": ["b.example"], "secrets": ["KEY"] });
    let mut state = state();
    state.desk.cards = vec![card(5, "rescue", None, lacks)];
    let list = |state: &State| drawn(state, 160, 20);
    let all = list(&state);
    for words in [
        "issue allow 5 HOST,",
        "HOST --for-project",
        "nightshift secret set NAME",
    ] {
        assert!(all.contains(words), "{words}: {all}");
    }
    let may = &mut state.desk.cards[0].may;
    may.configure = false;
    let writer = list(&state);
    for words in [
        "issue allow 5 HOST,",
        "maintainers of tally allow it for the project; nightshift issue deny 5 HOST",
        "maintainers of tally set it",
    ] {
        assert!(writer.contains(words), "{words}: {writer}");
    }
    state.desk.cards[0].may.hosts = false;
    let reader = list(&state);
    for command in ["issue allow", "issue deny", "secret set"] {
        assert!(!reader.contains(command), "{reader}");
    }
    assert!(
        reader.contains("a.example (writers of tally decide)"),
        "{reader}"
    );
}

#[test]
fn a_decision_is_gone_at_once_and_comes_back_when_it_is_refused() {
    let (state, asks) = press(state(), "a");
    assert_eq!(state.cards().len(), 4);
    let (refused, again) = state.clone().refused(&asks[0], "the head moved", NOW);
    assert_eq!(refused.cards().len(), 5);
    assert_eq!(again, [Ask::Refresh]);
    assert!(refused.undo.is_empty());
    assert!(refused.remark.as_ref().is_some_and(|remark| remark.bad));
    // Done, and taken back.
    let (done, _) = state.done(&asks[0]);
    let (back, asks) = press(done, "u");
    let (back, _) = back.done(&asks[0]);
    let back = back.listed(self::state().desk);
    assert_eq!(back.cards().len(), 5);
}

#[test]
fn what_was_refused_is_told_to_whoever_leaves_before_it_can_be_read() {
    let whys = |state: State| -> Vec<String> {
        let refusals = state.refusals.into_iter();
        refusals.map(|refusal| refusal.why).collect()
    };
    let (state, asks) = press(state(), "aa");
    let (state, _) = state.refused(&asks[0], "the head moved", NOW);
    // Also where the next decision took its remark away.
    let (state, more) = press(state, "p");
    assert!(state.remark.is_none());
    let (state, _) = state.done(&more[0]);
    assert_eq!(whys(state.clone()), ["the head moved"]);
    // It was decided again, or there was time to read it.
    let (again, _) = state.clone().done(&asks[0]);
    assert!(whys(again).is_empty());
    let almost = NOW + REMARK - Duration::from_millis(1);
    assert_eq!(whys(state.clone().tick(almost)).len(), 1);
    assert!(whys(state.tick(NOW + REMARK)).is_empty());
    // A list that does not come is no decision.
    let (state, _) = self::state().refused(&Ask::Refresh, "no answer", NOW);
    assert!(whys(state).is_empty());
    // One that takes another back is.
    let withdraw = Ask::Withdraw(vec![name(1)]);
    let (state, _) = self::state().refused(&withdraw, "it has landed", NOW);
    assert_eq!(whys(state), ["it has landed"]);
}

#[test]
fn what_was_typed_is_not_lost_when_it_is_refused() {
    let (sent, asks) = press(state(), "sput the test back\n");
    let (refused, _) = sent.refused(&asks[0], "no answer", NOW);
    let entry = refused.entry.clone().expect("the text");
    assert_eq!(entry.text, "put the test back");
    let (_, again) = press(refused, "\n");
    assert_eq!(again, asks);
}

#[test]
fn there_are_ten_seconds_to_take_back() {
    let (state, _) = press(state(), "a");
    let late = NOW + UNDO;
    let (_, asks) = state.clone().key(Key::Char('u'), late);
    assert!(asks.is_empty());
    assert!(state.clone().tick(late).undo.is_empty());
    let (_, asks) = state.key(Key::Char('u'), late - Duration::from_millis(1));
    assert_eq!(asks.len(), 1);
}

fn approve(number: i64) -> Ask {
    Ask::Approve(vec![(name(number), head())])
}

#[test]
fn several_decisions_are_taken_back_one_by_one_and_a_refused_one_is_none() {
    let (state, asks) = press(state(), "aa");
    assert_eq!(asks, [approve(1), approve(2)]);
    let (_, back) = press(state.clone(), "uuu");
    let withdraw = |number| Ask::Withdraw(vec![name(number)]);
    assert_eq!(back, [withdraw(2), withdraw(1)]);
    let (refused, _) = state.refused(&asks[1], "the head moved", NOW);
    assert_eq!(press(refused, "uu").1, [withdraw(1)]);
}

#[test]
fn the_list_may_change_under_the_hand() {
    let (state, _) = press(state(), "jx");
    let mut desk = state.desk.clone();
    desk.cards.remove(1);
    let state = state.listed(desk);
    // What stood below is current now, and nothing is selected that is not there.
    assert_eq!(state.current, Some(name(3)));
    assert!(state.selected.is_empty());
    let state = state.listed(Desk::default());
    assert_eq!(state.current, None);
    let (_, asks) = press(state, "aspxAou\nq");
    assert_eq!(asks, [Ask::Quit]);
}

#[test]
fn a_change_is_scrolled_by_lines_pages_and_files() {
    let (state, _) = press(state(), "\n");
    let text = Page {
        lines: (0..100).map(|number| format!("line {number}")).collect(),
        files: vec![20, 60],
    };
    let state = state
        .opened(&name(2), Page::default())
        .opened(&name(1), text);
    let top = |keys: &str| {
        let (state, _) = press(state.clone(), keys);
        state.open.map(|open| open.top)
    };
    for (keys, expected) in [
        ("", 0),
        ("jjj", 3),
        ("jk", 0),
        ("k", 0),
        (" ", 9),
        (" b", 0),
        ("n", 20),
        ("nn", 60),
        ("nnn", 60),
        ("nnN", 20),
        ("N", 0),
        ("G", 90),
        ("Gj", 90),
        ("Gg", 0),
    ] {
        assert_eq!(top(keys), Some(expected), "{keys:?}");
    }
}

/// Draws a state in a terminal of this size.
fn drawn(state: &State, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
    let look = Look { colour: false };
    terminal
        .draw(|frame| draw(frame, state, look, NOW))
        .expect("drawn");
    let text = terminal.backend().to_string();
    assert!(!text.contains('\u{1b}'), "{text}");
    text
}

#[test]
fn the_list_in_a_usual_terminal() {
    let (state, _) = press(state(), "xj");
    insta::assert_snapshot!(drawn(&state, 80, 24));
}

#[test]
fn the_list_in_a_narrow_one_shows_where_one_is() {
    let (state, _) = press(state(), "G");
    insta::assert_snapshot!(drawn(&state, 36, 8));
}

#[test]
fn what_can_be_taken_back_and_what_is_typed() {
    let (decided, _) = press(state(), "a");
    let (typing, _) = press(state(), "s這樣不行, put the test back");
    let pictures = [
        drawn(&decided, 60, 6),
        drawn(&typing, 60, 6),
        drawn(&typing, 24, 6),
    ];
    insta::assert_snapshot!(pictures.join("\n"));
}

#[test]
fn the_keys_are_explained() {
    let (state, _) = press(state(), "?");
    insta::assert_snapshot!(drawn(&state, 80, 24));
}

#[test]
fn words_of_others_cannot_steer_the_terminal() {
    let evil = "\u{1b}]0;t\u{7}\u{1b}[2J\u{202e}evil\u{9b}31m\r\n林";
    let finding =
        json!({ "kind": "test-removed", "severity": "alarm", "path": evil, "note": evil });
    let mut one = card(
        1,
        "review",
        Some("green"),
        json!({ "title": evil, "agent": evil, "project": evil }),
    );
    one.size.as_mut().expect("a size").largest[0].path = evil.to_owned();
    let proof = one.proof.as_mut().expect("a proof");
    proof.checks[0].name = evil.to_owned();
    proof.findings = vec![serde_json::from_value(finding).expect("a finding")];
    let failure = json!({ "reason": "no-change", "detail": evil, "retry_at": null });
    let desk = Desk {
        cards: vec![
            one,
            card(
                2,
                "answer",
                None,
                json!({ "question": evil, "title": evil }),
            ),
            card(3, "rescue", None, json!({ "failed": failure })),
        ],
        ..Desk::default()
    };
    let state = State::default().listed(desk);
    let pictures = [
        drawn(&state, 100, 20),
        drawn(&press(state.clone(), &format!("s{evil}")).0, 100, 6),
        drawn(&press(state.clone(), "o").0, 100, 6),
    ];
    for picture in pictures {
        let harmless = |one: char| one == '\n' || !one.is_control() && one != '\u{202e}';
        assert!(picture.chars().all(harmless), "{picture}");
    }
}

#[test]
fn a_change_shows_proof_and_difference_in_colours() {
    let pull = serde_json::from_str(include_str!("../../testdata/pull.json")).expect("a pull");
    let issue = serde_json::from_str(include_str!("../../testdata/issue.json")).expect("an issue");
    let diff = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-old\u{1b}[2J\n+new 林\n";
    let now = "2026-01-01T00:00:00Z".parse().expect("a time");
    let made = page(&issue, Some((&pull, diff)), true, 80, now);
    assert_eq!(
        made.lines[made.files[0]],
        "\u{1b}[1mdiff --git a/x b/x\u{1b}[0m"
    );
    let (state, _) = press(state(), "\n");
    let (state, _) = press(state.opened(&name(1), made), "G");
    let mut terminal = Terminal::new(TestBackend::new(60, 12)).expect("a terminal");
    let look = Look { colour: true };
    terminal
        .draw(|frame| draw(frame, &state, look, NOW))
        .expect("drawn");
    let screen = terminal.backend().buffer().clone();
    let shown = drawn(&state, 60, 12);
    assert!(shown.contains("-old\\u{1b}[2J"), "{shown}");
    let row = shown
        .lines()
        .position(|line| line.contains("+new"))
        .expect("a line");
    let cell = &screen[(1, u16::try_from(row).expect("a row"))];
    assert_eq!(cell.fg, ratatui::style::Color::Green);
    assert_eq!(page_height(12), 10);
}
