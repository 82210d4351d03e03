//! Issues, in a list and whole.

use jiff::Timestamp;
use nightshift_api::issue::{Budget, Finding, Issue, IssueLine, Message};
use nightshift_api::run::Run;
use nightshift_domain::budget::dollars;

use super::{age, counted, phase, priority};
use crate::screen::{Screen, Span, Style, bold, dim, plain, red, yellow};
use crate::words::short_commit;

/// A list of issues.
pub(crate) fn list(screen: &mut Screen, issues: &[IssueLine], now: Timestamp) {
    if issues.is_empty() {
        screen.line([dim("no such issue; file one with `nightshift issue new`")]);
        return;
    }
    let rows = issues.iter().map(|issue| {
        vec![
            plain(issue.number.to_string()),
            phase(&issue.phase),
            plain(&issue.title),
            plain(&issue.agent),
            plain(age(issue.updated_at, now)),
            dim(issue.waiting.as_deref().unwrap_or_default()),
        ]
    });
    let header = [">#", "phase", "title", "agent", ">changed", "waits because"];
    screen.table("", &header, rows.collect());
}

/// An issue, whole, with its runs.
pub(crate) fn whole(screen: &mut Screen, issue: &Issue, runs: &[Run], now: Timestamp) {
    let line = &issue.line;
    screen.line([
        bold(format!("#{} {}", line.number, line.title)),
        plain("  "),
        phase(&line.phase),
    ]);
    let blocked: Vec<_> = issue.blocked_by.iter().map(|n| format!("#{n}")).collect();
    let split: Vec<_> = issue.split_into.iter().map(|n| format!("#{n}")).collect();
    let sealed = match (&issue.acceptance_run, issue.acceptance_files.len()) {
        (Some(run), files) => format!("{run}  ({})", counted(files, "sealed file")),
        (None, _) => "none".to_owned(),
    };
    screen.fields(&[
        (
            "waiting",
            yellow(line.waiting.as_deref().unwrap_or_default()),
        ),
        ("project", plain(&line.project)),
        ("round", plain(line.round.to_string())),
        ("agent", plain(&line.agent)),
        ("priority", plain(priority(line.priority))),
        ("labels", plain(line.labels.join(", "))),
        ("blocked by", plain(blocked.join(", "))),
        (
            "split from",
            plain(
                issue
                    .split_from
                    .map(|n| format!("#{n}, by its agent"))
                    .unwrap_or_default(),
            ),
        ),
        ("split into", plain(split.join(", "))),
        ("acceptance", plain(sealed)),
        (
            "tried",
            match &issue.tryout {
                Some(tried) if tried.fit == Some(false) => red(&tried.words),
                Some(tried) if tried.current => plain(&tried.words),
                Some(tried) => plain(format!("{} (on an older base)", tried.words)),
                None => plain(""),
            },
        ),
        ("budget", plain(budget(&issue.budget))),
        (
            "filed",
            plain(format!(
                "{} ago by {}",
                age(line.created_at, now),
                issue.requester
            )),
        ),
        (
            "assignee",
            plain(issue.assignee.as_deref().unwrap_or_default()),
        ),
        (
            "closed",
            plain(issue.closed_reason.as_deref().unwrap_or_default()),
        ),
        (
            "landed",
            plain(
                issue
                    .landed
                    .as_deref()
                    .map(short_commit)
                    .unwrap_or_default(),
            ),
        ),
    ]);
    if let Some(failure) = &issue.failed {
        screen.gap();
        screen.line([red(format!("failed: {}", failure.reason.as_str()))]);
        screen.text("  ", Style::Plain, failure.detail.as_str());
    }
    secrets(screen, issue);
    hosts(screen, issue);
    if !issue.preflight.is_empty() {
        screen.gap();
        findings(screen, &issue.preflight);
    }
    if !issue.body.is_empty() {
        screen.gap();
        screen.text("", Style::Plain, &issue.body);
    }
    for message in &issue.messages {
        said(screen, message, now);
    }
    if !runs.is_empty() {
        screen.gap();
        super::run::list(screen, runs, now);
    }
    next(screen, issue);
}

/// What would stop it, worst first.
pub(crate) fn findings(screen: &mut Screen, found: &[Finding]) {
    for one in found {
        let word = match one.severity.as_str() {
            "stops" => red("stops  "),
            _ => yellow("warns  "),
        };
        screen.line([
            word,
            plain(format!("{}: {}; ", one.what, one.cause)),
            dim(&one.next),
        ]);
    }
}

/// What may be used and what was.
fn budget(budget: &Budget) -> String {
    let mut parts = Vec::new();
    match budget.micro_usd {
        Some(whole) => parts.push(format!(
            "{} of {}",
            dollars(budget.spent_micro_usd),
            dollars(whole)
        )),
        None if budget.spent_micro_usd > 0 => parts.push(dollars(budget.spent_micro_usd)),
        None => {}
    }
    let spent = budget.spent_ms / 60_000;
    if let Some(whole) = budget.minutes {
        parts.push(format!("{spent} of {whole} min"));
    }
    if !parts.is_empty() {
        parts.push(counted(
            usize::try_from(budget.runs).unwrap_or(usize::MAX),
            "run",
        ));
    }
    parts.join(", ")
}

fn said(screen: &mut Screen, message: &Message, now: Timestamp) {
    let style = match message.kind.as_str() {
        "question" => Style::Yellow,
        _ => Style::Bold,
    };
    screen.gap();
    screen.line([
        Span::new(style, &message.kind),
        dim(format!(
            "  {}, round {}, {} ago",
            message.by,
            message.round,
            age(message.at, now)
        )),
    ]);
    screen.text("  ", Style::Plain, &message.body);
}

/// The commands that make sense from here.
fn next(screen: &mut Screen, issue: &Issue) {
    let n = issue.line.number;
    let may = issue.may;
    // Whoever may look may type the others.
    let looks = |command: String| Offer::to(true, READERS, command);
    let writes = |command: String| Offer::to(may.write, WRITERS, command);
    let controls = |command: String| Offer::to(may.control, WRITERS, command);
    let offers = match issue.line.phase.as_str() {
        "draft" if issue.has_acceptance && issue.tryout.is_none() => vec![
            writes(format!("issue try {n}")),
            writes(format!("issue ready {n}")),
        ],
        "draft" => vec![
            writes(format!("issue edit {n}")),
            writes(format!("issue ready {n}")),
        ],
        "needs-input" => {
            let command = format!("issue answer {n} \"...\"");
            vec![Offer::to(may.answer, WRITERS, command)]
        }
        _ if issue.failed.is_some() => vec![
            looks(format!("run log {n}")),
            controls(format!("issue retry {n}")),
        ],
        "working" => vec![
            looks(format!("run log {n} -f")),
            controls(format!("run cancel {n}")),
        ],
        "in-review" => vec![looks(format!("pr show {n}"))],
        "landing" => vec![looks("queue".to_owned())],
        "closed" => vec![writes(format!("issue reopen {n}"))],
        _ => vec![],
    };
    offered(screen, &issue.line.project, offers);
}

const READERS: &str = "readers";
pub(crate) const WRITERS: &str = "writers";
const MAINTAINERS: &str = "maintainers";

/// A command that makes sense from here, for whoever may type it.
pub(crate) struct Offer {
    may: bool,
    who: &'static str,
    command: String,
}

impl Offer {
    /// The command, whether the caller may type it, and who may anyway.
    pub(crate) fn to(may: bool, who: &'static str, command: String) -> Self {
        Self { may, who, command }
    }
}

/// Commands that the caller may type, and who may type the others.
pub(crate) fn offered(screen: &mut Screen, project: &str, offers: Vec<Offer>) {
    let (own, theirs): (Vec<_>, Vec<_>) = offers.into_iter().partition(|offer| offer.may);
    let own: Vec<String> = own.into_iter().map(|offer| offer.command).collect();
    commands_of(screen, &own);
    let mut who: Vec<&str> = theirs.iter().map(|offer| offer.who).collect();
    who.dedup();
    for who in who {
        screen.gap();
        screen.line([dim(format!("{who} of {project} decide on this"))]);
    }
}

/// What to type next.
pub(crate) fn commands_of(screen: &mut Screen, commands: &[String]) {
    if commands.is_empty() {
        return;
    }
    screen.gap();
    for command in commands {
        screen.line([dim("next  "), plain(format!("nightshift {command}"))]);
    }
}

/// Secrets whose values the issue waits for, and how to set them.
fn secrets(screen: &mut Screen, issue: &Issue) {
    if issue.secrets.is_empty() {
        return;
    }
    screen.gap();
    screen.line([yellow(format!(
        "needs a value for {}",
        issue.secrets.join(", ")
    ))]);
    let project = &issue.line.project;
    let set = |name: &String| format!("secret set {name} -p {project} < FILE");
    let offer = |name: &String| Offer::to(issue.may.configure, MAINTAINERS, set(name));
    offered(screen, project, issue.secrets.iter().map(offer).collect());
}

/// Hosts that the runs of an issue asked for or were refused, and how to decide.
fn hosts(screen: &mut Screen, issue: &Issue) {
    if issue.hosts.is_empty() {
        return;
    }
    screen.gap();
    screen.line([bold("hosts that its runs asked for")]);
    let number = issue.line.number;
    let may = issue.may;
    let mut open = Vec::new();
    for asked in &issue.hosts {
        let by = asked.decided_by.as_deref().unwrap_or_default();
        let stands = match asked.decision.as_deref() {
            Some("denied") => red(format!("denied by {by}")),
            Some("project") => plain(format!("allowed for the project by {by}")),
            Some(_) => plain(format!("allowed for this issue by {by}")),
            None => yellow("open"),
        };
        let by_proof = asked.need == "proof";
        let whose = match by_proof {
            true => "  (missed by the proof)",
            false => "",
        };
        screen.line([plain(format!("  {}  ", asked.host)), stands, dim(whose)]);
        if let Some(why) = &asked.why {
            screen.text("    ", Style::Dim, why);
        }
        if asked.decision.is_none() {
            let allow = format!("issue allow {number} {}", asked.host);
            open.push(match by_proof {
                true => Offer::to(may.configure, MAINTAINERS, format!("{allow} --for-project")),
                false => Offer::to(may.hosts, WRITERS, allow),
            });
            let deny = format!("issue deny {number} {}", asked.host);
            open.push(Offer::to(may.hosts, WRITERS, deny));
        }
    }
    offered(screen, &issue.line.project, open);
}

#[cfg(test)]
mod tests {
    use super::*;
    use nightshift_domain::failure::{Failure, Reason};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).expect("a time")
    }

    fn issue() -> Issue {
        serde_json::from_str(include_str!("../../testdata/issue.json")).expect("the wire form")
    }

    #[test]
    fn a_question_is_seen_with_what_to_type() {
        let mut screen = Screen::new(false, None);
        whole(&mut screen, &issue(), &[], at(300));
        insta::assert_snapshot!(screen.as_str());
    }

    #[test]
    fn a_failure_is_seen_with_what_to_type() {
        let mut failed = issue();
        failed.line.phase = "ready".to_owned();
        failed.messages.clear();
        failed.failed = Some(Failure {
            reason: Reason::SetupFailed,
            detail: nightshift_domain::sentence::Kept::quoted("`npm ci` exited with 1"),
            retry_at: None,
        });
        let mut screen = Screen::new(false, None);
        whole(&mut screen, &failed, &[], at(300));
        let text = screen.as_str();
        assert!(
            text.contains("failed: setup-failed\n  `npm ci` exited with 1\n"),
            "{text}"
        );
        assert!(text.ends_with("next  nightshift issue retry 4\n"), "{text}");
    }

    #[test]
    fn who_may_not_go_on_is_told_who_may() {
        let mut read = issue();
        read.may = nightshift_api::issue::May {
            write: false,
            answer: false,
            hosts: false,
            review: false,
            control: false,
            push: false,
            configure: false,
        };
        let asked = |host: &str, need: &str| nightshift_api::issue::HostAsk {
            host: host.to_owned(),
            need: need.to_owned(),
            why: None,
            run: None,
            at: at(0),
            decision: None,
            decided_by: None,
            decided_at: None,
        };
        read.hosts = vec![asked("a.example", "author"), asked("b.example", "proof")];
        let shown = |issue: &Issue| {
            let mut screen = Screen::new(false, None);
            whole(&mut screen, issue, &[], at(300));
            screen.as_str().to_owned()
        };
        let text = shown(&read);
        assert!(!text.contains("next  "), "{text}");
        assert!(text.contains("writers of tally decide on this"), "{text}");
        assert!(
            text.contains("maintainers of tally decide on this"),
            "{text}"
        );
        // A writer denies what only a maintainer allows.
        read.may.hosts = true;
        read.may.answer = true;
        let text = shown(&read);
        for command in [
            "issue allow 4 a.example",
            "issue deny 4 b.example",
            "issue answer 4",
        ] {
            assert!(
                text.contains(&format!("next  nightshift {command}")),
                "{text}"
            );
        }
        assert!(!text.contains("--for-project"), "{text}");
        read.may.configure = true;
        let text = shown(&read);
        assert!(
            text.contains("issue allow 4 b.example --for-project"),
            "{text}"
        );
        assert!(!text.contains("decide on this"), "{text}");
    }

    #[test]
    fn a_list_says_why_nothing_moves() {
        let mut done = issue().line;
        done.number = 12;
        done.phase = "done".to_owned();
        done.waiting = None;
        let mut screen = Screen::new(false, None);
        list(&mut screen, &[done, issue().line], at(300));
        insta::assert_snapshot!(screen.as_str());
    }
}
