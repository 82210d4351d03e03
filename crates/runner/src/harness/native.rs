//! The built-in agent: our own loop around a model, for which nothing need be installed.
//!
//! It is our own program in the sandbox (`inside::native`), so its facts are here and there in one
//! version. It speaks to any endpoint that speaks as `OpenAI`'s Chat Completions or as Anthropic's
//! Messages. Invariant: nothing of the working tree configures it; `AGENTS.md` is not read by itself,
//! so what of it counts is in the prompt.

use std::ffi::OsString;
use std::path::PathBuf;

use super::invocation::{Invocation, PlanError, Stdin};
use super::native_event::NativeParser;
use super::order::AgentOrder;
use super::{EventParser, Harness};
use crate::broker::Dialect;

/// The harness `native`.
#[derive(Debug, Clone, Copy)]
pub struct Native;

impl Harness for Native {
    fn name(&self) -> &'static str {
        "native"
    }

    fn resumes(&self) -> bool {
        true
    }

    fn interrupts(&self) -> bool {
        true
    }

    fn plan(&self, order: &AgentOrder) -> Result<Invocation, PlanError> {
        let model = order.model.as_deref().filter(|model| !model.is_empty());
        let model = model.ok_or(PlanError::NoModel {
            harness: self.name(),
        })?;
        let program = order.paths.control.join("bin/nightshift");
        let mut argv: Vec<OsString> = vec![program.into(), "inside".into(), "native".into()];
        argv.push(format!("--speaks={}", order.model_dialect.as_str()).into());
        argv.push(format!("--model={model}").into());
        argv.push(format!("--retries={}", order.limits.model_retries).into());
        if let Some(turns) = order.limits.max_turns {
            argv.push(format!("--max-turns={turns}").into());
        }
        if order.mcp.is_some() {
            // It has them in itself, and needs no server.
            let tools = order.paths.control.join(crate::inside::FILE);
            argv.push(format!("--tools={}", tools.display()).into());
        }
        if let Some(session) = &order.session {
            argv.push(format!("--resume={}", session.id).into());
        }
        let mut invocation = Invocation::new(argv, Stdin::Prompt)
            .with_env("NIGHTSHIFT_MODEL_URL", &order.model_base_url)
            .with_env("NIGHTSHIFT_MODEL_KEY", &order.model_key);
        invocation.session_dirs = vec![PathBuf::from(crate::inside::NATIVE_SESSIONS)];
        Ok(invocation)
    }

    fn parser(&self, order: &AgentOrder) -> Box<dyn EventParser> {
        Box::new(NativeParser::new(order.session.clone()))
    }
}

/// Whether the built-in agent can speak to an endpoint of this interface.
pub(crate) fn speaks(dialect: Dialect) -> bool {
    match dialect {
        Dialect::Anthropic | Dialect::OpenAi => true,
        Dialect::Gemini => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::Session;
    use nightshift_domain::transcript::Usage;

    #[test]
    fn it_is_our_own_program_and_needs_a_model() {
        let mut order = AgentOrder::new("Fix it.", "Fix it.");
        let error = Native.plan(&order).expect_err("no model");
        assert!(error.to_string().contains("model = "), "{error}");
        order.model = Some("m --yolo".to_owned());
        order.model_dialect = Dialect::Anthropic;
        order.limits.max_turns = Some(7);
        order.mcp = Some(crate::inside::server());
        order.session = Some(Session {
            id: "a1".to_owned(),
            totals: Usage::default(),
        });
        let plan = Native.plan(&order).expect("a plan");
        assert_eq!(
            plan.argv,
            [
                "/nightshift/bin/nightshift",
                "inside",
                "native",
                "--speaks=anthropic",
                "--model=m --yolo",
                "--retries=4",
                "--max-turns=7",
                "--tools=/nightshift/inside.json",
                "--resume=a1"
            ]
        );
        assert_eq!(plan.stdin, Stdin::Prompt);
        assert_eq!(plan.binds, []);
        assert_eq!(plan.session_dirs, [PathBuf::from(".nightshift-native")]);
    }
}
