//! Pull requests, verdicts, reviews, the queue.

use nightshift_api::pull::{
    Decision, FileLine, HeadLine, LineComment, Pull, PullLine, QueueLine, Review, Verdict,
};
use nightshift_app::record;
use nightshift_app::use_case::pull as app;
use nightshift_domain::facts::Finding;

pub(crate) fn line(line: app::PullLine) -> PullLine {
    let issue = line.line.issue;
    PullLine {
        project: line.line.project,
        number: issue.number,
        title: issue.title,
        phase: issue.state.phase.as_str().to_owned(),
        waiting: line.line.waiting.map(|why| why.to_string()),
        round: issue.state.round,
        agent: issue.agent,
        head: String::from(line.pull.head),
        verdict: line.colour,
        updated_at: line.pull.updated_at,
    }
}

pub(crate) fn pull(view: app::PullView) -> Pull {
    let known = view.line.pull.clone();
    Pull {
        line: line(view.line),
        branch: String::from(known.branch),
        base: String::from(known.base),
        summary: known.summary,
        proof: view.verdict.map(verdict),
        files: view.files.iter().map(file).collect(),
        heads: view.heads.into_iter().map(head).collect(),
        reviews: view.reviews.into_iter().map(review).collect(),
        proposals: view
            .proposals
            .into_iter()
            .map(super::run::proposal)
            .collect(),
        landed: known.landed.map(String::from),
        may: super::issue::may(view.may),
    }
}

pub(crate) fn verdict(made: record::Verdict) -> Verdict {
    Verdict {
        head: String::from(made.head),
        base: String::from(made.base),
        colour: made.colour,
        reasons: made.reasons.iter().map(ToString::to_string).collect(),
        findings: made.findings.into_iter().map(Finding::plain).collect(),
        setup: made.report.setup,
        acceptance_on_base: made.report.acceptance_on_base,
        acceptance_on_head: made.report.acceptance_on_head,
        checks: made.report.checks,
        run: made.run.0,
        at: made.created_at,
    }
}

fn file(file: &nightshift_app::git::FileDiff) -> FileLine {
    use nightshift_app::git::Status;
    let renamed = matches!(file.status, Status::Renamed | Status::Copied);
    FileLine {
        path: file.path().to_text().into_owned(),
        old_path: file
            .old
            .as_ref()
            .filter(|_| renamed)
            .map(|side| side.path.to_text().into_owned()),
        status: match file.status {
            Status::Added | Status::Copied => "added",
            Status::Deleted => "deleted",
            Status::Modified | Status::TypeChanged => "modified",
            Status::Renamed => "renamed",
        }
        .to_owned(),
        additions: file.additions,
        deletions: file.deletions,
        binary: file.binary,
    }
}

fn head(head: record::Head) -> HeadLine {
    HeadLine {
        head: String::from(head.head),
        round: head.round,
        run: head.run.map(|run| run.0),
        by: head.by.label(),
        at: head.created_at,
    }
}

fn review(review: record::Review) -> Review {
    Review {
        id: review.id.0,
        round: review.round,
        head: String::from(review.head),
        decision: match review.decision {
            record::Decision::Approve => Decision::Approve,
            record::Decision::SendBack => Decision::SendBack,
        },
        body: review.body,
        comments: review
            .comments
            .into_iter()
            .map(|comment| LineComment {
                path: comment.path,
                line: comment.line,
                first: comment.first,
                body: comment.body,
            })
            .collect(),
        by: review.by_name,
        at: review.created_at,
    }
}

pub(crate) fn queue(line: app::QueueLine) -> QueueLine {
    QueueLine {
        number: line.entry.number,
        title: line.title,
        approved: String::from(line.entry.approved),
        candidate: line.entry.candidate.map(|c| String::from(c.commit)),
        waiting: line.waiting.map(|why| why.to_string()),
        entered_at: line.entry.entered_at,
    }
}
