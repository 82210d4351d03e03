//! The shell blocks of a Markdown text: which there are, and which run in a given start.
//!
//! A fenced block counts when the first word of its info string is `sh`, `bash` or `ask`.
//! Beside it may stand `round=N` (default 1, issue only) and `repair=N` (default 0). A block in a
//! quotation is someone else's words and never runs. Anything else in the info string is refused:
//! a block that ran in the wrong round because of a typing error would be worse.

use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};

use super::invocation::PlanError;
use super::order::AgentOrder;

/// One block that runs or asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) kind: Kind,
    /// The line of the opening fence, from 1.
    pub(super) line: usize,
    pub(super) text: String,
    round: Option<u32>,
    repair: u32,
}

/// What a block is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Sh,
    Bash,
    Ask,
}

/// The blocks of one start, and where they are from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Selection {
    /// "issue" or "comment".
    pub(super) place: &'static str,
    pub(super) blocks: Vec<Block>,
    /// Those before this one have run in an earlier start, before a question.
    pub(super) from: usize,
    round: u32,
    repair: u32,
}

const EXPECTED: &str = "write `round=N` (from 1, in the issue only) or `repair=N` (from 0), or give the block another language if it is not to run";

/// The blocks that run in this start. In a later round those of the comment that sent it back,
/// if it has any; else those the issue has for the round.
pub(super) fn select(order: &AgentOrder) -> Result<Selection, PlanError> {
    let comment = match &order.feedback {
        Some(text) => parse("comment", text)?,
        None => Vec::new(),
    };
    let (place, all) = if comment.is_empty() {
        ("issue", parse("issue", &order.issue_body)?)
    } else {
        ("comment", comment)
    };
    let in_round = |block: &Block| place == "comment" || block.round.unwrap_or(1) == order.round;
    let blocks: Vec<Block> = all
        .into_iter()
        .filter(|block| in_round(block) && block.repair == order.repair)
        .collect();
    let mut selection = Selection {
        place,
        blocks,
        from: 0,
        round: order.round,
        repair: order.repair,
    };
    selection.from = order
        .session
        .as_ref()
        .and_then(|session| selection.position(&session.id))
        .unwrap_or(0);
    Ok(selection)
}

impl Selection {
    /// The id of a session that goes on at the block with this index.
    pub(super) fn session_id(&self, next: usize) -> String {
        format!("{}.{}.{}.{next}", self.place, self.round, self.repair)
    }

    /// The round of the start.
    pub(super) fn round(&self) -> u32 {
        self.round
    }

    /// The repair of the start.
    pub(super) fn repair(&self) -> u32 {
        self.repair
    }

    /// Where a session of this very selection goes on.
    fn position(&self, session_id: &str) -> Option<usize> {
        let next: usize = session_id.rsplit_once('.')?.1.parse().ok()?;
        (next <= self.blocks.len() && self.session_id(next) == session_id).then_some(next)
    }
}

fn parse(place: &'static str, markdown: &str) -> Result<Vec<Block>, PlanError> {
    let mut blocks = Vec::new();
    let mut quotes = 0_u32;
    let mut open: Option<Block> = None;
    for (event, range) in Parser::new(markdown).into_offset_iter() {
        match event {
            Event::Start(Tag::BlockQuote(_)) => quotes += 1,
            Event::End(TagEnd::BlockQuote(_)) => quotes -= 1,
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) if quotes == 0 => {
                let line = markdown[..range.start].matches('\n').count() + 1;
                open = block(place, line, &info)?;
            }
            Event::Text(text) => {
                if let Some(block) = &mut open {
                    block.text.push_str(&text);
                }
            }
            Event::End(TagEnd::CodeBlock) => blocks.extend(open.take()),
            _ => {}
        }
    }
    Ok(blocks)
}

fn block(place: &'static str, line: usize, info: &str) -> Result<Option<Block>, PlanError> {
    let mut words = info.split_whitespace();
    let kind = match words.next() {
        Some("sh") => Kind::Sh,
        Some("bash") => Kind::Bash,
        Some("ask") => Kind::Ask,
        _ => return Ok(None),
    };
    let mut block = Block {
        kind,
        line,
        text: String::new(),
        round: None,
        repair: 0,
    };
    for word in words {
        let refused = || PlanError::Block {
            place,
            line,
            found: word.to_owned(),
            expected: EXPECTED,
        };
        match word.split_once('=') {
            Some(("round", number)) if place == "issue" => {
                let number: u32 = number.parse().map_err(|_| refused())?;
                if number == 0 {
                    return Err(refused());
                }
                block.round = Some(number);
            }
            Some(("repair", number)) => block.repair = number.parse().map_err(|_| refused())?,
            _ => return Err(refused()),
        }
    }
    Ok(Some(block))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::Session;
    use nightshift_domain::transcript::Usage;

    const ISSUE: &str = "Do it.\n\n```sh\none\n```\n\n> ```sh\n> quoted\n> ```\n\n```rust\nfn x() {}\n```\n\n- item\n\n  ```bash\n  two\n    more\n  ```\n\n```sh repair=1\nrepaired\n```\n\n~~~sh round=2\nthree\n~~~\n";

    fn texts(issue: &str, feedback: Option<&str>, round: u32, repair: u32) -> Vec<String> {
        let mut order = AgentOrder::new("", issue);
        order.feedback = feedback.map(str::to_owned);
        order.round = round;
        order.repair = repair;
        let selection = select(&order).expect("a selection");
        selection.blocks.into_iter().map(|b| b.text).collect()
    }

    #[test]
    fn the_round_and_the_repair_choose() {
        assert_eq!(texts(ISSUE, None, 1, 0), ["one\n", "two\n  more\n"]);
        assert_eq!(texts(ISSUE, None, 1, 1), ["repaired\n"]);
        assert_eq!(texts(ISSUE, None, 2, 0), ["three\n"]);
        assert_eq!(texts(ISSUE, None, 3, 0), Vec::<String>::new());
        assert_eq!(texts(ISSUE, Some("Not so."), 2, 0), ["three\n"]);
        assert_eq!(
            texts(ISSUE, Some("Rather:\n```sh\nfour\n```"), 2, 0),
            ["four\n"]
        );
    }

    #[test]
    fn line_ends_of_another_system_do_not_reach_the_shell() {
        assert_eq!(
            texts("a\r\n\r\n```sh\r\none\r\ntwo\r\n```\r\n", None, 1, 0),
            ["one\ntwo\n"]
        );
    }

    #[test]
    fn what_is_not_understood_is_refused_with_its_place() {
        let refused = |issue: &str, feedback: Option<&str>| {
            let mut order = AgentOrder::new("", issue);
            order.feedback = feedback.map(str::to_owned);
            select(&order).expect_err("refused").to_string()
        };
        assert_eq!(
            refused("a\n\n```sh ronud=2\n```\n", None),
            format!("the shell block at line 3 of the issue says \"ronud=2\": {EXPECTED}")
        );
        for info in ["sh round=0", "sh round=x", "bash x", "ask repair=-1"] {
            assert!(refused(&format!("```{info}\n```\n"), None).contains("line 1"));
        }
        assert!(refused("", Some("```sh round=2\n```\n")).contains("of the comment"));
    }

    #[test]
    fn a_session_goes_on_only_in_its_own_selection() {
        let from = |id: &str, round| {
            let mut order = AgentOrder::new("", ISSUE);
            order.round = round;
            order.session = Some(Session {
                id: id.to_owned(),
                totals: Usage::default(),
            });
            select(&order).expect("a selection").from
        };
        assert_eq!(from("issue.1.0.1", 1), 1);
        assert_eq!(from("issue.1.0.1", 2), 0);
        for other in ["issue.1.0.9", "comment.1.0.1", "x", "issue.1.0.01", ""] {
            assert_eq!(from(other, 1), 0, "{other}");
        }
    }
}
