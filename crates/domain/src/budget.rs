//! Budget: what the author runs of one issue may cost together, in money and in minutes.
//!
//! An issue has its own or takes the project's, each part by itself. Whether something is left is
//! decided before every start, and what is left is the run's limit. Deliberately absent: who counts
//! (the agent's program, and the runner between its starts) and what happens at the end of it.

use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Reason};
use crate::id::Number;
use crate::sentence::Sentence;
use crate::told::failure as say;

/// The most that a budget can say: a million dollars.
pub const MOST_MICRO_USD: u64 = 1_000_000_000_000;
/// The most minutes: a month.
pub const MOST_MINUTES: u64 = 31 * 24 * 60;
/// A run that could not even be set up within this is not started, in seconds.
const LEAST_S: u64 = 60;

/// What may be used; a part that is absent is not bounded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// Money, in millionths of a US dollar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_micro_usd: Option<u64>,
    /// Wall-clock time of its author runs, in minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minutes: Option<u64>,
}

/// What an issue's author runs used, of those that are over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// How many there were.
    pub runs: u64,
    /// Their cost as far as it is known, in millionths of a US dollar.
    pub cost_micro_usd: u64,
    /// Their time, in milliseconds.
    pub wall_ms: u64,
}

/// What the next run may use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Left {
    /// Money, in millionths of a US dollar; more than none.
    pub cost_micro_usd: Option<u64>,
    /// Wall-clock time, in seconds; enough to begin.
    pub wall_s: Option<u64>,
}

impl Budget {
    /// This budget, with another's parts where it has none.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            cost_micro_usd: self.cost_micro_usd.or(other.cost_micro_usd),
            minutes: self.minutes.or(other.minutes),
        }
    }

    /// What is left for the next run.
    ///
    /// # Errors
    /// Nothing: the failure says what was used, and what a person can do.
    pub fn left(self, spent: Spent, number: Number) -> Result<Left, Failure> {
        let cost = self
            .cost_micro_usd
            .map(|whole| whole.saturating_sub(spent.cost_micro_usd));
        let wall_s = self
            .minutes
            .map(|whole| (whole * 60).saturating_sub(spent.wall_ms / 1_000));
        if cost == Some(0) {
            let whole = dollars(self.cost_micro_usd.unwrap_or(0));
            let used = dollars(spent.cost_micro_usd);
            let what = say::money_spent(whole, used, runs(spent.runs));
            return Err(gone(what, number, "--budget USD"));
        }
        if wall_s.is_some_and(|left| left < LEAST_S) {
            let whole = self.minutes.unwrap_or(0);
            let what = say::time_spent(whole, spent.wall_ms / 60_000, runs(spent.runs));
            return Err(gone(what, number, "--budget-minutes N"));
        }
        Ok(Left {
            cost_micro_usd: cost,
            wall_s,
        })
    }
}

fn gone(what: Sentence, number: Number, option: &str) -> Failure {
    Failure::new(Reason::BudgetExhausted, say::budget(what, number, option))
}

fn runs(count: u64) -> Sentence {
    match count {
        1 => say::one_run(),
        more => say::runs(more),
    }
}

/// An amount as people write it: `$5.00`, with more digits where cents would hide it.
#[must_use]
pub fn dollars(micro_usd: u64) -> String {
    let (whole, part) = (micro_usd / 1_000_000, micro_usd % 1_000_000);
    if part % 10_000 == 0 || whole > 0 {
        return format!("${whole}.{:02}", part / 10_000);
    }
    let digits = format!("{part:06}");
    format!("$0.{}", digits.trim_end_matches('0'))
}

/// Reads an amount such as `5`, `5.00` or `$0.50`; none when it is no amount of a budget.
#[must_use]
pub fn parse_dollars(text: &str) -> Option<u64> {
    let text = text.trim();
    let text = text.strip_prefix('$').unwrap_or(text).trim();
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let plain = digits(whole) && digits(part) && !(whole.is_empty() && part.is_empty());
    if !plain || part.len() > 6 || whole.len() > 9 {
        return None;
    }
    let whole: u64 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let part: u64 = format!("{part:0<6}").parse().ok()?;
    Some(whole * 1_000_000 + part).filter(|micro| (1..=MOST_MICRO_USD).contains(micro))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn budget(cost: Option<u64>, minutes: Option<u64>) -> Budget {
        Budget {
            cost_micro_usd: cost,
            minutes,
        }
    }

    fn spent(runs: u64, cost: u64, seconds: u64) -> Spent {
        Spent {
            runs,
            cost_micro_usd: cost,
            wall_ms: seconds * 1_000,
        }
    }

    #[test]
    fn what_is_left_is_the_next_runs_limit() {
        let cases = [
            (budget(None, None), spent(9, 1 << 40, 1 << 40), (None, None)),
            (
                budget(Some(5_000_000), None),
                spent(1, 1_250_000, 500),
                (Some(3_750_000), None),
            ),
            (budget(None, Some(10)), spent(2, 7, 90), (None, Some(510))),
        ];
        for (budget, spent, (cost, wall)) in cases {
            let left = budget.left(spent, 4).expect("something is left");
            assert_eq!((left.cost_micro_usd, left.wall_s), (cost, wall));
        }
    }

    #[test]
    fn a_spent_budget_says_what_was_used_and_what_to_do() {
        let money = budget(Some(5_000_000), Some(60)).left(spent(3, 5_120_000, 0), 4);
        assert_eq!(
            money.expect_err("spent").detail.as_str(),
            "the issue's budget of $5.00 is spent ($5.12 in 3 runs): raise it and the work goes on \
             (`nightshift issue edit 4 --budget USD`), or close the issue"
        );
        let time = budget(Some(5_000_000), Some(10)).left(spent(1, 0, 541), 4);
        let time = time.expect_err("spent");
        assert_eq!(time.reason, Reason::BudgetExhausted);
        assert!(
            time.detail
                .as_str()
                .contains("10 minutes is spent (9 min in 1 run)")
                && time.detail.as_str().contains("--budget-minutes"),
            "{}",
            time.detail
        );
    }

    #[test]
    fn an_issue_takes_from_its_project_what_it_does_not_say() {
        let own = budget(Some(1), None).or(budget(Some(2), Some(3)));
        assert_eq!(own, budget(Some(1), Some(3)));
    }

    #[test]
    fn amounts_are_read_as_people_write_them() {
        for (text, micro) in [
            ("5", Some(5_000_000)),
            (" $5.00 ", Some(5_000_000)),
            (".5", Some(500_000)),
            ("0.000001", Some(1)),
            ("1000000", Some(MOST_MICRO_USD)),
            ("1000000.000001", None),
            ("0", None),
            ("", None),
            (".", None),
            ("-1", None),
            ("1,5", None),
            ("1e3", None),
            ("0.0000001", None),
        ] {
            assert_eq!(parse_dollars(text), micro, "{text:?}");
        }
        assert_eq!(dollars(5_000_000), "$5.00");
        assert_eq!(dollars(1_234_567), "$1.23");
        assert_eq!(dollars(4_200), "$0.0042");
    }

    proptest! {
        /// Whatever was used: a start is refused exactly when a part that is bounded has nothing
        /// left, and nothing more than the budget is ever handed out.
        #[test]
        fn never_more_than_the_budget(
            cost in prop::option::of(1..MOST_MICRO_USD),
            minutes in prop::option::of(1..MOST_MINUTES),
            used in 0..2 * MOST_MICRO_USD,
            seconds in 0..2 * MOST_MINUTES * 60,
        ) {
            match budget(cost, minutes).left(spent(1, used, seconds), 1) {
                Ok(left) => {
                    prop_assert_eq!(left.cost_micro_usd.map(|left| left + used), cost);
                    prop_assert_eq!(left.wall_s.map(|left| left + seconds), minutes.map(|m| m * 60));
                    prop_assert!(left.wall_s.is_none_or(|left| left >= LEAST_S));
                }
                Err(_) => prop_assert!(
                    cost.is_some_and(|cost| used >= cost)
                        || minutes.is_some_and(|m| seconds + LEAST_S > m * 60)
                ),
            }
        }

        #[test]
        fn an_amount_that_is_written_is_read_back(cents in 1..100_000_000_u64) {
            prop_assert_eq!(parse_dollars(&dollars(cents * 10_000)), Some(cents * 10_000));
        }
    }
}
