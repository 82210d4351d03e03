//! Issues and their messages, as the wire says them.

use nightshift_api::issue::{Issue, IssueLine, Message};
use nightshift_app::record::{self, MessageKind};
use nightshift_app::use_case::issue as app;
use nightshift_domain::issue::Phase;

pub(crate) fn line(line: app::IssueLine) -> IssueLine {
    let issue = line.issue;
    IssueLine {
        id: issue.id.0,
        project: line.project,
        number: issue.number,
        title: issue.title,
        phase: issue.state.phase.as_str().to_owned(),
        waiting: line.waiting,
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
        Phase::NeedsInput { question, .. } => (Some(question), None, None),
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
        question,
        failed: row.state.failed,
        closed_reason,
        landed,
        has_acceptance: row.has_acceptance,
        acceptance_run,
        acceptance_files,
        version: row.version,
        has_pull: view.has_pull,
        messages: view.messages.into_iter().map(message).collect(),
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
        body: said.body,
        at: said.created_at,
    }
}
