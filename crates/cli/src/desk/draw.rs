//! The terminal desk, drawn.
//!
//! Invariant: text of others is shown by [`clean`] only. Without colour everything is still told
//! apart, by words and by weight. Deliberately absent: what keys do.

use std::time::Duration;

use ansi_to_tui::IntoText as _;
use nightshift_api::desk::{Card, Reason, Wanted};
use nightshift_domain::check::{Colour, Outcome};
use nightshift_domain::facts::Severity;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Paragraph, Wrap};

use super::state::{Entry, Open, Purpose, State, approvable, name_of};
use crate::screen::clean;
use crate::view::millis;

/// Lines that the list has besides cards.
const FRAME_LINES: u16 = 2;

/// How things look.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    /// Whether colours are wanted.
    pub(crate) colour: bool,
}

impl Look {
    fn of(self, colour: Color) -> Style {
        match self.colour {
            true => Style::new().fg(colour),
            false => Style::new(),
        }
    }

    fn good(self) -> Style {
        self.of(Color::Green)
    }

    fn bad(self) -> Style {
        self.of(Color::Red).add_modifier(Modifier::BOLD)
    }

    fn warn(self) -> Style {
        self.of(Color::Yellow)
    }

    fn soft(self) -> Style {
        match self.colour {
            true => Style::new().add_modifier(Modifier::DIM),
            false => Style::new(),
        }
    }

    fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    fn marked(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }
}

/// How many lines of a change are seen in a terminal of this height.
pub(crate) fn page_height(height: u16) -> usize {
    usize::from(height.saturating_sub(FRAME_LINES).max(1))
}

/// Draws everything.
pub(crate) fn draw(frame: &mut Frame<'_>, state: &State, look: Look, now: Duration) {
    let [top, middle, bottom] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(1),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(heading(state, look), top);
    match &state.open {
        Some(open) => change(frame, middle, open, look),
        None => list(frame, middle, state, look),
    }
    footing(frame, bottom, state, look, now);
    if state.help {
        help(frame, look);
    }
}

fn heading(state: &State, look: Look) -> Line<'static> {
    if let Some(open) = &state.open {
        let title = state.card().map(|card| shown(&card.title));
        return Line::from(vec![
            Span::styled(
                format!("{} #{}  ", shown(&open.name.0), open.name.1),
                look.soft(),
            ),
            Span::styled(title.unwrap_or_default(), look.strong()),
        ]);
    }
    let mut spans = vec![
        Span::styled("Desk", look.strong()),
        Span::raw(format!("  {} waiting for you", state.waiting())),
    ];
    if !state.selected.is_empty() {
        spans.push(Span::raw(format!("  {} selected", state.selected.len())));
    }
    if state.desk.parked > 0 {
        let text = format!("  {} parked (P brings them back)", state.desk.parked);
        spans.push(Span::styled(text, look.soft()));
    }
    if !state.filter.is_empty() {
        spans.push(Span::styled(
            format!("  /{}", shown(&state.filter)),
            look.warn(),
        ));
    }
    Line::from(spans)
}

fn list(frame: &mut Frame<'_>, area: Rect, state: &State, look: Look) {
    let cards = state.cards();
    let mut lines: Vec<Line<'_>> = Vec::new();
    for broken in &state.desk.broken {
        lines.push(Line::styled(
            format!(
                "{}: broken settings file, the last good one is in force: {}",
                shown(&broken.project),
                shown(&broken.error)
            ),
            look.bad(),
        ));
    }
    if cards.is_empty() {
        let words = match (state.loaded, state.filter.is_empty()) {
            (false, _) => "asking the server ...",
            (true, true) => "Nothing waits for you.",
            (true, false) => "Nothing fits the filter; Esc forgets it.",
        };
        lines.push(Line::styled(words, look.soft()));
    }
    let mut seen = (0, 0);
    for card in &cards {
        let is_current = state.current.as_ref() == Some(&name_of(card));
        let begin = lines.len();
        lines.extend(self::card(card, state, look, is_current));
        if is_current {
            seen = (begin, lines.len());
        }
    }
    let height = usize::from(area.height);
    let top = match seen.1 > height {
        true => seen.1 - height,
        false => 0,
    };
    let lines: Vec<_> = lines
        .into_iter()
        .skip(top.min(seen.0))
        .take(height)
        .collect();
    frame.render_widget(Paragraph::new(lines), area);
}

/// A card: what it is, what is proved, what to look at, why it stands here.
fn card(card: &Card, state: &State, look: Look, is_current: bool) -> Vec<Line<'static>> {
    let pick = match (state.selected.contains(&name_of(card)), approvable(card)) {
        (true, _) => "[x] ",
        (false, true) => "[ ] ",
        (false, false) => "    ",
    };
    let point = if is_current { "> " } else { "  " };
    let title = if is_current {
        look.marked()
    } else {
        look.strong()
    };
    let (word, style) = standing(card, look);
    let mut lines = vec![Line::from(vec![
        Span::raw(point),
        Span::raw(pick),
        Span::styled(format!("{word:<9}"), style),
        Span::styled(
            format!("{} #{} ", shown(&card.project), card.number),
            look.soft(),
        ),
        Span::styled(shown(&card.title), title),
    ])];
    let indent = "      ";
    let mut facts = vec![Span::raw(format!(
        "{indent}round {} by {}",
        card.round,
        shown(&card.agent)
    ))];
    if let Some(size) = &card.size {
        facts.push(Span::raw(format!("  {} files ", size.files)));
        facts.push(Span::styled(format!("+{}", size.additions), look.good()));
        facts.push(Span::raw(" "));
        facts.push(Span::styled(
            format!("-{}", size.deletions),
            look.of(Color::Red),
        ));
    }
    if card.runs > 0 {
        let took = millis(u64::try_from(card.took_ms).unwrap_or_default());
        facts.push(Span::raw(format!("  {took}")));
    }
    if card.cost_micros > 0 {
        let cents = (card.cost_micros + 5_000) / 10_000;
        facts.push(Span::raw(format!("  ${}.{:02}", cents / 100, cents % 100)));
    }
    lines.push(Line::from(facts));
    if let Some(proof) = proof(card, look, indent) {
        lines.push(proof);
    }
    if let Some(question) = &card.question {
        lines.push(said(indent, "asks: ", question, look.warn()));
    }
    if let Some(failed) = &card.failed {
        let text = format!("{}: {}", failed.reason.as_str(), failed.detail);
        lines.push(said(indent, "failed: ", &text, look.bad()));
    }
    if !card.hosts.is_empty() {
        let number = card.number;
        let way = match card.may.hosts {
            true => format!("nightshift issue allow {number} HOST, or issue deny"),
            false => format!("writers of {} decide", shown(&card.project)),
        };
        let text = format!("{} ({way})", card.hosts.join(", "));
        lines.push(said(indent, "not in reach: ", &text, look.warn()));
    }
    if !card.proof_hosts.is_empty() {
        let (number, project) = (card.number, shown(&card.project));
        let way = match (card.may.configure, card.may.hosts) {
            (true, _) => {
                format!("nightshift issue allow {number} HOST --for-project, or issue deny")
            }
            (false, true) => format!(
                "maintainers of {project} allow it for the project; nightshift issue deny {number} HOST"
            ),
            (false, false) => format!("maintainers of {project} decide"),
        };
        let text = format!("{} ({way})", card.proof_hosts.join(", "));
        lines.push(said(indent, "missed by the proof: ", &text, look.warn()));
    }
    if !card.secrets.is_empty() {
        let project = shown(&card.project);
        let way = match card.may.configure {
            true => format!("nightshift secret set NAME -p {project} < FILE"),
            false => format!("maintainers of {project} set it"),
        };
        let text = format!("{} ({way})", card.secrets.join(", "));
        lines.push(said(indent, "needs a value for: ", &text, look.warn()));
    }
    let findings = card.proof.iter().flat_map(|proof| &proof.findings);
    for finding in findings
        .filter(|one| one.severity != Severity::Note)
        .take(3)
    {
        let style = match finding.severity {
            Severity::Alarm => look.bad(),
            Severity::Warning | Severity::Note => look.warn(),
        };
        let kind = serde_json::to_value(finding.kind).unwrap_or_default();
        let kind = kind.as_str().unwrap_or_default().to_owned();
        lines.push(Line::from(vec![
            Span::styled(format!("{indent}! {kind} "), style),
            Span::raw(format!(
                "{} {}",
                shown(&finding.path),
                shown(finding.note.as_str())
            )),
        ]));
    }
    let why: Vec<String> = card.reasons.iter().map(reason).collect();
    if !why.is_empty() {
        lines.push(said(indent, "why here: ", &why.join(" · "), look.soft()));
    }
    let largest = card.size.iter().flat_map(|size| &size.largest);
    if is_current && largest.clone().next().is_some() {
        let files = largest.map(|file| {
            format!(
                "{} +{} -{}",
                shown(&file.path),
                file.additions,
                file.deletions
            )
        });
        let files: Vec<String> = files.collect();
        lines.push(said(indent, "", &files.join("  "), look.soft()));
    }
    lines
}

fn standing(card: &Card, look: Look) -> (&'static str, Style) {
    let colour = card.proof.as_ref().map(|proof| proof.colour);
    match (card.wanted, colour) {
        (Wanted::Answer, _) => ("question", look.warn()),
        (Wanted::Rescue, _) => ("failed", look.bad()),
        (Wanted::Review, Some(Colour::Green)) => ("green", look.good()),
        (Wanted::Review, Some(Colour::Red)) => ("red", look.bad()),
        (Wanted::Review, Some(Colour::Unproven)) => ("unproven", look.warn()),
        (Wanted::Review, None) => ("proving", look.soft()),
    }
}

/// Sealed tests and checks, on one line.
fn proof(card: &Card, look: Look, indent: &str) -> Option<Line<'static>> {
    let proof = card.proof.as_ref()?;
    let mut spans = vec![Span::raw(indent.to_owned())];
    let result = |outcome: &Outcome| match outcome {
        Outcome::Passed => Span::styled("passed", look.good()),
        Outcome::Failed { code } => Span::styled(format!("failed ({code})"), look.bad()),
        Outcome::TimedOut => Span::styled("out of time", look.bad()),
        Outcome::Capped { limit } => Span::styled(format!("over the {limit} limit"), look.bad()),
    };
    if let (Some(base), Some(head)) = (&proof.acceptance_on_base, &proof.acceptance_on_head) {
        let word = |passed: bool| if passed { "green" } else { "red" };
        let style = if head.passed() {
            look.good()
        } else {
            look.bad()
        };
        let text = format!("{} -> {}  ", word(base.passed()), word(head.passed()));
        spans.push(Span::raw("sealed tests "));
        spans.push(Span::styled(text, style));
    }
    for check in &proof.checks {
        spans.push(Span::raw(format!("{} ", shown(&check.name))));
        spans.push(result(&check.outcome));
        spans.push(Span::raw("  "));
    }
    (spans.len() > 1).then(|| Line::from(spans))
}

fn said(indent: &str, before: &'static str, text: &str, style: Style) -> Line<'static> {
    Line::from(vec![
        Span::raw(format!("{indent}{before}")),
        Span::styled(shown(text), style),
    ])
}

/// Why a card stands where it stands.
fn reason(reason: &Reason) -> String {
    let count = reason.count.unwrap_or_default();
    match reason.reason.as_str() {
        "unblocks" => format!("{count} wait for it"),
        "agent-waits" => "an agent waits".to_owned(),
        "low" => "low priority".to_owned(),
        "failed" => "stands still".to_owned(),
        "risky" => "look closely".to_owned(),
        "waits" => format!("waiting for {count} h"),
        other => shown(other),
    }
}

fn change(frame: &mut Frame<'_>, area: Rect, open: &Open, look: Look) {
    let Some(page) = &open.page else {
        frame.render_widget(Line::styled("asking the server ...", look.soft()), area);
        return;
    };
    let seen = page
        .lines
        .iter()
        .skip(open.top)
        .take(usize::from(area.height));
    // Our own colour codes are all that is left in the text that a view makes.
    let lines = seen.map(|line| match line.as_bytes().into_text() {
        Ok(mut text) if !text.lines.is_empty() => text.lines.remove(0),
        _ => Line::raw(shown(line)),
    });
    let left = u16::try_from(open.left).unwrap_or(u16::MAX);
    let text = Paragraph::new(lines.collect::<Vec<_>>()).scroll((0, left));
    frame.render_widget(text, area);
}

fn footing(frame: &mut Frame<'_>, area: Rect, state: &State, look: Look, now: Duration) {
    if let Some(entry) = &state.entry {
        return typing(frame, area, entry, look);
    }
    let line = if let Some(remark) = &state.remark {
        let style = if remark.bad {
            look.bad()
        } else {
            look.strong()
        };
        Line::styled(shown(&remark.text), style)
    } else if let Some(undo) = state.undo.last() {
        let left = undo.until.saturating_sub(now).as_secs().max(1);
        Line::from(vec![
            Span::styled(shown(&undo.words), look.good()),
            Span::raw(format!("  u takes it back ({left} s)")),
        ])
    } else if state.open.is_some() {
        let keys = "j k scroll  n N next, previous file  a approve  s send back  q back  ? help";
        Line::styled(keys, look.soft())
    } else {
        let keys =
            "j k move  Enter open  a approve  s send back  p park  x select  / filter  ? help";
        Line::styled(keys, look.soft())
    };
    frame.render_widget(line, area);
}

fn typing(frame: &mut Frame<'_>, area: Rect, entry: &Entry, look: Look) {
    let before = match &entry.purpose {
        Purpose::SendBack(name, _) => format!("send #{} back: ", name.1),
        Purpose::Answer(name) => format!("answer #{}: ", name.1),
        Purpose::Filter => "/".to_owned(),
    };
    let typed = clean(&entry.text)
        .replace('\n', "\u{23ce}")
        .replace('\t', " ");
    let line = Line::from(vec![Span::styled(before, look.strong()), Span::raw(typed)]);
    let wide = u16::try_from(line.width()).unwrap_or(u16::MAX);
    // The end is what one looks at while typing.
    let hidden = wide.saturating_sub(area.width.saturating_sub(1));
    frame.render_widget(Paragraph::new(line).scroll((0, hidden)), area);
    let right = area.right().saturating_sub(1);
    frame.set_cursor_position((area.x.saturating_add(wide - hidden).min(right), area.y));
}

const HELP: &[(&str, &str)] = &[
    ("j k", "next, previous"),
    ("Enter", "open the change"),
    ("a", "approve, or try again"),
    ("s", "send back, or answer: type, then Enter"),
    ("p", "park until tomorrow; P brings all back"),
    ("x", "select"),
    ("A", "approve the selected together"),
    ("u", "take the last decision back, for ten seconds"),
    ("/", "filter"),
    ("o", "show the address of the page"),
    ("n N", "in a change: next, previous file"),
    ("h l", "in a change: left, right"),
    ("space b", "in a change: a page down, up"),
    ("r", "ask the server again"),
    ("q", "back, or leave"),
];

fn help(frame: &mut Frame<'_>, look: Look) {
    let mut lines = vec![Line::styled("Keys", look.strong())];
    lines.extend(HELP.iter().map(|(key, what)| {
        Line::from(vec![
            Span::styled(format!("{key:<9}"), look.strong()),
            Span::raw(*what),
        ])
    }));
    lines.push(Line::styled("any key goes back", look.soft()));
    let area = frame.area();
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }), area);
}

/// Text of others on one line.
fn shown(text: &str) -> String {
    let text = clean(text);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
