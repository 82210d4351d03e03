//! What several starts of an agent used together.

use nightshift_domain::transcript::Usage;

/// The sum.
pub(crate) fn plus(one: Usage, other: Usage) -> Usage {
    Usage {
        input_tokens: one.input_tokens.saturating_add(other.input_tokens),
        cached_input_tokens: one
            .cached_input_tokens
            .saturating_add(other.cached_input_tokens),
        output_tokens: one.output_tokens.saturating_add(other.output_tokens),
        cost_micro_usd: match (one.cost_micro_usd, other.cost_micro_usd) {
            (None, None) => None,
            (one, other) => Some(one.unwrap_or(0).saturating_add(other.unwrap_or(0))),
        },
    }
}
