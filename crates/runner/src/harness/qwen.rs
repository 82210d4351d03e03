//! Qwen Code (`@qwen-code/qwen-code`, facts checked with 0.24.4).
//!
//! Invariant: nothing of the working tree configures it. Its own file in HOME declares the tree untrusted,
//! which keeps settings, hooks, MCP servers (those of `.mcp.json`, too) and `.env` of the tree without
//! effect. In such a tree no mode approves everything, so rules allow each tool that works inside; what
//! asks, fetches, schedules or talks to others is off. It still writes its `$version` into the tree's
//! `.qwen/settings.json` where that has none, which the change then shows. It relaunches itself and leaves children when
//! stopped, hence it is told not to; the sandbox ends the rest.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::invocation::{HomeFile, Invocation, PlanError, Stdin};
use super::needs::{Kind, Needs, Version};
use super::order::AgentOrder;
use super::qwen_event::QwenParser;
use super::{EventParser, Harness};

const NEEDS: Needs = Needs {
    program: "qwen",
    package: "@qwen-code/qwen-code",
    since: Version([0, 24, 4]),
    checked: Version([0, 24, 4]),
    kind: Kind::Node { since: 22 },
};

/// Tools that work inside.
const ALLOWED: [&str; 14] = [
    "run_shell_command",
    "edit",
    "write_file",
    "notebook_edit",
    "read_file",
    "grep_search",
    "glob",
    "list_directory",
    "zoom_image",
    "todo_write",
    "agent",
    "skill",
    "tool_search",
    "tool_call",
];

/// Tools that lead out, or wait for somebody.
const DENIED: [&str; 6] = [
    "web_fetch",
    "web_search",
    "ask_user_question",
    "cron_create",
    "enter_worktree",
    "record_artifact",
];

/// The harness `qwen`.
#[derive(Debug, Clone, Copy)]
pub struct Qwen;

impl Harness for Qwen {
    fn name(&self) -> &'static str {
        "qwen"
    }

    fn needs(&self) -> Option<Needs> {
        Some(NEEDS)
    }

    fn resumes(&self) -> bool {
        true
    }

    fn plan(&self, order: &AgentOrder) -> Result<Invocation, PlanError> {
        let program = NEEDS.located(self.name(), &order.programs)?;
        let mut argv = program.words();
        argv.push("--output-format=stream-json".into());
        if let Some(session) = &order.session {
            argv.push(format!("--resume={}", session.id).into());
        }
        let settings = json!({
            "security": {
                "auth": { "selectedType": "openai" },
                "folderTrust": { "enabled": true },
            },
            "general": { "enableAutoUpdate": false },
            "privacy": { "usageStatisticsEnabled": false },
            "telemetry": { "enabled": false },
            "disableAllHooks": true,
            "tools": { "approvalMode": "default" },
            "permissions": { "allow": ALLOWED, "deny": DENIED },
            "model": { "generationConfig": { "maxRetries": order.limits.model_retries } },
        });
        let tree = order.paths.workspace.to_string_lossy();
        let trust: serde_json::Map<String, Value> = [(tree.into_owned(), "DO_NOT_TRUST".into())]
            .into_iter()
            .collect();
        let mut invocation = Invocation::new(argv, Stdin::Prompt)
            .with_env("OPENAI_BASE_URL", format!("{}/v1", order.model_base_url))
            .with_env("OPENAI_API_KEY", &order.model_key)
            .with_env("QWEN_CODE_NO_RELAUNCH", "true")
            .with_env("QWEN_CODE_DISABLE_CRON", "1")
            .with_env("QWEN_CODE_SUPPRESS_YOLO_WARNING", "1")
            .with_env("QWEN_SANDBOX", "false");
        if let Some(model) = &order.model {
            invocation = invocation.with_env("OPENAI_MODEL", model);
        }
        invocation.files = vec![
            HomeFile::new(".qwen/settings.json", settings.to_string()),
            HomeFile::new(
                ".qwen/trustedFolders.json",
                Value::Object(trust).to_string(),
            ),
        ];
        invocation.session_dirs = vec![PathBuf::from(".qwen/projects")];
        invocation.binds = program.binds();
        Ok(invocation)
    }

    fn parser(&self, order: &AgentOrder) -> Box<dyn EventParser> {
        Box::new(QwenParser::new(order.session.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::Program;

    #[test]
    fn the_tree_is_not_trusted() {
        let mut order = AgentOrder::new("Fix it.", "Fix it.");
        let mut program = Program::visible("/agents/cli.js");
        program.interpreter = Some(Box::new(Program::visible("/usr/bin/node")));
        order.programs.set("qwen", program);
        order.model = Some("a-model".to_owned());
        let plan = Qwen.plan(&order).expect("a plan");
        let file = |name: &str| -> Value {
            let found = plan.files.iter().find(|file| file.path.ends_with(name));
            serde_json::from_slice(&found.expect("a file").contents).expect("JSON")
        };
        assert_eq!(file("trustedFolders.json")["/workspace"], "DO_NOT_TRUST");
        let settings = file("settings.json");
        assert_eq!(settings["security"]["folderTrust"]["enabled"], true);
        assert!(!ALLOWED.iter().any(|tool| DENIED.contains(tool)));
        assert!(
            plan.env
                .contains(&("OPENAI_MODEL".to_owned(), "a-model".to_owned()))
        );
    }
}
