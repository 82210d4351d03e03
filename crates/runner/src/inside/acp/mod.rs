//! The hidden command `inside acp`: starts an agent that speaks the Agent Client Protocol, gives it the
//! prompt that stands on standard input, and prints what comes of it, one JSON object a line.
//!
//! It runs in the sandbox, as the agent's own user, and has no more than the agent has. Invariants: what the
//! agent asks to be allowed is allowed, since the walls are the sandbox's; a session's mode is set, never
//! left as the agent has it, where the agent has one that asks nobody; history that an agent replays is not
//! printed again. Deliberately absent: files and terminals of a client (the agent has its own, in the same
//! sandbox), and any judgement.
#![expect(
    clippy::disallowed_methods,
    reason = "the agent is started here, in the environment that the sandbox made"
)]

use std::io::{Read as _, Write as _};
use std::pin::pin;
use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use agent_client_protocol::schema::ProtocolVersion;
use agent_client_protocol::v1::ConnectionTo;
use agent_client_protocol::v1::schema::{
    CancelNotification, ContentBlock, Implementation, InitializeRequest, LoadSessionRequest,
    McpServer, NewSessionRequest, PermissionOption, PermissionOptionKind, PromptRequest,
    RequestPermissionOutcome, RequestPermissionRequest, RequestPermissionResponse,
    SelectedPermissionOutcome, SessionId, SetSessionConfigOptionRequest, SetSessionModeRequest,
    TextContent,
};
use agent_client_protocol::{
    Agent, Client, Error, ErrorCode, Lines, UntypedMessage, is_connection_terminated,
    is_incoming_transport_closed, on_receive_notification, on_receive_request,
};
use futures_util::{Sink, SinkExt, Stream, StreamExt as _};
use serde_json::{Value, json};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::codec::{FramedRead, FramedWrite, LinesCodec};

use self::mode::Modes;

mod mode;

/// The longest message that is read, in bytes.
const MOST: usize = 16 << 20;

/// From asking the agent to stop to going without its answer.
const GRACE: Duration = Duration::from_secs(10);

/// From the end of the conversation to the end of the agent.
const GOODBYE: Duration = Duration::from_secs(3);

/// What to do.
#[derive(Debug, Default, PartialEq)]
struct Order {
    cwd: String,
    session: Option<String>,
    mode: Option<String>,
    /// Servers of tools.
    servers: Vec<McpServer>,
    command: Vec<String>,
}

/// It cannot go on, and that is printed.
struct Told;

/// Runs the hidden command: 0 where the agent ended its turn, whatever it said.
pub(super) fn main(args: impl Iterator<Item = String>) -> ExitCode {
    let order = match parse(args) {
        Ok(order) => order,
        Err(why) => {
            failed("order", &why, &Value::Null);
            return ExitCode::from(64);
        }
    };
    let mut prompt = String::new();
    if let Err(error) = std::io::stdin().read_to_string(&mut prompt) {
        failed("prompt", &error.to_string(), &Value::Null);
        return ExitCode::from(64);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(run(&order, prompt)),
        Err(error) => {
            failed("start", &error.to_string(), &Value::Null);
            Err(Told)
        }
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(Told) => ExitCode::FAILURE,
    }
}

async fn run(order: &Order, prompt: String) -> Result<(), Told> {
    let no_start = |why: String| {
        failed("start", &why, &Value::Null);
        Told
    };
    // From the start: a signal that comes before the agent is up ends it as well.
    let stop = Stop::new().map_err(|error| no_start(error.to_string()))?;
    let (program, words) = order
        .command
        .split_first()
        .ok_or_else(|| no_start("no command".to_owned()))?;
    let mut child = Command::new(program)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // What is sent to us is for us; the agent is told in its own protocol.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| no_start(format!("{program}: {error}")))?;
    let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(no_start("the agent has no standard streams".to_owned()));
    };
    let ended = connect(input, output, order, prompt, stop).await;
    close(&mut child).await;
    ended
}

/// The two signals that end a turn.
struct Stop {
    interrupts: Signal,
    ends: Signal,
}

impl Stop {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupts: signal(SignalKind::interrupt())?,
            ends: signal(SignalKind::terminate())?,
        })
    }

    async fn wanted(&mut self) {
        tokio::select! {
            _ = self.interrupts.recv() => {}
            _ = self.ends.recv() => {}
        }
    }
}

/// Speaks with the agent until it ended its turn, prints what it says and allows what it asks for.
async fn connect(
    input: ChildStdin,
    output: ChildStdout,
    order: &Order,
    prompt: String,
    stop: Stop,
) -> Result<(), Told> {
    let replays = Arc::new(AtomicBool::new(false));
    let heard = Arc::clone(&replays);
    let connected = Client
        .v1()
        .on_receive_notification(
            // As it came: an update of a kind that this version of the protocol does not know is none
            // that may be lost.
            async move |told: UntypedMessage, _: ConnectionTo<Agent>| {
                if told.method() == "session/update" && !heard.load(Ordering::Relaxed) {
                    say(&json!({ "acp": "update", "update": told.params()["update"] }));
                }
                Ok(())
            },
            on_receive_notification!(),
        )
        .on_receive_request(
            async move |asked: RequestPermissionRequest, answer, _: ConnectionTo<Agent>| {
                answer.respond(RequestPermissionResponse::new(allowing(&asked.options)))
            },
            on_receive_request!(),
        )
        .connect_with(
            Lines::new(sent(input), messages(output)),
            async move |agent: ConnectionTo<Agent>| {
                Ok(converse(&agent, order, prompt, stop, &replays).await)
            },
        )
        .await;
    connected.unwrap_or_else(|error| Err(broken("conversation", &error)))
}

/// What is written to the agent, a message a line.
fn sent(input: ChildStdin) -> impl Sink<String, Error = std::io::Error> + Send + 'static {
    let lines: FramedWrite<ChildStdin, LinesCodec> = FramedWrite::new(input, LinesCodec::new());
    SinkExt::<String>::sink_map_err(lines, std::io::Error::other)
}

/// The messages that the agent writes, a line each. A line that is none is printed as what it is: many
/// programs say something else before they come to the protocol.
fn messages(output: ChildStdout) -> impl Stream<Item = std::io::Result<String>> + Send + 'static {
    let lines = FramedRead::new(output, LinesCodec::new_with_max_length(MOST));
    lines.filter_map(async |line| match line {
        Ok(line) if is_message(&line) => Some(Ok(line)),
        Ok(line) => {
            say(&json!({ "acp": "line", "text": line }));
            None
        }
        Err(error) => Some(Err(std::io::Error::other(error))),
    })
}

fn is_message(line: &str) -> bool {
    let message: Result<Value, _> = serde_json::from_str(line);
    message.is_ok_and(|message| message["method"].is_string() || message.get("id").is_some())
}

/// Waits a moment for the end of an agent to which nobody speaks any more.
async fn close(child: &mut Child) {
    if tokio::time::timeout(GOODBYE, child.wait()).await.is_err() {
        // It is gone with the sandbox all the same.
        drop(child.start_kill());
    }
}

async fn converse(
    agent: &ConnectionTo<Agent>,
    order: &Order,
    prompt: String,
    mut stop: Stop,
    replays: &AtomicBool,
) -> Result<(), Told> {
    let us = Implementation::new("nightshift", env!("CARGO_PKG_VERSION"));
    let hello = InitializeRequest::new(ProtocolVersion::V1).client_info(us);
    let hello = agent.send_request(hello).block_task().await;
    let hello = hello.map_err(|error| match of_version(&error) {
        Some(said) => {
            let why = format!(
                "the agent and this runner speak different versions of the protocol ({said}): install one that speaks version {}",
                ProtocolVersion::V1
            );
            failed("mode", &why, &Value::Null);
            Told
        }
        None => broken("initialize", &error),
    })?;
    let (session, modes) = match &order.session {
        Some(id) if hello.agent_capabilities.load_session => {
            replays.store(true, Ordering::Relaxed);
            let load = LoadSessionRequest::new(id.clone(), order.cwd.clone())
                .mcp_servers(order.servers.clone());
            let loaded = agent.send_request(load).block_task().await;
            replays.store(false, Ordering::Relaxed);
            let loaded = loaded.map_err(|error| lost(&words(&error)))?;
            let modes = Modes::of(loaded.modes, loaded.config_options);
            (SessionId::new(id.clone()), modes)
        }
        Some(_) => return Err(lost("the agent cannot go on in an earlier session")),
        None => {
            let new = NewSessionRequest::new(order.cwd.clone()).mcp_servers(order.servers.clone());
            let new = agent.send_request(new).block_task().await;
            let new = new.map_err(|error| broken("session/new", &error))?;
            (new.session_id, Modes::of(new.modes, new.config_options))
        }
    };
    let mode = set_mode(agent, order, &session, &modes).await?;
    say(&json!({
        "acp": "agent",
        "agent": hello.agent_info,
        "session": session,
        "mode": mode,
    }));
    let content = vec![ContentBlock::Text(TextContent::new(prompt))];
    let asked = agent.send_request(PromptRequest::new(session.clone(), content));
    let mut answer = pin!(asked.block_task());
    let answered = tokio::select! {
        answered = &mut answer => Some(answered),
        () = stop.wanted() => None,
    };
    let answered = match answered {
        Some(answered) => answered,
        None => {
            let cancelled = agent.send_notification(CancelNotification::new(session));
            cancelled.map_err(|error| broken("session/cancel", &error))?;
            match tokio::time::timeout(GRACE, answer).await {
                Ok(answered) => answered,
                Err(_) => {
                    let why = "it was cancelled and went on all the same";
                    failed("session/prompt", why, &Value::Null);
                    return Err(Told);
                }
            }
        }
    };
    let answered = answered.map_err(|error| broken("session/prompt", &error))?;
    say(&json!({
        "acp": "end",
        "stopReason": answered.stop_reason,
        "usage": answered.usage,
    }));
    Ok(())
}

/// Sets the mode that is configured, or one that asks nobody; returns it.
async fn set_mode(
    agent: &ConnectionTo<Agent>,
    order: &Order,
    session: &SessionId,
    known: &Modes,
) -> Result<Option<String>, Told> {
    let chosen = known.choose(order.mode.as_deref()).map_err(|why| {
        failed("mode", &why, &Value::Null);
        Told
    })?;
    let Some(mode) = chosen else {
        return Ok(None);
    };
    let (method, set) = match &known.option {
        Some(option) => {
            let set =
                SetSessionConfigOptionRequest::new(session.clone(), option.clone(), mode.as_str());
            let set = agent.send_request(set).block_task().await;
            ("session/set_config_option", set.map(drop))
        }
        None => {
            let set = SetSessionModeRequest::new(session.clone(), mode.clone());
            let set = agent.send_request(set).block_task().await;
            ("session/set_mode", set.map(drop))
        }
    };
    match set {
        Ok(()) => Ok(Some(mode)),
        // Nobody asked for this mode; what the agent asks for is allowed all the same.
        Err(error) if order.mode.is_none() && !is_gone(&error) => Ok(None),
        Err(error) => Err(broken(method, &error)),
    }
}

/// The answer that allows, once rather than for ever.
fn allowing(options: &[PermissionOption]) -> RequestPermissionOutcome {
    let kinds = [
        PermissionOptionKind::AllowOnce,
        PermissionOptionKind::AllowAlways,
    ];
    let mut allowed = kinds
        .iter()
        .filter_map(|kind| options.iter().find(|option| option.kind == *kind));
    match allowed.next() {
        Some(option) => {
            let id = option.option_id.clone();
            RequestPermissionOutcome::Selected(SelectedPermissionOutcome::new(id))
        }
        None => RequestPermissionOutcome::Cancelled,
    }
}

fn lost(why: &str) -> Told {
    say(&json!({ "acp": "lost", "detail": why }));
    Told
}

/// Whether there is no answer since there is nobody any more who could give one.
fn is_gone(error: &Error) -> bool {
    is_incoming_transport_closed(error) || is_connection_terminated(error)
}

/// What is said of versions, where no conversation can begin for their sake. Neither the library nor an
/// agent has a code of its own for that.
fn of_version(error: &Error) -> Option<&str> {
    let said = error.data.as_ref().and_then(Value::as_str);
    let said = said.unwrap_or(&error.message);
    (error.code == ErrorCode::INVALID_REQUEST && said.contains("protocol version")).then_some(said)
}

fn words(error: &Error) -> String {
    match is_gone(error) {
        true => "the agent ended".to_owned(),
        false => error.message.clone(),
    }
}

fn broken(at: &str, error: &Error) -> Told {
    let data = error.data.as_ref().filter(|_| !is_gone(error));
    failed(at, &words(error), data.unwrap_or(&Value::Null));
    Told
}

fn failed(at: &str, message: &str, data: &Value) {
    say(&json!({ "acp": "failed", "at": at, "message": message, "data": data }));
}

/// Prints one event. Who should read it may be gone; then there is nobody to tell.
fn say(event: &Value) {
    let mut out = std::io::stdout().lock();
    drop(writeln!(out, "{event}").and_then(|()| out.flush()));
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Order, String> {
    let mut order = Order {
        cwd: "/workspace".to_owned(),
        ..Order::default()
    };
    while let Some(word) = args.next() {
        if word == "--" {
            order.command = args.collect();
            return match order.command.is_empty() {
                true => Err("no command".to_owned()),
                false => Ok(order),
            };
        }
        let value = args.next().ok_or(format!("{word} needs a value"))?;
        match word.as_str() {
            "--cwd" => order.cwd = value,
            "--session" => order.session = Some(value),
            "--mode" => order.mode = Some(value),
            "--server" => order
                .servers
                .push(serde_json::from_str(&value).map_err(|error| format!("{word}: {error}"))?),
            other => return Err(format!("unknown word {other}")),
        }
    }
    Err("no command".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Result<Order, String> {
        parse(text.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn an_order_is_read() {
        let order = words(
            "--mode yolo --session s-1 --server {\"name\":\"n\",\"command\":\"c\",\"args\":[\"a\"],\"env\":[]} \
             --cwd /w -- agent --acp --mode x",
        )
        .expect("one");
        assert_eq!(order.mode.as_deref(), Some("yolo"));
        assert_eq!(order.session.as_deref(), Some("s-1"));
        assert_eq!(order.cwd, "/w");
        let [McpServer::Stdio(server)] = order.servers.as_slice() else {
            panic!("{:?}", order.servers);
        };
        assert_eq!(
            (server.name.as_str(), server.args.as_slice()),
            ("n", &["a".to_owned()][..])
        );
        assert_eq!(order.command, ["agent", "--acp", "--mode", "x"]);
        for bad in [
            "",
            "--mode",
            "--",
            "agent",
            "--mode x",
            "--server { -- agent",
            "--server {\"name\":\"n\"} -- agent",
        ] {
            assert!(words(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_permission_is_given_once_rather_than_for_ever() {
        let option = |id: &'static str, kind| PermissionOption::new(id, id, kind);
        let never = option("never", PermissionOptionKind::RejectOnce);
        let always = option("always", PermissionOptionKind::AllowAlways);
        let once = option("once", PermissionOptionKind::AllowOnce);
        let given = |options: &[&PermissionOption]| {
            let options: Vec<_> = options.iter().copied().cloned().collect();
            match allowing(&options) {
                RequestPermissionOutcome::Selected(chosen) => Some(chosen.option_id.to_string()),
                _ => None,
            }
        };
        assert_eq!(given(&[&never, &always, &once]).as_deref(), Some("once"));
        assert_eq!(given(&[&never, &always]).as_deref(), Some("always"));
        assert_eq!(given(&[&never]), None);
        assert_eq!(given(&[]), None);
    }
}
