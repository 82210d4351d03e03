//! Events of the log, one line each.

use std::str::FromStr as _;

use nightshift_api::project::Event;
use serde_json::Value;
use uuid::Uuid;

use crate::screen::{Screen, bold, cyan, dim, plain};
use crate::words::{short_commit, short_id};

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
        plain(format!("{}  ", shortened(&event.actor))),
        dim(rest(&event.data)),
    ]);
}

/// The small facts of an event: `name=value`, one after another, as the server orders them.
fn rest(data: &Value) -> String {
    let Some(fields) = data.as_object() else {
        return String::new();
    };
    // The number stands in front already.
    let shown = fields.iter().filter(|(name, _)| *name != "number");
    let shown = shown.filter_map(|(name, value)| match value {
        Value::String(text) if text.len() <= 80 => Some(format!("{name}={}", shortened(text))),
        Value::Number(number) => Some(format!("{name}={number}")),
        Value::Bool(yes) => Some(format!("{name}={yes}")),
        _ => None,
    });
    shown.collect::<Vec<_>>().join(" ")
}

/// Ids and commits in a text, as they are shown everywhere else.
fn shortened(text: &str) -> String {
    let words = text.split_inclusive([' ', '/']).map(|word| {
        let bare = word.trim_end_matches([' ', '/']);
        let end = &word[bare.len()..];
        if let Ok(id) = Uuid::from_str(bare) {
            return format!("{}{end}", short_id(&id));
        }
        let is_commit = bare.len() == 40 && bare.bytes().all(|b| b.is_ascii_hexdigit());
        let bare = if is_commit { short_commit(bare) } else { bare };
        format!("{bare}{end}")
    });
    words.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_is_one_line() {
        let event = serde_json::from_value(json!({
            "seq": 42, "at": "2023-11-14T22:13:20Z", "kind": "issue.filed", "project": "tally", "issue": null,
            "number": 4, "run": null, "actor": "run 0190a8b0-0000-7000-8000-0000deadbeef",
            "data": {"phase": "ready", "title": "a\nb", "deep": {"x": 1}, "number": 4,
                "ref": "refs/attempts/0190a8b0-0000-7000-8000-0000deadbeef",
                "new": "0123456789012345678901234567890123456789"},
        }))
        .expect("an event");
        let mut screen = Screen::new(false, None);
        line(&mut screen, &event);
        assert_eq!(
            screen.as_str(),
            "22:13:20    42 tally#4        issue.filed        run deadbeef  phase=ready title=a b \
             ref=refs/attempts/deadbeef new=0123456789\n"
        );
    }
}
