//! The fields of the form, each with its label, its hint and what is wrong with it.

use maud::{Markup, html};
use nightshift_domain::budget::dollars;

use super::draft::{Content, DraftFile};
use super::{Form, Wrong, is_draft, is_sealed, is_worked_on};
use crate::page::words::Words;
use crate::page::{Visit, board, live, markdown, parts, preflight, tryout};

/// The whole page.
pub(super) fn whole(visit: &Visit, form: &Form<'_>, title: &str) -> Markup {
    let words = visit.words;
    let project = form.project;
    let draft = form.draft;
    let address = match form.known {
        None => format!("/p/{project}/new"),
        Some(view) => format!("/p/{project}/{}/edit", view.line.issue.number),
    };
    html! {
        p.quiet { a href={ "/p/" (project) } { (project) } }
        h1 { (title) }
        (notices(words, form))
        form.issue-form method="post" action=(address) enctype="multipart/form-data" {
            (parts::form_token(visit))
            input type="hidden" name="version" value=(draft.version);
            // The first button is the one that the Enter key presses.
            button.hidden name="do" value=(if form.known.is_some() { "save" } else { "draft" }) tabindex="-1" aria-hidden="true" {}
            (text(form, "title", words.get("issue.title"), &draft.title, None))
            div.field {
                label for="body" { (words.get("issue.body")) }
                p.hint #body-hint { (words.get("issue.body-hint")) }
                (wrong(form.wrong, "body"))
                textarea.prompt #body name="body" aria-describedby="body-hint body-wrong" { "\n" (draft.body) }
            }
            div.actions {
                button name="do" value="preview" formnovalidate { (words.get("issue.preview")) }
                button name="do" value="check" formnovalidate { (words.get("preflight.check")) }
            }
            div #preflight aria-live="polite" {
                (preflight::list(words, form.found))
                @if form.checked && form.found.is_empty() {
                    p.notice { (words.get("preflight.nothing")) }
                }
            }
            div #preview aria-live="polite" {
                @if form.preview {
                    section.box aria-labelledby="preview-title" {
                        h2 #preview-title { (words.get("issue.preview")) }
                        div.prose { (markdown::render(&draft.body)) }
                    }
                }
            }
            div.fields {
                (agent(words, form))
                (priority(words, form))
                (assignee(words, form))
            }
            div.fields {
                (text(form, "labels", words.get("issue.labels"), &draft.labels, Some(words.get("issue.labels-hint"))))
                (text(form, "blocked_by", words.get("issue.blocked-by"), &draft.blocked_by, Some(words.get("issue.blocked-by-hint"))))
            }
            div.fields {
                (text(form, "budget", words.get("issue.budget-usd"), &draft.budget, Some(&budget_hint(words, form))))
                (text(form, "budget_minutes", words.get("issue.budget-minutes"), &draft.budget_minutes, None))
            }
            (acceptance(words, form))
            div.actions {
                @if form.known.is_some() {
                    button.primary name="do" value="save" { (words.get("issue.save")) }
                } @else {
                    button.primary name="do" value="ready" { (words.get("issue.file-ready")) }
                    button name="do" value="draft" { (words.get("issue.file-draft")) }
                }
                a href=(back(form)) { (words.get("issue.cancel")) }
            }
        }
    }
}

fn back(form: &Form<'_>) -> String {
    match form.known {
        None => format!("/p/{}", form.project),
        Some(view) => format!("/p/{}/{}", form.project, view.line.issue.number),
    }
}

/// What concerns the form as a whole.
fn notices(words: &Words, form: &Form<'_>) -> Markup {
    html! {
        @for wrong in form.wrong.iter().filter(|wrong| wrong.field == "form") {
            p.notice.bad role="alert" { (wrong.text) }
        }
        @if form.wrong.iter().any(|wrong| wrong.field == "version") {
            div.notice.bad role="alert" {
                @for wrong in form.wrong { p { (wrong.text) } }
                @if let Some(view) = form.known {
                    details {
                        summary { (words.get("issue.stored-now")) }
                        h2 { (view.line.issue.title) }
                        pre { code { (view.line.issue.body) } }
                    }
                }
            }
        } @else if form.wrong.len() > 1 {
            p.notice.bad role="alert" { (words.fill("issue.several-wrong", &[("count", &form.wrong.len())])) }
        }
        @if form.known.is_some_and(is_worked_on) {
            p.notice.warn { (words.get("issue.worked-on")) }
        }
    }
}

fn wrong(wrongs: &[Wrong], field: &str) -> Markup {
    html! {
        div.wrong id={ (field) "-wrong" } {
            @for wrong in wrongs.iter().filter(|wrong| wrong.field == field) {
                p role="alert" { (parts::marked(&wrong.text)) }
            }
        }
    }
}

fn is_wrong(form: &Form<'_>, field: &str) -> Option<&'static str> {
    form.wrong
        .iter()
        .any(|wrong| wrong.field == field)
        .then_some("true")
}

fn text(form: &Form<'_>, name: &str, label: &str, value: &str, hint: Option<&str>) -> Markup {
    html! {
        div.field {
            label for=(name) { (label) }
            @if let Some(hint) = hint { p.hint id={ (name) "-hint" } { (hint) } }
            (wrong(form.wrong, name))
            input id=(name) name=(name) value=(value) autocomplete="off" required[name == "title"]
                aria-invalid=[is_wrong(form, name)]
                aria-describedby={ @if hint.is_some() { (name) "-hint " } (name) "-wrong" };
        }
    }
}

/// What holds where the fields are empty.
fn budget_hint(words: &Words, form: &Form<'_>) -> String {
    match form.choices.budget.cost_micro_usd {
        Some(cost) => words.fill("issue.budget-hint", &[("budget", &dollars(cost))]),
        None => words.get("issue.budget-none").to_owned(),
    }
}

fn agent(words: &Words, form: &Form<'_>) -> Markup {
    let chosen = &form.draft.agent;
    let known = form
        .choices
        .agents
        .iter()
        .any(|agent| agent.name == *chosen);
    html! {
        div.field {
            label for="agent" { (words.get("board.agent")) }
            (wrong(form.wrong, "agent"))
            select #agent name="agent" aria-describedby="agent-wrong" {
                @if !known { option value=(chosen) selected { (chosen) " (?)" } }
                @for agent in &form.choices.agents {
                    option value=(agent.name) selected[agent.name == *chosen] {
                        (agent.name) " · " (agent.harness.as_str())
                        @if let Some(model) = &agent.model { " · " (model) }
                    }
                }
            }
        }
    }
}

fn priority(words: &Words, form: &Form<'_>) -> Markup {
    html! {
        div.field {
            label for="priority" { (words.get("issue.priority")) }
            (wrong(form.wrong, "priority"))
            select #priority name="priority" aria-describedby="priority-wrong" {
                @for value in 0..=3_i64 {
                    option value=(value) selected[form.draft.priority == value.to_string()] {
                        (words.get(board::priority(value)))
                    }
                }
            }
        }
    }
}

fn assignee(words: &Words, form: &Form<'_>) -> Markup {
    let chosen = &form.draft.assignee;
    html! {
        div.field {
            label for="assignee" { (words.get("issue.assignee")) }
            (wrong(form.wrong, "assignee"))
            select #assignee name="assignee" aria-describedby="assignee-wrong" {
                option value="" { (words.get("issue.nobody")) }
                @if !chosen.is_empty() && !form.choices.people.contains(chosen) {
                    option value=(chosen) selected { (chosen) }
                }
                @for name in &form.choices.people { option value=(name) selected[name == chosen] { (name) } }
            }
        }
    }
}

fn acceptance(words: &Words, form: &Form<'_>) -> Markup {
    let draft = form.draft;
    if form.known.is_some_and(is_sealed) {
        return html! { p.notice { (words.get("issue.sealed")) } };
    }
    let mut files: Vec<DraftFile> = draft.files.clone();
    files.push(DraftFile::blank());
    if form.more {
        files.push(DraftFile::blank());
    }
    html! {
        fieldset.acceptance aria-describedby="acceptance-hint acceptance-wrong" {
            legend { (words.get("issue.acceptance")) }
            p.hint #acceptance-hint { (words.get("issue.acceptance-hint")) }
            (wrong(form.wrong, "acceptance"))
            div.fields {
                div.field.grow {
                    label for="run" { (words.get("issue.command")) }
                    input.code #run name="run" value=(draft.run) autocomplete="off" spellcheck="false" placeholder="make accept";
                }
                div.field {
                    label for="timeout_s" { (words.get("issue.timeout")) }
                    input #timeout_s name="timeout_s" inputmode="numeric" value=(draft.timeout_s);
                }
            }
            label.check-line {
                input type="checkbox" name="already_green" checked[draft.already_green];
                (words.get("issue.already-green"))
            }
            @if let Some(view) = form.known {
                @let now = tryout::panel(words, view);
                @let stream = format!("/live/p/{}/{}/tryout", form.project, view.line.issue.number);
                div #tryout data-live=(live::address(&stream, &now)) { (now) }
            }
            @for (at, file) in files.iter().enumerate() { (self::file(words, at, file)) }
            div.actions {
                button name="do" value="more" formnovalidate { (words.get("issue.more-files")) }
                @if form.known.is_none_or(is_draft) {
                    button name="do" value="try" aria-describedby="try-hint" { (words.get("tryout.try")) }
                    span.hint #try-hint { (words.get("tryout.try-hint")) }
                }
            }
            div.fields {
                div.field.grow {
                    label for="uploads" { (words.get("issue.upload")) }
                    p.hint #uploads-hint { (words.get("issue.upload-hint")) }
                    input #uploads type="file" name="upload" multiple aria-describedby="uploads-hint";
                }
                div.field {
                    label for="folder" { (words.get("issue.folder")) }
                    p.hint #folder-hint { (words.get("issue.folder-hint")) }
                    input.code #folder name="folder" value=(draft.folder) aria-describedby="folder-hint";
                }
            }
        }
    }
}

fn file(words: &Words, at: usize, file: &DraftFile) -> Markup {
    let place = at + 1;
    let field = |name: &str| format!("{name}-{at}");
    html! {
        div.file role="group" aria-label=(words.fill("issue.file", &[("place", &place)])) {
            div.field {
                label for=(field("path")) { (words.fill("issue.path", &[("place", &place)])) }
                input.code id=(field("path")) name=(field("path")) value=(file.path) autocomplete="off" spellcheck="false" placeholder="tests/accept.sh";
            }
            @match &file.content {
                Content::Text(text) => div.field {
                    label for=(field("content")) { (words.fill("issue.content", &[("place", &place)])) }
                    textarea.short id=(field("content")) name=(field("content")) spellcheck="false" { "\n" (text) }
                },
                Content::Bytes(bytes) => {
                    input type="hidden" name=(field("bytes")) value=(bytes);
                    p.quiet { (words.get("issue.binary")) }
                }
            }
            div.file-choices {
                label.check-line {
                    input type="checkbox" name=(field("executable")) checked[file.executable];
                    (words.get("issue.executable"))
                }
                @if *file != DraftFile::blank() {
                    label.check-line { input type="checkbox" name=(field("remove")); (words.get("issue.remove-file")) }
                }
            }
        }
    }
}
