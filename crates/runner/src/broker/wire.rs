//! What runner and broker say to each other: one JSON document a line, over a socket pair.
//!
//! Invariants: no key and no content of a request is in any of it; a line has a bound. Deliberately
//! absent: anything from inside a sandbox but counts and names of what was asked for.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};
use std::path::PathBuf;

use nightshift_domain::host::Allowed;
use nightshift_domain::traffic::{HostUse, ModelUse};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::rule::Rule;
use super::settings::Settings;
use super::usage::Dialect;

/// The longest line; a room's specification is far below.
const MOST: u64 = 8 << 20;

/// From the runner.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "kebab-case")]
pub(super) enum Order {
    /// First, and once.
    Begin {
        /// What is the same for all runs.
        settings: Settings,
    },
    /// Opens a run's sockets.
    Open {
        /// Which run.
        run: String,
        /// What it may reach.
        room: Box<RoomSpec>,
    },
    /// Closes them; every connection is cut.
    Close {
        /// Which run.
        run: String,
    },
    /// Asks what went through so far.
    Tell {
        /// Which run.
        run: String,
    },
    /// Asks whether the broker is alive.
    Ping {
        /// Comes back.
        number: u64,
    },
}

/// From the broker.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "word", rename_all = "kebab-case")]
pub(super) enum Word {
    /// The settings are taken.
    Ready,
    /// The settings cannot be taken; the broker ends.
    Refused {
        /// Why.
        why: String,
    },
    /// A run's sockets are open, or not.
    Opened {
        /// Which run.
        run: String,
        /// Why not.
        error: Option<String>,
    },
    /// What went through, when asked for and at the end.
    Report {
        /// Which run.
        run: String,
        /// So much; nothing where the room is not known.
        report: Option<Report>,
        /// Whether it is the answer to a question, and not said by itself.
        asked: bool,
        /// Whether the room is closed.
        closed: bool,
    },
    /// The broker is alive.
    Pong {
        /// As it came.
        number: u64,
    },
    /// Something about a run that cannot wait.
    Told {
        /// Which run.
        run: String,
        /// What.
        event: Event,
    },
}

/// Something about a run that cannot wait for its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The broker died or fell silent, and with it every connection of the run.
    Lost {
        /// How.
        how: String,
    },
    /// A host of the network was refused, for the first time in this run.
    Blocked {
        /// Host and port.
        place: String,
        /// Why.
        why: String,
    },
    /// A request to the model was refused, for the first time in this run.
    Refused {
        /// Which, and why.
        what: String,
    },
    /// The provider wants no more calls for now.
    Limited {
        /// For how long, in seconds.
        wait_s: u64,
        /// Why.
        why: String,
    },
    /// A login is worth nothing any more: somebody must log in again.
    Login {
        /// Which, and what to do.
        why: String,
    },
    /// The money that the run's calls may cost is used up; in millionths of a dollar.
    Budget {
        /// What they cost.
        spent: u64,
        /// What they may.
        most: u64,
    },
    /// A budget of the run's traffic is used up.
    Spent {
        /// Which, in words.
        what: String,
    },
}

/// One run's room.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct RoomSpec {
    /// Where the sockets are to be.
    pub(super) directory: PathBuf,
    /// To whom they are to belong.
    pub(super) owner: Option<(u32, u32)>,
    /// The ways out.
    pub(super) ways: Ways,
    /// What went through before, where the room is opened anew.
    pub(super) before: Report,
}

/// The ways out of one run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Ways {
    /// To the server.
    pub platform: Option<PlatformWay>,
    /// To models.
    pub models: Option<ModelsWay>,
    /// To the allow-listed network.
    pub network: Option<NetworkWay>,
}

/// The way to the allow-listed network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NetworkWay {
    /// What may be reached.
    pub allow: Vec<Grant>,
    /// At most.
    pub budget: Budget,
}

/// What may be reached, and who says so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Grant {
    /// The host, or the names below one.
    pub entry: Allowed,
    /// `project`, `operator` or `issue`.
    pub by: String,
}

/// The way to the server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlatformWay {
    /// The server's address.
    pub base: String,
    /// What may go there; see [`super::rule::git`]. The run's own token is presented from inside.
    pub rules: Vec<Rule>,
    /// At most.
    pub budget: Budget,
}

/// The way to models.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelsWay {
    /// By the first part of the path.
    pub routes: Vec<RouteWay>,
    /// At most.
    pub budget: Budget,
    /// What the calls may cost together, in millionths of a dollar.
    pub cost_micro_usd: Option<u64>,
}

/// One interface, at one endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RouteWay {
    /// What is spoken.
    pub dialect: Dialect,
    /// The endpoint's name in the settings; paths from inside are appended to its address. Its key
    /// replaces whatever the agent sent; without a key, what the agent sent is removed all the same.
    pub endpoint: String,
    /// What stands in the sandbox for the key: good for this run and this route only. Made when the
    /// room is opened.
    #[serde(default)]
    pub token: String,
}

/// What one run may send and receive one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// Requests.
    pub requests: u64,
    /// Bytes of request bodies.
    pub bytes_sent: u64,
    /// Bytes of answers.
    pub bytes_received: u64,
}

impl Budget {
    /// For the allow-listed network: enough to fetch what a build needs, and little to send.
    pub const NETWORK: Self = Self {
        requests: 5_000,
        bytes_sent: 32 << 20,
        bytes_received: 8 << 30,
    };
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            requests: 20_000,
            bytes_sent: 4 << 30,
            bytes_received: 4 << 30,
        }
    }
}

/// What went through one way so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Requests that a rule let through.
    pub requests: u64,
    /// Requests that were refused here.
    pub refused: u64,
    /// Requests that got no answer.
    pub failed: u64,
    /// Bytes of request bodies.
    pub bytes_sent: u64,
    /// Bytes of answers.
    pub bytes_received: u64,
}

/// What went through a room so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// To and from the server.
    pub platform: Traffic,
    /// How often the server answered a `POST` to a path with success: whether the agent asked.
    pub posts: BTreeMap<String, u64>,
    /// To and from models.
    pub model: Traffic,
    /// What the calls used.
    pub models: Vec<ModelUse>,
    /// Hosts of the network.
    pub hosts: Vec<HostUse>,
}

/// Writes one message.
pub(super) fn write(to: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    to.write_all(&line)?;
    to.flush()
}

/// Reads one message; `None` at the end.
pub(super) fn read<T: DeserializeOwned>(from: &mut impl BufRead) -> io::Result<Option<T>> {
    let mut line = Vec::new();
    let read = io::Read::take(&mut *from, MOST).read_until(b'\n', &mut line)?;
    if read == 0 {
        return Ok(None);
    }
    if line.last() != Some(&b'\n') {
        return Err(io::Error::other("a message without an end"));
    }
    Ok(Some(serde_json::from_slice(&line)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_lines() {
        let mut bytes = Vec::new();
        for number in 0..3 {
            write(&mut bytes, &Order::Ping { number }).expect("written");
        }
        let mut from = bytes.as_slice();
        for wanted in 0..3 {
            match read::<Order>(&mut from) {
                Ok(Some(Order::Ping { number })) => assert_eq!(number, wanted),
                other => panic!("{other:?}"),
            }
        }
        assert!(matches!(read::<Order>(&mut from), Ok(None)));
        assert!(read::<Order>(&mut b"{\"order\":\"ping\",\"number\":1}".as_slice()).is_err());
        assert!(read::<Order>(&mut b"what\n".as_slice()).is_err());
    }
}
