//! A project's settings, as the wire says them.

use nightshift_api::FieldProblem;
use nightshift_api::settings::{EditSettings, SavedSettings, Settings, SettingsRow};
use nightshift_app::Error;
use nightshift_app::use_case::settings::{self as app, SaveSettings, SettingsChange};
use nightshift_domain::config::edit::{Edit, NewRow};
use nightshift_domain::config::{self, ConfigError};
use nightshift_domain::sentence::Kept;
use similar::TextDiff;

pub(crate) fn settings(view: app::SettingsView) -> Settings {
    Settings {
        path: config::PATH.to_owned(),
        commit: view.tip.map(String::from),
        blob: view.blob.map(String::from),
        text: view.text,
        problems: view.problems.iter().map(problem).collect(),
        locked: view.locked.map(|locked| locked.to_string()),
        may_edit: view.may_edit,
        in_force: view.project.config,
    }
}

pub(crate) fn problem(error: &ConfigError) -> FieldProblem {
    FieldProblem {
        field: error.field.clone(),
        line: error.line,
        message: error.message.to_string(),
    }
}

pub(crate) fn saved(saved: app::SavedSettings) -> SavedSettings {
    SavedSettings {
        diff: diff(&saved.before, &saved.after),
        commit: saved.commit.map(String::from),
        blob: saved.blob.map(String::from),
    }
}

/// What changed in the file, as a unified diff; empty for nothing.
pub(crate) fn diff(before: &str, after: &str) -> String {
    if before == after {
        return String::new();
    }
    let side = |text: &str, letter: &str| {
        if text.is_empty() {
            "/dev/null".to_owned()
        } else {
            format!("{letter}/{}", config::PATH)
        }
    };
    TextDiff::from_lines(before, after)
        .unified_diff()
        .header(&side(before, "a"), &side(after, "b"))
        .to_string()
}

/// What the wire asks for.
pub(crate) fn save(input: EditSettings) -> Result<SaveSettings, Error> {
    let invalid = |detail: String| Error::Invalid {
        detail: detail.into(),
    };
    let blob = match input.blob.as_deref().filter(|id| !id.is_empty()) {
        Some(id) => Some(id.parse().map_err(|_| {
            invalid(format!(
                "`blob`: {id:?} is no object: send the one that you were shown"
            ))
        })?),
        None => None,
    };
    let by_keys = !(input.set.is_empty() && input.rows.is_empty());
    let change = match (input.text, by_keys) {
        (Some(text), false) => SettingsChange::Text(text),
        (Some(_), true) => {
            return Err(invalid(
                "give `text`, or `set` and `rows`, not both".to_owned(),
            ));
        }
        (None, _) => {
            let mut edits = Vec::new();
            let mut wrong = Vec::new();
            for (path, value) in input.set {
                match path.parse() {
                    Ok(parsed) => edits.push(Edit::Set(parsed, value)),
                    Err(said) => wrong.push(ConfigError {
                        field: Some(path),
                        line: None,
                        message: Kept::from(said),
                    }),
                }
            }
            if !wrong.is_empty() {
                return Err(Error::Unfit { problems: wrong });
            }
            for (section, rows) in input.rows {
                edits.push(Edit::Rows(section, rows.into_iter().map(row).collect()));
            }
            SettingsChange::Edits(edits)
        }
    };
    Ok(SaveSettings {
        blob,
        change,
        message: input.message,
        dry: input.dry_run,
    })
}

fn row(row: SettingsRow) -> NewRow {
    NewRow {
        was: row.was,
        set: row.set,
    }
}
