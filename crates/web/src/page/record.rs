//! Records of a run's log as a list: what an agent says as Markdown, what programs print as text,
//! a call and its result folded into one.
//!
//! Every byte comes from an agent or a program and is untrusted: it goes through [`plain`], and then
//! through escaping or sanitised Markdown. A record's anchor is the offset it begins at, which never
//! changes. Deliberately absent: reading logs.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, html};
use nightshift_app::use_case::transcript::LogLine;
use nightshift_domain::transcript::{Entry, Record, Step, Stream, Usage};

use super::plain::plain;
use super::words::Words;
use super::{markdown, parts};

/// The most of one text that is shown, in bytes.
const SHOWN: usize = 256 << 10;
/// The most of a call's arguments in its one line, in characters.
const BRIEF: usize = 120;

/// One record, or a line that is none.
struct Said {
    offset: u64,
    record: Result<Record, String>,
}

/// The records as items of a list; `step` is the step of the record before, and becomes that of the
/// last one.
pub(crate) fn items(words: &Words, lines: &[LogLine], step: &mut Option<Step>) -> Markup {
    let all: Vec<Said> = lines.iter().map(read).collect();
    let pairs = pairs(&all);
    let taken: Vec<usize> = pairs.values().copied().collect();
    html! {
        @for (place, said) in all.iter().enumerate() {
            @if !taken.contains(&place) {
                @if let Some(new) = new_step(said, step) {
                    li.step { (step_word(words, new)) }
                }
                (item(words, said, pairs.get(&place).map(|at| &all[*at])))
            }
        }
    }
}

/// The text of a record as a person reads it, for a search.
pub(crate) fn text_of(bytes: &[u8]) -> String {
    match serde_json::from_slice::<Record>(bytes) {
        Err(_) => plain(&String::from_utf8_lossy(bytes)),
        Ok(record) => match record.entry {
            Entry::Text { text } | Entry::Question { text } | Entry::Status { text } => {
                plain(&text)
            }
            Entry::ToolCall { tool, input, .. } => plain(&format!("{tool} {}", arguments(&input))),
            Entry::ToolResult { output, .. } => plain(&output),
            Entry::Output { text, base64, .. } => printed(text.as_deref(), base64.as_deref()),
            Entry::Usage(_) => String::new(),
        },
    }
}

fn read(line: &LogLine) -> Said {
    let record = serde_json::from_slice(&line.bytes)
        .map_err(|_| String::from_utf8_lossy(&line.bytes).into_owned());
    Said {
        offset: line.offset,
        record,
    }
}

/// Which call has its result where, by their places.
fn pairs(all: &[Said]) -> HashMap<usize, usize> {
    let mut open: HashMap<&str, usize> = HashMap::new();
    let mut pairs = HashMap::new();
    for (place, said) in all.iter().enumerate() {
        match said.record.as_ref().map(|record| &record.entry) {
            Ok(Entry::ToolCall { id, .. }) => {
                open.insert(id, place);
            }
            Ok(Entry::ToolResult { id, .. }) => {
                if let Some(call) = open.remove(id.as_str()) {
                    pairs.insert(call, place);
                }
            }
            _ => {}
        }
    }
    pairs
}

fn new_step(said: &Said, step: &mut Option<Step>) -> Option<Step> {
    let new = said.record.as_ref().ok()?.step;
    (step.replace(new) != Some(new)).then_some(new)
}

fn item(words: &Words, said: &Said, result: Option<&Said>) -> Markup {
    let anchor = format!("o{}", said.offset);
    let record = match &said.record {
        Ok(record) => record,
        Err(line) => {
            return html! {
                li.record.odd-line #(anchor) { (stamp(words, said, "–")) pre { (cut(words, &plain(line))) } }
            };
        }
    };
    let at = record.at.strftime("%H:%M:%S").to_string();
    let (class, open, body) = body(words, record, result);
    let answers = match &record.entry {
        Entry::ToolResult { id, .. } => Some(id),
        _ => None,
    };
    let call = match &record.entry {
        Entry::ToolCall { id, .. } => Some(id),
        _ => None,
    };
    html! {
        li.record .(class) #(anchor) data-call=[call] data-answers=[answers] data-open=[open.then_some("")] {
            (stamp(words, said, &at)) div.body { (body) }
        }
    }
}

/// The time, which is a link to this very record.
fn stamp(words: &Words, said: &Said, at: &str) -> Markup {
    let offset = said.offset;
    html! {
        a.stamp href={ "?at=" (offset) "#o" (offset) }
            aria-label=(words.fill("run.link-to", &[("time", &at)])) { (at) }
    }
}

/// The class of a record, whether it stands out, and what it shows.
fn body(words: &Words, record: &Record, result: Option<&Said>) -> (&'static str, bool, Markup) {
    match &record.entry {
        Entry::Text { text } => (
            "text",
            false,
            html! { div.prose { (markdown::render(&shortened(words, &plain(text)))) } },
        ),
        Entry::ToolCall { tool, input, .. } => {
            let failed = result.is_some_and(is_error);
            let markup = html! {
                details open[failed] {
                    summary {
                        b { (plain(tool)) } " " code { (brief(input)) }
                        @if failed { " " span.bad { "✗ " (words.get("run.tool-failed")) } }
                    }
                    pre { (cut(words, &plain(&arguments(input)))) }
                    @if let Some(said) = result { (answer(words, said)) }
                }
            };
            ("call", failed, markup)
        }
        Entry::ToolResult {
            is_error, output, ..
        } => (
            "result-alone",
            *is_error,
            html! {
                details open[*is_error] {
                    summary { (words.get("run.tool-result")) }
                    pre class=(if *is_error { "bad" } else { "" }) { (cut(words, &plain(output))) }
                }
            },
        ),
        Entry::Output {
            stream,
            text,
            base64,
        } => {
            let shown = printed(text.as_deref(), base64.as_deref());
            let (class, label) = match stream {
                Stream::Stdout => ("printed", None),
                Stream::Stderr => ("printed stderr", Some("stderr")),
            };
            let markup = html! {
                @if let Some(label) = label { span.quiet.label { (label) } }
                pre { (cut(words, &shown)) }
            };
            (class, false, markup)
        }
        Entry::Usage(usage) => ("usage", false, html! { p.quiet { (used(words, usage)) } }),
        Entry::Question { text } => (
            "asked",
            true,
            html! { blockquote { (markdown::render(&shortened(words, &plain(text)))) } },
        ),
        Entry::Status { text } => ("told", false, html! { p { (cut(words, &plain(text))) } }),
    }
}

fn is_error(said: &Said) -> bool {
    let entry = said.record.as_ref().map(|record| &record.entry);
    matches!(entry, Ok(Entry::ToolResult { is_error: true, .. }))
}

/// The result of a call, inside the call; it keeps its own anchor.
fn answer(words: &Words, said: &Said) -> Markup {
    let Ok(Record {
        entry: Entry::ToolResult {
            output, is_error, ..
        },
        ..
    }) = &said.record
    else {
        return html! {};
    };
    html! {
        pre.answer #{ "o" (said.offset) } .bad[*is_error] { (cut(words, &plain(output))) }
    }
}

/// What was used, in words.
pub(crate) fn used(words: &Words, usage: &Usage) -> String {
    let mut text = words.fill(
        "run.tokens",
        &[
            ("input", &usage.input_tokens),
            ("cached", &usage.cached_input_tokens),
            ("output", &usage.output_tokens),
        ],
    );
    if let Some(cost) = usage.cost_micro_usd {
        text.push_str(" · ");
        text.push_str(&parts::money(i64::try_from(cost).unwrap_or(i64::MAX)));
    }
    text
}

fn printed(text: Option<&str>, base64: Option<&str>) -> String {
    match (text, base64) {
        (Some(text), _) => plain(text),
        (None, Some(coded)) => match STANDARD.decode(coded) {
            Ok(bytes) => plain(&String::from_utf8_lossy(&bytes)),
            Err(_) => plain(coded),
        },
        (None, None) => String::new(),
    }
}

fn arguments(input: &serde_json::Value) -> String {
    match input {
        serde_json::Value::String(text) => text.clone(),
        other => serde_json::to_string_pretty(other).unwrap_or_default(),
    }
}

/// The one argument that says most, on one line.
fn brief(input: &serde_json::Value) -> String {
    const TELLING: &[&str] = &[
        "command",
        "script",
        "cmd",
        "file_path",
        "path",
        "pattern",
        "query",
        "url",
        "description",
    ];
    let telling = TELLING.iter().find_map(|name| match input.get(name)? {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Array(_) => input.get(name).map(ToString::to_string),
        _ => None,
    });
    let text = plain(&telling.unwrap_or_else(|| input.to_string()));
    let mut line: String = text
        .chars()
        .map(|one| if one == '\n' || one == '\t' { ' ' } else { one })
        .take(BRIEF)
        .collect();
    if text.chars().nth(BRIEF).is_some() {
        line.push('…');
    }
    line
}

/// Text, as much of it as is shown.
fn cut(words: &Words, text: &str) -> Markup {
    html! { (shortened(words, text)) }
}

fn shortened(words: &Words, text: &str) -> String {
    if text.len() <= SHOWN {
        return text.to_owned();
    }
    let end = (0..=SHOWN)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or_default();
    let left = text.len() - end;
    format!(
        "{}\n\n{}",
        &text[..end],
        words.fill("run.shortened", &[("bytes", &left)])
    )
}

fn step_word(words: &Words, step: Step) -> &str {
    words.get(match step {
        Step::Prepare => "step.prepare",
        Step::Setup => "step.setup",
        Step::Agent => "step.agent",
        Step::Checks => "step.checks",
        Step::Publish => "step.publish",
        Step::Runner => "step.runner",
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::page::words;

    fn lines(entries: &[Value]) -> Vec<LogLine> {
        let mut offset = 0;
        entries
            .iter()
            .map(|entry| {
                let mut whole = json!({"at": "2026-01-02T03:04:05Z", "step": "agent"});
                let fields = entry.as_object().expect("an object").clone();
                whole.as_object_mut().expect("an object").extend(fields);
                let bytes = whole.to_string().into_bytes();
                let line = LogLine { offset, bytes };
                offset += line.bytes.len() as u64 + 1;
                line
            })
            .collect()
    }

    fn shown(entries: &[Value]) -> String {
        items(&words::all()[0], &lines(entries), &mut None).into_string()
    }

    #[test]
    fn every_kind_of_record() {
        let html = shown(&[
            json!({"kind": "status", "text": "the sandbox stands"}),
            json!({"kind": "text", "text": "I look at **it**."}),
            json!({"kind": "tool_call", "id": "1", "tool": "Bash", "input": {"command": "ls\n-l"}}),
            json!({"kind": "output", "stream": "stderr", "text": "\u{1b}[31mwarn\u{1b}[0m\n"}),
            json!({"kind": "tool_result", "id": "1", "is_error": true, "output": "no such"}),
            json!({"kind": "output", "stream": "stdout", "base64": "/w=="}),
            json!({"kind": "usage", "input_tokens": 5, "cached_input_tokens": 2, "output_tokens": 1, "cost_micro_usd": 1_230_000}),
            json!({"kind": "question", "text": "Which *one*?"}),
        ]);
        insta::assert_snapshot!(html.replace("<li", "\n<li"));
    }

    #[test]
    fn a_result_stands_in_its_call_once_and_keeps_its_anchor() {
        let html = shown(&[
            json!({"kind": "tool_call", "id": "x", "tool": "A", "input": {}}),
            json!({"kind": "tool_result", "id": "y", "is_error": false, "output": "stray"}),
            json!({"kind": "tool_result", "id": "x", "is_error": false, "output": "mine"}),
            json!({"kind": "tool_result", "id": "x", "is_error": false, "output": "second"}),
        ]);
        assert_eq!(html.matches("mine").count(), 1);
        assert_eq!(html.matches("result-alone").count(), 2, "{html}");
        let at = html.find("mine").expect("shown");
        assert!(
            html[..at].rfind("<details").expect("folded")
                < html[..at].rfind("id=\"o").expect("an anchor")
        );
    }

    #[test]
    fn nothing_active_survives_in_any_field() {
        for evil in [
            "<script>alert(1)</script>",
            "\"><img src=x onerror=alert(1)>",
            "' onmouseover='alert(1)",
            "[x](javascript:alert(1))",
            "</pre></details><svg/onload=alert(1)>",
            "<\u{1b}[0mscript>alert(1)</script>",
            "![x](http://evil.test/p.png)",
            "<\0script>alert(1)</script>",
        ] {
            let html = shown(&[
                json!({"kind": "status", "text": evil}),
                json!({"kind": "text", "text": evil}),
                json!({"kind": "question", "text": evil}),
                json!({"kind": "tool_call", "id": evil, "tool": evil, "input": {"command": evil, evil: evil}}),
                json!({"kind": "tool_result", "id": evil, "is_error": false, "output": evil}),
                json!({"kind": "tool_result", "id": evil, "is_error": true, "output": evil}),
                json!({"kind": "output", "stream": "stdout", "text": evil}),
                json!({"kind": "output", "stream": "stdout", "base64": STANDARD.encode(evil)}),
                json!({"kind": "output", "stream": "stdout", "base64": evil}),
                json!({"kind": evil}),
            ]);
            let lower = html.to_lowercase();
            for active in ["<script", "<img", "<svg", "href=\"javascript"] {
                assert!(!lower.contains(active), "{evil} became {html}");
            }
            // What a test of letters cannot see: no attribute of a tag begins with `on`.
            for tag in lower.split('<').skip(1) {
                let tag = tag.split('>').next().expect("a tag");
                let outside: String = tag.split('"').step_by(2).collect();
                assert!(!outside.contains(" on"), "{evil} became <{tag}>");
            }
        }
    }

    #[test]
    fn a_line_that_is_no_record_is_shown_as_it_is() {
        let line = LogLine {
            offset: 7,
            bytes: b"not json \xff <b>".to_vec(),
        };
        let html = items(&words::all()[0], &[line], &mut None).into_string();
        assert!(
            html.contains("id=\"o7\"") && html.contains("not json \u{fffd} &lt;b&gt;"),
            "{html}"
        );
    }
}
