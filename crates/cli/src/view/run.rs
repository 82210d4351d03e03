//! Runs, in a list and whole.

use jiff::Timestamp;
use nightshift_api::run::Run;
use nightshift_domain::traffic::HostUse;
use nightshift_domain::transcript::Usage;

use super::{age, bytes, phase, span_words};
use crate::screen::{Screen, Style, bold, dim, plain, red};
use crate::words::{short_commit, short_id};

/// A list of runs.
pub(crate) fn list(screen: &mut Screen, runs: &[Run], now: Timestamp) {
    if runs.is_empty() {
        screen.line([dim("no such run")]);
        return;
    }
    let rows = runs.iter().map(|run| {
        let said = match (&run.failure, &run.progress) {
            (Some(failure), _) => red(format!("{}: {}", failure.reason.as_str(), failure.detail)),
            (None, Some(progress)) => dim(progress),
            (None, None) => plain(""),
        };
        vec![
            plain(short_id(&run.id)),
            plain(format!("{}#{}", run.project, run.number)),
            plain(&run.kind),
            plain(run.round.to_string()),
            phase(&run.state),
            plain(&run.agent),
            plain(age(run.started_at, now)),
            plain(took(run, now)),
            said,
        ]
    });
    let header = [
        "run", "issue", "kind", ">round", "state", "agent", ">began", ">took", "",
    ];
    screen.table("", &header, rows.collect());
}

/// A run, whole.
pub(crate) fn whole(screen: &mut Screen, run: &Run, now: Timestamp) {
    screen.line([
        bold(format!("{} run {}", run.kind, run.id)),
        plain("  "),
        phase(&run.state),
    ]);
    screen.fields(&[
        (
            "issue",
            plain(format!(
                "{}#{}, round {}",
                run.project, run.number, run.round
            )),
        ),
        ("agent", plain(&run.agent)),
        (
            "runner",
            plain(format!("{}, epoch {}", run.runner, run.epoch)),
        ),
        (
            "progress",
            plain(run.progress.as_deref().unwrap_or_default()),
        ),
        ("began", plain(format!("{} ago", age(run.started_at, now)))),
        ("took", plain(took(run, now))),
        ("start", plain(short_commit(&run.start))),
        (
            "attempt",
            plain(run.attempt.as_deref().map(short_commit).unwrap_or_default()),
        ),
        (
            "usage",
            plain(run.usage.as_ref().map(usage).unwrap_or_default()),
        ),
        ("session", plain(run.session.as_deref().unwrap_or_default())),
        ("log", plain(bytes(run.log_bytes))),
    ]);
    if let Some(traffic) = &run.traffic {
        for host in &traffic.hosts {
            screen.line([plain(format!("  {}", reached(host)))]);
        }
    }
    if let Some(failure) = &run.failure {
        screen.gap();
        screen.line([red(format!("failed: {}", failure.reason.as_str()))]);
        screen.text("  ", Style::Plain, failure.detail.as_str());
    }
    super::pull::proposals(screen, &run.proposals);
    let follow = if run.ended_at.is_none() { " -f" } else { "" };
    super::issue::commands_of(screen, &[format!("run log {}{follow}", short_id(&run.id))]);
}

fn took(run: &Run, now: Timestamp) -> String {
    let end = run.ended_at.unwrap_or(now);
    span_words(end.as_second() - run.started_at.as_second())
}

/// What was asked of a host, in words.
fn reached(host: &HostUse) -> String {
    let name = &host.host;
    let mut text = match (&host.allowed_by, &host.refused_because) {
        (None, Some(why)) => return format!("blocked {name}, {} times: {why}", host.refused),
        (Some(by), _) => format!("reached {name} (allowed by: {by})"),
        (None, None) => format!("reached {name}"),
    };
    text.push_str(&format!(
        ", {} requests, {} out, {} in",
        host.requests,
        bytes(i64::try_from(host.bytes_sent).unwrap_or(i64::MAX)),
        bytes(i64::try_from(host.bytes_received).unwrap_or(i64::MAX)),
    ));
    if let Some(why) = &host.refused_because {
        text.push_str(&format!("; refused {} times: {why}", host.refused));
    }
    text
}

/// What a program used, in words.
pub(crate) fn usage(usage: &Usage) -> String {
    let mut text = format!(
        "{} tokens in, {} from cache, {} out",
        usage.input_tokens, usage.cached_input_tokens, usage.output_tokens
    );
    if let Some(cost) = usage.cost_micro_usd {
        text.push_str(&format!(
            ", {}.{:04} USD",
            cost / 1_000_000,
            cost % 1_000_000 / 100
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).expect("a time")
    }

    fn run() -> Run {
        serde_json::from_value(json!({
            "id": "0190a8b0-0000-7000-8000-0000deadbeef", "project": "tally", "number": 4,
            "kind": "author", "round": 1, "epoch": 2, "agent": "claude", "runner": "here",
            "state": "failed", "failure": {"reason": "setup-failed", "detail": "`npm ci` exited with 1"},
            "progress": null, "start": "b".repeat(40), "attempt": null,
            "usage": {"input_tokens": 1200, "cached_input_tokens": 800, "output_tokens": 300,
                "cost_micro_usd": 1012300},
            "session": null, "log_bytes": 2048, "started_at": at(0), "ended_at": at(75),
        }))
        .expect("a run")
    }

    #[test]
    fn whole_and_in_a_list() {
        let mut screen = Screen::new(false, None);
        whole(&mut screen, &run(), at(300));
        screen.gap();
        list(&mut screen, &[run()], at(300));
        insta::assert_snapshot!(screen.as_str());
    }
}
