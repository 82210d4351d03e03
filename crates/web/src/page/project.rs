//! Projects: the list, a new one, and a project's own page with its board, settings and members.

use axum::extract::{Path, Query};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};
use nightshift_app::Error;
use nightshift_app::use_case::board::{COUNT_TO, ProjectCard, ProjectHome};
use nightshift_domain::access::Role;
use nightshift_domain::config;
use nightshift_domain::issue::Phase;
use serde::Deserialize;

use super::board::{self, BoardQuery};
use super::say;
use super::words::Words;
use super::{Page, Posted, Visit, parts};

/// Lists the projects.
pub(crate) async fn list(visit: Visit, headers: HeaderMap) -> Response {
    list_with(&visit, &headers, "", None).await
}

async fn list_with(
    visit: &Visit,
    headers: &HeaderMap,
    name: &str,
    refused: Option<&Error>,
) -> Response {
    let cards = match visit.app.project_cards(&visit.caller).await {
        Ok(cards) => cards,
        Err(error) => return visit.failed(error),
    };
    let words = visit.words;
    let page = Page {
        title: words.get("projects.title").to_owned(),
        place: "projects",
        body: html! {
            h1 { (words.get("projects.title")) }
            @if cards.is_empty() { p { (words.get("projects.none")) } }
            @else { (table(words, &cards)) }
            @if visit.caller.is_admin() { (new_form(visit, headers, name, refused)) }
        },
        scripts: &[],
    };
    let mut answer = page.render(visit);
    if refused.is_some() {
        *answer.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    }
    answer
}

fn table(words: &Words, cards: &[ProjectCard]) -> Markup {
    html! {
        div.scroll { table.projects {
            caption { (words.get("projects.caption")) }
            thead { tr {
                th scope="col" { (words.get("board.project")) }
                th scope="col" { (words.get("projects.head")) }
                @for word in Phase::WORDS { th scope="col" { (parts::phase(words, word)) } }
            } }
            tbody { @for card in cards { tr {
                th scope="row" {
                    a href={ "/p/" (card.project.name) } { (card.project.name) }
                    @if let Some(error) = &card.project.config_error {
                        p.notice.bad { (words.get("projects.broken")) " " (parts::said(words, &error.said())) " "
                            a href={ "/p/" (card.project.name) "/settings" } { (words.get("settings.repair")) } }
                    }
                }
                td { @match &card.project.config_commit {
                    Some(head) => code { (head.short()) },
                    None => span.quiet { (words.get("projects.no-commit")) },
                } }
                @for word in Phase::WORDS { td.number {
                    @match card.counts.iter().find(|(phase, _)| phase == word) {
                        Some((_, COUNT_TO)) => { (COUNT_TO) "+" }
                        Some((_, count)) => (count),
                        None => span.quiet { "0" },
                    }
                } }
            } } }
        } }
    }
}

fn new_form(visit: &Visit, headers: &HeaderMap, name: &str, refused: Option<&Error>) -> Markup {
    let words = visit.words;
    html! {
        section {
            h2 #new { (words.get("projects.new")) }
            form.stack.small method="post" action="/projects" aria-labelledby="new" {
                (parts::form_token(visit))
                @if let Some(error) = refused { p.notice.bad #new-error role="alert" { (parts::marked(&words.refusal(error))) } }
                label { (words.get("projects.name"))
                    input name="name" value=(name) required maxlength="64" autocapitalize="none" autocomplete="off"
                        aria-describedby=[refused.map(|_| "new-error")];
                }
                label { (words.get("projects.branch")) input name="branch" value="main" required; }
                button.primary { (words.get("projects.create")) }
            }
            p.quiet { (words.get("projects.push-hint")) }
            (push_commands(headers, if name.is_empty() { "NAME" } else { name }, "main"))
        }
    }
}

/// The address of a project's repository, as this visitor reaches the server.
fn clone_address(headers: &HeaderMap, name: &str) -> String {
    address(headers, &format!("/git/{name}.git"))
}

/// A whole address, as this visitor reaches the server.
pub(super) fn address(headers: &HeaderMap, path: &str) -> String {
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(header::HOST).unwrap_or("localhost");
    let forwarded = text(header::HeaderName::from_static("x-forwarded-proto"));
    let scheme = if forwarded == Some("https") {
        "https"
    } else {
        "http"
    };
    format!("{scheme}://{host}{path}")
}

fn push_commands(headers: &HeaderMap, name: &str, branch: &str) -> Markup {
    html! {
        pre { code {
            "git remote add nightshift " (clone_address(headers, name)) "\n"
            "git push nightshift " (branch)
        } }
    }
}

/// A project to be made.
#[derive(Deserialize)]
pub(crate) struct NewProject {
    name: String,
    #[serde(default)]
    branch: String,
}

/// Makes a project.
pub(crate) async fn create(posted: Posted<NewProject>) -> Response {
    let visit = &posted.visit;
    let name = posted.form.name.trim();
    let branch = Some(posted.form.branch.trim()).filter(|branch| !branch.is_empty());
    match visit.app.project_create(&visit.caller, name, branch).await {
        Ok(_) => Redirect::to(&format!("/p/{name}")).into_response(),
        Err(error @ (Error::Invalid { .. } | Error::Conflict { .. })) => {
            list_with(visit, &posted.headers, name, Some(&error)).await
        }
        Err(error) => visit.failed(error),
    }
}

/// A member who was not set, and why.
struct Unset<'a> {
    who: &'a str,
    role: &'a str,
    why: Error,
}

/// Shows a project's own page.
pub(crate) async fn show(
    visit: Visit,
    headers: HeaderMap,
    Path(name): Path<String>,
    Query(query): Query<BoardQuery>,
) -> Response {
    show_with(&visit, &headers, &name, &query, None).await
}

async fn show_with(
    visit: &Visit,
    headers: &HeaderMap,
    name: &str,
    query: &BoardQuery,
    unset: Option<&Unset<'_>>,
) -> Response {
    let filter = query.filter(Some(name));
    let home = visit.app.project_home(&visit.caller, name);
    let board = visit.app.board(&visit.caller, &filter);
    let (home, board) = match tokio::join!(home, board) {
        (Ok(home), Ok(board)) => (home, board),
        (Err(error), _) | (_, Err(error)) => return visit.failed(error),
    };
    let words = visit.words;
    let page = Page {
        title: name.to_owned(),
        place: "projects",
        body: html! {
            (head(words, headers, &home))
            (board::whole(words, &board, &filter, Some(name)))
            (settings(words, &home))
            (members(visit, &home, unset))
        },
        scripts: &[],
    };
    page.render(visit)
}

fn head(words: &Words, headers: &HeaderMap, home: &ProjectHome) -> Markup {
    let name = &home.project.name;
    html! {
        div.title {
            h1 { (name) }
            @if home.may_write { a.button href={ "/p/" (name) "/new" } { (words.get("issue.new")) } }
            a href={ "/p/" (name) "/settings" } { (words.get("project.settings")) }
            @if home.may_manage { a href={ "/p/" (name) "/secrets" } { (words.get("project.secrets")) } }
        }
        @if let Some(error) = &home.project.config_error {
            p.notice.bad { b { (words.get("projects.broken")) } " " (parts::said(words, &error.said())) " "
                a href={ "/p/" (name) "/settings" } { (words.get("settings.repair")) } }
        }
        p.facts {
            span { (words.get("project.clone")) " " code { (clone_address(headers, name)) } }
            @if let Some(head) = &home.head {
                span { (home.project.default_branch) " " code { (head.short()) } }
            }
        }
        @if home.head.is_none() {
            div.notice.warn {
                p { (words.get("project.empty")) }
                (push_commands(headers, name, home.project.default_branch.as_str()))
                p { (words.get("project.token-hint")) " " code { "nightshift token new" } }
            }
        }
    }
}

fn settings(words: &Words, home: &ProjectHome) -> Markup {
    let config = &home.project.config;
    html! {
        section.columns-even {
            div {
                h2 { (words.get("project.checks")) }
                @if config.checks.is_empty() { p.quiet { (words.get("project.no-checks")) } }
                @else { div.scroll { table {
                    caption { (words.get("project.checks-hint")) " " code { (config::PATH) } }
                    thead { tr {
                        th scope="col" { (words.get("project.name")) }
                        th scope="col" { (words.get("project.command")) }
                        th scope="col" { (words.get("project.limit")) }
                    } }
                    tbody { @for check in &config.checks { tr {
                        th scope="row" { (check.name) }
                        td { code { (check.run) } }
                        td { (parts::seconds(check.timeout_s.saturating_mul(1_000))) }
                    } } }
                } } }
            }
            div {
                h2 { (words.get("project.agents")) }
                div.scroll { table {
                    caption { (words.get("project.agents-hint")) " " code { (config::PATH) } }
                    thead { tr {
                        th scope="col" { (words.get("project.name")) }
                        th scope="col" { (words.get("project.harness")) }
                        th scope="col" { (words.get("project.model")) }
                    } }
                    tbody { @for agent in &config.agents { tr {
                        th scope="row" { (agent.name) }
                        td { (agent.harness.as_str()) }
                        td { (agent.model.as_deref().unwrap_or("–")) }
                    } } }
                } }
            }
        }
    }
}

const ROLES: [(Role, &str); 3] = [
    (Role::Reader, "role.reader"),
    (Role::Writer, "role.writer"),
    (Role::Maintainer, "role.maintainer"),
];

fn members(visit: &Visit, home: &ProjectHome, unset: Option<&Unset<'_>>) -> Markup {
    let words = visit.words;
    html! {
        section {
            h2 #members { (words.get("project.members")) }
            @if let Some(unset) = unset {
                p.notice.bad #member-wrong role="alert" { (parts::marked(&words.refusal(&unset.why))) }
            }
            div.scroll { table {
                caption { (words.get("project.members-hint")) }
                thead { tr {
                    th scope="col" { (words.get("project.person")) }
                    th scope="col" { (words.get("project.role")) }
                    @if home.may_manage { th scope="col" { (words.get("project.change")) } }
                } }
                tbody { @for (person, role) in &home.members { tr {
                    th scope="row" { (person.name) }
                    td { (role_word(words, *role)) }
                    @if home.may_manage { td { (member(visit, home, &person.name, *role)) } }
                } } }
            } }
            @if home.may_manage { (new_member(visit, home, unset)) }
        }
    }
}

/// The buttons of one member.
fn member(visit: &Visit, home: &ProjectHome, name: &str, role: Role) -> Markup {
    let words = visit.words;
    let address = format!("/p/{}/members", home.project.name);
    let label = words.fill("project.role-of", &[("name", &name)]);
    html! {
        div.stand {
            form.inline method="post" action=(address) {
                (parts::form_token(visit))
                input type="hidden" name="who" value=(name);
                select name="role" aria-label=(label) { (roles(words, role.as_str())) }
                " " button aria-label={ (words.get("project.set-member")) (words.get("mark.colon")) (name) } { (words.get("project.set-member")) }
            }
            form.inline method="post" action=(address) {
                (parts::form_token(visit))
                input type="hidden" name="who" value=(name);
                button.danger name="role" value="none"
                    aria-label=(words.fill("project.remove-who", &[("name", &name)])) {
                    (words.get("project.remove")) }
            }
        }
    }
}

fn new_member(visit: &Visit, home: &ProjectHome, unset: Option<&Unset<'_>>) -> Markup {
    let words = visit.words;
    let role = unset.map_or(Role::Writer.as_str(), |unset| unset.role);
    html! {
        form.member method="post" action={ "/p/" (home.project.name) "/members" } aria-labelledby="members" {
            (parts::form_token(visit))
            label { (words.get("project.person"))
                input name="who" value=(unset.map_or("", |unset| unset.who)) required autocapitalize="none" list="people"
                    autocomplete="off" autofocus[unset.is_some()] aria-invalid=[unset.map(|_| "true")]
                    aria-describedby=[unset.map(|_| "member-wrong")];
            }
            datalist #people { @for name in &home.others { option value=(name) {} } }
            label { (words.get("project.role")) select name="role" { (roles(words, role)) } }
            button { (words.get("project.set-member")) }
        }
    }
}

fn roles(words: &Words, chosen: &str) -> Markup {
    html! { @for (role, word) in ROLES {
        option value=(role.as_str()) selected[role.as_str() == chosen] { (words.get(word)) }
    } }
}

fn role_word(words: &Words, role: Role) -> &str {
    ROLES
        .iter()
        .find(|(one, _)| *one == role)
        .map_or("", |(_, word)| words.get(word))
}

/// A person's role to be set; `none` takes them out.
#[derive(Deserialize)]
pub(crate) struct NewMember {
    who: String,
    role: String,
}

/// Sets a member.
pub(crate) async fn set_member(Path(name): Path<String>, posted: Posted<NewMember>) -> Response {
    let visit = &posted.visit;
    let word = posted.form.role.as_str();
    let who = posted.form.who.trim();
    let set = match (word, Role::parse(word)) {
        ("none", _) => visit.app.member_set(&visit.caller, &name, who, None).await,
        (_, Some(role)) => {
            visit
                .app
                .member_set(&visit.caller, &name, who, Some(role))
                .await
        }
        (_, None) => Err(Error::Invalid {
            detail: say::no_role(format!("{word:?}")).into(),
        }),
    };
    let why = match set {
        Ok(()) => return Redirect::to(&format!("/p/{name}#members")).into_response(),
        Err(error @ (Error::Invalid { .. } | Error::Refused { .. } | Error::NotFound { .. })) => {
            error
        }
        Err(error) => return visit.failed(error),
    };
    let unset = Unset {
        who,
        role: word,
        why,
    };
    let query = BoardQuery::default();
    let mut answer = show_with(visit, &posted.headers, &name, &query, Some(&unset)).await;
    if answer.status().is_success() {
        *answer.status_mut() = match &unset.why {
            Error::Refused { .. } => StatusCode::CONFLICT,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        };
    }
    answer
}
