//! What models cost: a list that ships with the program, and the operator's own before it.
//!
//! Invariant: a model that is on neither list has no price, and that is said, never counted as
//! nothing. Deliberately absent: prices that rise with the length of a prompt, and discounts.

use serde::{Deserialize, Serialize};

use super::usage::Used;

/// The list that ships.
const SHIPPED: &str = include_str!("prices.toml");

/// The price of one model, in US dollars for a million tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// The model's name, without the date that a version of it may have at its end.
    pub model: String,
    /// Tokens sent.
    pub input: f64,
    /// Tokens read from a cache; as those sent, if not given.
    pub cached: Option<f64>,
    /// Tokens written to a cache; as those sent, if not given.
    pub cache_write: Option<f64>,
    /// Tokens produced.
    pub output: f64,
}

#[derive(Deserialize)]
struct List {
    price: Vec<Price>,
}

/// The list that ships with the program.
///
/// # Panics
/// Never: the list is a part of the program, and a test reads it.
#[must_use]
pub fn shipped() -> Vec<Price> {
    // INVARIANT: a test reads this very text.
    toml::from_str::<List>(SHIPPED).map_or_else(|_| Vec::new(), |list| list.price)
}

impl Price {
    /// Whether this is the price of the model of that name.
    fn is_of(&self, name: &str) -> bool {
        let name = name.strip_prefix("models/").unwrap_or(name);
        let Some(rest) = name.strip_prefix(self.model.as_str()) else {
            return false;
        };
        let dated = rest.strip_prefix(['-', '@']).is_some_and(|end| {
            end.len() >= 8 && end.bytes().all(|b| b.is_ascii_digit() || b == b'-')
        });
        rest.is_empty() || rest == "-latest" || dated
    }

    /// What this costs, in millionths of a dollar, rounded up.
    fn cost(&self, used: &Used) -> u64 {
        let sum = [
            (used.input, Some(self.input)),
            (used.written, self.cache_write),
            (used.cached, self.cached),
            (used.output, Some(self.output)),
        ];
        let thousandths: u128 = sum
            .iter()
            .map(|(tokens, price)| u128::from(*tokens) * thousandths(price.unwrap_or(self.input)))
            .sum();
        u64::try_from(thousandths.div_ceil(1000)).unwrap_or(u64::MAX)
    }
}

/// Dollars for a million tokens are millionths of a dollar for one; here in thousandths of these.
fn thousandths(price: f64) -> u128 {
    let bounded = (price * 1000.0).round().clamp(0.0, 1e12);
    // The bounds make it a whole number that fits.
    format!("{bounded:.0}").parse().unwrap_or(0)
}

/// What a call cost, if the model's price is known. The first price of a name counts.
pub(super) fn cost(prices: &[Price], used: &Used) -> Option<u64> {
    let price = prices.iter().find(|price| price.is_of(&used.model))?;
    Some(price.cost(used))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(model: &str) -> Used {
        Used {
            model: model.to_owned(),
            measured: true,
            input: 1_000,
            written: 200,
            cached: 3_000,
            output: 40,
        }
    }

    #[test]
    fn the_shipped_list_is_read() {
        let list = shipped();
        assert!(list.len() > 10, "{list:?}");
        assert!(
            list.iter()
                .all(|price| price.input > 0.0 && price.output >= price.input)
        );
    }

    #[test]
    fn a_price_is_of_its_model_and_its_dated_versions() {
        let price = Price {
            model: "m-1".to_owned(),
            input: 3.0,
            cached: Some(0.3),
            cache_write: Some(3.75),
            output: 15.0,
        };
        let list = [price];
        // 3000 + 750 + 900 + 600
        for name in [
            "m-1",
            "m-1-20260101",
            "m-1-2026-01-01",
            "m-1@20260101",
            "m-1-latest",
            "models/m-1",
        ] {
            assert_eq!(cost(&list, &used(name)), Some(5_250), "{name}");
        }
        for name in ["", "m-1.5", "m-1-mini", "m-12", "m", "m-1-2026"] {
            assert_eq!(cost(&list, &used(name)), None, "{name}");
        }
    }

    #[test]
    fn money_is_rounded_up_and_never_wraps() {
        let price = Price {
            model: "m".to_owned(),
            input: 0.0001,
            cached: None,
            cache_write: None,
            output: 0.05,
        };
        let mut one = Used {
            model: "m".to_owned(),
            output: 1,
            ..Used::default()
        };
        assert_eq!(cost(std::slice::from_ref(&price), &one), Some(1));
        one.output = u64::MAX;
        assert!(cost(&[price], &one).is_some_and(|cost| cost > 1 << 50));
    }
}
