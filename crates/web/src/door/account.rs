//! Health, people, identities, tokens, notifications, runners, the server.

use axum::Json;
use nightshift_api::operations as op;
use nightshift_api::project::{
    CreatedToken, Health, Identity, Link, Me, Notification, Token, User,
};
use nightshift_api::runner::{Revoked, RunnerLine};
use nightshift_api::server::Server;
use nightshift_api::{Nothing, Page};
use nightshift_app::use_case::account::NewToken;
use nightshift_domain::id::{IdentityId, TokenId};

use super::whole;
use crate::error::Failure;
use crate::operation::Call;
use crate::view;

pub(crate) async fn health() -> Json<Health> {
    Json(Health {
        status: "ok".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

pub(crate) async fn openapi() -> Json<serde_json::Value> {
    Json(nightshift_api::openapi::document())
}

pub(crate) async fn me(call: Call<op::MeGet>) -> Result<Me, Failure> {
    let (_, name) = call.caller.person()?;
    Ok(Me {
        name: name.to_owned(),
        is_admin: call.caller.is_admin(),
    })
}

pub(crate) async fn user_create(call: Call<op::UserCreate>) -> Result<User, Failure> {
    let new = &call.input;
    let made = call
        .app
        .user_create(&call.caller, &new.name, new.is_admin)
        .await?;
    Ok(view::account::user(made))
}

pub(crate) async fn user_list(call: Call<op::UserList>) -> Result<Page<User>, Failure> {
    let found = call.app.user_list(&call.caller).await?;
    Ok(whole(found.into_iter().map(view::account::user).collect()))
}

pub(crate) async fn token_create(call: Call<op::TokenCreate>) -> Result<CreatedToken, Failure> {
    let new = NewToken {
        label: call.input.label,
        user: call.input.user,
        runner: call.input.runner,
        expires_in_days: call.input.expires_in_days,
    };
    let (token, secret) = call.app.token_create(&call.caller, &new).await?;
    Ok(CreatedToken {
        token: view::account::token(token),
        secret: secret.reveal().to_owned(),
    })
}

pub(crate) async fn token_list(call: Call<op::TokenList>) -> Result<Page<Token>, Failure> {
    let found = call.app.token_list(&call.caller).await?;
    Ok(whole(found.into_iter().map(view::account::token).collect()))
}

pub(crate) async fn token_revoke(call: Call<op::TokenRevoke>) -> Result<Nothing, Failure> {
    let id = TokenId(call.path.token);
    call.app.token_revoke(&call.caller, id).await?;
    Ok(Nothing {})
}

pub(crate) async fn session_link(call: Call<op::SessionLink>) -> Result<Link, Failure> {
    let (secret, expires_at) = call
        .app
        .session_link(&call.caller, call.input.user.as_deref())
        .await?;
    let code = secret.reveal().to_owned();
    Ok(Link {
        path: format!("/sign-in?code={code}"),
        code,
        expires_at,
    })
}

pub(crate) async fn identity_invite(call: Call<op::IdentityInvite>) -> Result<Link, Failure> {
    let (secret, expires_at) = call
        .app
        .identity_invite(&call.caller, &call.path.user)
        .await?;
    let code = secret.reveal().to_owned();
    Ok(Link {
        path: format!("/sign-in?invite={code}"),
        code,
        expires_at,
    })
}

pub(crate) async fn identity_list(call: Call<op::IdentityList>) -> Result<Page<Identity>, Failure> {
    let found = call
        .app
        .identity_list(&call.caller, &call.path.user)
        .await?;
    Ok(whole(
        found.into_iter().map(view::account::identity).collect(),
    ))
}

pub(crate) async fn identity_remove(call: Call<op::IdentityRemove>) -> Result<Nothing, Failure> {
    let id = IdentityId(call.path.identity);
    call.app
        .identity_remove(&call.caller, &call.path.user, id)
        .await?;
    Ok(Nothing {})
}

pub(crate) async fn notification_list(
    call: Call<op::NotificationList>,
) -> Result<Page<Notification>, Failure> {
    let found = call
        .app
        .notification_list(&call.caller, call.query.unread)
        .await?;
    Ok(whole(
        found.into_iter().map(view::account::notification).collect(),
    ))
}

pub(crate) async fn notification_read(
    call: Call<op::NotificationRead>,
) -> Result<Nothing, Failure> {
    let id = call.path.notification;
    call.app.notification_read(&call.caller, id).await?;
    Ok(Nothing {})
}

pub(crate) async fn runner_list(call: Call<op::RunnerList>) -> Result<Page<RunnerLine>, Failure> {
    let found = call.app.runner_list(&call.caller).await?;
    Ok(whole(
        found.into_iter().map(view::account::runner).collect(),
    ))
}

pub(crate) async fn runner_revoke(call: Call<op::RunnerRevoke>) -> Result<Revoked, Failure> {
    let tokens = call
        .app
        .runner_revoke(&call.caller, &call.path.runner)
        .await?;
    Ok(Revoked { tokens })
}

pub(crate) async fn runner_drain(call: Call<op::RunnerDrain>) -> Result<RunnerLine, Failure> {
    let name = &call.path.runner;
    let drained = call.app.runner_drain(&call.caller, name, true).await?;
    Ok(view::account::runner(drained))
}

pub(crate) async fn runner_resume(call: Call<op::RunnerResume>) -> Result<RunnerLine, Failure> {
    let name = &call.path.runner;
    let resumed = call.app.runner_drain(&call.caller, name, false).await?;
    Ok(view::account::runner(resumed))
}

pub(crate) async fn server(call: Call<op::ServerGet>) -> Result<Server, Failure> {
    let found = call.app.server_get(&call.caller).await?;
    Ok(view::server::server(&found))
}
