//! Events of the log, one line each.

use nightshift_api::project::Event;
use serde_json::Value;

use crate::screen::{Screen, bold, cyan, dim, plain};

/// An event on one line.
pub(crate) fn line(screen: &mut Screen, event: &Event) {
    let what = match (&event.project, event.number) {
        (Some(project), Some(number)) => format!("{project}#{number}"),
        (Some(project), None) => project.clone(),
        (None, _) => "server".to_owned(),
    };
    screen.line([
        dim(event.at.strftime("%H:%M:%S ").to_string()),
        dim(format!("{:>5} ", event.seq)),
        bold(format!("{what:<14} ")),
        cyan(format!("{:<18} ", event.kind)),
        plain(format!("{}  ", event.actor)),
        dim(rest(&event.data)),
    ]);
}

/// The small facts of an event: `name=value`, one after another.
fn rest(data: &Value) -> String {
    let Some(fields) = data.as_object() else {
        return String::new();
    };
    let shown = fields.iter().filter_map(|(name, value)| match value {
        Value::String(text) if text.len() <= 80 => Some(format!("{name}={text}")),
        Value::Number(number) => Some(format!("{name}={number}")),
        Value::Bool(yes) => Some(format!("{name}={yes}")),
        _ => None,
    });
    shown.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::issue::tests::at;
    use super::*;

    #[test]
    fn an_event_is_one_line() {
        let event = serde_json::from_value(json!({
            "seq": 42, "at": at(0), "kind": "issue.filed", "project": "tally", "issue": null,
            "number": 4, "run": null, "actor": "alice",
            "data": {"phase": "ready", "title": "a\nb", "deep": {"x": 1}, "round": 1},
        }))
        .expect("an event");
        let mut screen = Screen::new(false, None);
        line(&mut screen, &event);
        assert_eq!(
            screen.as_str(),
            "22:13:20    42 tally#4        issue.filed        alice  phase=ready round=1 title=a b\n"
        );
    }
}
