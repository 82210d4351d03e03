//! The desk, its cards, and why each stands where it stands.

use nightshift_api::desk::{BrokenProject, Card, Desk, FileSize, Reason, Size, Wanted};
use nightshift_app::use_case::desk as app;
use nightshift_domain::desk;
use nightshift_domain::failure::Failure;
use nightshift_domain::issue::Phase;

use super::pull::verdict;

pub(crate) fn whole(found: app::Desk) -> Desk {
    Desk {
        cards: found.cards.into_iter().map(card).collect(),
        total: found.total,
        parked: found.parked,
        broken: found.broken.into_iter().map(broken).collect(),
    }
}

fn card(card: app::DeskCard) -> Card {
    let (runs, cost_micros, took_ms) = card.spent;
    let issue = card.issue;
    let mut proof = card.verdict.map(verdict);
    if let Some(proof) = &mut proof {
        let asides = [
            &mut proof.setup,
            &mut proof.acceptance_on_base,
            &mut proof.acceptance_on_head,
        ];
        let asides = asides.into_iter().filter_map(Option::as_mut);
        for result in proof.checks.iter_mut().chain(asides) {
            result.output_tail.clear();
        }
    }
    Card {
        project: card.project,
        number: issue.number,
        title: issue.title,
        wanted: match card.wanted {
            desk::Wanted::Answer => Wanted::Answer,
            desk::Wanted::Review => Wanted::Review,
            desk::Wanted::Rescue => Wanted::Rescue,
        },
        round: issue.state.round,
        agent: issue.agent,
        head: card.pull.as_ref().map(|pull| pull.head.to_string()),
        proof,
        summary: card.pull.map(|pull| pull.summary).unwrap_or_default(),
        size: card.size.map(size),
        question: match issue.state.phase {
            Phase::NeedsInput { question, .. } => Some(question.to_string()),
            _ => None,
        },
        failed: issue.state.failed.map(Failure::plain),
        blocks: card.blocks,
        hosts: card.hosts,
        proof_hosts: card.proof_hosts,
        secrets: card.secrets,
        runs,
        cost_micros,
        took_ms,
        score: card.place.score,
        reasons: card.place.reasons.into_iter().map(reason).collect(),
        since: issue.updated_at,
        may: super::issue::may(card.may),
    }
}

fn size(size: nightshift_domain::size::Size) -> Size {
    let largest = size.largest.into_iter().map(|file| FileSize {
        path: file.path,
        additions: file.added,
        deletions: file.removed,
    });
    Size {
        files: size.files,
        additions: size.added,
        deletions: size.removed,
        largest: largest.collect(),
    }
}

fn reason(reason: desk::Reason) -> Reason {
    Reason {
        reason: reason.word().to_owned(),
        count: reason.count(),
        weight: reason.weight(),
    }
}

fn broken(project: app::BrokenProject) -> BrokenProject {
    BrokenProject {
        project: project.name,
        error: project.error.to_string(),
    }
}
