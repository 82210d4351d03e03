//! Any agent that speaks the Agent Client Protocol, version 1 (tried with opencode 1.18.33 and Gemini CLI
//! 0.61.0).
//!
//! The agent's settings say the command; our own program inside starts it, speaks with it and prints what
//! comes of it (`inside/acp.rs`). Its mode is the one that is configured, or the first that asks
//! nobody; what it asks all the same is allowed. Where agents are known to keep sessions is kept.
//! Deliberately absent: an answer to what such a program reads of the working tree. That is the program's
//! own affair, and its settings' (README).

use std::ffi::OsString;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::acp_event::AcpParser;
use super::invocation::{Invocation, PlanError, Stdin};
use super::order::{AgentOrder, McpServer};
use super::{EventParser, Harness};

/// Where agents are known to keep sessions. None keeps them in more than one.
const SESSIONS: [&str; 6] = [
    ".local/share",
    ".claude/projects",
    ".codex/sessions",
    ".gemini/tmp",
    ".qwen/projects",
    ".copilot/session-state",
];

/// The harness `acp`.
#[derive(Debug, Clone, Copy)]
pub struct Acp;

impl Harness for Acp {
    fn name(&self) -> &'static str {
        "acp"
    }

    fn resumes(&self) -> bool {
        true
    }

    fn interrupts(&self) -> bool {
        true
    }

    /// Some agents tell the last of several model calls only.
    fn counts_whole(&self) -> bool {
        false
    }

    fn plan(&self, order: &AgentOrder) -> Result<Invocation, PlanError> {
        if order.command.first().is_none_or(String::is_empty) {
            return Err(PlanError::NoAcpCommand);
        }
        let mut argv: Vec<OsString> = vec![
            order.paths.control.join("bin/nightshift").into(),
            "inside".into(),
            "acp".into(),
            "--cwd".into(),
            order.paths.workspace.clone().into(),
        ];
        if let Some(mode) = &order.mode {
            argv.extend(["--mode".into(), mode.into()]);
        }
        if let Some(server) = &order.mcp {
            argv.extend(["--server".into(), stdio(server).to_string().into()]);
        }
        if let Some(session) = &order.session {
            argv.extend(["--session".into(), session.id.clone().into()]);
        }
        argv.push("--".into());
        argv.extend(order.command.iter().map(Into::into));
        let mut invocation = Invocation::new(argv, Stdin::Prompt)
            .with_env("NIGHTSHIFT_MODEL_URL", &order.model_base_url)
            .with_env("NIGHTSHIFT_MODEL_KEY", &order.model_key);
        invocation.session_dirs = SESSIONS.map(PathBuf::from).to_vec();
        Ok(invocation)
    }

    fn parser(&self, order: &AgentOrder) -> Box<dyn EventParser> {
        Box::new(AcpParser::new(order.session.clone()))
    }
}

/// The server, as `session/new` and `session/load` name one. Every agent takes those on standard streams.
fn stdio(server: &McpServer) -> Value {
    json!({ "name": server.name, "command": server.command, "args": server.args, "env": [] })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::Session;
    use nightshift_domain::transcript::Usage;

    #[test]
    fn our_own_program_starts_the_command() {
        let mut order = AgentOrder::new("Fix it.", "Fix it.");
        assert_eq!(Acp.plan(&order), Err(PlanError::NoAcpCommand));
        order.command = ["/bin/sh", "-c", "agent --acp"].map(str::to_owned).to_vec();
        order.mode = Some("--yolo".to_owned());
        order.mcp = Some(crate::inside::server());
        order.session = Some(Session {
            id: "s-1".to_owned(),
            totals: Usage::default(),
        });
        let plan = Acp.plan(&order).expect("a plan");
        let argv: Vec<_> = plan
            .argv
            .iter()
            .map(|word| word.to_string_lossy())
            .collect();
        assert_eq!(
            argv,
            [
                "/nightshift/bin/nightshift",
                "inside",
                "acp",
                "--cwd",
                "/workspace",
                "--mode",
                "--yolo",
                "--server",
                r#"{"name":"nightshift","command":"/nightshift/bin/nightshift","args":["inside","mcp","/nightshift/inside.json"],"env":[]}"#,
                "--session",
                "s-1",
                "--",
                "/bin/sh",
                "-c",
                "agent --acp"
            ]
        );
    }
}
