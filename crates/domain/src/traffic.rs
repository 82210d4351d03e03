//! What a run asked of the world outside, as its broker counted it: for the run's record.
//!
//! Invariant: names of hosts and numbers only. Deliberately absent: paths, contents, credentials.

use serde::{Deserialize, Serialize};

/// What one run asked for, and got.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Hosts of the network, reached and refused.
    #[serde(default)]
    pub hosts: Vec<HostUse>,
    /// Models, by route and name.
    #[serde(default)]
    pub models: Vec<ModelUse>,
}

/// One host of the network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostUse {
    /// Host and port.
    pub host: String,
    /// Who allowed it: `project`, `operator`, or `issue`; absent where nobody did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_by: Option<String>,
    /// Why it was refused the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_because: Option<String>,
    /// Requests and tunnels that were let through.
    pub requests: u64,
    /// Requests and tunnels that were refused.
    pub refused: u64,
    /// Bytes that went out.
    pub bytes_sent: u64,
    /// Bytes that came back.
    pub bytes_received: u64,
}

impl HostUse {
    /// A host that nothing was asked of yet.
    #[must_use]
    pub fn of(host: String) -> Self {
        Self {
            host,
            ..Self::default()
        }
    }
}

/// One model on one route.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelUse {
    /// The route, by the interface that was spoken: `anthropic`, `openai`, `gemini`, `azure`.
    pub route: String,
    /// The model's name, as the provider gave it; empty where it gave none.
    pub model: String,
    /// Calls that were answered.
    pub requests: u64,
    /// Calls whose answer said nothing of what was used.
    pub unmeasured: u64,
    /// Tokens sent that were not read from a cache.
    pub input_tokens: u64,
    /// Tokens sent that were read from a cache.
    pub cached_input_tokens: u64,
    /// Tokens produced.
    pub output_tokens: u64,
    /// Money, in millionths of a US dollar, for the calls whose price is known.
    pub cost_micro_usd: u64,
    /// Calls whose price is not known: their money is in no sum.
    pub unpriced: u64,
}

impl Traffic {
    /// The hosts that were refused and never reached.
    pub fn blocked(&self) -> impl Iterator<Item = &HostUse> {
        self.hosts
            .iter()
            .filter(|host| host.refused > 0 && host.requests == 0)
    }

    /// Whether there is anything to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty() && self.models.is_empty()
    }
}
