//! The loop: ask, carry out what the model calls for, ask again, until it has nothing more to do.
//!
//! [`next`] is the rule, the rest carries it out. Invariants: an end that the model did not reach (cut,
//! empty, refused, out of turns) is no success; whatever interrupts leaves a conversation in which each
//! call is answered. Deliberately absent: a verdict on the work.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::ask::Model;
use super::memory::Memory;
use super::platform::Platform;
use super::report::Report;
use super::talk::{Call, Said, Turn};
use super::tool::{self, Act, Offer};
use super::wire::{Answer, Missing, Question, Stop};
use super::{CONTEXT_BYTES, Options, context, file, shell};

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ended {
    /// The model has nothing more to do; its last words.
    Done(String),
    /// Something else ended it.
    Failed {
        /// For `harness::native_event`.
        kind: &'static str,
        detail: String,
        wait_s: Option<u64>,
    },
    /// SIGINT, in the middle.
    Interrupted,
}

impl Ended {
    pub(super) fn failed(kind: &'static str, detail: String) -> Self {
        Self::Failed {
            kind,
            detail,
            wait_s: None,
        }
    }

    fn missing(missing: Missing) -> Self {
        let (kind, detail, wait_s) = match missing {
            Missing::Limited { detail, wait_s } => ("limited", detail, wait_s),
            Missing::Unauthorized(detail) => ("unauthorized", detail, None),
            Missing::Budget(detail) => ("budget", detail, None),
            Missing::Unavailable(detail) => ("unavailable", detail, None),
            Missing::TooLong(detail) => (
                "other",
                format!(
                    "the conversation does not fit into what the model can read, though room was made: {detail}"
                ),
                None,
            ),
            Missing::Wrong(detail) => ("other", detail, None),
        };
        Self::Failed {
            kind,
            detail,
            wait_s,
        }
    }

    fn disk(error: &std::io::Error) -> Self {
        Self::failed("other", format!("the session cannot be written: {error}"))
    }
}

/// How often in a row a model is told that its answer is none.
const NUDGES: u32 = 2;
const CUT: &str = "Your last answer was cut off, since it was too long for one answer. Go on in smaller steps: write large files in several parts.";
const EMPTY: &str =
    "Your last answer was empty. Go on with the work, or say in words what you have done.";

/// What follows from an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Next {
    /// Its calls are carried out.
    Call,
    /// It has nothing more to do.
    Done,
    /// It is told this.
    Say(&'static str),
    /// There is no sense in going on.
    Fail(String),
}

/// The rule. `nudges` says how often in a row the model was told that its answer is none.
fn next(answer: &Answer, nudges: u32) -> Next {
    let again = |words, why: &str| match nudges < NUDGES {
        true => Next::Say(words),
        false => Next::Fail(why.to_owned()),
    };
    match &answer.stop {
        Stop::Refused(why) => Next::Fail(format!("the model refused: {why}")),
        _ if !answer.calls.is_empty() => Next::Call,
        Stop::Cut => again(CUT, "the model's answers were cut off, one after the other"),
        Stop::End if answer.text.trim().is_empty() => {
            again(EMPTY, "the model's answers were empty, one after the other")
        }
        Stop::End => Next::Done,
    }
}

fn system(tree: &Path) -> String {
    format!(
        "You are a software engineer. You work alone in a sandbox, in a checkout of a project at {}. \
         Nobody watches or answers while you work. Use the tools: look before you change, change the \
         files themselves, and run the project's tests. Paths are relative to that folder. Do not \
         commit; what is in the folder when you end is your result. When the work is done, say in a \
         few sentences what you did and why, without calling a tool.",
        tree.display()
    )
}

/// One start of the agent.
pub(super) struct Work<'a> {
    options: &'a Options,
    model: Model,
    memory: Memory,
    system: String,
    tree: PathBuf,
    platform: Option<Platform>,
    /// Everything that the model may call.
    offers: Vec<Offer>,
    report: &'a mut Report,
    interrupts: Signal,
    /// How large the conversation may be.
    room: usize,
}

impl<'a> Work<'a> {
    /// Does the work.
    pub(super) async fn run(
        options: &'a Options,
        prompt: String,
        tree: PathBuf,
        report: &'a mut Report,
    ) -> Ended {
        let interrupts = match signal(SignalKind::interrupt()) {
            Ok(interrupts) => interrupts,
            Err(error) => return Ended::failed("other", format!("no signals: {error}")),
        };
        let memory = match &options.resume {
            None => Memory::fresh(&options.sessions).map_err(|error| Ended::disk(&error)),
            Some(id) => Memory::resumed(&options.sessions, id)
                .map_err(|error| Ended::failed("session-lost", format!("session {id}: {error}"))),
        };
        let memory = match memory {
            Ok(memory) => memory,
            Err(ended) => return ended,
        };
        let platform = match options.tools.as_deref().map(Platform::open).transpose() {
            Ok(platform) => platform,
            Err(why) => {
                return Ended::failed(
                    "other",
                    format!("the platform's tools cannot be opened: {why}"),
                );
            }
        };
        let mut offers = tool::own();
        if platform.is_some() {
            offers.extend(Platform::offers());
        }
        report.session(&memory.id, &options.model);
        let mut work = Self {
            options,
            model: Model::new(options),
            memory,
            system: system(&tree),
            tree,
            platform,
            offers,
            report,
            interrupts,
            room: CONTEXT_BYTES,
        };
        match work.go(prompt).await {
            Ok(ended) | Err(ended) => ended,
        }
    }

    async fn go(&mut self, prompt: String) -> Result<Ended, Ended> {
        self.remember(Turn::Prompt { text: prompt })?;
        let mut nudges = 0;
        for _ in 0..self.options.max_turns {
            let answer = self.answer().await?;
            self.report.used(answer.used);
            let words = !answer.text.trim().is_empty();
            if words {
                self.report.text(&answer.text);
            }
            let next = next(&answer, nudges);
            let Answer { text, calls, .. } = answer;
            if words || !calls.is_empty() {
                let (text, calls) = (text.clone(), calls.clone());
                self.remember(Turn::Answer { text, calls })?;
            }
            match next {
                Next::Call => {
                    nudges = 0;
                    self.call_all(&calls).await?;
                }
                Next::Done => return Ok(Ended::Done(text)),
                Next::Say(words) => {
                    nudges += 1;
                    self.report.note(&format!("the model is told: {words}"));
                    let text = words.to_owned();
                    self.remember(Turn::Prompt { text })?;
                }
                Next::Fail(why) => return Err(Ended::failed("other", why)),
            }
        }
        let turns = self.options.max_turns;
        Err(Ended::failed(
            "turns",
            format!("{turns} answers of the model did not bring the work to its end"),
        ))
    }

    /// The next answer; where the conversation is too long for it, room is made.
    async fn answer(&mut self) -> Result<Answer, Ended> {
        loop {
            let size = context::size(&self.memory.turns);
            if size > self.room {
                self.shrink(self.room / 2)?;
            }
            let question = Question {
                model: &self.options.model,
                system: &self.system,
                turns: &self.memory.turns,
                tools: &self.offers,
            };
            let answer = tokio::select! {
                answer = self.model.ask(&question, self.report) => answer,
                _ = self.interrupts.recv() => return Err(Ended::Interrupted),
            };
            match answer {
                Ok(answer) => return Ok(answer),
                Err(Missing::TooLong(why)) => {
                    let size = context::size(&self.memory.turns);
                    // This model reads less than was thought.
                    self.room = size * 3 / 4;
                    if self.shrink(size / 2)? == 0 {
                        return Err(Ended::missing(Missing::TooLong(why)));
                    }
                }
                Err(missing) => return Err(Ended::missing(missing)),
            }
        }
    }

    fn shrink(&mut self, goal: usize) -> Result<usize, Ended> {
        let gone = context::shrink(&mut self.memory.turns, goal);
        if gone > 0 {
            self.report.note(&format!(
                "the conversation was too long: {gone} bytes of what tools said were taken out"
            ));
            let written = self.memory.write_anew();
            written.map_err(|error| Ended::disk(&error))?;
        }
        Ok(gone)
    }

    /// Carries out all calls of an answer, in their order.
    async fn call_all(&mut self, calls: &[Call]) -> Result<(), Ended> {
        let mut results = Vec::new();
        let mut interrupted = false;
        for call in calls {
            self.report.call(call);
            let said = match interrupted {
                true => call.not_run(),
                false => tokio::select! {
                    said = carry_out(&self.tree, self.platform.as_ref(), &self.offers, call) => said,
                    _ = self.interrupts.recv() => {
                        interrupted = true;
                        Said {
                            id: call.id.clone(),
                            is_error: true,
                            output: "interrupted while it ran: somebody has something to say".to_owned(),
                        }
                    }
                },
            };
            self.report.result(&said);
            results.push(said);
        }
        self.remember(Turn::Results { results })?;
        match interrupted {
            true => Err(Ended::Interrupted),
            false => Ok(()),
        }
    }

    fn remember(&mut self, turn: Turn) -> Result<(), Ended> {
        let pushed = self.memory.push(turn);
        pushed.map_err(|error| Ended::disk(&error))
    }
}

async fn carry_out(
    tree: &Path,
    platform: Option<&Platform>,
    offers: &[Offer],
    call: &Call,
) -> Said {
    let asked = match platform {
        Some(platform) => platform.call(call).await,
        None => None,
    };
    let done = match asked {
        Some(done) => done,
        None => act(tree, offers, call).await,
    };
    let is_error = done.is_err();
    let (Ok(output) | Err(output)) = done;
    Said {
        id: call.id.clone(),
        is_error,
        output,
    }
}

/// Carries out a call of a tool of our own.
async fn act(tree: &Path, offers: &[Offer], call: &Call) -> Result<String, String> {
    match tool::read(call, offers) {
        Err(why) => Err(why),
        Ok(Act::Read {
            path,
            offset,
            limit,
        }) => file::read(tree, &path, offset, limit),
        Ok(Act::Write { path, content }) => file::write(tree, &path, &content),
        Ok(Act::Edit {
            path,
            old,
            new,
            all,
        }) => file::edit(tree, &path, &old, &new, all),
        Ok(Act::Bash { command, timeout_s }) => {
            let ran = shell::run(tree, &command, Duration::from_secs(timeout_s)).await;
            match ran.is_error {
                true => Err(ran.output),
                false => Ok(ran.output),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inside::native::wire::Used;
    use serde_json::json;

    fn answer(text: &str, call: bool, stop: Stop) -> Answer {
        let call = call.then(|| Call::new("1".to_owned(), "read".to_owned(), json!({})));
        Answer {
            text: text.to_owned(),
            calls: call.into_iter().collect(),
            stop,
            used: Used::default(),
        }
    }

    #[test]
    fn only_words_at_an_end_are_an_end() {
        let refused = || Stop::Refused("no".to_owned());
        let fails = |text: &str| Next::Fail(text.to_owned());
        for (given, nudges, expected) in [
            (answer("Done.", false, Stop::End), 0, Next::Done),
            (answer("Done.", false, Stop::End), 9, Next::Done),
            (answer("", true, Stop::End), 0, Next::Call),
            (answer("I look.", true, Stop::Cut), 9, Next::Call),
            (answer("I wr", false, Stop::Cut), 1, Next::Say(CUT)),
            (
                answer("I wr", false, Stop::Cut),
                2,
                fails("the model's answers were cut off, one after the other"),
            ),
            (answer(" \n", false, Stop::End), 0, Next::Say(EMPTY)),
            (
                answer("", false, Stop::End),
                2,
                fails("the model's answers were empty, one after the other"),
            ),
            (
                answer("I won't.", false, refused()),
                0,
                fails("the model refused: no"),
            ),
            (
                answer("", true, refused()),
                0,
                fails("the model refused: no"),
            ),
        ] {
            assert_eq!(next(&given, nudges), expected, "{given:?} {nudges}");
        }
    }

    #[tokio::test]
    async fn a_call_that_goes_wrong_is_told_and_crashes_nothing() {
        let tree = tempfile::tempdir().expect("a folder");
        for (tool, args) in [
            ("read", json!({"path": "none"})),
            ("read", json!("{")),
            ("bash", json!({"command": "exit 1"})),
            ("browse", json!({})),
        ] {
            let call = Call::new("7".to_owned(), tool.to_owned(), args);
            let said = carry_out(tree.path(), None, &tool::own(), &call).await;
            assert!(said.is_error && said.id == "7", "{said:?}");
        }
        let call = json!({"path": "a", "content": "x"});
        let call = Call::new("8".to_owned(), "write".to_owned(), call);
        let said = carry_out(tree.path(), None, &tool::own(), &call).await;
        assert!(!said.is_error);
    }
}
