//! The one list of routes.
//!
//! Every operation that `api` declares is bound here, and nothing else is; a test walks both lists.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::{Extension, Router};
use nightshift_api::operations as op;
use nightshift_app::App;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::decompression::RequestDecompressionLayer;

use crate::door::{
    account, desk as desk_door, event, issue, project, pull, run, runner, secret, view as view_door,
};
use crate::error::{REQUEST, problem};
use crate::live::Live;
use crate::operation::{MAX_BODY, bind, method};
use crate::page::{
    asset, change, change_form, desk, live, picture, proposal, sign_in, sign_in_with,
};
use crate::{git, limit, stream};

/// All doors of the server.
pub fn router(app: App) -> Router {
    router_with(app, &Live::default())
}

/// All doors of the server, with live pages whose figures somebody wants to read.
pub fn router_with(app: App, live: &Live) -> Router {
    let router = Router::new();
    let router = raw(open(router));
    let router = people(router);
    let router = projects(router);
    let router = issues(router);
    let router = runs(router);
    // Pages travel compressed; streams of events do not (the layer leaves them alone).
    let pages = pages(Router::new())
        .layer(CompressionLayer::new())
        .layer(Extension(live.clone()));
    router
        .merge(pages)
        .merge(git_routes())
        .fallback(missing)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(app.clone(), limit::limit))
        .layer(CatchPanicLayer::custom(|_panic| {
            tracing::error!("a request panicked");
            problem(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "Our fault",
                "something went wrong inside the server; its log says what".to_owned(),
            )
        }))
        .layer(from_fn(number))
        .with_state(app)
}

fn open(router: Router<App>) -> Router<App> {
    use nightshift_api::Operation as _;
    router
        .route(
            op::HealthGet::PATH,
            method(op::HealthGet::METHOD, account::health),
        )
        .route(
            op::OPENAPI_GET.path,
            method(op::OPENAPI_GET.method, account::openapi),
        )
}

fn raw(router: Router<App>) -> Router<App> {
    router
        .route(
            op::LOG_APPEND.path,
            method(op::LOG_APPEND.method, runner::append),
        )
        .route(op::LOG_READ.path, method(op::LOG_READ.method, run::log))
        .route(
            op::LOG_STREAM.path,
            method(op::LOG_STREAM.method, stream::log),
        )
        .route(
            op::EVENT_STREAM.path,
            method(op::EVENT_STREAM.method, stream::events),
        )
        .route(
            op::EVENT_EXPORT.path,
            method(op::EVENT_EXPORT.method, event::export),
        )
        .route(op::PULL_DIFF.path, method(op::PULL_DIFF.method, pull::diff))
}

fn people(router: Router<App>) -> Router<App> {
    let router = bind::<op::MeGet, _, _>(router, account::me);
    let router = bind::<op::UserCreate, _, _>(router, account::user_create);
    let router = bind::<op::UserList, _, _>(router, account::user_list);
    let router = bind::<op::TokenCreate, _, _>(router, account::token_create);
    let router = bind::<op::TokenList, _, _>(router, account::token_list);
    let router = bind::<op::TokenRevoke, _, _>(router, account::token_revoke);
    let router = bind::<op::SessionLink, _, _>(router, account::session_link);
    let router = bind::<op::IdentityInvite, _, _>(router, account::identity_invite);
    let router = bind::<op::IdentityList, _, _>(router, account::identity_list);
    let router = bind::<op::IdentityRemove, _, _>(router, account::identity_remove);
    let router = bind::<op::DeskList, _, _>(router, desk_door::list);
    let router = bind::<op::ViewList, _, _>(router, view_door::list);
    let router = bind::<op::ViewSave, _, _>(router, view_door::save);
    let router = bind::<op::ViewRemove, _, _>(router, view_door::remove);
    let router = bind::<op::DeskPark, _, _>(router, desk_door::park);
    let router = bind::<op::DeskUnpark, _, _>(router, desk_door::unpark);
    let router = bind::<op::NotificationList, _, _>(router, account::notification_list);
    let router = bind::<op::NotificationRead, _, _>(router, account::notification_read);
    let router = bind::<op::ServerGet, _, _>(router, account::server);
    let router = bind::<op::RunnerRevoke, _, _>(router, account::runner_revoke);
    let router = bind::<op::RunnerDrain, _, _>(router, account::runner_drain);
    let router = bind::<op::RunnerResume, _, _>(router, account::runner_resume);
    let router = bind::<op::RunnerList, _, _>(router, account::runner_list);
    bind::<op::EventList, _, _>(router, event::list)
}

fn projects(router: Router<App>) -> Router<App> {
    let router = bind::<op::ProjectCreate, _, _>(router, project::create);
    let router = bind::<op::ProjectList, _, _>(router, project::list);
    let router = bind::<op::ProjectGet, _, _>(router, project::get);
    let router = bind::<op::SettingsGet, _, _>(router, project::settings_get);
    let router = bind::<op::SettingsSave, _, _>(router, project::settings_save);
    let router = bind::<op::SecretList, _, _>(router, secret::list);
    let router = bind::<op::SecretSet, _, _>(router, secret::set);
    let router = bind::<op::SecretRemove, _, _>(router, secret::remove);
    let router = bind::<op::MemberList, _, _>(router, project::member_list);
    let router = bind::<op::MemberSet, _, _>(router, project::member_set);
    bind::<op::MemberRemove, _, _>(router, project::member_remove)
}

fn issues(router: Router<App>) -> Router<App> {
    let router = bind::<op::IssueCreate, _, _>(router, issue::create);
    let router = bind::<op::IssueCheck, _, _>(router, issue::check);
    let router = bind::<op::IssueList, _, _>(router, issue::list);
    let router = bind::<op::IssueGet, _, _>(router, issue::get);
    let router = bind::<op::IssueEdit, _, _>(router, issue::edit);
    let router = bind::<op::IssueReady, _, _>(router, issue::ready);
    let router = bind::<op::IssueDraft, _, _>(router, issue::draft);
    let router = bind::<op::IssueTry, _, _>(router, issue::try_tests);
    let router = bind::<op::IssueAnswer, _, _>(router, issue::answer);
    let router = bind::<op::IssueHost, _, _>(router, issue::host);
    let router = bind::<op::IssueNote, _, _>(router, issue::note);
    let router = bind::<op::IssueRetry, _, _>(router, issue::retry);
    let router = bind::<op::IssueClose, _, _>(router, issue::close);
    let router = bind::<op::IssueReopen, _, _>(router, issue::reopen);
    let router = bind::<op::PullList, _, _>(router, pull::list);
    let router = bind::<op::PullGet, _, _>(router, pull::get);
    let router = bind::<op::PullReview, _, _>(router, pull::review);
    let router = bind::<op::PullWithdraw, _, _>(router, pull::withdraw);
    let router = bind::<op::PullApply, _, _>(router, pull::apply);
    let router = bind::<op::PullGuideline, _, _>(router, pull::guideline);
    bind::<op::QueueGet, _, _>(router, pull::queue)
}

fn runs(router: Router<App>) -> Router<App> {
    let router = bind::<op::RunList, _, _>(router, run::list);
    let router = bind::<op::RunGet, _, _>(router, run::get);
    let router = bind::<op::RunCancel, _, _>(router, run::cancel);
    let router = bind::<op::RunSteer, _, _>(router, run::steer);
    let router = bind::<op::RunAsk, _, _>(router, run::ask);
    let router = bind::<op::RunProgress, _, _>(router, run::progress);
    let router = bind::<op::RunHosts, _, _>(router, run::hosts);
    let router = bind::<op::RunPropose, _, _>(router, run::propose);
    let router = bind::<op::RunSplit, _, _>(router, run::split);
    let router = bind::<op::RunnerClaim, _, _>(router, runner::claim);
    let router = bind::<op::RunnerHeartbeat, _, _>(router, runner::heartbeat);
    bind::<op::RunnerComplete, _, _>(router, runner::complete)
}

fn pages(router: Router<App>) -> Router<App> {
    use axum::routing::{get, post};
    plans(watches(router))
        .route("/", get(desk::show))
        .route("/desk/approve", post(desk::approve))
        .route("/desk/send-back", post(desk::send_back))
        .route("/desk/answer", post(desk::answer))
        .route("/desk/retry", post(desk::retry))
        .route("/desk/park", post(desk::park))
        .route("/desk/unpark", post(desk::unpark))
        .route("/desk/undo", post(desk::undo))
        .route("/p/{project}/{number}/change", get(change::show))
        .route("/p/{project}/{number}/change/file", get(change_form::file))
        .route("/p/{project}/{number}/change/picture", get(picture::show))
        .route(
            "/p/{project}/{number}/change/viewed",
            post(change_form::mark),
        )
        .route(
            "/p/{project}/{number}/change/comment",
            post(change_form::comment),
        )
        .route(
            "/p/{project}/{number}/change/apply",
            post(change_form::apply),
        )
        .route(
            "/p/{project}/{number}/change/drop",
            post(change_form::drop_draft),
        )
        .route(
            "/p/{project}/{number}/change/review",
            post(change_form::review),
        )
        .route(
            "/p/{project}/{number}/change/withdraw",
            post(change_form::withdraw),
        )
        .route("/p/{project}/{number}/guidelines", post(proposal::decide))
        .route("/live/desk", get(live::desk))
        .route("/sign-in", get(sign_in::show).post(sign_in::submit))
        .route("/sign-in/with/{provider}", get(sign_in_with::begin))
        .route("/sign-in/with/{provider}/back", get(sign_in_with::back))
        .route("/sign-out", post(sign_in::out))
        .route("/language", get(sign_in::language))
        .route("/assets/{hash}/{name}", get(asset::serve))
}

/// Pages on which one watches what runs, the server, and one's own account.
fn watches(router: Router<App>) -> Router<App> {
    use axum::routing::{get, post};

    use crate::page::{account, audit, follow, people, run, runs, server};
    router
        .route("/runs", get(runs::show))
        .route("/runs/{run}", get(run::show))
        .route("/runs/{run}/cancel", post(run::cancel))
        .route("/runs/{run}/answer", post(run::answer))
        .route("/runs/{run}/steer", post(run::steer))
        .route("/live/run/{run}", get(follow::run))
        .route("/server", get(server::show))
        .route("/server/runners", post(server::drain))
        .route("/server/audit", get(audit::show))
        .route("/server/people", get(people::show).post(people::add))
        .route("/server/people/link", post(people::link))
        .route("/server/people/runner", post(people::runner_new))
        .route("/server/people/runner-revoke", post(people::runner_revoke))
        .route("/account", get(account::show))
        .route("/account/tokens", post(account::token_new))
        .route(
            "/account/tokens/{token}/revoke",
            post(account::token_revoke),
        )
        .route(
            "/account/identities/{identity}/remove",
            post(account::identity_remove),
        )
        .route("/account/password", post(account::password_set))
}

/// Pages on which work is planned.
fn plans(router: Router<App>) -> Router<App> {
    use axum::extract::DefaultBodyLimit;
    use axum::routing::{get, post};

    use crate::page::secret as secret_page;
    use crate::page::{board, issue, issue_form, project, saved_view, settings};
    let room = DefaultBodyLimit::max(MAX_BODY);
    router
        .route("/board", get(board::show))
        .route("/board/views", post(saved_view::create))
        .route("/board/views/{view}", post(saved_view::save))
        .route("/board/views/{view}/remove", post(saved_view::remove))
        .route("/projects", get(project::list).post(project::create))
        .route("/p/{project}", get(project::show))
        .route("/p/{project}/members", post(project::set_member))
        .route(
            "/p/{project}/secrets",
            get(secret_page::show).post(secret_page::save),
        )
        .route(
            "/p/{project}/secrets/{name}/remove",
            post(secret_page::remove),
        )
        .route(
            "/p/{project}/settings",
            get(settings::show).post(settings::submit),
        )
        .route(
            "/p/{project}/new",
            get(issue_form::new).post(issue_form::create).layer(room),
        )
        .route("/p/{project}/{number}", get(issue::show))
        .route("/p/{project}/{number}/act", post(issue::act))
        .route(
            "/p/{project}/{number}/edit",
            get(issue_form::edit).post(issue_form::save).layer(room),
        )
        .route("/live/p/{project}/{number}", get(live::issue))
        .route("/live/p/{project}/{number}/tryout", get(live::tryout))
}

fn git_routes() -> Router<App> {
    use axum::routing::{get, post};
    Router::new()
        .route("/git/{repository}/info/refs", get(git::info_refs))
        .route("/git/{repository}/git-upload-pack", post(git::upload_pack))
        .route(
            "/git/{repository}/git-receive-pack",
            post(git::receive_pack),
        )
        .layer(RequestDecompressionLayer::new())
}

/// Gives every request a number, which stands in the log and in the answer.
async fn number(mut request: Request, next: Next) -> Response {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let span = tracing::info_span!("request", number, method = %request.method(), path = request.uri().path());
    request.extensions_mut().insert(number);
    let answer = async {
        match nul(request.uri()) {
            Some(refused) => refused,
            None => tracing::Instrument::instrument(next.run(request), span).await,
        }
    };
    let mut answer = REQUEST.scope(number, answer).await;
    if let Ok(value) = HeaderValue::from_str(&number.to_string()) {
        answer.headers_mut().insert("x-request-id", value);
    }
    let headers = answer.headers_mut();
    headers.insert(
        "x-content-type-options",
        HeaderValue::from_static("nosniff"),
    );
    answer
}

/// Refuses an address with a NUL character, which no name has and no database takes.
fn nul(address: &axum::http::Uri) -> Option<Response> {
    if address.path().contains("%00") {
        return Some(problem(
            StatusCode::NOT_FOUND,
            "not-found",
            "Not found",
            "no such address: it holds a NUL character".to_owned(),
        ));
    }
    let asked = address.query()?;
    asked.contains("%00").then(|| {
        problem(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid",
            "Not acceptable",
            "the query holds a NUL character (%00): leave it out".to_owned(),
        )
    })
}

async fn missing() -> Response {
    problem(
        StatusCode::NOT_FOUND,
        "not-found",
        "Not found",
        "no such address: /api/v1/openapi.json lists all of them".to_owned(),
    )
}

async fn wrong_method() -> Response {
    problem(
        StatusCode::METHOD_NOT_ALLOWED,
        "method",
        "Wrong method",
        "this address does not take that method: /api/v1/openapi.json lists all of them".to_owned(),
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_declared_operation_is_bound() {
        let source = include_str!("routes.rs");
        let declared = include_str!("../../api/src/operations.rs");
        let mut seen = 0;
        for line in declared.lines() {
            let Some((name, rest)) = line.trim().split_once(" = \"") else {
                continue;
            };
            if !rest.contains("/api/v1/") {
                continue;
            }
            seen += 1;
            assert!(
                source.contains(&format!("op::{name}")),
                "{name} has no route"
            );
        }
        assert_eq!(seen, nightshift_api::operations::all().len());
        for raw in [
            "LOG_APPEND",
            "LOG_READ",
            "LOG_STREAM",
            "EVENT_STREAM",
            "EVENT_EXPORT",
            "PULL_DIFF",
            "OPENAPI_GET",
        ] {
            assert!(
                source.contains(&format!("op::{raw}.path")),
                "{raw} has no route"
            );
        }
        assert_eq!(nightshift_api::operations::RAW.len(), 7);
    }
}
