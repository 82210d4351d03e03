//! The form that writes an issue: a new one, or another version of one that is there.
//!
//! Nothing typed is lost: whatever the form cannot take is shown again with the reason beside its
//! field, files among it. A preview is the same form, sent with another button; a script only
//! presses that button by itself. An edit names the version it is based on. Deliberately absent:
//! what is allowed (the use case refuses, and names the field).

mod draft;
mod fields;

use axum::extract::{Multipart, Path};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use nightshift_app::Error;
use nightshift_app::record::Issue;
use nightshift_app::use_case::board::IssueChoices;
use nightshift_app::use_case::issue::{EditIssue, IssueView, NewIssue};
use nightshift_domain::issue::Phase;
use nightshift_domain::preflight::Finding;

use self::draft::{Draft, Parsed, Sent};
use super::issue::number_of;
use super::words::Words;
use super::{Page, Visit};

pub(crate) use self::draft::text_of;

/// What is wrong with a field, or with the form as a whole.
#[derive(Debug)]
struct Wrong {
    field: &'static str,
    text: String,
}

/// What is being written.
struct Form<'a> {
    project: &'a str,
    /// The issue, where it is there already.
    known: Option<&'a IssueView>,
    choices: &'a IssueChoices,
    draft: &'a Draft,
    wrong: &'a [Wrong],
    preview: bool,
    /// What would stop it.
    found: &'a [Finding],
    /// Whether that was asked for.
    checked: bool,
    /// Whether one more pair of path and text is wanted.
    more: bool,
}

/// Shows an empty form.
pub(crate) async fn new(visit: Visit, Path(project): Path<String>) -> Response {
    match visit.app.issue_choices(&visit.caller, &project).await {
        Ok(choices) => {
            let draft = Draft::empty(choices.agents.first().map_or("", |agent| &agent.name));
            shown(&visit, &project, None, &choices, &draft)
        }
        Err(error) => visit.failed(error),
    }
}

/// Shows the form filled with what is there.
pub(crate) async fn edit(
    visit: Visit,
    Path((project, number)): Path<(String, String)>,
) -> Response {
    match found(&visit, &project, &number).await {
        Ok((choices, view)) => {
            let draft = Draft::of(&view);
            shown(&visit, &project, Some(&view), &choices, &draft)
        }
        Err(error) => visit.failed(error),
    }
}

fn shown(
    visit: &Visit,
    project: &str,
    known: Option<&IssueView>,
    choices: &IssueChoices,
    draft: &Draft,
) -> Response {
    let form = Form {
        project,
        known,
        choices,
        draft,
        wrong: &[],
        preview: false,
        found: known.map_or(&[], |view| &view.preflight),
        checked: false,
        more: false,
    };
    render(visit, &form)
}

async fn found(
    visit: &Visit,
    project: &str,
    number: &str,
) -> Result<(IssueChoices, IssueView), Error> {
    let number = number_of(number)?;
    let choices = visit.app.issue_choices(&visit.caller, project).await?;
    let view = visit.app.issue_get(&visit.caller, project, number).await?;
    Ok((choices, view))
}

fn render(visit: &Visit, form: &Form<'_>) -> Response {
    let words = visit.words;
    let title = match form.known {
        None => words.get("issue.new").to_owned(),
        Some(view) => words.fill("issue.edit-number", &[("number", &view.line.issue.number)]),
    };
    let page = Page {
        body: fields::whole(visit, form, &title),
        title,
        place: "",
        scripts: &["form.js"],
    };
    let mut answer = page.render(visit);
    if !form.wrong.is_empty() {
        *answer.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    }
    answer
}

/// Takes a new issue, or shows what it would look like.
pub(crate) async fn create(
    visit: Visit,
    Path(project): Path<String>,
    headers: HeaderMap,
    body: Multipart,
) -> Response {
    let sent = match Sent::read(&visit, &headers, body).await {
        Ok(sent) => sent,
        Err(refused) => return refused,
    };
    let choices = match visit.app.issue_choices(&visit.caller, &project).await {
        Ok(choices) => choices,
        Err(error) => return visit.failed(error),
    };
    let draft = Draft::sent(&sent);
    let wrong = match sent.button() {
        "preview" | "more" | "check" => Vec::new(),
        "try" if !draft.has_tests() => vec![no_tests(&visit)],
        button => match file(&visit, &project, &draft, button == "ready").await {
            Ok(view) if button == "try" => return try_out(&visit, &project, &view).await,
            Ok(view) => return to(&project, &view.line.issue),
            Err(Unfiled::Wrong(wrong)) => wrong,
            Err(Unfiled::Failed(error)) => return visit.failed(error),
        },
    };
    let found = look(&visit, &project, &draft, sent.button()).await;
    let form = Form {
        project: &project,
        known: None,
        choices: &choices,
        draft: &draft,
        wrong: &wrong,
        preview: sent.button() == "preview",
        found: &found,
        checked: sent.button() == "check",
        more: sent.button() == "more",
    };
    render(&visit, &form)
}

/// Takes another version of an issue, or shows what it would look like.
pub(crate) async fn save(
    visit: Visit,
    Path((project, number)): Path<(String, String)>,
    headers: HeaderMap,
    body: Multipart,
) -> Response {
    let sent = match Sent::read(&visit, &headers, body).await {
        Ok(sent) => sent,
        Err(refused) => return refused,
    };
    let (choices, view) = match found(&visit, &project, &number).await {
        Ok(found) => found,
        Err(error) => return visit.failed(error),
    };
    let mut draft = Draft::sent(&sent);
    let wrong = match sent.button() {
        "preview" | "more" | "check" => Vec::new(),
        _ if draft.version != view.line.issue.version => {
            // Saying it once is enough: saving again is then a decision.
            draft.version = view.line.issue.version;
            vec![Wrong {
                field: "version",
                text: visit.words.get("issue.changed-meanwhile").to_owned(),
            }]
        }
        "try" if !draft.has_tests() => vec![no_tests(&visit)],
        button => match change(&visit, &project, &view, &draft).await {
            Ok(view) if button == "try" => return try_out(&visit, &project, &view).await,
            Ok(view) => return to(&project, &view.line.issue),
            Err(Unfiled::Wrong(wrong)) => wrong,
            Err(Unfiled::Failed(error)) => return visit.failed(error),
        },
    };
    let found = look(&visit, &project, &draft, sent.button()).await;
    let form = Form {
        project: &project,
        known: Some(&view),
        choices: &choices,
        draft: &draft,
        wrong: &wrong,
        preview: sent.button() == "preview",
        found: &found,
        checked: sent.button() == "check",
        more: sent.button() == "more",
    };
    render(&visit, &form)
}

fn to(project: &str, row: &Issue) -> Response {
    Redirect::to(&format!("/p/{project}/{}", row.number)).into_response()
}

/// Tries the tests of what was just saved, and goes on with the form.
async fn try_out(visit: &Visit, project: &str, view: &IssueView) -> Response {
    let number = view.line.issue.number;
    match visit.app.issue_try(&visit.caller, project, number).await {
        Ok(_) => Redirect::to(&format!("/p/{project}/{number}/edit#tryout")).into_response(),
        Err(error) => visit.failed(error),
    }
}

fn no_tests(visit: &Visit) -> Wrong {
    Wrong {
        field: "acceptance",
        text: visit.words.get("tryout.no-command").to_owned(),
    }
}

enum Unfiled {
    Wrong(Vec<Wrong>),
    Failed(Error),
}

impl Unfiled {
    fn of(words: &Words, error: Error) -> Self {
        let field = match &error {
            Error::Invalid { .. } => field_of(&error.to_string()),
            Error::Refused { .. } | Error::Conflict { .. } => "form",
            _ => return Self::Failed(error),
        };
        let text = words.refusal(&error);
        Self::Wrong(vec![Wrong { field, text }])
    }
}

/// The field that a refusal is about; in English it begins with the field's name.
fn field_of(detail: &str) -> &'static str {
    const FIELDS: &[(&str, &str)] = &[
        ("`title`", "title"),
        ("`body`", "body"),
        ("`labels`", "labels"),
        ("`priority`", "priority"),
        ("`agent`", "agent"),
        ("`assignee`", "assignee"),
        ("`blocked_by`", "blocked_by"),
        ("`budget_micro_usd`", "budget"),
        ("`budget_minutes`", "budget_minutes"),
        ("acceptance", "acceptance"),
    ];
    FIELDS
        .iter()
        .find(|(start, _)| detail.starts_with(start))
        .map_or("form", |(_, field)| field)
}

/// What would stop what is written, where that was asked for. A form that means nothing yet is
/// looked at as far as it means something.
async fn look(visit: &Visit, project: &str, draft: &Draft, button: &str) -> Vec<Finding> {
    if button != "check" {
        return Vec::new();
    }
    let mut readable = draft.clone();
    readable.title = "-".to_owned();
    let parsed = readable.parsed(visit.words);
    let new = NewIssue {
        body: draft.body.clone(),
        agent: Some(draft.agent.clone()),
        blocked_by: parsed
            .as_ref()
            .map(|parsed| parsed.blocked_by.clone())
            .unwrap_or_default(),
        acceptance: parsed.ok().and_then(|parsed| parsed.acceptance),
        ..NewIssue::default()
    };
    let found = visit.app.issue_check(&visit.caller, project, &new).await;
    found.unwrap_or_default()
}

async fn file(
    visit: &Visit,
    project: &str,
    draft: &Draft,
    ready: bool,
) -> Result<IssueView, Unfiled> {
    let parsed = draft.parsed(visit.words).map_err(Unfiled::Wrong)?;
    let new = NewIssue {
        title: draft.title.clone(),
        body: draft.body.clone(),
        labels: parsed.labels,
        priority: Some(parsed.priority),
        assignee: Some(draft.assignee.clone()),
        agent: Some(draft.agent.clone()),
        blocked_by: parsed.blocked_by,
        acceptance: parsed.acceptance,
        budget: parsed.budget,
        ready,
    };
    let done = visit.app.issue_create(&visit.caller, project, new).await;
    done.map_err(|error| Unfiled::of(visit.words, error))
}

/// Sends only what differs, since an issue that is being worked on takes some changes and not others.
async fn change(
    visit: &Visit,
    project: &str,
    view: &IssueView,
    draft: &Draft,
) -> Result<IssueView, Unfiled> {
    let Parsed {
        labels,
        priority,
        blocked_by,
        acceptance,
        budget,
    } = draft.parsed(visit.words).map_err(Unfiled::Wrong)?;
    let row = &view.line.issue;
    let acceptance = match (is_sealed(view), acceptance) {
        (true, _) => None,
        (false, None) if view.acceptance.is_some() => {
            return Err(Unfiled::Wrong(vec![Wrong {
                field: "acceptance",
                text: visit.words.get("issue.acceptance-stays").to_owned(),
            }]));
        }
        (false, acceptance) => acceptance.filter(|new| view.acceptance.as_ref() != Some(new)),
    };
    let edit = EditIssue {
        title: (draft.title.trim() != row.title).then(|| draft.title.clone()),
        body: (draft.body != row.body).then(|| draft.body.clone()),
        labels: (labels != row.labels).then_some(labels),
        priority: (priority != row.priority).then_some(priority),
        assignee: (draft.assignee != row.assignee.clone().unwrap_or_default())
            .then(|| draft.assignee.clone()),
        agent: (draft.agent != row.agent).then(|| draft.agent.clone()),
        blocked_by: (blocked_by != view.blocked_by).then_some(blocked_by),
        acceptance,
        budget_micro_usd: (budget.cost_micro_usd != row.budget.cost_micro_usd)
            .then(|| budget.cost_micro_usd.unwrap_or_default()),
        budget_minutes: (budget.minutes != row.budget.minutes)
            .then(|| budget.minutes.unwrap_or_default()),
        version: Some(row.version),
    };
    let number = row.number;
    let done = visit
        .app
        .issue_edit(&visit.caller, project, number, edit)
        .await;
    done.map_err(|error| Unfiled::of(visit.words, error))
}

/// Whether the tests can be changed no more: there is a result that they judged.
fn is_sealed(view: &IssueView) -> bool {
    view.has_pull
}

/// Whether it is not filed to start yet.
fn is_draft(view: &IssueView) -> bool {
    view.line.issue.state.phase == Phase::Draft
}

/// Whether the text can be changed now.
fn is_worked_on(view: &IssueView) -> bool {
    matches!(view.line.issue.state.phase, Phase::Working | Phase::Landing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_stands_at_its_field() {
        assert_eq!(field_of("`title` must be one line"), "title");
        assert_eq!(field_of("acceptance: \"a\" is there twice"), "acceptance");
        assert_eq!(field_of("#3 has ended (done)"), "form");
    }
}
