//! What agent programs print, recorded and shortened, and what is made of it.

#![expect(clippy::unwrap_used, reason = "tests")]

use nightshift_domain::transcript::{Entry, Stream, Usage};
use nightshift_runner::harness::{
    ALL, AgentFailure, AgentOrder, AgentOutcome, Exit, LineSplitter, Session, by_name,
};
use proptest::prelude::*;

/// The outcome of these lines on standard output (a line that begins with `!` on standard
/// error), in the session `before`.
fn outcome(harness: &str, lines: &[&str], exit: Exit, before: Option<Usage>) -> AgentOutcome {
    let mut order = AgentOrder::new("", "");
    order.session = before.map(|totals| Session {
        id: "resumed".to_owned(),
        totals,
    });
    let mut parser = by_name(harness).unwrap().parser(&order);
    for line in lines {
        match line.strip_prefix('!') {
            Some(line) => parser.line(Stream::Stderr, line.as_bytes()),
            None => parser.line(Stream::Stdout, line.as_bytes()),
        };
    }
    parser.finish(exit)
}

fn failure(harness: &str, lines: &[&str], exit: Exit) -> String {
    match outcome(harness, lines, exit, None).failure {
        None => "none".to_owned(),
        // As it reads in English.
        Some(AgentFailure::Crashed { detail }) => {
            format!("Crashed {{ detail: {:?} }}", detail.to_string())
        }
        Some(AgentFailure::BudgetExhausted { detail }) => {
            format!("BudgetExhausted {{ detail: {:?} }}", detail.to_string())
        }
        Some(AgentFailure::ProgramMissing { program, install }) => {
            let install = install.to_string();
            format!("ProgramMissing {{ program: {program:?}, install: {install:?} }}")
        }
        Some(failure) => format!("{failure:?}"),
    }
}

const CLAUDE_INIT: &str = r#"{"type":"system","subtype":"init","session_id":"s-1","model":"m","claude_code_version":"2.1.332"}"#;
const CLAUDE_TEXT: &str = r#"{"type":"assistant","message":{"id":"msg_1","model":"m","content":[{"type":"text","text":"Working."}],"usage":{"input_tokens":200,"cache_read_input_tokens":1000,"cache_creation_input_tokens":5,"output_tokens":34}}}"#;
const CLAUDE_DONE: &str = r#"{"type":"result","subtype":"success","is_error":false,"result":"Done.","total_cost_usd":0.010080000000000002,"api_error_status":null,"modelUsage":{"a":{"inputTokens":1000,"outputTokens":200,"cacheReadInputTokens":6000,"cacheCreationInputTokens":100},"b":{"inputTokens":100,"outputTokens":4,"cacheReadInputTokens":0,"cacheCreationInputTokens":0}}}"#;

fn claude_retry(status: &str, error: &str) -> String {
    format!(
        r#"{{"type":"system","subtype":"api_retry","attempt":1,"max_retries":2,"retry_delay_ms":607,"error_status":{status},"error":"{error}"}}"#
    )
}

fn claude_result(status: &str, words: &str) -> String {
    format!(
        r#"{{"type":"result","subtype":"success","is_error":true,"terminal_reason":"api_error","api_error_status":{status},"result":"{words}","modelUsage":{{}},"total_cost_usd":0}}"#
    )
}

#[test]
fn claude_codes_failures_are_told_apart() {
    let check = |lines: &[&str], exit: Exit, expected: &str| {
        assert_eq!(failure("claude-code", lines, exit), expected, "{lines:?}");
    };
    let failed = Exit::Code(1);
    check(
        &[CLAUDE_INIT, CLAUDE_TEXT, CLAUDE_DONE],
        Exit::Code(0),
        "none",
    );
    check(
        &[&claude_result(
            "401",
            "Failed to authenticate. API Error: 401 no",
        )],
        failed,
        r#"Unauthorized { detail: "Failed to authenticate. API Error: 401 no" }"#,
    );
    check(
        &[&claude_result("429", "API Error: Request rejected (429)")],
        failed,
        r#"RateLimited { resets_at: None, retry_after: None, detail: "API Error: Request rejected (429)" }"#,
    );
    check(
        &[
            r#"{"type":"rate_limit_event","rate_limit_info":{"status":"rejected","resetsAt":1795700000,"rateLimitType":"five_hour"}}"#,
            &claude_result("429", "limit"),
        ],
        failed,
        r#"RateLimited { resets_at: Some(2026-11-26T13:33:20Z), retry_after: None, detail: "limit" }"#,
    );
    check(
        &[&claude_result(
            "null",
            "Claude AI usage limit reached|1795700000",
        )],
        failed,
        r#"RateLimited { resets_at: Some(2026-11-26T13:33:20Z), retry_after: None, detail: "Claude AI usage limit reached|1795700000" }"#,
    );
    for status in ["500", "529", "null"] {
        check(
            &[&claude_result(status, "API Error")],
            failed,
            r#"Overloaded { detail: "API Error" }"#,
        );
    }
    check(
        &[&claude_result("400", "API Error: 400 prompt is too long")],
        failed,
        r#"Crashed { detail: "API Error: 400 prompt is too long" }"#,
    );
    for (subtype, error) in [
        ("error_max_turns", "Reached maximum number of turns (1)"),
        ("error_max_budget_usd", "Reached maximum budget ($0.0001)"),
    ] {
        check(
            &[&format!(
                r#"{{"type":"result","subtype":"{subtype}","is_error":true,"errors":["{error}"]}}"#
            )],
            failed,
            &format!("BudgetExhausted {{ detail: {error:?} }}"),
        );
    }
    check(
        &[
            "!No conversation found with session ID: x",
            r#"{"type":"result","subtype":"error_during_execution","is_error":true,"errors":["No conversation found with session ID: x"]}"#,
        ],
        failed,
        r#"SessionLost { detail: "No conversation found with session ID: x" }"#,
    );
    check(
        &["!No conversation found with session ID: x"],
        failed,
        r#"SessionLost { detail: "No conversation found with session ID: x" }"#,
    );
}

#[test]
fn claude_codes_word_success_is_not_believed() {
    let check = |lines: &[&str], exit: Exit, expected: &str| {
        assert_eq!(failure("claude-code", lines, exit), expected, "{lines:?}");
    };
    check(
        &[CLAUDE_DONE],
        Exit::Code(1),
        r#"Crashed { detail: "it exited with code 1 without a word" }"#,
    );
    check(
        &[CLAUDE_INIT, CLAUDE_TEXT],
        Exit::Code(0),
        r#"Crashed { detail: "it ended without a result" }"#,
    );
    check(
        &[CLAUDE_INIT],
        Exit::Signal(9),
        r#"Crashed { detail: "signal 9 ended it without a word" }"#,
    );
    // SIGINT: exit code 0, and a result.
    check(
        &[
            r#"{"type":"result","subtype":"error_during_execution","is_error":true,"terminal_reason":"aborted_tools"}"#,
        ],
        Exit::Code(0),
        r#"Crashed { detail: "error_during_execution" }"#,
    );
    check(
        &["!bwrap: execvp /agents/claude-code/claude: No such file or directory"],
        Exit::Code(1),
        r#"ProgramMissing { program: "claude", install: "install it where the sandbox sees it, or correct the agent's settings (bwrap: execvp /agents/claude-code/claude: No such file or directory)" }"#,
    );
}

#[test]
fn a_stopped_program_failed_only_if_it_was_waiting_for_the_model() {
    let overloaded = claude_retry("529", "overloaded");
    let unreachable = claude_retry("null", "connection_error");
    let stopped = |lines: &[&str]| failure("claude-code", lines, Exit::Stopped);
    assert_eq!(stopped(&[CLAUDE_INIT, CLAUDE_TEXT]), "none");
    assert_eq!(stopped(&[&overloaded, CLAUDE_TEXT]), "none");
    assert_eq!(
        stopped(&[&overloaded]),
        r#"Overloaded { detail: "HTTP status 529 (overloaded)" }"#
    );
    assert_eq!(
        stopped(&[&unreachable]),
        r#"Overloaded { detail: "connection_error" }"#
    );
    let limited = r#"{"type":"error","message":"Reconnecting... 1/2 (exceeded retry limit, last status: 429 Too Many Requests)"}"#;
    let item = r#"{"type":"item.completed","item":{"id":"i","type":"agent_message","text":"x"}}"#;
    assert!(failure("codex", &[limited], Exit::Stopped).starts_with("RateLimited"));
    assert_eq!(failure("codex", &[limited, item], Exit::Stopped), "none");
}

#[test]
fn claude_codes_usage_is_of_this_start() {
    let before = Usage {
        input_tokens: 600,
        cached_input_tokens: 3000,
        output_tokens: 102,
        cost_micro_usd: Some(5040),
    };
    let lines = [CLAUDE_INIT, CLAUDE_TEXT, CLAUDE_DONE];
    let seen = outcome("claude-code", &lines, Exit::Code(0), Some(before));
    assert_eq!(
        seen.usage,
        Usage {
            input_tokens: 600,
            cached_input_tokens: 3000,
            output_tokens: 102,
            cost_micro_usd: Some(5040),
        }
    );
    let session = seen.session.unwrap();
    assert_eq!(session.id, "s-1");
    assert_eq!(session.totals.cost_micro_usd, Some(10_080));
    assert_eq!(seen.final_text.as_deref(), Some("Done."));

    // Killed before its result: what its messages said. The same message comes in parts.
    let lines = [CLAUDE_INIT, CLAUDE_TEXT, CLAUDE_TEXT];
    let killed = outcome("claude-code", &lines, Exit::Stopped, Some(before));
    assert_eq!(
        (killed.usage.input_tokens, killed.usage.output_tokens),
        (205, 34)
    );
    assert_eq!(killed.session.unwrap().totals.input_tokens, 805);
    assert_eq!(killed.final_text.as_deref(), Some("Working."));
}

fn codex_failed(message: &str) -> String {
    format!(r#"{{"type":"turn.failed","error":{{"message":"{message}"}}}}"#)
}

const CODEX_DONE: &str = r#"{"type":"turn.completed","usage":{"input_tokens":7200,"cached_input_tokens":6000,"cache_write_input_tokens":0,"output_tokens":204,"reasoning_output_tokens":0}}"#;

#[test]
fn codexs_failures_are_told_apart() {
    let url = "url: http://127.0.0.1:7071/v1/responses";
    for (message, expected) in [
        (
            format!("unexpected status 401 Unauthorized: no, {url}"),
            "Unauthorized",
        ),
        (
            "exceeded retry limit, last status: 429 Too Many Requests".to_owned(),
            "RateLimited",
        ),
        (
            "You've hit your usage limit. Try again in 3 days.".to_owned(),
            "RateLimited { resets_at: None, retry_after: Some(259200s)",
        ),
        (
            "We\u{2019}re currently experiencing high demand, which may cause temporary errors."
                .to_owned(),
            "Overloaded",
        ),
        (
            format!("unexpected status 529 <unknown status code>: no, {url}"),
            "Overloaded",
        ),
        (
            "stream disconnected before completion: stream closed before response.completed"
                .to_owned(),
            "Overloaded",
        ),
        (
            format!("unexpected status 400 Bad Request: no, {url}"),
            "Crashed",
        ),
        ("something else".to_owned(), "Crashed"),
    ] {
        let line = codex_failed(&message);
        let told = failure("codex", &[&line], Exit::Code(1));
        assert!(told.starts_with(expected), "{message}: {told}");
    }
    let lost = "!Error: thread/resume: thread/resume failed: no rollout found for thread id x (code -32600)";
    assert!(failure("codex", &[lost], Exit::Code(1)).starts_with("SessionLost"));
    assert_eq!(
        failure("codex", &["!WARNING: x"], Exit::Code(2)),
        r#"Crashed { detail: "it exited with code 2: WARNING: x" }"#
    );
    assert_eq!(
        failure("codex", &[], Exit::Code(0)),
        r#"Crashed { detail: "it ended without completing a turn" }"#
    );
}

#[test]
fn codexs_errors_beside_a_success_are_no_failure() {
    let lines = [
        r#"{"type":"thread.started","thread_id":"t-1"}"#,
        r#"{"type":"error","message":"Reconnecting... 1/2 (stream disconnected before completion)"}"#,
        r#"{"type":"item.completed","item":{"id":"item_1","type":"agent_message","text":"Done."}}"#,
        CODEX_DONE,
    ];
    let before = Usage {
        input_tokens: 600,
        cached_input_tokens: 3000,
        output_tokens: 102,
        cost_micro_usd: None,
    };
    let seen = outcome("codex", &lines, Exit::Code(0), Some(before));
    assert_eq!(seen.failure, None);
    assert_eq!(seen.usage, before, "7200 of the thread less 3600 before");
    assert_eq!(seen.session.unwrap().totals.output_tokens, 204);
    assert_eq!(seen.final_text.as_deref(), Some("Done."));
    assert!(failure("codex", &lines, Exit::Code(1)).starts_with("Crashed"));
}

#[test]
fn codex_is_given_time_only_while_it_works() {
    let mut parser = by_name("codex").unwrap().parser(&AgentOrder::new("", ""));
    assert_eq!(parser.patience(), None);
    parser.line(
        Stream::Stdout,
        br#"{"type":"error","message":"Reconnecting... waiting for network"}"#,
    );
    assert!(parser.patience().is_some());
    parser.line(
        Stream::Stdout,
        br#"{"type":"item.started","item":{"id":"i","type":"command_execution","command":"ls"}}"#,
    );
    assert_eq!(parser.patience(), None);
}

#[test]
fn codexs_items_become_calls_and_results() {
    let mut parser = by_name("codex").unwrap().parser(&AgentOrder::new("", ""));
    let mut entries = Vec::new();
    for line in [
        r#"{"type":"item.started","item":{"id":"1","type":"command_execution","command":"ls","aggregated_output":"","exit_code":null,"status":"in_progress"}}"#,
        r#"{"type":"item.completed","item":{"id":"1","type":"command_execution","command":"ls","aggregated_output":"a\n","exit_code":2,"status":"failed"}}"#,
        r#"{"type":"item.completed","item":{"id":"2","type":"file_change","changes":[{"path":"a","kind":"update"}],"status":"completed"}}"#,
        r#"{"type":"item.completed","item":{"id":"3","type":"mcp_tool_call","server":"s","tool":"t","arguments":{"x":1},"error":{"message":"no"},"status":"failed"}}"#,
        r#"{"type":"item.completed","item":{"id":"4","type":"web_search","query":"q"}}"#,
        r#"{"type":"item.completed","item":{"id":"5","type":"reasoning","text":"hm"}}"#,
    ] {
        entries.extend(parser.line(Stream::Stdout, line.as_bytes()));
    }
    let shown: Vec<String> = entries
        .iter()
        .map(|entry| match entry {
            Entry::ToolCall { id, tool, .. } => format!("{id} {tool}"),
            Entry::ToolResult {
                id,
                is_error,
                output,
            } => format!("{id} {is_error} {output:?}"),
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(
        shown,
        [
            "1 shell",
            r#"1 true "a\n[exit code 2]""#,
            "2 apply_patch",
            r#"2 false "completed""#,
            "3 s.t",
            r#"3 true "no""#,
            "4 web_search",
            r#"4 false """#,
        ]
    );
}

#[test]
fn an_unknown_event_stays_readable() {
    for harness in [
        "claude-code",
        "codex",
        "gemini",
        "opencode",
        "qwen",
        "copilot",
    ] {
        let mut parser = by_name(harness).unwrap().parser(&AgentOrder::new("", ""));
        for line in [
            r#"{"type":"new.thing","x":1}"#,
            "not JSON",
            "[]",
            "null",
            "{",
        ] {
            let entries = parser.line(Stream::Stdout, line.as_bytes());
            assert!(
                matches!(&entries[..], [Entry::Output { text: Some(text), .. }] if text == line),
                "{harness} {line}: {entries:?}"
            );
        }
    }
}

#[test]
fn a_session_id_from_the_sandbox_cannot_be_an_option() {
    for id in ["--last", "", "a b", "a/../b", &"x".repeat(200)] {
        let line = format!(r#"{{"type":"thread.started","thread_id":"{id}"}}"#);
        let seen = outcome("codex", &[&line, CODEX_DONE], Exit::Code(0), None);
        assert_eq!(seen.session, None, "{id}");
    }
}

/// Bytes as programs print them, with the words the parsers look for in them.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40),
        proptest::sample::select(vec![
            CLAUDE_INIT,
            CLAUDE_TEXT,
            CLAUDE_DONE,
            CODEX_DONE,
            "\n",
            "\u{1e}{\"start\":0}\n",
            "\u{1e}{\"end\":0,\"code\":1}\n",
            r#"{"type":"result","modelUsage":7,"usage":[],"is_error":"x"}"#,
            r#"{"type":"assistant","message":{"content":{"text":3}}}"#,
            r#"{"type":"item.completed","item":[]}"#,
            "again in 99999999999999999999999999999999 days",
            "unexpected status \u{e9}\u{e9}",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_bytes_make_a_parser_panic(bytes in bytes(), code in any::<i32>(), max in 1_usize..200) {
        for harness in ALL {
            let order = AgentOrder::new("", "```sh\ntrue\n```\n");
            let mut parser = harness.parser(&order);
            let mut splitter = LineSplitter::new(max);
            let mut lines = splitter.push(&bytes);
            lines.extend(splitter.end());
            for line in &lines {
                parser.line(Stream::Stderr, line);
                parser.line(Stream::Stdout, line);
            }
            parser.finish(Exit::Code(code));
        }
    }
}
