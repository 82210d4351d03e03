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
use crate::issue::{Issue, Phase};

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

impl Wanted {
    /// What an issue in this state wants of a person, if anything.
    #[must_use]
    pub fn of(state: &Issue) -> Option<Self> {
        match (&state.phase, &state.failed) {
            (Phase::NeedsInput { .. }, _) => Some(Self::Answer),
            (Phase::InReview, None) => Some(Self::Review),
            (Phase::InReview | Phase::Ready | Phase::Landing, Some(_)) => Some(Self::Rescue),
            (
                Phase::Draft
                | Phase::Ready
                | Phase::Working
                | Phase::Landing
                | Phase::Done { .. }
                | Phase::Closed { .. },
                _,
            ) => None,
        }
    }
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
    /// Lines changed, once the change was measured.
    pub lines: Option<u64>,
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
            Self::Waits(hours) => {
                let hours = i64::try_from(hours).unwrap_or(AGES_FOR_HOURS);
                AGES_BY * hours.min(AGES_FOR_HOURS)
            }
        }
    }
}

/// What a card gains with every hour it waits.
pub const AGES_BY: i64 = 3;
/// For how many hours it gains; what is older is old enough to be seen.
pub const AGES_FOR_HOURS: i64 = 72;
impl Reason {
    /// The word used on the wire.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Unblocks(_) => "unblocks",
            Self::AgentWaits => "agent-waits",
            Self::Important => "important",
            Self::Low => "low",
            Self::Proved => "proved",
            Self::Red => "red",
            Self::Failed => "failed",
            Self::Small => "small",
            Self::Large => "large",
            Self::Risky => "risky",
            Self::Waits(_) => "waits",
        }
    }

    /// How many issues, or hours.
    #[must_use]
    pub fn count(self) -> Option<u64> {
        match self {
            Self::Unblocks(count) => u64::try_from(count).ok(),
            Self::Waits(hours) => Some(hours),
            Self::AgentWaits
            | Self::Important
            | Self::Low
            | Self::Proved
            | Self::Red
            | Self::Failed
            | Self::Small
            | Self::Large
            | Self::Risky => None,
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

/// The part of a card's score that time does not change, kept with what waits so that the first
/// cards are found without looking at all of them.
#[must_use]
pub fn weight(card: &Card) -> i64 {
    let reasons = lasting(card);
    reasons.iter().map(|reason| reason.weight()).sum()
}

/// The first `most` of what waits, by weight and since when: first things first, as [`rank`] has
/// them.
#[must_use]
pub fn first(waiting: &[(i64, Timestamp)], now: Timestamp, most: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..waiting.len()).collect();
    order.sort_by_key(|place| {
        let (weight, since) = waiting[*place];
        let aged = Reason::Waits(hours(since, now)).weight();
        (std::cmp::Reverse(weight + aged), since, *place)
    });
    order.truncate(most);
    order
}

/// The reasons that time does not change.
fn lasting(card: &Card) -> Vec<Reason> {
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
            match card.lines {
                Some(lines) if lines <= SMALL => reasons.push(Reason::Small),
                Some(lines) if lines >= LARGE => reasons.push(Reason::Large),
                Some(_) | None => {}
            }
            if card.worst == Some(Severity::Alarm) {
                reasons.push(Reason::Risky);
            }
        }
    }
    reasons
}

fn reasons(card: &Card, now: Timestamp) -> Vec<Reason> {
    let mut reasons = lasting(card);
    let hours = hours(card.since, now);
    if hours > 0 {
        reasons.push(Reason::Waits(hours));
    }
    reasons
}

/// Whole hours; none when the clock was set back.
fn hours(since: Timestamp, now: Timestamp) -> u64 {
    let waited = Duration::try_from(now.duration_since(since)).unwrap_or_default();
    waited.as_secs() / 3_600
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
            lines: Some(100),
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
            lines: Some(5),
            ..change()
        };
        let risky = Card {
            worst: Some(Severity::Alarm),
            ..change()
        };
        let huge = Card {
            lines: Some(5_000),
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
            facts in prop::collection::vec((0u8..3, prop::option::of(0u64..2_000), 0usize..4, 0i64..4, 0i64..100), 0..20)
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
            // What is kept with each is enough to find the first of them.
            let kept: Vec<_> = cards.iter().map(|card| (weight(card), card.since)).collect();
            let ranked: Vec<_> = places.iter().map(|place| place.card).take(5).collect();
            prop_assert_eq!(first(&kept, at(0), 5), ranked);
        }
    }
}
