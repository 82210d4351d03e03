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
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::Command;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::rpc::{Failed, Listener, Peer, Said};

/// The version of the protocol that is spoken.
const PROTOCOL: u64 = 1;

/// Modes that ask nobody, by the names that agents give them, in the order in which they are taken where
/// none is configured.
const UNATTENDED: [&str; 7] = [
    "bypassPermissions",
    "agent-full-access",
    "yolo",
    "full-access",
    "autopilot",
    "build",
    "agent",
];

/// From asking the agent to stop to going without its answer.
const GRACE: Duration = Duration::from_secs(10);

/// From the end of the conversation to the end of the agent.
const GOODBYE: Duration = Duration::from_secs(3);

/// What to do.
#[derive(Debug, Default, PartialEq, Eq)]
struct Order {
    cwd: String,
    session: Option<String>,
    mode: Option<String>,
    /// Servers of tools, as the protocol writes them.
    servers: Vec<Value>,
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
        Ok(runtime) => runtime.block_on(run(&order, &prompt)),
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

async fn run(order: &Order, prompt: &str) -> Result<(), Told> {
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
    let mut peer = Peer::new(input, output);
    let ended = converse(&mut peer, order, prompt, stop).await;
    peer.close(&mut child, GOODBYE).await;
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

/// Prints what the agent says and allows what it asks for.
#[derive(Default)]
struct Printer {
    /// Whether the agent tells what was before.
    replays: bool,
}

impl Listener for Printer {
    fn hears(&mut self, said: &Said) {
        match said {
            Said::Told(method, params) if method == "session/update" => {
                if !self.replays {
                    say(&json!({ "acp": "update", "update": params["update"] }));
                }
            }
            Said::Told(..) => {}
            // No message of the protocol: the log shows it as it is.
            Said::Line(line) => say(&json!({ "acp": "line", "text": line })),
        }
    }

    fn asked(&mut self, method: &str, params: &Value) -> Option<Value> {
        if method != "session/request_permission" {
            return None;
        }
        let outcome = match allowing(&params["options"]) {
            Some(id) => json!({ "outcome": "selected", "optionId": id }),
            None => json!({ "outcome": "cancelled" }),
        };
        Some(json!({ "outcome": outcome }))
    }
}

async fn converse(
    peer: &mut Peer,
    order: &Order,
    prompt: &str,
    mut stop: Stop,
) -> Result<(), Told> {
    let mut printer = Printer::default();
    let hello = json!({
        "protocolVersion": PROTOCOL,
        "clientCapabilities": { "fs": { "readTextFile": false, "writeTextFile": false }, "terminal": false },
        "clientInfo": { "name": "nightshift", "version": env!("CARGO_PKG_VERSION") },
    });
    let hello = peer.call("initialize", hello, &mut printer).await;
    let hello = hello.map_err(|error| broken("initialize", &error))?;
    if hello["protocolVersion"] != PROTOCOL {
        let why = format!(
            "the agent speaks version {} of the protocol, and this runner {PROTOCOL}: install one that speaks it",
            hello["protocolVersion"]
        );
        failed("mode", &why, &Value::Null);
        return Err(Told);
    }
    let place = json!({ "cwd": order.cwd, "mcpServers": order.servers });
    let (session, about) = match &order.session {
        Some(id) if hello["agentCapabilities"]["loadSession"] == true => {
            printer.replays = true;
            let mut load = place;
            load["sessionId"] = id.as_str().into();
            let loaded = peer.call("session/load", load, &mut printer).await;
            printer.replays = false;
            (
                id.clone(),
                loaded.map_err(|error| lost(&error.to_string()))?,
            )
        }
        Some(_) => return Err(lost("the agent cannot go on in an earlier session")),
        None => {
            let new = peer.call("session/new", place, &mut printer).await;
            let new = new.map_err(|error| broken("session/new", &error))?;
            (
                new["sessionId"].as_str().unwrap_or_default().to_owned(),
                new,
            )
        }
    };
    let mode = set_mode(peer, order, &session, &about, &mut printer).await?;
    say(&json!({
        "acp": "agent",
        "agent": hello["agentInfo"],
        "session": session,
        "mode": mode,
    }));
    let content = json!([{ "type": "text", "text": prompt }]);
    let asked = json!({ "sessionId": session, "prompt": content });
    let asked = peer.ask("session/prompt", asked).await;
    let id = asked.map_err(|error| broken("session/prompt", &error))?;
    let answer = tokio::select! {
        answer = peer.answer(id, &mut printer) => Some(answer),
        () = stop.wanted() => None,
    };
    let answer = match answer {
        Some(answer) => answer,
        None => {
            let cancel = peer
                .tell("session/cancel", json!({ "sessionId": session }))
                .await;
            cancel.map_err(|error| broken("session/cancel", &error))?;
            let answer = tokio::time::timeout(GRACE, peer.answer(id, &mut printer)).await;
            answer.unwrap_or_else(|_| {
                Err(Failed::Gone(
                    "it was cancelled and went on all the same".to_owned(),
                ))
            })
        }
    };
    let answer = answer.map_err(|error| broken("session/prompt", &error))?;
    say(&json!({
        "acp": "end",
        "stopReason": answer["stopReason"],
        "usage": answer["usage"],
    }));
    Ok(())
}

/// Sets the mode that is configured, or one that asks nobody; returns it.
async fn set_mode(
    peer: &mut Peer,
    order: &Order,
    session: &str,
    about: &Value,
    printer: &mut Printer,
) -> Result<Option<String>, Told> {
    let known = Modes::of(about);
    let chosen = known.choose(order.mode.as_deref()).map_err(|why| {
        failed("mode", &why, &Value::Null);
        Told
    })?;
    let Some(mode) = chosen else {
        return Ok(None);
    };
    let (method, params) = match known.option {
        Some(id) => (
            "session/set_config_option",
            json!({ "sessionId": session, "configId": id, "value": mode }),
        ),
        None => (
            "session/set_mode",
            json!({ "sessionId": session, "modeId": mode }),
        ),
    };
    match peer.call(method, params, printer).await {
        Ok(_) => Ok(Some(mode)),
        // Nobody asked for this mode; what the agent asks for is allowed all the same.
        Err(Failed::Answered { .. }) if order.mode.is_none() => Ok(None),
        Err(error) => Err(broken(method, &error)),
    }
}

/// The modes of a session: of their own, or as an option of the category `mode`.
#[derive(Debug, PartialEq, Eq)]
struct Modes {
    offered: Vec<String>,
    option: Option<String>,
}

impl Modes {
    fn of(about: &Value) -> Self {
        let ids = |list: &Value, name: &str| -> Vec<String> {
            let list = list.as_array().into_iter().flatten();
            list.filter_map(|one| one[name].as_str().map(str::to_owned))
                .collect()
        };
        let offered = ids(&about["modes"]["availableModes"], "id");
        if !offered.is_empty() {
            return Self {
                offered,
                option: None,
            };
        }
        let options = about["configOptions"].as_array().into_iter().flatten();
        let option = options
            .into_iter()
            .find(|option| option["category"] == "mode");
        let Some(option) = option else {
            return Self {
                offered,
                option: None,
            };
        };
        let mut offered = ids(&option["options"], "value");
        for group in option["options"].as_array().into_iter().flatten() {
            offered.extend(ids(&group["options"], "value"));
        }
        Self {
            offered,
            option: option["id"].as_str().map(str::to_owned),
        }
    }

    /// The mode to set; none where the agent has none that is known to ask nobody.
    fn choose(&self, configured: Option<&str>) -> Result<Option<String>, String> {
        let has = |mode: &str| self.offered.iter().any(|one| one == mode);
        match configured {
            Some(mode) if has(mode) => Ok(Some(mode.to_owned())),
            Some(mode) => {
                let all = match self.offered.is_empty() {
                    true => "it has none".to_owned(),
                    false => format!("it has {}", self.offered.join(", ")),
                };
                Err(format!(
                    "the agent has no mode {mode:?} ({all}): correct `mode` of the agent, or leave it out"
                ))
            }
            None => {
                let unattended = UNATTENDED.into_iter().find(|mode| has(mode));
                Ok(unattended.map(str::to_owned))
            }
        }
    }
}

/// The answer that allows, once rather than for ever.
fn allowing(options: &Value) -> Option<String> {
    ["allow_once", "allow_always"].into_iter().find_map(|kind| {
        let mut options = options.as_array()?.iter();
        let option = options.find(|option| option["kind"] == kind)?;
        option["optionId"].as_str().map(str::to_owned)
    })
}

fn lost(why: &str) -> Told {
    say(&json!({ "acp": "lost", "detail": why }));
    Told
}

fn broken(at: &str, error: &Failed) -> Told {
    let data = match error {
        Failed::Answered { data, .. } => data,
        Failed::Gone(_) => &Value::Null,
    };
    failed(at, &error.to_string(), data);
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
            "--mode yolo --session s-1 --server {\"name\":\"n\"} --cwd /w -- agent --acp --mode x",
        )
        .expect("one");
        assert_eq!(order.mode.as_deref(), Some("yolo"));
        assert_eq!(order.session.as_deref(), Some("s-1"));
        assert_eq!(order.cwd, "/w");
        assert_eq!(order.servers, [json!({ "name": "n" })]);
        assert_eq!(order.command, ["agent", "--acp", "--mode", "x"]);
        for bad in [
            "",
            "--mode",
            "--",
            "agent",
            "--mode x",
            "--server { -- agent",
        ] {
            assert!(words(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_mode_is_what_is_configured_or_one_that_asks_nobody() {
        let own = json!({ "modes": { "availableModes": [{ "id": "plan" }, { "id": "yolo" }] } });
        let option = json!({ "configOptions": [
            { "id": "model", "category": "model", "options": [{ "value": "yolo" }] },
            { "id": "mode", "category": "mode", "options": [{ "options": [{ "value": "build" }] }] },
        ] });
        let choose = |about: &Value, mode: Option<&str>| Modes::of(about).choose(mode);
        assert_eq!(choose(&own, Some("plan")), Ok(Some("plan".to_owned())));
        assert_eq!(choose(&own, None), Ok(Some("yolo".to_owned())));
        assert_eq!(Modes::of(&option).option.as_deref(), Some("mode"));
        assert_eq!(choose(&option, None), Ok(Some("build".to_owned())));
        assert_eq!(choose(&json!({}), None), Ok(None));
        let wrong = choose(&own, Some("fast")).expect_err("no such mode");
        assert!(wrong.contains("it has plan, yolo"), "{wrong}");
    }

    #[test]
    fn a_permission_is_given_once_rather_than_for_ever() {
        let option = |id: &str, kind: &str| json!({ "optionId": id, "kind": kind });
        let never = option("never", "reject_once");
        let always = option("always", "allow_always");
        let once = option("once", "allow_once");
        assert_eq!(
            allowing(&json!([never, always, once])).as_deref(),
            Some("once")
        );
        assert_eq!(allowing(&json!([never, always])).as_deref(), Some("always"));
        assert_eq!(allowing(&json!([never])), None);
        assert_eq!(allowing(&Value::Null), None);
    }
}
