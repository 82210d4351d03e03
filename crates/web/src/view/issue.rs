//! Issues and their messages, as the wire says them.

use nightshift_api::issue::{Budget, Finding, HostAsk, Issue, IssueLine, May, Message, Tryout};
use nightshift_app::record::{self, MessageKind};
use nightshift_app::use_case::issue as app;
use nightshift_app::use_case::tryout::{TryoutState, TryoutView};
use nightshift_domain::access;
use nightshift_domain::failure::Failure;
use nightshift_domain::grant::Asked;
use nightshift_domain::issue::Phase;
use nightshift_domain::preflight;

pub(crate) fn line(line: app::IssueLine) -> IssueLine {
    let issue = line.issue;
    IssueLine {
        id: issue.id.0,
        project: line.project,
        number: issue.number,
        title: issue.title,
        phase: issue.state.phase.as_str().to_owned(),
        waiting: line.waiting.map(|why| why.to_string()),
        round: issue.state.round,
        agent: issue.agent,
        labels: issue.labels,
        priority: issue.priority,
        created_at: issue.created_at,
        updated_at: issue.updated_at,
    }
}

pub(crate) fn issue(view: app::IssueView) -> Issue {
    let row = view.line.issue.clone();
    let (question, closed_reason, landed) = match row.state.phase {
        Phase::NeedsInput { question, .. } => (Some(question.to_string()), None, None),
        Phase::Closed { reason } => (None, Some(reason), None),
        Phase::Done { commit } => (None, None, Some(String::from(commit))),
        Phase::Draft | Phase::Ready | Phase::Working | Phase::InReview | Phase::Landing => {
            (None, None, None)
        }
    };
    let (acceptance_run, acceptance_files) = match view.acceptance {
        Some(acceptance) => (
            Some(acceptance.run),
            acceptance.files.into_iter().map(|file| file.path).collect(),
        ),
        None => (None, Vec::new()),
    };
    Issue {
        line: line(view.line),
        body: row.body,
        assignee: row.assignee,
        requester: view.requester,
        blocked_by: view.blocked_by,
        hosts: view.hosts.into_iter().map(host).collect(),
        secrets: view.secrets,
        split_from: view.split_from,
        split_into: view.split_into,
        question,
        failed: row.state.failed.map(Failure::plain),
        closed_reason,
        landed,
        has_acceptance: row.has_acceptance,
        acceptance_run,
        acceptance_files,
        tryout: view.tryout.map(tryout),
        preflight: view.preflight.into_iter().map(finding).collect(),
        budget: Budget {
            own_micro_usd: row.budget.cost_micro_usd,
            own_minutes: row.budget.minutes,
            micro_usd: view.budget.cost_micro_usd,
            minutes: view.budget.minutes,
            spent_micro_usd: view.spent.cost_micro_usd,
            spent_ms: view.spent.wall_ms,
            runs: view.spent.runs,
        },
        version: row.version,
        has_pull: view.has_pull,
        messages: view.messages.into_iter().map(message).collect(),
        may: may(view.may),
    }
}

pub(crate) fn may(own: access::May) -> May {
    let access::May {
        write,
        answer,
        hosts,
        review,
        control,
        push,
        configure,
    } = own;
    May {
        write,
        answer,
        hosts,
        review,
        control,
        push,
        configure,
    }
}

fn host(asked: Asked) -> HostAsk {
    let (decision, by, at) = match asked.decided {
        Some(decided) => (
            Some(decided.decision.as_str().to_owned()),
            Some(decided.by.label()),
            Some(decided.at),
        ),
        None => (None, None, None),
    };
    HostAsk {
        host: asked.host.to_string(),
        need: asked.need.as_str().to_owned(),
        why: asked.why,
        run: asked.run.map(|run| run.0),
        at: asked.at,
        decision,
        decided_by: by,
        decided_at: at,
    }
}

fn message(said: record::Message) -> Message {
    Message {
        kind: match said.kind {
            MessageKind::Question => "question",
            MessageKind::Answer => "answer",
            MessageKind::Feedback => "feedback",
            MessageKind::Note => "note",
        }
        .to_owned(),
        by: said.author.label(),
        round: said.round,
        body: said.body.to_string(),
        at: said.created_at,
    }
}

pub(crate) fn tryout(view: TryoutView) -> Tryout {
    let bare = |state: &str, words: String| Tryout {
        state: state.to_owned(),
        words,
        fit: None,
        current: view.current,
        base: None,
        run: None,
        output_tail: None,
        asked_at: view.asked_at,
        ended_at: None,
    };
    match view.state {
        TryoutState::Waiting => bare("waiting", "waits for a runner".to_owned()),
        TryoutState::Running { run } => Tryout {
            run: Some(run.0),
            ..bare("running", "runs on the base".to_owned())
        },
        TryoutState::Tried {
            tried,
            base,
            run,
            at,
            fit,
            words,
        } => Tryout {
            fit: Some(fit),
            base: Some(base.into()),
            run: Some(run.0),
            output_tail: tried.result().map(|result| result.output_tail.clone()),
            ended_at: Some(at),
            ..bare(tried.as_str(), words)
        },
        TryoutState::Failed { failure } => {
            bare("failed", format!("could not be tried: {}", failure.detail))
        }
        TryoutState::Stopped => bare("stopped", "was stopped".to_owned()),
    }
}

pub(crate) fn finding(found: preflight::Finding) -> Finding {
    Finding {
        severity: found.severity.as_str().to_owned(),
        code: found.code.as_str().to_owned(),
        what: found.what.to_string(),
        cause: found.cause.to_string(),
        next: found.next.to_string(),
    }
}
