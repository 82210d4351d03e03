//! The built-in agent: a small loop around a model, with four tools and those of the platform, in the
//! sandbox.
//!
//! It reads its order from standard input, speaks to the broker's model route alone, and prints one
//! JSON object a line for `harness::native`. Invariants: a conversation is on disk before the next
//! call, so that whatever ends this program leaves one to go on in; what a tool says has a bound;
//! nothing of the working tree configures it. Deliberately absent: keys, prices, permissions, and
//! waiting for a provider's reset, which are the broker's.

mod ask;
mod chat;
mod context;
mod file;
mod memory;
mod messages;
mod platform;
mod report;
mod shell;
mod talk;
mod tool;
mod wire;
mod work;

pub(crate) use self::memory::FOLDER as SESSIONS;

use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;

use self::report::Report;
use self::wire::Speaks;
use self::work::{Ended, Work};
use super::variable;

/// The longest order that is read.
const MOST_PROMPT: u64 = 16 << 20;
/// The model's turns in one start, where the order says nothing.
const MAX_TURNS: u32 = 200;
/// How many bytes a conversation may have before room is made: some 100,000 tokens.
const CONTEXT_BYTES: usize = 400_000;

/// What the harness says on the command line and in the environment.
#[derive(Debug, PartialEq, Eq)]
struct Options {
    speaks: Speaks,
    model: String,
    url: String,
    key: String,
    resume: Option<String>,
    max_turns: u32,
    retries: u32,
    sessions: PathBuf,
    /// What the platform's tools know, if there are any.
    tools: Option<PathBuf>,
}

impl Options {
    fn read(
        args: impl Iterator<Item = String>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        let needed = |name: &str| variable(name).ok_or(format!("{name} is not set"));
        let home = PathBuf::from(needed("HOME")?);
        let mut options = Self {
            speaks: Speaks::Chat,
            model: String::new(),
            url: needed("NIGHTSHIFT_MODEL_URL")?,
            key: needed("NIGHTSHIFT_MODEL_KEY")?,
            resume: None,
            max_turns: MAX_TURNS,
            retries: 4,
            sessions: home.join(memory::FOLDER),
            tools: None,
        };
        for word in args {
            let (name, value) = word
                .split_once('=')
                .ok_or_else(|| format!("{word:?} is no NAME=VALUE"))?;
            let number = || value.parse().map_err(|_| format!("{word:?} has no number"));
            match name {
                "--speaks" => {
                    options.speaks = Speaks::of(value).ok_or(format!("{word:?} is unknown"))?;
                }
                "--model" => value.clone_into(&mut options.model),
                "--resume" => options.resume = Some(value.to_owned()),
                "--max-turns" => options.max_turns = number()?,
                "--tools" => options.tools = Some(value.into()),
                "--retries" => options.retries = number()?,
                _ => return Err(format!("{word:?} is unknown")),
            }
        }
        Ok(options)
    }
}

/// Runs the hidden command `inside native`.
pub(super) fn main(args: impl Iterator<Item = String>) -> ExitCode {
    let mut report = Report::to_stdout();
    let ended = match Options::read(args, variable) {
        Ok(options) => start(&options, &mut report),
        Err(why) => Ended::failed(
            "other",
            format!("the built-in agent was started wrong: {why}"),
        ),
    };
    report.ended(&ended);
    match ended {
        Ended::Done(_) => ExitCode::SUCCESS,
        Ended::Failed { .. } => ExitCode::FAILURE,
        Ended::Interrupted => ExitCode::from(130),
    }
}

fn start(options: &Options, report: &mut Report) -> Ended {
    let broken = |what: &str, error: std::io::Error| {
        Ended::failed(
            "other",
            format!("the built-in agent cannot {what}: {error}"),
        )
    };
    let mut prompt = Vec::new();
    if let Err(error) = std::io::stdin().take(MOST_PROMPT).read_to_end(&mut prompt) {
        return broken("read its order", error);
    }
    let prompt = String::from_utf8_lossy(&prompt).into_owned();
    let tree = match std::env::current_dir() {
        Ok(tree) => tree,
        Err(error) => return broken("find the working tree", error),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => runtime.block_on(Work::run(options, prompt, tree, report)),
        Err(error) => broken("start", error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(args: &[&str]) -> Result<Options, String> {
        let args = args.iter().map(|arg| (*arg).to_owned());
        Options::read(args, |name| Some(format!("/{name}")))
    }

    #[test]
    fn what_the_harness_says_is_read_and_nothing_else() {
        let options = read(&[
            "--speaks=anthropic",
            "--model=--speaks=openai",
            "--resume=s",
            "--max-turns=3",
            "--retries=0",
            "--tools=/nightshift/inside.json",
        ])
        .expect("options");
        assert_eq!(options.speaks, Speaks::Messages);
        assert_eq!(options.model, "--speaks=openai");
        assert_eq!(options.url, "/NIGHTSHIFT_MODEL_URL");
        assert_eq!(options.resume.as_deref(), Some("s"));
        assert_eq!((options.max_turns, options.retries), (3, 0));
        assert_eq!(options.sessions, PathBuf::from("/HOME/.nightshift-native"));
        assert_eq!(
            options.tools.as_deref(),
            Some(std::path::Path::new("/nightshift/inside.json"))
        );
        for bad in ["--speaks=gemini", "--max-turns=x", "--yolo=1", "go"] {
            assert!(read(&[bad]).is_err(), "{bad}");
        }
        let none = Options::read(std::iter::empty(), |_| None);
        assert_eq!(none, Err("HOME is not set".to_owned()));
    }
}
