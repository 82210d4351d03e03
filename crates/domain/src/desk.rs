//! The order of the desk: what one person should decide first, and why it stands where it stands.
//!
//! The idea: a decision is worth what it sets free and costs the attention it takes. What blocks
//! others and what an agent waits for comes first, small proved changes before large risky ones,
//! and nothing gets old unseen. The score is a sum of reasons, and the reasons are what is shown;
//! there is no part of the order that a row cannot explain. Deliberately absent: learning, and
//! anything that depends on who looks.

use std::time::Duration;

use jiff::Timestamp;

use crate::check::Colour;
use crate::facts::Severity;

/// What kind of decision is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wanted {
    /// An agent asked and waits.
    Answer,
    /// A result waits for approve or send back.
    Review,
    /// Something failed; retry, edit or close.
    Rescue,
}

/// What is known about one thing that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// What is wanted.
    pub wanted: Wanted,
    /// The verdict, for a review.
    pub colour: Option<Colour>,
    /// The most severe finding, if any.
    pub worst: Option<Severity>,
    /// Lines changed.
    pub lines: u64,
    /// Issues that wait for this one.
    pub blocks: usize,
    /// 0 (urgent) to 3 (low).
    pub priority: i64,
    /// Since when it waits.
    pub since: Timestamp,
}

/// Why a card stands where it stands; each weighs what [`Reason::weight`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// This many issues wait for it.
    Unblocks(usize),
    /// An agent waits for an answer.
    AgentWaits,
    /// It was filed as urgent or important.
    Important,
    /// It was filed as low.
    Low,
    /// Everything is proved.
    Proved,
    /// The verdict is red.
    Red,
    /// It failed, and nothing happens until somebody decides.
    Failed,
    /// A few lines only.
    Small,
    /// Many lines.
    Large,
    /// Something risky was touched.
    Risky,
    /// It waits for this many hours.
    Waits(u64),
}

impl Reason {
    /// What it adds to the score.
    #[must_use]
    pub fn weight(self) -> i64 {
        match self {
            Self::Unblocks(n) => 60 * i64::try_from(n.min(10)).unwrap_or(10),
            Self::AgentWaits => 150,
            Self::Important => 120,
            Self::Low => -60,
            Self::Proved => 80,
            Self::Red => -20,
            Self::Failed => 40,
            Self::Small => 40,
            Self::Large => -40,
            Self::Risky => -30,
            Self::Waits(hours) => 3 * i64::try_from(hours.min(72)).unwrap_or(72),
        }
    }
}

/// A place on the desk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Which card, by its place in the input.
    pub card: usize,
    /// The sum of the weights.
    pub score: i64,
    /// Why, weightiest first.
    pub reasons: Vec<Reason>,
}

/// Lines up to which a change is small.
pub const SMALL: u64 = 30;
/// Lines from which a change is large.
pub const LARGE: u64 = 400;

/// Ranks the cards: highest score first; among equals, the one that waits longest.
#[must_use]
pub fn rank(cards: &[Card], now: Timestamp) -> Vec<Place> {
    let mut places: Vec<Place> = cards
        .iter()
        .enumerate()
        .map(|(card, facts)| {
            let mut reasons = reasons(facts, now);
            reasons.sort_by_key(|reason| std::cmp::Reverse(reason.weight().abs()));
            Place {
                card,
                score: reasons.iter().map(|reason| reason.weight()).sum(),
                reasons,
            }
        })
        .collect();
    places.sort_by_key(|place| {
        (
            std::cmp::Reverse(place.score),
            cards[place.card].since,
            place.card,
        )
    });
    places
}

fn reasons(card: &Card, now: Timestamp) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if card.blocks > 0 {
        reasons.push(Reason::Unblocks(card.blocks));
    }
    match card.priority {
        0 | 1 => reasons.push(Reason::Important),
        3 => reasons.push(Reason::Low),
        _ => {}
    }
    match card.wanted {
        Wanted::Answer => reasons.push(Reason::AgentWaits),
        Wanted::Rescue => reasons.push(Reason::Failed),
        Wanted::Review => {
            match card.colour {
                Some(Colour::Green) => reasons.push(Reason::Proved),
                Some(Colour::Red) => reasons.push(Reason::Red),
                Some(Colour::Unproven) | None => {}
            }
            if card.lines <= SMALL {
                reasons.push(Reason::Small);
            } else if card.lines >= LARGE {
                reasons.push(Reason::Large);
            }
            if card.worst == Some(Severity::Alarm) {
                reasons.push(Reason::Risky);
            }
        }
    }
    let waited = Duration::try_from(now.duration_since(card.since)).unwrap_or_default();
    let hours = waited.as_secs() / 3_600;
    if hours > 0 {
        reasons.push(Reason::Waits(hours));
    }
    reasons
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + hours * 3_600).expect("a time")
    }

    fn change() -> Card {
        Card {
            wanted: Wanted::Review,
            colour: Some(Colour::Green),
            worst: None,
            lines: 100,
            blocks: 0,
            priority: 2,
            since: at(0),
        }
    }

    fn order(cards: &[Card]) -> Vec<usize> {
        rank(cards, at(1))
            .into_iter()
            .map(|place| place.card)
            .collect()
    }

    #[test]
    fn what_sets_more_free_and_costs_less_comes_first() {
        let question = Card {
            wanted: Wanted::Answer,
            ..change()
        };
        let blocker = Card {
            blocks: 3,
            ..change()
        };
        let small = Card {
            lines: 5,
            ..change()
        };
        let risky = Card {
            worst: Some(Severity::Alarm),
            ..change()
        };
        let huge = Card {
            lines: 5_000,
            worst: Some(Severity::Alarm),
            ..change()
        };
        let red = Card {
            colour: Some(Colour::Red),
            ..change()
        };
        let cards = [huge, red, risky, change(), small, question, blocker];
        assert_eq!(order(&cards), [6, 5, 4, 3, 2, 0, 1]);
    }

    #[test]
    fn nothing_stays_last_for_ever() {
        let old = Card {
            colour: Some(Colour::Red),
            since: at(-72),
            ..change()
        };
        assert_eq!(order(&[change(), old]), [1, 0]);
    }

    proptest! {
        /// The order explains itself: the score is the sum of the reasons shown, every card is
        /// there once, and the input's order does not matter among unequal scores.
        #[test]
        fn the_order_is_what_the_reasons_say(
            facts in prop::collection::vec((0u8..3, 0u64..2_000, 0usize..4, 0i64..4, 0i64..100), 0..20)
        ) {
            let cards: Vec<Card> = facts.into_iter().map(|(wanted, lines, blocks, priority, age)| Card {
                wanted: [Wanted::Answer, Wanted::Review, Wanted::Rescue][usize::from(wanted)],
                lines, blocks, priority, since: at(-age), ..change()
            }).collect();
            let places = rank(&cards, at(0));
            prop_assert_eq!(places.len(), cards.len());
            for pair in places.windows(2) {
                prop_assert!(pair[0].score >= pair[1].score);
            }
            for place in &places {
                let sum: i64 = place.reasons.iter().map(|reason| reason.weight()).sum();
                prop_assert_eq!(sum, place.score);
            }
        }
    }
}
