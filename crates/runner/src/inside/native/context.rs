//! How a conversation is kept within what a model can read.
//!
//! Sizes are bytes: nobody but the provider knows its tokens. The oldest words of tools go first, then
//! the long arguments of old calls, then whole old turns, last what tools said just now. Invariant:
//! the first order and what people said stay, and each call keeps its result. Deliberately absent:
//! summaries by a model, which cost a call and may invent.

use serde_json::Value;

use super::talk::Turn;

/// How many of the last results stay as they are while older ones can go.
const KEPT: usize = 2;
/// What is this short is not worth taking out.
const SHORT: usize = 300;
/// What stays of the last results when nothing else is left.
const LAST: usize = 2_000;
/// Stands where whole turns were.
const GONE: &str = "[Earlier turns of this conversation were taken out to make room. The working tree holds what was done.]";

/// How large a conversation is.
pub(super) fn size(turns: &[Turn]) -> usize {
    turns.iter().map(size_of).sum()
}

fn size_of(turn: &Turn) -> usize {
    match turn {
        Turn::Prompt { text } => text.len(),
        Turn::Answer { text, calls } => {
            let calls = calls.iter().map(|call| call.args.to_string().len() + 40);
            text.len() + calls.sum::<usize>()
        }
        Turn::Results { results } => results.iter().map(|said| said.output.len() + 40).sum(),
    }
}

/// Makes the conversation as small as `goal` if it can; how many bytes that took out. What tools
/// said just now goes only when a call finds nothing else.
pub(super) fn shrink(turns: &mut Vec<Turn>, goal: usize) -> usize {
    let before = size(turns);
    let old = old(turns);
    for at in 0..old {
        if size(turns) <= goal {
            break;
        }
        if let Turn::Results { results } = &mut turns[at] {
            for said in results.iter_mut().filter(|said| said.output.len() > SHORT) {
                said.output = taken_out(said.output.len());
            }
        }
    }
    for at in 0..old {
        if size(turns) <= goal {
            break;
        }
        if let Turn::Answer { calls, .. } = &mut turns[at] {
            for call in calls {
                shorten(&mut call.args);
            }
        }
    }
    while size(turns) > goal && drop_oldest(turns) {}
    // Only where nothing else was left to take: what was said just now is what the next step rests on.
    if size(turns) > goal && size(turns) == before {
        for turn in turns.iter_mut() {
            if let Turn::Results { results } = turn {
                for said in results
                    .iter_mut()
                    .filter(|said| said.output.len() > LAST + SHORT)
                {
                    let end = (0..=LAST)
                        .rev()
                        .find(|end| said.output.is_char_boundary(*end));
                    let left = said.output.len() - end.unwrap_or(0);
                    said.output.truncate(end.unwrap_or(0));
                    said.output.push('\n');
                    said.output.push_str(&taken_out(left));
                }
            }
        }
    }
    before.saturating_sub(size(turns))
}

fn taken_out(bytes: usize) -> String {
    format!("[{bytes} bytes were taken out to make room; call the tool again if you need them]")
}

/// Where the turns begin that stay as they are: the answer before the last few results.
fn old(turns: &[Turn]) -> usize {
    let results = turns
        .iter()
        .enumerate()
        .filter(|(_, turn)| matches!(turn, Turn::Results { .. }));
    let last = results.rev().nth(KEPT - 1);
    last.map_or(0, |(at, _)| at.saturating_sub(1))
}

fn shorten(args: &mut Value) {
    match args {
        Value::String(text) if text.len() > SHORT => *text = taken_out(text.len()),
        Value::Array(all) => all.iter_mut().for_each(shorten),
        Value::Object(all) => all.values_mut().for_each(shorten),
        _ => {}
    }
}

/// Drops the oldest answer with its results, unless it is among the last ones.
fn drop_oldest(turns: &mut Vec<Turn>) -> bool {
    let old = old(turns);
    let is_answer = |turn: &Turn| matches!(turn, Turn::Answer { .. });
    let Some(at) = turns[..old].iter().position(is_answer) else {
        return false;
    };
    let with = matches!(turns.get(at + 1), Some(Turn::Results { .. }));
    turns.drain(at..=at + usize::from(with));
    let said = |turn: &Turn| matches!(turn, Turn::Prompt { text } if text == GONE);
    if !turns.iter().any(said) {
        let text = GONE.to_owned();
        turns.insert(1.min(turns.len()), Turn::Prompt { text });
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inside::native::talk::{Call, Said, mend};
    use serde_json::json;

    /// A conversation of so many calls, each with 1,000 bytes of arguments and of output.
    fn long(calls: usize) -> Vec<Turn> {
        let mut turns = vec![Turn::Prompt {
            text: "the order".to_owned(),
        }];
        for n in 0..calls {
            let args = json!({"path": n.to_string(), "content": "a".repeat(1_000)});
            let call = Call::new(n.to_string(), "write".to_owned(), args);
            let said = Said {
                id: call.id.clone(),
                is_error: false,
                output: "\u{e9}".repeat(5_000),
            };
            turns.push(Turn::Answer {
                text: String::new(),
                calls: vec![call],
            });
            turns.push(Turn::Results {
                results: vec![said],
            });
        }
        turns
    }

    fn is_whole(turns: &[Turn]) {
        let mut mended = turns.to_vec();
        mend(&mut mended);
        assert_eq!(mended, turns);
        assert_eq!(turns[0], long(0)[0], "the order stays");
    }

    fn text(turns: &[Turn]) -> String {
        serde_json::to_string(turns).expect("JSON")
    }

    #[test]
    fn the_oldest_words_of_tools_go_first() {
        let mut turns = long(10);
        let whole = size(&turns);
        assert_eq!(shrink(&mut turns.clone(), whole), 0, "nothing is too large");
        let gone = shrink(&mut turns, 70_000);
        assert!(size(&turns) <= 70_000 && size(&turns) > 55_000);
        assert_eq!(whole - gone, size(&turns));
        is_whole(&turns);
        assert_eq!(turns.len(), 21);
        let Turn::Results { results } = &turns[2] else {
            panic!("a result");
        };
        assert!(results[0].output.starts_with("[10000 bytes were taken out"));
        assert_eq!(turns[17..], long(10)[17..], "the last ones stay");
        assert_eq!(text(&turns).matches("taken out").count(), 5);
    }

    #[test]
    fn then_arguments_then_turns_then_the_last_words() {
        let mut turns = long(10);
        shrink(&mut turns, 27_000);
        is_whole(&turns);
        assert_eq!(turns.len(), 21);
        assert!(size(&turns) <= 27_000);
        let Turn::Answer { calls, .. } = &turns[1] else {
            panic!("an answer");
        };
        assert_eq!(calls[0].args["path"], "0", "what is short stays");

        shrink(&mut turns, 23_000);
        is_whole(&turns);
        assert!(
            size(&turns) <= 23_000 && turns.len() < 21,
            "{}",
            turns.len()
        );
        assert_eq!(text(&turns).matches(GONE).count(), 1);

        shrink(&mut turns, 7_000);
        is_whole(&turns);
        assert_eq!(
            turns[turns.len() - 4..],
            long(10)[17..],
            "what was said just now stays as long as it can"
        );
        shrink(&mut turns, 7_000);
        is_whole(&turns);
        assert!(size(&turns) <= 7_000, "{}", size(&turns));
        assert_eq!(shrink(&mut turns, 10), 0, "there is an end");
    }
}
