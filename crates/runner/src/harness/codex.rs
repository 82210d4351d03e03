//! Codex (`@openai/codex`, facts checked with 0.169.0).
//!
//! Invariant: nothing of the working tree configures it. Its own file in HOME is made by the
//! runner and declares the tree untrusted, which keeps `.codex/` of the tree (model provider,
//! MCP servers, hooks) without effect; `AGENTS.md` is then not read either, so what of it counts
//! is in the prompt. Its own sandbox is off: it runs in ours, and inside another one its nested
//! sandbox fails without saying so. What searches, installs or looks for work outside is off.

use std::ffi::OsString;
use std::path::PathBuf;

use toml::{Table, Value};

use super::codex_event::CodexParser;
use super::invocation::{HomeFile, Invocation, PlanError, Stdin};
use super::needs::{Kind, Needs, Version};
use super::order::AgentOrder;
use super::{EventParser, Harness};

const KEY_VARIABLE: &str = "NIGHTSHIFT_MODEL_KEY";

/// Features that phone home, reach for a desktop, or never give up.
const FEATURES_OFF: [&str; 12] = [
    "apps",
    "browser_use",
    "browser_use_external",
    "computer_use",
    "daemon_auto_start",
    "hooks",
    "image_generation",
    "in_app_browser",
    "plugins",
    "remote_plugin",
    "skill_mcp_dependency_install",
    "unbounded_connection_retries",
];

const NEEDS: Needs = Needs {
    program: "codex",
    package: "@openai/codex",
    since: Version([0, 166, 0]),
    checked: Version([0, 169, 0]),
    kind: Kind::Codex,
};

/// The harness `codex`.
#[derive(Debug, Clone, Copy)]
pub struct Codex;

impl Harness for Codex {
    fn name(&self) -> &'static str {
        "codex"
    }

    fn needs(&self) -> Option<Needs> {
        Some(NEEDS)
    }

    fn resumes(&self) -> bool {
        true
    }

    fn interrupts(&self) -> bool {
        true
    }

    fn plan(&self, order: &AgentOrder) -> Result<Invocation, PlanError> {
        let program = NEEDS.located(self.name(), &order.programs)?;
        let mut argv = program.words();
        argv.push("exec".into());
        if order.session.is_some() {
            argv.push("resume".into());
        }
        argv.extend(
            [
                "--json",
                "--dangerously-bypass-approvals-and-sandbox",
                "--skip-git-repo-check",
            ]
            .map(OsString::from),
        );
        if let Some(session) = &order.session {
            argv.push(session.id.clone().into());
        }
        argv.push("-".into());
        let mut invocation =
            Invocation::new(argv, Stdin::Prompt).with_env(KEY_VARIABLE, &order.model_key);
        invocation.files.push(HomeFile::new(
            ".codex/config.toml",
            config(order).to_string(),
        ));
        invocation.session_dirs = vec![PathBuf::from(".codex/sessions")];
        invocation.binds = program.binds();
        Ok(invocation)
    }

    fn parser(&self, order: &AgentOrder) -> Box<dyn EventParser> {
        Box::new(CodexParser::new(order.session.clone()))
    }
}

fn config(order: &AgentOrder) -> Table {
    let retries = Value::Integer(order.limits.model_retries.into());
    let mut config = Table::new();
    if let Some(model) = &order.model {
        config.insert("model".to_owned(), model.clone().into());
    }
    config.insert("model_provider".to_owned(), "nightshift".into());
    config.insert("check_for_update_on_startup".to_owned(), false.into());
    config.insert("web_search".to_owned(), "disabled".into());
    config.insert("analytics".to_owned(), table([("enabled", false.into())]));
    config.insert(
        "model_providers".to_owned(),
        table([(
            "nightshift",
            table([
                ("name", "nightshift".into()),
                ("base_url", format!("{}/v1", order.model_base_url).into()),
                ("env_key", KEY_VARIABLE.into()),
                ("wire_api", "responses".into()),
                ("request_max_retries", retries.clone()),
                ("stream_max_retries", retries),
            ]),
        )]),
    );
    config.insert(
        "features".to_owned(),
        table(FEATURES_OFF.map(|name| (name, false.into()))),
    );
    if let Some(server) = &order.mcp {
        let args: Vec<Value> = server.args.iter().cloned().map(Value::from).collect();
        let how = table([
            ("command", server.command.clone().into()),
            ("args", args.into()),
            // Checks take their time; the run's own limit ends them.
            ("tool_timeout_sec", Value::Integer(86_400)),
            ("startup_timeout_sec", Value::Integer(60)),
        ]);
        config.insert("mcp_servers".to_owned(), table([(&*server.name, how)]));
    }
    let tree = order.paths.workspace.to_string_lossy();
    config.insert(
        "projects".to_owned(),
        table([(&*tree, table([("trust_level", "untrusted".into())]))]),
    );
    config
}

fn table<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Table(
        entries
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::{Program, Session};
    use nightshift_domain::transcript::Usage;

    fn order() -> AgentOrder {
        let mut order = AgentOrder::new("Fix it.", "Fix it.");
        order
            .programs
            .set("codex", Program::visible("/agents/codex/bin/codex"));
        order
    }

    #[test]
    fn the_configuration_is_ours_alone() {
        let mut order = order();
        order.model = Some("a\"b".to_owned());
        order.mcp = Some(crate::inside::server());
        let plan = Codex.plan(&order).expect("a plan");
        let file = &plan.files[0];
        let text = std::str::from_utf8(&file.contents).expect("text");
        let config: Table = text.parse().expect("TOML");
        assert_eq!(config["model"].as_str(), Some("a\"b"));
        assert_eq!(
            config["projects"]["/workspace"]["trust_level"].as_str(),
            Some("untrusted")
        );
        assert_eq!(
            config["model_providers"]["nightshift"]["base_url"].as_str(),
            Some("http://127.0.0.1:7071/v1")
        );
        let tools = &config["mcp_servers"]["nightshift"];
        assert_eq!(
            tools["command"].as_str(),
            Some("/nightshift/bin/nightshift")
        );
        assert_eq!(tools["args"][0].as_str(), Some("inside"));
        assert_eq!(
            config["features"]["unbounded_connection_retries"].as_bool(),
            Some(false)
        );
    }

    #[test]
    fn a_session_is_resumed_and_the_prompt_comes_by_standard_input() {
        let mut order = order();
        order.session = Some(Session {
            id: "t-1".to_owned(),
            totals: Usage::default(),
        });
        let plan = Codex.plan(&order).expect("a plan");
        let argv: Vec<_> = plan.argv.iter().map(|a| a.to_string_lossy()).collect();
        assert_eq!(argv[1..3], ["exec", "resume"]);
        assert_eq!(argv[argv.len() - 2..], ["t-1", "-"]);
        assert_eq!(plan.stdin, Stdin::Prompt);
        assert_eq!(plan.session_dirs, [PathBuf::from(".codex/sessions")]);
    }
}
