//! The form of the settings: a field for each declared key, with its help, its default and what is
//! wrong with it.

use maud::{Markup, html};
use nightshift_app::use_case::settings::SettingsView;
use nightshift_domain::config::field::{Field, Kind, SECTIONS, Section};
use nightshift_domain::config::{self, ConfigError};

use super::Beside;
use super::draft::{Draft, DraftRow};
use crate::page::words::Words;
use crate::page::{Visit, parts};
use crate::view;

/// The whole page.
pub(super) fn whole(visit: &Visit, view: &SettingsView, draft: &Draft, beside: &Beside) -> Markup {
    let words = visit.words;
    let name = &view.project.name;
    html! {
        p.quiet { a href={ "/p/" (name) } { (name) } }
        h1 { (words.get("project.settings")) }
        p.facts {
            span { (words.get("settings.file")) " " code { (config::PATH) } }
            @if let Some(tip) = &view.tip {
                span { (view.project.default_branch) " " code { (tip.short()) } }
            }
            span { a href={ "/p/" (name) "#members" } { (words.get("project.members")) } }
        }
        (notices(words, view, beside))
        @if view.locked.is_none() {
            @if !view.may_edit { p.notice { (words.get("settings.look-only")) } }
            @if draft.is_sheet { (sheet(visit, view, draft, beside)) }
            @else { p.notice.warn { (words.get("settings.no-sheet")) } }
            (text(visit, view, draft, beside))
        }
    }
}

fn notices(words: &Words, view: &SettingsView, beside: &Beside) -> Markup {
    html! {
        @if let Some(made) = &beside.saved {
            section.notice role="status" {
                h2 { (words.get("settings.saved")) " "
                    a href={ "/p/" (view.project.name) "/settings?saved=" (made.commit.id) } { code { (made.commit.id.short()) } } }
                p { (made.commit.subject()) " · " (made.commit.author.name) }
                (diff(&made.before, &made.after))
            }
        }
        @if beside.nothing { p.notice role="status" { (words.get("settings.nothing")) } }
        @if let Some(locked) = &view.locked { p.notice.warn { (parts::said(words, locked)) } }
        @if let Some(refused) = &beside.refused { p.notice.bad role="alert" { (parts::marked(refused)) } }
        @if beside.conflict {
            div.notice.bad role="alert" {
                p { b { (words.get("settings.conflict")) } }
                details { summary { (words.get("settings.theirs")) } pre { code { (view.text) } } }
            }
        }
        @if !beside.wrong.is_empty() && view.locked.is_none() {
            div.notice.bad role="alert" {
                p { b { (if view.problems.is_empty() { words.get("settings.wrong") } else { words.get("settings.broken") }) } }
                ul { @for wrong in &beside.wrong { li { (summary(words, wrong)) } } }
            }
        }
    }
}

/// A mistake in one line, which leads to its field where there is one.
fn summary(words: &Words, wrong: &ConfigError) -> Markup {
    let target = match &wrong.field {
        Some(field) => has_field(field).then(|| id_of(field)),
        None => None,
    };
    html! {
        a href={ "#" (target.as_deref().unwrap_or("text")) } {
            @match (&wrong.field, wrong.line) {
                (Some(field), _) => code { (field) },
                (None, Some(line)) => (words.fill("settings.line", &[("line", &line)])),
                (None, None) => code { (config::PATH) },
            }
        }
        " " (parts::kept(words, &wrong.message))
    }
}

/// Whether the form has a field for this path of a mistake.
fn has_field(path: &str) -> bool {
    let Some((head, key)) = path.split_once('.') else {
        return false;
    };
    let name = head.split('[').next().unwrap_or_default();
    config::field::section(name).is_some_and(|known| known.field(key).is_some())
}

/// The id of the field with this path: `check[1].timeout` is `check-1-timeout`.
fn id_of(path: &str) -> String {
    path.replace(['[', '.'], "-").replace(']', "")
}

fn diff(before: &str, after: &str) -> Markup {
    let patch = view::settings::diff(before, after);
    html! {
        @if !patch.is_empty() {
            pre.patch tabindex="0" { code { @for line in patch.lines() {
                @match line.as_bytes().first() {
                    Some(b'+') => span.plus { (line) "\n" },
                    Some(b'-') => span.minus { (line) "\n" },
                    _ => span { (line) "\n" },
                }
            } } }
        }
    }
}

fn address(view: &SettingsView) -> String {
    format!("/p/{}/settings", view.project.name)
}

/// The preview, beside the buttons of the form that asked for it.
fn preview(words: &Words, beside: &Beside, by_text: bool) -> Markup {
    html! {
        @if let (Some((before, after)), true) = (&beside.preview, beside.by_text == by_text) {
            section.box #preview role="status" {
                h2 { (words.get("settings.preview-title")) }
                (diff(before, after))
            }
        }
    }
}

fn message(words: &Words, draft: &Draft, id: &str) -> Markup {
    html! {
        div.field {
            label for=(id) { (words.get("settings.message")) }
            p.hint id={ (id) "-hint" } { (words.get("settings.message-hint")) }
            input id=(id) name="message" value=(draft.message) autocomplete="off" maxlength="500"
                aria-describedby={ (id) "-hint" };
        }
    }
}

fn sheet(visit: &Visit, view: &SettingsView, draft: &Draft, beside: &Beside) -> Markup {
    let words = visit.words;
    let to_preview = format!("{}#preview", address(view));
    html! {
        form.settings method="post" action=(address(view)) {
            (parts::form_token(visit))
            input type="hidden" name="blob" value=(draft.blob);
            input type="hidden" name="fields" value="1";
            // The first button is the one that the Enter key presses.
            button.hidden name="do" value="save" tabindex="-1" aria-hidden="true" disabled[!view.may_edit] {}
            fieldset.bare disabled[!view.may_edit] {
                legend.hidden { (words.get("project.settings")) }
                @for known in SECTIONS {
                    @if known.many { (many(words, known, draft, beside)) }
                    @else { (one(words, known, draft, beside)) }
                }
                @if view.may_edit {
                    (message(words, draft, "message"))
                    (preview(words, beside, false))
                    div.actions {
                        button.primary name="do" value="save" { (words.get("settings.save")) }
                        button name="do" value="preview" formaction=(to_preview) { (words.get("settings.preview")) }
                    }
                }
            }
        }
    }
}

fn one(words: &Words, known: &Section, draft: &Draft, beside: &Beside) -> Markup {
    let blank = DraftRow::default();
    let row = draft.rows(known.name).first().unwrap_or(&blank);
    html! {
        section.box aria-labelledby={ (known.name) "-title" } {
            (heading(words, known))
            div.fields { @for field in known.fields {
                (control(words, known, field, None, row, beside))
            } }
        }
    }
}

fn heading(words: &Words, known: &Section) -> Markup {
    let key = |stem: &str| format!("{stem}{}", known.name);
    html! {
        h2 id={ (known.name) "-title" } { (words.get(&key("settings-section."))) }
        p.hint { (words.get(&key("settings-about."))) }
    }
}

fn many(words: &Words, known: &Section, draft: &Draft, beside: &Beside) -> Markup {
    let rows = draft.rows(known.name);
    let name = known.name;
    let add = format!("{name}-add");
    html! {
        section.box aria-labelledby={ (name) "-title" } {
            (heading(words, known))
            @for (at, row) in rows.iter().enumerate() {
                fieldset.row {
                    legend { (at + 1) ". " (row.at("name")) }
                    input type="hidden" name={ (name) "." (at) ".was" } value=(row.was.map(|at| at.to_string()).unwrap_or_default());
                    div.fields { @for field in known.fields {
                        (control(words, known, field, Some(at), row, beside))
                    } }
                    div.actions {
                        (turn(words, known, at, row, "up", at == 0, beside))
                        (turn(words, known, at, row, "down", at + 1 == rows.len(), beside))
                        (turn(words, known, at, row, "remove", false, beside))
                    }
                }
            }
            div.actions {
                button #(add) name="do" value={ "add." (name) } autofocus[beside.focus.as_deref() == Some(&add)] {
                    (words.get(&["settings-add.", name].concat()))
                }
            }
        }
    }
}

/// A button that changes the order of rows, and saves nothing.
fn turn(
    words: &Words,
    known: &Section,
    at: usize,
    row: &DraftRow,
    verb: &str,
    idle: bool,
    beside: &Beside,
) -> Markup {
    let name = known.name;
    let id = format!("{name}-{at}-{verb}");
    let word = words.get(match verb {
        "up" => "settings.up",
        "down" => "settings.down",
        _ => "settings.remove",
    });
    html! {
        button id=(id) name="do" value={ (verb) "." (name) "." (at) } disabled[idle]
            autofocus[beside.focus.as_deref() == Some(&id)]
            aria-label={ (word) ": " (at + 1) ". " (row.at("name")) } { (word) }
    }
}

/// One field with its label, its help and what is wrong with it.
fn control(
    words: &Words,
    known: &Section,
    field: &Field,
    at: Option<usize>,
    row: &DraftRow,
    beside: &Beside,
) -> Markup {
    let (path, name) = match at {
        Some(at) => (
            format!("{}[{at}].{}", known.name, field.key),
            format!("{}.{at}.{}", known.name, field.key),
        ),
        None => {
            let path = format!("{}.{}", known.name, field.key);
            (path.clone(), path)
        }
    };
    let id = id_of(&path);
    let wrongs: Vec<_> = beside
        .wrong
        .iter()
        .filter(|wrong| wrong.field.as_ref() == Some(&path))
        .collect();
    let typed = row.at(field.key);
    let must_show = !typed.is_empty() || !wrongs.is_empty();
    let word = |stem: &str| format!("{stem}{}-{}", known.name, field.key);
    html! {
        div class=(class(field, must_show)) {
            label for=(id) { (words.get(&word("setting."))) }
            p.hint id={ (id) "-hint" } {
                (words.get(&word("setting-help.")))
                @if field.needed { " " (words.get("settings.needed")) }
                @else if !field.default.is_empty() {
                    " " (words.get("settings.default")) " " code { (shown_default(words, field)) }
                }
            }
            div.wrong id={ (id) "-wrong" } { @for wrong in &wrongs { p { (parts::kept(words, &wrong.message)) } } }
            (input(words, field, &id, &name, typed, !wrongs.is_empty(), beside))
        }
    }
}

/// A field that only some harnesses use is shown while one of them is chosen, or where it says
/// something; the sheet of styles does that, so that it works without scripts.
fn class(field: &Field, must_show: bool) -> String {
    let mut class = "field".to_owned();
    if matches!(field.kind, Kind::Text | Kind::Lines) {
        class.push_str(" grow");
    }
    if !field.only.is_empty() && !must_show {
        class.push_str(" only");
        for harness in field.only {
            class.push_str(&format!(" for-{}", harness.as_str()));
        }
    }
    class
}

fn shown_default<'a>(words: &'a Words, field: &Field) -> &'a str {
    match field.kind {
        Kind::Flag if field.default == "true" => words.get("settings.yes"),
        Kind::Flag => words.get("settings.no"),
        _ => field.default,
    }
}

fn input(
    words: &Words,
    field: &Field,
    id: &str,
    name: &str,
    typed: &str,
    is_wrong: bool,
    beside: &Beside,
) -> Markup {
    let about = format!("{id}-hint {id}-wrong");
    let invalid = is_wrong.then_some("true");
    let focus = beside.focus.as_deref() == Some(id);
    let choices: Vec<(&str, &str)> = match field.kind {
        Kind::Choice(choices) => choices.iter().map(|choice| (*choice, *choice)).collect(),
        Kind::Flag => vec![
            ("true", words.get("settings.yes")),
            ("false", words.get("settings.no")),
        ],
        Kind::Line | Kind::Text | Kind::Span | Kind::Number | Kind::Decimal | Kind::Lines => {
            Vec::new()
        }
    };
    html! {
        @match field.kind {
            Kind::Text | Kind::Lines => textarea.code.short id=(id) name=(name) rows="3" spellcheck="false"
                placeholder=(field.default) aria-describedby=(about) aria-invalid=[invalid] autofocus[focus] { "\n" (typed) },
            Kind::Choice(_) | Kind::Flag => select id=(id) name=(name) aria-describedby=(about) aria-invalid=[invalid] autofocus[focus] {
                option value="" { @if field.needed { (words.get("settings.choose")) } @else { (words.get("settings.as-default")) } }
                @if !typed.is_empty() && !choices.iter().any(|(value, _)| *value == typed) {
                    option value=(typed) selected { (typed) " (?)" }
                }
                @for (value, word) in choices { option value=(value) selected[value == typed] { (word) } }
            },
            Kind::Line | Kind::Span | Kind::Number | Kind::Decimal => input.code id=(id) name=(name) value=(typed) placeholder=(field.default)
                inputmode=[match field.kind { Kind::Number => Some("numeric"), Kind::Decimal => Some("decimal"), _ => None }] autocomplete="off" spellcheck="false"
                aria-describedby=(about) aria-invalid=[invalid] autofocus[focus];
        }
    }
}

/// The whole text, for what a form cannot say.
fn text(visit: &Visit, view: &SettingsView, draft: &Draft, beside: &Beside) -> Markup {
    let words = visit.words;
    let open = beside.by_text || !draft.is_sheet || beside.wrong.iter().any(is_for_text);
    let to_preview = format!("{}#preview", address(view));
    html! {
        details.box #text open[open] {
            summary { (words.get("settings.as-text")) }
            form.settings method="post" action=(address(view)) {
                (parts::form_token(visit))
                input type="hidden" name="blob" value=(draft.blob);
                fieldset.bare disabled[!view.may_edit] {
                    legend.hidden { (words.get("settings.as-text")) }
                    div.field {
                        label for="whole" { code { (config::PATH) } }
                        p.hint #whole-hint { (words.get("settings.text-hint")) }
                        div.wrong #whole-wrong { @for wrong in beside.wrong.iter().filter(|wrong| beside.by_text || is_for_text(wrong)) {
                            p { @if let Some(line) = wrong.line { (words.fill("settings.line", &[("line", &line)])) (words.get("mark.colon")) } (parts::kept(words, &wrong.message)) }
                        } }
                        textarea.code.tall #whole name="text" spellcheck="false" aria-describedby="whole-hint whole-wrong"
                            aria-invalid=[(open && !beside.wrong.is_empty()).then_some("true")] { "\n" (draft.text) }
                    }
                    @if view.may_edit {
                        (message(words, draft, "text-message"))
                        (preview(words, beside, true))
                        div.actions {
                            button.primary name="do" value="save-text" { (words.get("settings.save-text")) }
                            button name="do" value="preview-text" formaction=(to_preview) { (words.get("settings.preview")) }
                        }
                    }
                }
            }
        }
    }
}

/// Whether no field can show this mistake.
fn is_for_text(wrong: &ConfigError) -> bool {
    !wrong.field.as_deref().is_some_and(has_field)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::words;

    #[test]
    fn a_field_of_some_harnesses_can_be_seen() {
        let sheet = include_str!("../../asset/style.css");
        for field in SECTIONS.iter().flat_map(|known| known.fields) {
            for harness in field.only {
                let class = format!(".for-{}", harness.as_str());
                assert!(sheet.contains(&class), "style.css never shows {class}");
            }
        }
    }

    #[test]
    fn every_key_has_its_words() {
        for language in words::all() {
            let has =
                |key: String| assert_ne!(language.get(&key), key, "{}: no {key}", language.code);
            for known in SECTIONS {
                has(format!("settings-section.{}", known.name));
                has(format!("settings-about.{}", known.name));
                if known.many {
                    has(format!("settings-add.{}", known.name));
                }
                for field in known.fields {
                    has(format!("setting.{}-{}", known.name, field.key));
                    has(format!("setting-help.{}-{}", known.name, field.key));
                }
            }
        }
    }
}
