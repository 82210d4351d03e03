//! People, tokens, notifications, runners, events.

use nightshift_api::project::{Event, Identity, Notification, Token, User};
use nightshift_api::runner::RunnerLine;
use nightshift_app::record;
use nightshift_app::use_case::account::RunnerView;
use nightshift_app::use_case::event::EventView;
use nightshift_domain::issue::Notice;

pub(crate) fn user(user: record::User) -> User {
    User {
        name: user.name,
        is_admin: user.is_admin,
        created_at: user.created_at,
    }
}

pub(crate) fn identity(one: record::Identity) -> Identity {
    Identity {
        id: one.id.0,
        provider: one.provider,
        issuer: one.issuer,
        subject: one.subject,
        email: one.email,
        created_at: one.created_at,
        used_at: one.used_at,
    }
}

pub(crate) fn token(token: record::Token) -> Token {
    Token {
        id: token.id.0,
        label: token.label,
        created_at: token.created_at,
        expires_at: token.expires_at,
        revoked_at: token.revoked_at,
        used_at: token.used_at,
    }
}

pub(crate) fn notification((one, project): (record::Notification, String)) -> Notification {
    Notification {
        id: one.id,
        project,
        number: one.number,
        notice: match one.notice {
            Notice::ReviewWanted => "review-wanted",
            Notice::InputWanted => "input-wanted",
            Notice::Failed => "failed",
            Notice::Landed => "landed",
        }
        .to_owned(),
        text: one.text.to_string(),
        created_at: one.created_at,
        read_at: one.read_at,
    }
}

pub(crate) fn runner(view: RunnerView) -> RunnerLine {
    RunnerLine {
        name: view.runner.name,
        slots: view.runner.slots,
        version: view.runner.version,
        harnesses: view.runner.harnesses,
        images: view.runner.images,
        alive: view.alive,
        draining: view.runner.draining,
        last_seen_at: view.runner.last_seen_at,
    }
}

pub(crate) fn event(view: EventView) -> Event {
    let event = view.event;
    Event {
        seq: event.seq,
        at: event.at,
        kind: event.kind,
        project: view.project,
        issue: event.issue.map(|id| id.0),
        number: view.number,
        run: event.run.map(|id| id.0),
        actor: event.actor.label(),
        data: event.data,
    }
}
