//! What several starts of an agent used together.

use nightshift_domain::traffic::Traffic;
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

/// What a program says, filled in and corrected by what the broker measured: a program that says
/// nothing of tokens or money is counted all the same, and none is counted below what was measured.
/// `whole` says whether what it tells of tokens is all that it used.
pub(crate) fn measured(said: Usage, traffic: &Traffic, whole: bool) -> Usage {
    let mut sum = Usage::default();
    let mut cost = 0_u64;
    for used in &traffic.models {
        sum.input_tokens = sum.input_tokens.saturating_add(used.input_tokens);
        sum.cached_input_tokens = sum
            .cached_input_tokens
            .saturating_add(used.cached_input_tokens);
        sum.output_tokens = sum.output_tokens.saturating_add(used.output_tokens);
        cost = cost.saturating_add(used.cost_micro_usd);
    }
    let silent = said.input_tokens == 0 && said.cached_input_tokens == 0 && said.output_tokens == 0;
    let partial = !whole && sum.output_tokens > said.output_tokens;
    let tokens = if silent || partial { sum } else { said };
    Usage {
        cost_micro_usd: match (said.cost_micro_usd, cost) {
            (said, 0) => said,
            (said, cost) => Some(cost.max(said.unwrap_or(0))),
        },
        ..tokens
    }
}

/// Counts what was reached at the beginning of a run to what it reached later. What was refused there
/// is not counted: nothing that is allowed for one issue would change it.
pub(crate) fn add(sum: &mut Traffic, mut more: Traffic) {
    more.hosts.retain(|host| host.requests > 0);
    for host in &mut more.hosts {
        host.refused = 0;
        host.refused_because = None;
    }
    add_whole(sum, more);
}

/// The same with what was refused, where that is what the run ends with.
pub(crate) fn add_whole(sum: &mut Traffic, more: Traffic) {
    for more in more.hosts {
        let found = sum
            .hosts
            .iter_mut()
            .find(|host| host.host == more.host && host.allowed_by == more.allowed_by);
        match found {
            None => sum.hosts.push(more),
            Some(host) => {
                host.refused = host.refused.saturating_add(more.refused);
                host.refused_because = host.refused_because.take().or(more.refused_because);
                host.requests = host.requests.saturating_add(more.requests);
                host.bytes_sent = host.bytes_sent.saturating_add(more.bytes_sent);
                host.bytes_received = host.bytes_received.saturating_add(more.bytes_received);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use nightshift_domain::traffic::ModelUse;

    use super::*;

    #[test]
    fn a_program_that_says_nothing_is_counted_all_the_same() {
        let used = |input_tokens, cost_micro_usd| ModelUse {
            input_tokens,
            cost_micro_usd,
            ..ModelUse::default()
        };
        let traffic = Traffic {
            models: vec![used(10, 5), used(20, 0)],
            ..Traffic::default()
        };
        let silent = measured(Usage::default(), &traffic, true);
        assert_eq!((silent.input_tokens, silent.cost_micro_usd), (30, Some(5)));
        let said = Usage {
            input_tokens: 7,
            cost_micro_usd: Some(9),
            ..Usage::default()
        };
        assert_eq!(measured(said, &traffic, true), said);
        let cheap = Usage {
            cost_micro_usd: Some(1),
            ..said
        };
        assert_eq!(measured(cheap, &traffic, true).cost_micro_usd, Some(5));
        assert_eq!(measured(cheap, &Traffic::default(), true), cheap);
    }
    #[test]
    fn a_program_that_tells_a_part_is_counted_whole() {
        let traffic = Traffic {
            models: vec![ModelUse {
                input_tokens: 600,
                output_tokens: 102,
                ..ModelUse::default()
            }],
            ..Traffic::default()
        };
        let part = Usage {
            input_tokens: 200,
            output_tokens: 34,
            ..Usage::default()
        };
        assert_eq!(measured(part, &traffic, false).output_tokens, 102);
        assert_eq!(measured(part, &traffic, true).output_tokens, 34);
        assert_eq!(measured(part, &Traffic::default(), false), part);
    }
}
