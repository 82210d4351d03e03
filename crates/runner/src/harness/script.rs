//! An agent that needs no model: the shell blocks of the issue, one after the other.
//!
//! Each block runs with `sh -eu` (or `bash -eu`) in the working tree; the first that fails ends
//! the start. A block `ask` puts its text to the person through `nightshift ask` and ends the
//! start; the next start of the same round goes on behind it. The blocks and a driver are files
//! in HOME; the driver says on standard output where it is, in lines that begin with the record
//! separator (U+001E). A block can print such lines too; only the log would be wrong, as with
//! any agent. Deliberately absent: any meaning beyond the exit code.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use nightshift_domain::told::failure as say;
use nightshift_domain::transcript::{Entry, Stream, Usage};
use serde_json::{Value, json};

use super::fault;
use super::invocation::{HomeFile, Invocation, PlanError, Stdin, block_place};
use super::line::{Tail, output, shorten_input};
use super::order::{AgentOrder, Session};
use super::outcome::{AgentFailure, AgentOutcome, Exit};
use super::script_block::{Kind, Selection, select};
use super::{EventParser, Harness};

const DIR: &str = ".nightshift-script";
const SEPARATOR: u8 = 0x1e;

/// The harness `script`.
#[derive(Debug, Clone, Copy)]
pub struct Script;

impl Harness for Script {
    fn name(&self) -> &'static str {
        "script"
    }

    fn resumes(&self) -> bool {
        true
    }

    fn plan(&self, order: &AgentOrder) -> Result<Invocation, PlanError> {
        let selection = select(order)?;
        let driver = order.paths.home.join(DIR).join("run.sh");
        let mut invocation = Invocation::new(vec!["sh".into(), driver.into()], Stdin::Null);
        invocation.files = selection
            .blocks
            .iter()
            .enumerate()
            .map(|(index, block)| HomeFile::new(file(index), block.text.as_bytes()))
            .collect();
        invocation.files.push(HomeFile::new(
            Path::new(DIR).join("run.sh"),
            drive(&selection, &order.paths.home, &order.paths.control),
        ));
        Ok(invocation)
    }

    fn parser(&self, order: &AgentOrder) -> Box<dyn EventParser> {
        // An order that cannot be planned is never started.
        Box::new(ScriptParser {
            selection: select(order).ok(),
            ran: 0,
            asked: None,
            failed: None,
            stderr: Tail::default(),
        })
    }
}

fn file(index: usize) -> PathBuf {
    Path::new(DIR).join(format!("block-{index}"))
}

/// The driver: POSIX shell, no value of the issue in it.
fn drive(selection: &Selection, home: &Path, control: &Path) -> String {
    let mut driver = String::from("say() { printf '\\036%s\\n' \"$1\"; }\n");
    let ask = quoted(&control.join("bin/nightshift"));
    for (index, block) in selection.blocks.iter().enumerate().skip(selection.from) {
        let path = quoted(&home.join(file(index)));
        let run = match block.kind {
            Kind::Sh => format!("sh -eu {path}"),
            Kind::Bash => format!("bash -eu {path}"),
            Kind::Ask => format!("{ask} ask \"$(cat {path})\""),
        };
        let done = match block.kind {
            Kind::Sh | Kind::Bash => "",
            Kind::Ask => "exit 0\n",
        };
        // Writing to a String does not fail.
        let _ = write!(
            driver,
            "say '{{\"start\":{index}}}'\n{run} </dev/null; code=$?\nsay '{{\"end\":{index},\"code\":'\"$code\"'}}'\n[ \"$code\" = 0 ] || exit \"$code\"\n{done}",
        );
    }
    driver
}

fn quoted(path: &Path) -> String {
    format!("'{}'", path.to_string_lossy().replace('\'', "'\\''"))
}

#[derive(Debug)]
struct ScriptParser {
    selection: Option<Selection>,
    ran: usize,
    /// The block behind the question that ended this start.
    asked: Option<usize>,
    failed: Option<(usize, i64)>,
    stderr: Tail,
}

impl ScriptParser {
    fn event(&mut self, event: &Value) -> Option<Entry> {
        let selection = self.selection.as_ref()?;
        let at = |name: &str| {
            let index = usize::try_from(event[name].as_u64()?).ok()?;
            Some((index, selection.blocks.get(index)?))
        };
        if let Some((index, block)) = at("start") {
            return Some(match block.kind {
                Kind::Ask => Entry::Question {
                    text: block.text.clone(),
                },
                Kind::Sh | Kind::Bash => Entry::ToolCall {
                    id: index.to_string(),
                    tool: if block.kind == Kind::Bash {
                        "bash"
                    } else {
                        "sh"
                    }
                    .to_owned(),
                    input: shorten_input(json!({ "line": block.line, "script": block.text })),
                },
            });
        }
        let (index, block) = at("end")?;
        let code = event["code"].as_i64()?;
        if code == 0 {
            self.ran += 1;
            if block.kind == Kind::Ask {
                self.asked = Some(index + 1);
                return Some(Entry::Status {
                    text: "the question is asked; the blocks behind it run after the answer"
                        .to_owned(),
                });
            }
        } else {
            self.failed = Some((index, code));
        }
        Some(Entry::ToolResult {
            id: index.to_string(),
            is_error: code != 0,
            output: format!("exit code {code}"),
        })
    }

    fn summary(&self) -> String {
        let Some(selection) = &self.selection else {
            return "Nothing was run.".to_owned();
        };
        let left = selection.blocks.len() - selection.from;
        if left == 0 {
            return format!(
                "Nothing was run: the {} has no shell block for round {}{}. Write one, fenced with ```sh.",
                selection.place,
                selection.round(),
                match selection.repair() {
                    0 => String::new(),
                    repair => format!(", repair {repair} (`sh repair={repair}`)"),
                },
            );
        }
        format!(
            "{} of {left} blocks of the {} ran.",
            self.ran, selection.place
        )
    }
}

impl EventParser for ScriptParser {
    fn line(&mut self, stream: Stream, line: &[u8]) -> Vec<Entry> {
        if stream == Stream::Stderr {
            self.stderr.see(line);
            return vec![output(stream, line)];
        }
        // A block need not end its last line.
        let Some(at) = line.iter().position(|byte| *byte == SEPARATOR) else {
            return vec![output(stream, line)];
        };
        let event = serde_json::from_slice(&line[at + 1..])
            .ok()
            .and_then(|event: Value| self.event(&event));
        match event {
            None => vec![output(stream, line)],
            Some(event) if at == 0 => vec![event],
            Some(event) => vec![output(stream, &line[..at]), event],
        }
    }

    fn finish(self: Box<Self>, exit: Exit) -> AgentOutcome {
        let failure = match (&self.failed, exit) {
            (_, Exit::Stopped | Exit::Code(0)) => None,
            (Some((index, code)), Exit::Code(_)) => {
                let (line, place) = match &self.selection {
                    Some(selection) => (selection.blocks[*index].line, selection.place),
                    None => (0, "issue"),
                };
                let ended = say::block(line, block_place(place), *code);
                Some(AgentFailure::Crashed {
                    detail: match self.stderr.last() {
                        Some(words) => say::ended_with(ended, words),
                        None => ended,
                    }
                    .into(),
                })
            }
            _ => fault::of_end("sh", exit, self.stderr.last()),
        };
        let session = self
            .asked
            .zip(self.selection.as_ref())
            .and_then(|(next, selection)| {
                Session::from_program(&selection.session_id(next), Usage::default())
            });
        AgentOutcome {
            session,
            usage: Usage::default(),
            final_text: Some(self.summary()),
            failure,
        }
    }
}
