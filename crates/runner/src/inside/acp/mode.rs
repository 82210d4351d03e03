//! Which mode of an agent's session is set: the one that is configured, or one that asks nobody.

use agent_client_protocol::v1::schema::{
    SessionConfigId, SessionConfigKind, SessionConfigOption, SessionConfigOptionCategory,
    SessionConfigSelectOptions, SessionModeState,
};

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

/// The modes of a session: of their own, or as an option of the category `mode`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Modes {
    offered: Vec<String>,
    /// The option that sets it, where it is one.
    pub(super) option: Option<SessionConfigId>,
}

impl Modes {
    pub(super) fn of(
        modes: Option<SessionModeState>,
        options: Option<Vec<SessionConfigOption>>,
    ) -> Self {
        let own = modes.map(|modes| modes.available_modes).unwrap_or_default();
        if !own.is_empty() {
            return Self {
                offered: own.iter().map(|mode| mode.id.to_string()).collect(),
                option: None,
            };
        }
        let mut options = options.into_iter().flatten();
        let option = options.find(|one| one.category == Some(SessionConfigOptionCategory::Mode));
        let Some(option) = option else {
            return Self {
                offered: Vec::new(),
                option: None,
            };
        };
        let choices = match option.kind {
            SessionConfigKind::Select(select) => match select.options {
                SessionConfigSelectOptions::Ungrouped(choices) => choices,
                SessionConfigSelectOptions::Grouped(groups) => {
                    groups.into_iter().flat_map(|group| group.options).collect()
                }
                _ => Vec::new(),
            },
            _ => Vec::new(),
        };
        Self {
            offered: choices.iter().map(|one| one.value.to_string()).collect(),
            option: Some(option.id),
        }
    }

    /// The mode to set; none where the agent has none that is known to ask nobody.
    pub(super) fn choose(&self, configured: Option<&str>) -> Result<Option<String>, String> {
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

#[cfg(test)]
mod tests {
    use agent_client_protocol::v1::schema::NewSessionResponse;
    use serde_json::{Value, json};

    use super::*;

    /// What an agent that answers this to `session/new` offers.
    fn offered(about: &Value) -> Modes {
        let mut about = about.clone();
        about["sessionId"] = "s-1".into();
        let about: NewSessionResponse = serde_json::from_value(about).expect("an answer");
        Modes::of(about.modes, about.config_options)
    }

    #[test]
    fn a_mode_is_what_is_configured_or_one_that_asks_nobody() {
        let mode = |id: &str| json!({ "id": id, "name": id });
        let choice = |value: &str| json!({ "value": value, "name": value });
        let select = |category: &str, options: Value| {
            json!({ "type": "select", "id": category, "name": category, "category": category,
                "currentValue": "x", "options": options })
        };
        let own = json!({ "modes": {
            "currentModeId": "plan", "availableModes": [mode("plan"), mode("yolo")],
        } });
        let options = json!({ "configOptions": [
            select("model", json!([choice("yolo")])),
            select("mode", json!([choice("plan"), choice("build")])),
        ] });
        let groups = json!({ "configOptions": [
            select("mode", json!([{ "group": "g", "name": "G", "options": [choice("agent")] }])),
        ] });
        let choose = |about: &Value, mode: Option<&str>| offered(about).choose(mode);
        assert_eq!(choose(&own, Some("plan")), Ok(Some("plan".to_owned())));
        assert_eq!(choose(&own, None), Ok(Some("yolo".to_owned())));
        assert_eq!(offered(&own).option, None);
        assert_eq!(offered(&options).option, Some("mode".into()));
        assert_eq!(choose(&options, None), Ok(Some("build".to_owned())));
        assert_eq!(choose(&groups, None), Ok(Some("agent".to_owned())));
        assert_eq!(choose(&json!({}), None), Ok(None));
        let wrong = choose(&own, Some("fast")).expect_err("no such mode");
        assert!(wrong.contains("it has plan, yolo"), "{wrong}");
    }
}
