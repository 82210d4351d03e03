//! Pull requests: all that a person needs to decide, on one screen.
//!
//! Order: what was proved, where to look first, what changed, what was said, what to type.

use jiff::Timestamp;
use nightshift_api::pull::{Decision, LineComment, Pull, PullLine, QueueLine, Verdict};
use nightshift_api::run::Proposal;
use nightshift_domain::check::{CheckResult, Colour, Outcome};
use nightshift_domain::facts::{Finding, Severity};
use nightshift_domain::suggestion;

use super::issue::{Offer, WRITERS, offered};
use super::{age, counted, millis, phase};
use crate::screen::{Screen, Span, Style, bold, dim, green, plain, red, yellow};
use crate::words::{short_commit, short_id};

/// How much of a failed check's output stands on the screen.
const TAIL_LINES: usize = 12;

/// A list of pull requests.
pub(crate) fn list(screen: &mut Screen, pulls: &[PullLine], now: Timestamp) {
    if pulls.is_empty() {
        screen.line([dim("no such pull request")]);
        return;
    }
    let rows = pulls.iter().map(|pull| {
        vec![
            plain(pull.number.to_string()),
            verdict_word(pull.verdict),
            phase(&pull.phase),
            plain(&pull.title),
            plain(pull.round.to_string()),
            plain(&pull.agent),
            plain(age(pull.updated_at, now)),
            dim(pull.waiting.as_deref().unwrap_or_default()),
        ]
    });
    let header = [
        ">#",
        "verdict",
        "phase",
        "title",
        ">round",
        "agent",
        ">changed",
        "waits because",
    ];
    screen.table("", &header, rows.collect());
}

/// The merge queue.
pub(crate) fn queue(screen: &mut Screen, entries: &[QueueLine], now: Timestamp) {
    if entries.is_empty() {
        screen.line([dim("the merge queue is empty")]);
        return;
    }
    let rows = entries.iter().enumerate().map(|(place, entry)| {
        vec![
            plain((place + 1).to_string()),
            plain(format!("#{}", entry.number)),
            plain(&entry.title),
            plain(short_commit(&entry.approved)),
            plain(entry.candidate.as_deref().map(short_commit).unwrap_or("-")),
            plain(age(entry.entered_at, now)),
            dim(entry.waiting.as_deref().unwrap_or_default()),
        ]
    });
    let header = [
        ">place",
        "pr",
        "title",
        "approved",
        "candidate",
        ">since",
        "waits because",
    ];
    screen.table("", &header, rows.collect());
}

/// A pull request, whole.
pub(crate) fn whole(screen: &mut Screen, pull: &Pull, now: Timestamp) {
    let line = &pull.line;
    screen.line([
        bold(format!("#{} {}", line.number, line.title)),
        plain("  "),
        phase(&line.phase),
    ]);
    let branch = pull
        .branch
        .strip_prefix("refs/heads/")
        .unwrap_or(&pull.branch);
    screen.fields(&[
        (
            "waiting",
            yellow(line.waiting.as_deref().unwrap_or_default()),
        ),
        ("project", plain(&line.project)),
        ("round", plain(format!("{}, by {}", line.round, line.agent))),
        ("branch", plain(branch)),
        ("head", plain(&line.head)),
        ("base", plain(short_commit(&pull.base))),
        ("landed", green(pull.landed.as_deref().unwrap_or_default())),
    ]);
    screen.gap();
    match &pull.proof {
        Some(verdict) => proof(screen, verdict, now),
        None => screen.line([bold("verdict  "), dim("this head is being proved")]),
    }
    files(screen, pull);
    decisions(screen, pull, now);
    if !pull.summary.is_empty() {
        screen.gap();
        screen.line([bold("summary"), dim("  in the agent's words, not checked")]);
        screen.text("  ", Style::Plain, &pull.summary);
    }
    proposals(screen, &pull.proposals);
    next(screen, pull);
}

/// Guidelines that an agent proposes.
pub(super) fn proposals(screen: &mut Screen, proposals: &[Proposal]) {
    if proposals.is_empty() {
        return;
    }
    screen.gap();
    screen.line([
        bold("proposed guidelines"),
        dim("  in the agent's words; nothing comes of one before a maintainer accepts it"),
    ]);
    for (place, proposal) in proposals.iter().enumerate() {
        let by = proposal.decided_by.as_deref().unwrap_or_default();
        let stands = match proposal.decision.as_deref() {
            Some("accepted") => green(format!("accepted by {by}")),
            Some(word) => dim(format!("{word} by {by}")),
            None => yellow("open"),
        };
        screen.line([plain(format!("  {}  ", place + 1)), stands]);
        screen.text("  ", Style::Plain, &proposal.text);
        if let Some(source) = &proposal.source {
            screen.text("  from: ", Style::Dim, source);
        }
    }
}

fn verdict_word(colour: Option<Colour>) -> Span {
    match colour {
        Some(Colour::Green) => green("green"),
        Some(Colour::Red) => red("red"),
        Some(Colour::Unproven) => yellow("unproven"),
        None => dim("proving"),
    }
}

/// What the platform proved, and where to look first.
pub(crate) fn proof(screen: &mut Screen, verdict: &Verdict, now: Timestamp) {
    screen.line([
        bold("verdict  "),
        verdict_word(Some(verdict.colour)),
        dim(format!(
            "  on {}, {} ago, run {}",
            short_commit(&verdict.head),
            age(verdict.at, now),
            short_id(&verdict.run)
        )),
    ]);
    for reason in &verdict.reasons {
        screen.line([plain("  "), red(reason)]);
    }
    let mut rows = Vec::new();
    if let Some(setup) = &verdict.setup {
        rows.push(row("set-up", "", setup));
    }
    if let Some(base) = &verdict.acceptance_on_base {
        let mut cells = row("sealed tests", "without the change", base);
        // Red is what is wanted there.
        if matches!(base.outcome, Outcome::Failed { .. }) {
            cells[2] = green(outcome(&base.outcome));
        }
        rows.push(cells);
    }
    if let Some(head) = &verdict.acceptance_on_head {
        rows.push(row("sealed tests", "with the change", head));
    }
    rows.extend(
        verdict
            .checks
            .iter()
            .map(|check| row(&check.name, "", check)),
    );
    if !rows.is_empty() {
        screen.table("  ", &["", "", "", ">"], rows);
    }
    let failed = verdict
        .setup
        .iter()
        .chain(&verdict.acceptance_on_head)
        .chain(&verdict.checks)
        .filter(|result| !result.passed());
    for result in failed {
        tail(screen, result);
    }
    if !verdict.findings.is_empty() {
        screen.gap();
        screen.heading("look first");
        screen.table(
            "  ",
            &["", "", "", ""],
            verdict.findings.iter().map(finding).collect(),
        );
    }
}

fn row(name: &str, on: &str, result: &CheckResult) -> Vec<Span> {
    let ended = outcome(&result.outcome);
    vec![
        plain(name),
        dim(on),
        if result.passed() {
            green(ended)
        } else {
            red(ended)
        },
        plain(millis(result.duration_ms)),
    ]
}

fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Passed => "passed".to_owned(),
        Outcome::Failed { code } => format!("failed ({code})"),
        Outcome::TimedOut => "out of time".to_owned(),
        Outcome::Capped { limit } => format!("over the {limit} limit"),
    }
}

fn tail(screen: &mut Screen, result: &CheckResult) {
    let lines: Vec<_> = result.output_tail.trim_end().lines().collect();
    if lines.is_empty() {
        return;
    }
    screen.gap();
    screen.line([red(format!("the end of what {} printed", result.name))]);
    let from = lines.len().saturating_sub(TAIL_LINES);
    screen.text("  | ", Style::Plain, &lines[from..].join("\n"));
}

fn finding(finding: &Finding) -> Vec<Span> {
    let severity = match finding.severity {
        Severity::Alarm => red("alarm"),
        Severity::Warning => yellow("warning"),
        Severity::Note => dim("note"),
    };
    let kind = serde_json::to_value(finding.kind).unwrap_or_default();
    vec![
        severity,
        plain(kind.as_str().unwrap_or_default()),
        bold(&finding.path),
        plain(finding.note.as_str()),
    ]
}

fn files(screen: &mut Screen, pull: &Pull) {
    screen.gap();
    let added: u64 = pull.files.iter().map(|file| file.additions).sum();
    let removed: u64 = pull.files.iter().map(|file| file.deletions).sum();
    screen.line([
        bold(format!("{}  ", counted(pull.files.len(), "file"))),
        green(format!("+{added}")),
        plain(" "),
        red(format!("-{removed}")),
    ]);
    let rows = pull.files.iter().map(|file| {
        let path = match &file.old_path {
            Some(old) if *old != file.path => format!("{old} -> {}", file.path),
            _ => file.path.clone(),
        };
        let (plus, minus) = if file.binary {
            (dim("binary"), plain(""))
        } else {
            (
                green(format!("+{}", file.additions)),
                red(format!("-{}", file.deletions)),
            )
        };
        vec![dim(&file.status), plain(path), plus, minus]
    });
    if !pull.files.is_empty() {
        screen.table("  ", &["", "", ">", ">"], rows.collect());
    }
}

fn decisions(screen: &mut Screen, pull: &Pull, now: Timestamp) {
    for review in &pull.reviews {
        let word = match review.decision {
            Decision::Approve => green("approved"),
            Decision::SendBack => yellow("sent back"),
        };
        screen.gap();
        screen.line([
            word,
            dim(format!(
                "  {}, round {}, {} ago, on {}",
                review.by,
                review.round,
                age(review.at, now),
                short_commit(&review.head)
            )),
        ]);
        if !review.body.is_empty() {
            screen.text("  ", Style::Plain, &review.body);
        }
        let mut suggestions = 0;
        for LineComment {
            path,
            line,
            first,
            body,
        } in &review.comments
        {
            let place = match (first, line) {
                (Some(first), Some(line)) => format!("{path}:{first}-{line}"),
                (None, Some(line)) => format!("{path}:{line}"),
                (_, None) => path.clone(),
            };
            let suggested = suggestion::read(body).is_ok_and(|parts| parts.suggested.is_some());
            if suggested && line.is_some() {
                suggestions += 1;
                let number = dim(format!("  suggestion {suggestions}"));
                screen.line([plain("  "), bold(place), number]);
            } else {
                screen.line([plain("  "), bold(place)]);
            }
            screen.text("    ", Style::Plain, body);
        }
    }
}

fn next(screen: &mut Screen, pull: &Pull) {
    let n = pull.line.number;
    if pull.line.phase != "in-review" {
        return;
    }
    let unproven = pull.line.verdict == Some(Colour::Unproven);
    let approve = format!(
        "pr approve {n} --head {}{}",
        short_commit(&pull.line.head),
        if unproven { " --accept-unproven" } else { "" }
    );
    let may = pull.may.review;
    let send_back = format!("pr send-back {n} \"what should be different\"");
    let offers = vec![
        Offer::to(true, WRITERS, format!("pr diff {n}")),
        Offer::to(may, WRITERS, approve),
        Offer::to(may, WRITERS, send_back),
    ];
    offered(screen, &pull.line.project, offers);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).expect("a time")
    }

    fn pull() -> Pull {
        serde_json::from_str(include_str!("../../testdata/pull.json")).expect("the wire form")
    }

    #[test]
    fn one_screen_to_decide_on() {
        let mut screen = Screen::new(false, None);
        whole(&mut screen, &pull(), at(300));
        insta::assert_snapshot!(screen.as_str());
    }

    #[test]
    fn an_unproven_head_needs_the_word() {
        let mut unproven = pull();
        unproven.line.verdict = Some(Colour::Unproven);
        unproven.proof = None;
        let mut screen = Screen::new(false, None);
        whole(&mut screen, &unproven, at(300));
        assert!(screen.as_str().contains("--accept-unproven"));
        assert!(screen.as_str().contains("is being proved"));
    }

    #[test]
    fn lists() {
        let mut screen = Screen::new(false, None);
        list(&mut screen, &[pull().line], at(300));
        let entry = serde_json::from_value(json!({
            "number": 5, "title": "let a line take time back", "approved": "a".repeat(40),
            "candidate": null, "waiting": "waits for #3 before it", "entered_at": at(0),
        }))
        .expect("an entry");
        queue(&mut screen, &[entry], at(7_300));
        queue(&mut screen, &[], at(0));
        insta::assert_snapshot!(screen.as_str());
    }
}
