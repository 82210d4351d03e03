//! One start of the agent's program in the run's sandbox.
//!
//! Invariant: what the program says about itself tells failures apart and nothing else; its
//! configuration comes from files that the runner put into its home, replacing whatever was there.
//! Deliberately absent: what its work is worth.

use std::convert::Infallible;
use std::path::Path;
use std::time::Duration;

use nightshift_api::runner::AuthorOrder;
use nightshift_domain::config::{Agent, Harness as Kind, PromptBy, secret};
use nightshift_domain::failure::{Failure, Reason};
use nightshift_domain::told::failure as say;
use nightshift_domain::transcript::{self, Entry, Stream};

use super::bench::Bench;
use super::check::Printed;
use super::cut::{Cut, MOST_WORDS};
use super::step::{self, Guard, Reader, Stepped};
use super::{Task, seal};
use crate::broker::Dialect;
use crate::harness::{
    self, AgentFailure, AgentLimits, AgentOrder, AgentOutcome, EventParser, Harness, Invocation,
    MAX_LINE_BYTES, Paths,
};
use crate::inside;
use crate::sandbox::{self, Exit, Stdin, System, spec};

/// How often what the agent's calls used is asked for.
const MEASURE: Duration = Duration::from_secs(5);

/// Puts the harness's files into the home.
const FILES: &str = r#"
cd /nightshift/home
find . -type f -exec /bin/sh -c 'cd -- "$HOME" && exec rm -rf -- "$@"' clear {} +
cp -R -- . "$HOME"
cd /workspace
"#;

/// Becomes the program.
const START: &str = r#"
if ! command -v -- "$1" >/dev/null; then
    echo "nightshift: the sandbox has no program $1" >&2
    exit 127
fi
exec "$@"
"#;

/// What one start came to.
#[derive(Debug)]
pub(crate) struct Came {
    /// What the program said.
    pub(crate) outcome: AgentOutcome,
    /// What it asked, if its log says that it asked.
    pub(crate) question: Option<String>,
    /// Why the run does not go on, if it does not.
    pub(crate) cut: Option<Cut>,
}

/// The adapter of an agent.
pub(crate) fn adapter(agent: &Agent) -> Result<&'static dyn Harness, Cut> {
    harness::by_name(agent.harness.as_str()).ok_or_else(|| {
        Cut::failed(
            Reason::Misconfigured,
            say::no_harness(
                format!("{:?}", agent.harness.as_str()),
                format!("{:?}", agent.name),
            ),
        )
    })
}

/// The order of the first start.
pub(crate) fn order(task: &Task, author: &AuthorOrder) -> AgentOrder {
    AgentOrder {
        prompt: author.prompt.clone(),
        issue_body: author.issue_body.clone(),
        feedback: author.feedback.clone(),
        round: u32::try_from(task.order.round).unwrap_or(1),
        repair: 0,
        session: None,
        model: author.agent.model.clone(),
        command: command(&author.agent),
        mode: author.agent.mode.clone(),
        programs: task.worker.config.programs.clone(),
        // Both as the run's room has them, once it is open.
        model_dialect: Dialect::OpenAi,
        model_base_url: format!("http://127.0.0.1:{}", spec::MODEL_PORT),
        model_key: harness::PLACEHOLDER_KEY.to_owned(),
        mcp: author.agent.harness.takes_tools().then(inside::server),
        limits: AgentLimits::default(),
        paths: Paths::default(),
    }
}

/// What the tools inside know.
pub(crate) fn tools(bench: &Bench<'_>, author: &AuthorOrder) -> Result<(), Cut> {
    let task = bench.task;
    let withheld = |name: &str| task.order.withheld.iter().any(|step| step == name);
    let sealed = task.order.acceptance.as_ref();
    let sealed = sealed.filter(|_| !withheld(secret::ACCEPTANCE));
    let mut checks = task.order.checks.clone();
    checks.retain(|check| !withheld(&check.name));
    let control = inside::Control {
        platform: format!("http://127.0.0.1:{}", spec::PLATFORM_PORT),
        run: task.order.run,
        token: task.order.token.clone(),
        brief: author.brief.clone(),
        checks,
        left_out: task.order.withheld.clone(),
        sealed: sealed.map(|sealed| inside::Sealed {
            run: sealed.run.clone(),
            timeout_s: sealed.timeout_s,
            lay: seal::LAY.to_owned(),
            files: sealed.files.iter().map(|file| file.path.clone()).collect(),
        }),
        tree: spec::WORKSPACE.into(),
        env: bench.whole_env(),
    };
    let bytes = serde_json::to_vec(&control)
        .map_err(|error| Cut::failed(Reason::WorkspaceFailed, say::as_said(error.to_string())))?;
    bench.control(Path::new(inside::FILE), &bytes)
}

/// The command line of a `command` agent as words. The prompt is an argument of the shell, never a
/// part of its text.
fn command(agent: &Agent) -> Vec<String> {
    let Some(line) = &agent.command else {
        return Vec::new();
    };
    let mut line = line.clone();
    let mut words = Vec::new();
    if agent.prompt == PromptBy::Argument && !line.contains("{prompt}") {
        line.push_str(" {prompt}");
    }
    if line.contains("{prompt}") {
        for place in ["\"{prompt}\"", "'{prompt}'", "{prompt}"] {
            line = line.replace(place, "\"$1\"");
        }
        words = ["agent", "{prompt}"].map(str::to_owned).to_vec();
    }
    let shell = ["/bin/sh", "-c"].map(str::to_owned);
    shell.into_iter().chain([line]).chain(words).collect()
}

/// What to start, or the failure that says how to make it possible.
pub(crate) fn plan(
    task: &Task,
    harness: &dyn Harness,
    order: &AgentOrder,
    kind: Kind,
) -> Result<Invocation, Cut> {
    task.worker
        .config
        .endpoints
        .of(kind)
        .map_err(|missing| Cut::failed(Reason::Misconfigured, missing))?;
    harness.plan(order).map_err(|error| {
        let reason = match error.is_missing() {
            true => Reason::ProgramMissing,
            false => Reason::Misconfigured,
        };
        Cut::failed(reason, error.said())
    })
}

/// Starts the program and reads it to its end.
pub(crate) async fn start(
    bench: &Bench<'_>,
    author: &AuthorOrder,
    harness: &dyn Harness,
    order: &AgentOrder,
) -> Result<Came, Cut> {
    let task = bench.task;
    let invocation = plan(task, harness, order, author.agent.harness)?;
    bench.control(Path::new("prompt.md"), order.prompt.as_bytes())?;
    bench.control(Path::new("home/.nightshift"), b"")?;
    for file in &invocation.files {
        bench.control(&Path::new("home").join(&file.path), &file.contents)?;
    }
    let script = match bench.image() {
        None => format!("{FILES}{START}"),
        Some(_) => {
            put_files(bench).await?;
            START.to_owned()
        }
    };
    let mut command = ["/bin/sh", "-euc", &script, "start"]
        .map(str::to_owned)
        .to_vec();
    for word in &invocation.argv {
        let word = word.to_str().ok_or_else(|| {
            Cut::failed(Reason::Misconfigured, say::not_utf8(format!("{word:?}")))
        })?;
        command.push(word.to_owned());
    }
    let step = sandbox::Step {
        command,
        env: environment(bench, author, &invocation),
        system: System::Project,
        stdin: match invocation.stdin {
            harness::Stdin::Null => Stdin::Closed,
            harness::Stdin::Prompt => Stdin::File("/nightshift/prompt.md".into()),
        },
        timeout: task.left(),
    };
    let mut watched = Watched {
        interrupts: harness.interrupts(),
        parser: harness.parser(order),
        question: None,
        missing: None,
    };
    let phase = transcript::Step::Agent;
    let stepped = tokio::select! {
        stepped = step::run(
            bench,
            phase,
            &step,
            Guard::Work,
            MAX_LINE_BYTES,
            &mut watched,
        ) => stepped,
        never = measure(bench) => match never {},
    };
    let impatient = matches!(stepped, Ok(Stepped::Impatient));
    let interrupted = matches!(stepped, Ok(Stepped::Interrupted));
    let (exit, cut) = match stepped {
        Ok(Stepped::Ended(Exit::Exited { code })) => (harness::Exit::Code(code), None),
        Ok(Stepped::Ended(Exit::Signalled { signal })) => (harness::Exit::Signal(signal), None),
        Ok(Stepped::Ended(Exit::TimedOut)) => {
            let cut = Cut::failed(Reason::TimeLimit, say::time_up_agent());
            (harness::Exit::Stopped, Some(cut))
        }
        Ok(Stepped::Ended(Exit::Capped(cap))) => (harness::Exit::Stopped, Some(Cut::capped(cap))),
        Ok(Stepped::Ended(Exit::Killed) | Stepped::Impatient | Stepped::Interrupted) => {
            (harness::Exit::Stopped, None)
        }
        Err(Cut::Lost) => return Err(Cut::Lost),
        Err(cut) => (harness::Exit::Stopped, Some(cut)),
    };
    let Watched {
        parser,
        question,
        missing,
        ..
    } = watched;
    let mut outcome = parser.finish(exit);
    if interrupted {
        // It did as it was told; its session goes on with the words.
        outcome.failure = None;
    }
    if let (harness::Exit::Code(127), Some(program)) = (exit, missing) {
        outcome.failure = Some(AgentFailure::ProgramMissing {
            program,
            install: match bench.image() {
                None => say::see_usr(),
                Some(image) => say::see_image(image.name()),
            },
        });
    }
    if impatient && outcome.failure.is_none() {
        outcome.failure = Some(AgentFailure::Overloaded {
            detail: "the program waited without end and was stopped".to_owned(),
        });
    }
    Ok(Came {
        outcome,
        question,
        cut,
    })
}

/// Puts the harness's files into the home by this machine's own programs: an image may have none of
/// them.
async fn put_files(bench: &Bench<'_>) -> Result<(), Cut> {
    let step = sandbox::Step {
        command: ["/bin/sh", "-euc", FILES].map(str::to_owned).to_vec(),
        env: Vec::new(),
        system: System::Machine,
        stdin: Stdin::Closed,
        timeout: bench.task.left(),
    };
    let mut printed = Printed::default();
    let phase = transcript::Step::Prepare;
    match step::run(
        bench,
        phase,
        &step,
        Guard::Work,
        MAX_LINE_BYTES,
        &mut printed,
    )
    .await?
    {
        Stepped::Ended(Exit::Exited { code: 0 }) => Ok(()),
        Stepped::Ended(Exit::Capped(cap)) => Err(Cut::capped(cap)),
        other => Err(Cut::failed(
            Reason::WorkspaceFailed,
            say::no_settings(format!("{other:?}"), printed.tail().trim()),
        )),
    }
}

/// Notes again and again what the agent's calls used, for whoever watches the run.
async fn measure(bench: &Bench<'_>) -> Infallible {
    loop {
        tokio::time::sleep(MEASURE).await;
        if let Some(usage) = bench.used().await {
            bench.task.control.note_used(usage);
        }
    }
}

fn environment(
    bench: &Bench<'_>,
    author: &AuthorOrder,
    invocation: &Invocation,
) -> Vec<(String, String)> {
    let task = bench.task;
    let mut env = bench.plain_env();
    let own = [
        (
            "NIGHTSHIFT_PLATFORM",
            format!("http://127.0.0.1:{}", spec::PLATFORM_PORT),
        ),
        ("NIGHTSHIFT_RUN", task.order.run.to_string()),
        ("NIGHTSHIFT_RUN_TOKEN", task.order.token.clone()),
        ("GIT_AUTHOR_NAME", author.commit.author_name.clone()),
        ("GIT_AUTHOR_EMAIL", author.commit.author_email.clone()),
        ("GIT_COMMITTER_NAME", author.commit.author_name.clone()),
        ("GIT_COMMITTER_EMAIL", author.commit.author_email.clone()),
    ];
    env.extend(own.map(|(name, value)| (name.to_owned(), value)));
    env.extend(bench.secrets(secret::AGENT));
    env.extend(invocation.env.iter().cloned());
    env
}

/// The failure of a run whose agent failed in this way.
pub(crate) fn failure(task: &Task, failure: &AgentFailure) -> Failure {
    let now = (task.worker.clock)();
    let (reason, retry_at) = match failure {
        AgentFailure::RateLimited {
            resets_at,
            retry_after,
            ..
        } => {
            let later = retry_after.and_then(|wait: Duration| now.checked_add(wait).ok());
            (Reason::RateLimited, resets_at.or(later))
        }
        AgentFailure::Unauthorized { .. } => (Reason::Unauthorized, None),
        AgentFailure::Overloaded { .. } => (Reason::ModelUnavailable, None),
        AgentFailure::BudgetExhausted { .. } => (Reason::BudgetExhausted, None),
        AgentFailure::ProgramMissing { .. } => (Reason::ProgramMissing, None),
        AgentFailure::Refused { .. } => (Reason::Misconfigured, None),
        AgentFailure::SessionLost { .. } | AgentFailure::Crashed { .. } => {
            (Reason::AgentFailed, None)
        }
    };
    Failure {
        retry_at,
        ..Failure::new(reason, failure.said().within(MOST_WORDS))
    }
}

/// Hears what the program says.
struct Watched {
    interrupts: bool,
    parser: Box<dyn EventParser>,
    question: Option<String>,
    missing: Option<String>,
}

impl Reader for Watched {
    fn line(&mut self, stream: Stream, line: &[u8]) -> Vec<Entry> {
        if stream == Stream::Stderr
            && let Some(program) = line.strip_prefix(b"nightshift: the sandbox has no program ")
        {
            self.missing = Some(String::from_utf8_lossy(program).into_owned());
        }
        let entries = self.parser.line(stream, line);
        for entry in &entries {
            if let Entry::Question { text } = entry {
                self.question = Some(text.clone());
            }
        }
        entries
    }

    fn patience(&self) -> Option<Duration> {
        self.parser.patience()
    }

    fn interrupts(&self) -> bool {
        self.interrupts && self.parser.can_resume()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_is_never_part_of_a_shell_text() {
        let mut agent = Agent::script();
        agent.command = Some("run --say='{prompt}' \"{prompt}\" {prompt}".to_owned());
        agent.prompt = PromptBy::Argument;
        assert_eq!(
            command(&agent),
            [
                "/bin/sh",
                "-c",
                "run --say=\"$1\" \"$1\" \"$1\"",
                "agent",
                "{prompt}"
            ]
        );
        agent.command = Some("run".to_owned());
        assert_eq!(command(&agent)[2..], ["run \"$1\"", "agent", "{prompt}"]);
        agent.prompt = PromptBy::Stdin;
        agent.command = Some("cat".to_owned());
        assert_eq!(command(&agent), ["/bin/sh", "-c", "cat"]);
    }
}
