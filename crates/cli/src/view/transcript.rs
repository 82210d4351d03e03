//! A run's log for people: who said what, and what the tools answered.
//!
//! Invariant: every record is shown, also one that this version cannot read; a long output is cut
//! and says so. Deliberately absent: judging anything by it.

use nightshift_domain::transcript::{Entry, Record, Step, Stream};
use serde_json::Value;

use super::run::usage;
use crate::screen::{Screen, Span, Style, bold, cyan, dim, plain, yellow};

/// How many lines of one tool's output are shown unless all are wanted.
const LINES: usize = 24;

/// Draws records one after another.
#[derive(Debug)]
pub(crate) struct Transcript {
    full: bool,
    step: Option<Step>,
    part: Vec<u8>,
}

impl Transcript {
    /// With `full`, outputs are not cut.
    pub(crate) fn new(full: bool) -> Self {
        Self {
            full,
            step: None,
            part: Vec::new(),
        }
    }

    /// Draws the lines that `bytes` completes.
    pub(crate) fn push(&mut self, screen: &mut Screen, bytes: &[u8]) {
        self.part.extend_from_slice(bytes);
        while let Some(end) = self.part.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.part.drain(..=end).collect();
            self.line(screen, &line);
        }
    }

    /// Draws what is left of a log whose last line was cut.
    pub(crate) fn finish(&mut self, screen: &mut Screen) {
        let rest = std::mem::take(&mut self.part);
        self.line(screen, &rest);
    }

    fn line(&mut self, screen: &mut Screen, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        match serde_json::from_str::<Record>(text) {
            Ok(record) => self.record(screen, &record),
            Err(_) => screen.text("? ", Style::Dim, text),
        }
    }

    fn record(&mut self, screen: &mut Screen, record: &Record) {
        if self.step != Some(record.step) {
            if self.step.is_some() {
                screen.gap();
            }
            self.step = Some(record.step);
            let time = record.at.strftime("%H:%M:%S").to_string();
            screen.line([bold(step(record.step)), dim(format!("  {time}"))]);
        }
        match &record.entry {
            Entry::Text { text } => screen.text("  ", Style::Plain, text),
            Entry::ToolCall { tool, input, .. } => {
                screen.line([plain("  "), cyan(format!("> {tool}  ")), plain(call(input))]);
            }
            Entry::ToolResult {
                is_error, output, ..
            } => {
                let style = if *is_error { Style::Red } else { Style::Dim };
                self.output(screen, "    | ", style, output);
            }
            Entry::Output {
                stream,
                text,
                base64,
            } => {
                let style = match stream {
                    Stream::Stdout => Style::Plain,
                    Stream::Stderr => Style::Dim,
                };
                match (text, base64) {
                    (Some(text), _) => self.output(screen, "  | ", style, text),
                    (None, Some(coded)) => screen.line([dim(format!(
                        "  | ({} bytes that are no text; see --raw)",
                        coded.trim_end_matches('=').len() * 3 / 4
                    ))]),
                    (None, None) => {}
                }
            }
            Entry::Usage(used) => screen.line([dim(format!("  used {}", usage(used)))]),
            Entry::Question { text } => {
                screen.line([yellow("  asks")]);
                screen.text("    ", Style::Yellow, text);
            }
            Entry::Status { text } => screen.line([dim("  - "), Span::new(Style::Dim, text)]),
        }
    }

    fn output(&self, screen: &mut Screen, margin: &str, style: Style, output: &str) {
        let output = output.trim_end_matches('\n');
        if output.is_empty() {
            return;
        }
        let lines: Vec<_> = output.lines().collect();
        if self.full || lines.len() <= LINES {
            screen.text(margin, style, output);
            return;
        }
        // Both ends tell most: what was called, and how it ended.
        let half = LINES / 2;
        screen.text(margin, style, &lines[..half].join("\n"));
        let hidden = lines.len() - 2 * half;
        screen.line([dim(format!("{margin}... {hidden} more lines (--full)"))]);
        screen.text(margin, style, &lines[lines.len() - half..].join("\n"));
    }
}

fn step(step: Step) -> &'static str {
    match step {
        Step::Prepare => "prepare",
        Step::Setup => "set-up",
        Step::Agent => "agent",
        Step::Checks => "checks",
        Step::Publish => "publish",
        Step::Runner => "runner",
    }
}

/// The arguments of a call on one line: the one that matters, or all of them.
fn call(input: &Value) -> String {
    const MOST: usize = 160;
    let telling = [
        "command",
        "cmd",
        "file_path",
        "path",
        "pattern",
        "query",
        "url",
    ];
    let text = match telling.iter().find_map(|name| input.get(name)) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(words)) => {
            let words = words.iter().map(|word| match word {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            });
            words.collect::<Vec<_>>().join(" ")
        }
        Some(other) => other.to_string(),
        None if input.is_null() => String::new(),
        None => input.to_string(),
    };
    if text.chars().count() > MOST {
        let cut: String = text.chars().take(MOST).collect();
        return format!("{cut}...");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = r#"{"at":"2026-03-02T22:30:00Z","step":"prepare","kind":"status","text":"workspace at bbbb"}
{"at":"2026-03-02T22:30:01Z","step":"agent","kind":"text","text":"I look at the test.\nThen I change it."}
{"at":"2026-03-02T22:30:02Z","step":"agent","kind":"tool_call","id":"1","tool":"Bash","input":{"command":"python3 -m unittest","description":"x"}}
{"at":"2026-03-02T22:30:03Z","step":"agent","kind":"tool_result","id":"1","is_error":true,"output":"FAIL\u001b[0m\n"}
{"at":"2026-03-02T22:30:04Z","step":"agent","kind":"usage","input_tokens":10,"cached_input_tokens":2,"output_tokens":3}
{"at":"2026-03-02T22:30:05Z","step":"agent","kind":"question","text":"Monday or Sunday?"}
{"at":"2026-03-02T22:30:06Z","step":"checks","kind":"output","stream":"stderr","text":"Ran 41 tests\n"}
{"at":"2026-03-02T22:30:06Z","step":"checks","kind":"output","stream":"stdout","base64":"//8="}
{"kind":"of a later version"}
{"at":"2026-03-02T22:30:07Z","step":"agent","kind":"te"#;

    #[test]
    fn a_log_reads_as_a_story() {
        let mut screen = Screen::new(false, None);
        let mut transcript = Transcript::new(false);
        for chunk in LOG.as_bytes().chunks(7) {
            transcript.push(&mut screen, chunk);
        }
        transcript.finish(&mut screen);
        insta::assert_snapshot!(screen.as_str());
    }

    #[test]
    fn a_long_output_is_cut_in_the_middle() {
        let output = (1..=100)
            .map(|n| format!("line {n}\\n"))
            .collect::<String>();
        let record = format!(
            r#"{{"at":"2026-03-02T22:30:03Z","step":"agent","kind":"tool_result","id":"1","is_error":false,"output":"{output}"}}"#
        );
        let draw = |full| {
            let mut screen = Screen::new(false, None);
            Transcript::new(full).push(&mut screen, format!("{record}\n").as_bytes());
            screen.take()
        };
        assert!(draw(false).contains("... 76 more lines"));
        assert!(draw(false).contains("| line 100\n"));
        assert_eq!(draw(true).lines().count(), 101);
    }
}
