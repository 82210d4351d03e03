//! The settings of a project as forms over its settings file; each save is a commit.
//!
//! The form is made of the declarations in `domain::config::field`, and the parser judges what it
//! brings: a mistake stands beside its field, and what was typed is shown again, also when somebody
//! else was faster. What a form cannot say is written as text on the same page. Rows are added and
//! moved by buttons that save nothing. Deliberately absent: what a good file is.

mod draft;
mod fields;

use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use nightshift_app::Error;
use nightshift_app::use_case::settings::{
    SaveSettings, SavedSettings, SettingsChange, SettingsCommit, SettingsView,
};
use nightshift_domain::config::ConfigError;
use serde::Deserialize;

use self::draft::Draft;
use super::say;
use super::{Page, Posted, Visit};

/// What is shown beside the settings themselves.
#[derive(Default)]
struct Beside {
    /// What is wrong with what is shown.
    wrong: Vec<ConfigError>,
    /// Why it was not saved, where it is nobody's field.
    refused: Option<String>,
    /// Whether somebody else was faster; their text is shown.
    conflict: bool,
    /// What would change.
    preview: Option<(String, String)>,
    /// A commit that changed the settings.
    saved: Option<SettingsCommit>,
    /// Whether a save found nothing to change.
    nothing: bool,
    /// The id of the field that gets the focus.
    focus: Option<String>,
    /// Whether the whole text was sent, not the fields.
    by_text: bool,
}

/// A commit to be shown along.
#[derive(Deserialize)]
pub(crate) struct SavedQuery {
    saved: Option<String>,
}

/// Shows the settings.
pub(crate) async fn show(
    visit: Visit,
    Path(project): Path<String>,
    Query(query): Query<SavedQuery>,
) -> Response {
    let found = async {
        let view = visit.app.settings_get(&visit.caller, &project).await?;
        let saved = match query.saved.as_deref() {
            Some(commit) if commit != "nothing" => {
                let missing = |_| Error::NotFound {
                    detail: say::no_commit(&*project, format!("{commit:?}")).into(),
                };
                let commit = commit.parse().map_err(missing)?;
                let made = visit
                    .app
                    .settings_commit(&visit.caller, &project, &commit)
                    .await?;
                Some(made)
            }
            _ => None,
        };
        Ok((view, saved))
    };
    match found.await {
        Ok((view, saved)) => {
            let beside = Beside {
                wrong: view.problems.clone(),
                nothing: query.saved.as_deref() == Some("nothing"),
                saved,
                ..Beside::default()
            };
            render(&visit, &view, &Draft::of(&view), &beside)
        }
        Err(error) => visit.failed(error),
    }
}

fn render(visit: &Visit, view: &SettingsView, draft: &Draft, beside: &Beside) -> Response {
    let page = Page {
        title: visit
            .words
            .fill("settings.title", &[("project", &view.project.name)]),
        place: "projects",
        body: fields::whole(visit, view, draft, beside),
        scripts: &[],
    };
    page.render(visit)
}

/// Takes the form: a save, a look at what would change, or another row.
pub(crate) async fn submit(
    Path(project): Path<String>,
    posted: Posted<Vec<(String, String)>>,
) -> Response {
    let visit = &posted.visit;
    let view = match visit.app.settings_get(&visit.caller, &project).await {
        Ok(view) => view,
        Err(error) => return visit.failed(error),
    };
    let (mut draft, button) = Draft::sent(&posted.form, &view);
    let (verb, what) = button.split_once('.').unwrap_or((&button, ""));
    let by_text = verb.ends_with("-text");
    let dry = verb.starts_with("preview");
    if !(dry || verb.starts_with("save")) {
        let beside = Beside {
            focus: draft.turn(verb, what),
            ..Beside::default()
        };
        return render(visit, &view, &draft, &beside);
    }
    draft.drop_blank_rows();
    let change = if by_text {
        SettingsChange::Text(draft.text.clone())
    } else {
        SettingsChange::Edits(draft.edits(&view.text))
    };
    let save = SaveSettings {
        blob: draft.blob.parse().ok(),
        change,
        message: Some(draft.message.clone()),
        dry,
    };
    let ended = visit
        .app
        .settings_save(&visit.caller, &project, &save)
        .await;
    match ended {
        Ok(SavedSettings {
            commit: Some(commit),
            ..
        }) => Redirect::to(&format!("/p/{project}/settings?saved={commit}")).into_response(),
        Ok(saved) if dry => {
            let beside = Beside {
                nothing: saved.before == saved.after,
                preview: Some((saved.before, saved.after)),
                by_text,
                ..Beside::default()
            };
            render(visit, &view, &draft, &beside)
        }
        Ok(_) => Redirect::to(&format!("/p/{project}/settings?saved=nothing")).into_response(),
        Err(error) => unsaved(visit, &project, draft, by_text, error).await,
    }
}

/// What was typed, shown again with the reason why it was not saved.
async fn unsaved(
    visit: &Visit,
    project: &str,
    mut draft: Draft,
    by_text: bool,
    error: Error,
) -> Response {
    let (status, mut beside) = match error {
        Error::Unfit { problems } => (
            StatusCode::UNPROCESSABLE_ENTITY,
            Beside {
                wrong: problems,
                ..Beside::default()
            },
        ),
        Error::Conflict { .. } => (
            StatusCode::CONFLICT,
            Beside {
                conflict: true,
                ..Beside::default()
            },
        ),
        error @ (Error::Refused { .. } | Error::Invalid { .. }) => (
            StatusCode::UNPROCESSABLE_ENTITY,
            Beside {
                refused: Some(visit.words.refusal(&error)),
                ..Beside::default()
            },
        ),
        other => return visit.failed(other),
    };
    beside.by_text = by_text;
    // Another look: somebody else's version stands there by now.
    let view = match visit.app.settings_get(&visit.caller, project).await {
        Ok(view) => view,
        Err(error) => return visit.failed(error),
    };
    if beside.conflict {
        let base = match draft.blob.parse() {
            Ok(blob) => visit.app.settings_text(&visit.caller, project, &blob).await,
            Err(_) => Ok(String::new()),
        };
        match base {
            Ok(base) => draft.put_on(&Draft::read(&base), &Draft::of(&view)),
            Err(error) => return visit.failed(error),
        }
    }
    let mut answer = render(visit, &view, &draft, &beside);
    *answer.status_mut() = status;
    answer
}
