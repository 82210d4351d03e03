//! Hosts that a run could not reach: which of them a person is asked about, and what was decided.
//!
//! Invariants: a person's word for one issue reaches its author runs and never a proof, which leans on
//! the project's list alone; nobody is asked about what no answer could open (addresses that are
//! refused anyway), nor about what agent programs and their tools call by themselves; and nobody is
//! asked again about what was denied. Deliberately absent: who may decide (see [`crate::access`]), and
//! the walls themselves.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::access::Actor;
use crate::host::{Allowed, AllowedError, Host, Place, Reach};
use crate::id::{IssueId, RunId};
use crate::refusal::grant as say;
use crate::sentence::Sentence;
use crate::told::note;
use crate::traffic::Traffic;

/// The most hosts that one run is asked about.
pub const MOST: usize = 10;

/// What a person decided about a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// The author runs of this issue may reach it.
    Issue,
    /// Every run of the project may: it is in the project's list.
    Project,
    /// No.
    Denied,
}

impl Decision {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Issue, Self::Project, Self::Denied];

    /// The word used in tables, on the wire and in the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Issue => "issue",
            Self::Project => "project",
            Self::Denied => "denied",
        }
    }

    /// Reads the word back.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }
}

/// Who misses a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// An author's run.
    Author,
    /// A proof.
    Proof,
}

impl Need {
    /// The word used in tables and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Author => "author",
            Self::Proof => "proof",
        }
    }
}

/// Why a decision about a host cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// A no to what nobody asked.
    NothingToDeny,
    /// For one issue, where a proof misses it.
    OnlyForTheProject,
}

impl Refused {
    /// What is said about it.
    #[must_use]
    pub fn said(&self) -> Sentence {
        match self {
            Self::NothingToDeny => say::nothing(),
            Self::OnlyForTheProject => say::project(),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.said().fmt(f)
    }
}

impl std::error::Error for Refused {}

/// Whose needs a decision about one host answers, of those that were asked for it.
///
/// # Errors
/// The rule that forbids it.
pub fn answers(asked: &[&Asked], decision: Decision) -> Result<Vec<Need>, Refused> {
    let is_open = |need| {
        asked
            .iter()
            .any(|one| one.need == need && one.decided.is_none())
    };
    let all: Vec<Need> = asked.iter().map(|one| one.need).collect();
    match decision {
        Decision::Project if all.is_empty() => Ok(vec![Need::Author]),
        Decision::Project => Ok(all),
        Decision::Issue if is_open(Need::Proof) && !is_open(Need::Author) => {
            Err(Refused::OnlyForTheProject)
        }
        Decision::Issue => Ok(vec![Need::Author]),
        Decision::Denied if all.is_empty() => Err(Refused::NothingToDeny),
        Decision::Denied => {
            let open: Vec<Need> = all.iter().copied().filter(|need| is_open(*need)).collect();
            Ok(if open.is_empty() { all } else { open })
        }
    }
}

/// A host that was asked for, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The issue.
    pub issue: IssueId,
    /// The host as a list names it.
    pub host: Allowed,
    /// Who misses it.
    pub need: Need,
    /// The run that asked, or was refused, last; none where a person allowed it unasked.
    pub run: Option<RunId>,
    /// Why the agent needs it, in its own words; none where the platform saw it refused.
    pub why: Option<String>,
    /// When.
    pub at: Timestamp,
    /// What was decided, by whom, when.
    pub decided: Option<Decided>,
}

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// What.
    pub decision: Decision,
    /// By whom.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
}

/// What agent programs and the libraries in them call by themselves, whatever the work is: telemetry,
/// features, updates, and their vendor's own interface, which the model's way replaces.
const OWN_CALLS: &[&str] = &[
    "*.anthropic.com",
    "claude.ai",
    "*.claude.ai",
    "chatgpt.com",
    "*.chatgpt.com",
    "*.openai.com",
    "*.sentry.io",
    "*.statsig.com",
    "*.statsigapi.net",
    "*.featureassets.org",
    "*.datadoghq.com",
    "*.segment.io",
    "*.posthog.com",
    "*.growthbook.io",
    "*.honeycomb.io",
    "play.googleapis.com",
    "*.rum.aliyuncs.com",
    "models.dev",
    "*.githubcopilot.com",
    "*.exp-tas.com",
    "*.applicationinsights.azure.com",
];

/// A host as it is asked for: without a port where it is a usual one.
///
/// # Errors
/// It is not spelled in the accepted way, or stands for many.
pub fn one(text: &str) -> Result<Allowed, AllowedError> {
    if text.contains('*') {
        return Err(AllowedError::Star);
    }
    let entry: Allowed = text.parse()?;
    Ok(match Place::parse(text, Some(443)) {
        Ok(place) => usual(&place),
        Err(_) => entry,
    })
}

fn usual(place: &Place) -> Allowed {
    let text = match place.port {
        80 | 443 => place.host.to_string(),
        _ => place.to_string(),
    };
    // A place's own spelling is an entry.
    text.parse().unwrap_or_else(|_| Allowed::only(place))
}

/// Whether allowing this host could open it: an address that is refused for what it is stays closed.
#[must_use]
pub fn can_be_opened(host: &Host) -> bool {
    match (host, host.address()) {
        (_, Some(address)) => Reach::of(address) == Reach::Public,
        (Host::Name(name), None) => {
            name.contains('.')
                && name != "metadata.google.internal"
                && ![".localhost", ".invalid"]
                    .iter()
                    .any(|end| name.ends_with(end))
        }
        (Host::V4(_) | Host::V6(_), None) => false,
    }
}

/// The hosts that a run was refused and that a person is asked about.
#[must_use]
pub fn worth_asking(traffic: &Traffic) -> Vec<Allowed> {
    let own: Vec<Allowed> = OWN_CALLS
        .iter()
        .filter_map(|text| text.parse().ok())
        .collect();
    let mut hosts = Vec::new();
    for blocked in traffic.blocked() {
        let Ok(place) = Place::parse(&blocked.host, None) else {
            continue;
        };
        let known = Place {
            host: place.host.clone(),
            port: 443,
        };
        let noise = own.iter().any(|entry| entry.allows(&known));
        let host = usual(&place);
        if !noise && can_be_opened(&place.host) && !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    hosts.truncate(MOST);
    hosts
}

/// Whether a project's list answers by now what a run asked for: it names every place that the run
/// was refused, or, where its agent asked before it tried, the host itself.
#[must_use]
pub fn is_answered(asked: &Asked, traffic: Option<&Traffic>, list: &[Allowed]) -> bool {
    let names = |place: &Place| list.iter().any(|entry| entry.allows(place));
    let blocked = traffic.into_iter().flat_map(Traffic::blocked);
    let places: Vec<Place> = blocked
        .filter_map(|one| Place::parse(&one.host, None).ok())
        .filter(|place| usual(place) == asked.host)
        .collect();
    asked.decided.is_none()
        && match places.is_empty() {
            true => is_named(&asked.host, list),
            false => places.iter().all(names),
        }
}

/// Whether a list names a host as it is asked for.
#[must_use]
pub fn is_named(host: &Allowed, list: &[Allowed]) -> bool {
    let place = Place::parse(&host.to_string(), Some(443));
    list.contains(host) || place.is_ok_and(|place| list.iter().any(|entry| entry.allows(&place)))
}

/// The words in which an agent's question for hosts is put to a person.
#[must_use]
pub fn question(hosts: &[Allowed], why: &str) -> Sentence {
    note::may_reach(named(hosts), why.trim())
}

/// What the agent is told when everything that its run asked for is decided.
#[must_use]
pub fn answer(asked: &[&Asked]) -> Sentence {
    let of = |open: bool| -> Vec<Allowed> {
        asked
            .iter()
            .filter(|one| {
                let decision = one.decided.as_ref().map(|decided| decided.decision);
                matches!(decision, Some(Decision::Issue | Decision::Project)) == open
            })
            .map(|one| one.host.clone())
            .collect()
    };
    let (open, closed) = (of(true), of(false));
    let (opened, stays) = (
        note::opened(named(&open)),
        note::stays_closed(named(&closed)),
    );
    match (open.is_empty(), closed.is_empty()) {
        (_, true) => opened,
        (true, false) => stays,
        (false, false) => note::opened_in_part(opened, stays),
    }
}

fn named(hosts: &[Allowed]) -> String {
    let names: Vec<String> = hosts.iter().map(|host| format!("`{host}`")).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::IssueId;
    use crate::traffic::HostUse;

    fn asked(need: Need, decision: Option<Decision>) -> Asked {
        let decided = decision.map(|decision| Decided {
            decision,
            by: Actor::System,
            at: Timestamp::UNIX_EPOCH,
        });
        Asked {
            issue: IssueId(uuid::Uuid::nil()),
            host: "pkgs.example.com".parse().expect("a host"),
            need,
            run: None,
            why: None,
            at: Timestamp::UNIX_EPOCH,
            decided,
        }
    }

    #[test]
    fn a_list_answers_what_it_names() {
        let open = asked(Need::Proof, None);
        let refused = |places: &[&str]| {
            let hosts = places.iter().map(|place| HostUse {
                refused: 1,
                ..HostUse::of((*place).to_owned())
            });
            Traffic {
                hosts: hosts.collect(),
                models: Vec::new(),
            }
        };
        let list = |hosts: &[&str]| -> Vec<Allowed> {
            let hosts = hosts.iter().map(|host| host.parse().expect("a host"));
            hosts.collect()
        };
        let both = ["pkgs.example.com:443", "pkgs.example.com:80"];
        for (places, hosts, expected) in [
            (&both[..1], &["pkgs.example.com"][..], true),
            (&both[..1], &["*.example.com"], true),
            (&both[..1], &["pkgs.example.com:443"], true),
            (&both[..1], &["other.example.com"], false),
            (&both[..1], &[], false),
            // Else the next run would ask the very same.
            (&both[1..], &["pkgs.example.com:443"], false),
            (&both, &["pkgs.example.com:443"], false),
            (&both, &["pkgs.example.com"], true),
            // The agent asked before it tried.
            (&[], &["pkgs.example.com"], true),
            (&[], &["*.example.com"], true),
            (&[], &["example.com"], false),
            (&["elsewhere.example.com:443"], &["pkgs.example.com"], true),
        ] {
            let (traffic, hosts) = (refused(places), list(hosts));
            let found = is_answered(&open, Some(&traffic), &hosts);
            assert_eq!(found, expected, "{places:?} {hosts:?}");
        }
        let denied = asked(Need::Proof, Some(Decision::Denied));
        let hosts = list(&["pkgs.example.com"]);
        assert!(!is_answered(&denied, None, &hosts), "a no is a no");
        assert!(is_answered(&open, None, &hosts));
    }

    #[test]
    fn a_word_for_one_issue_never_answers_a_proof() {
        use Decision::{Denied, Issue, Project};
        use Need::{Author, Proof};
        let open = |need| asked(need, None);
        let done = |need, decision| asked(need, Some(decision));
        let table = [
            (vec![], Issue, Ok(vec![Author])),
            (vec![], Project, Ok(vec![Author])),
            (vec![], Denied, Err(Refused::NothingToDeny)),
            (vec![open(Author)], Issue, Ok(vec![Author])),
            (vec![open(Proof)], Issue, Err(Refused::OnlyForTheProject)),
            (
                vec![done(Author, Issue), open(Proof)],
                Issue,
                Err(Refused::OnlyForTheProject),
            ),
            (vec![open(Author), open(Proof)], Issue, Ok(vec![Author])),
            (
                vec![open(Author), open(Proof)],
                Project,
                Ok(vec![Author, Proof]),
            ),
            (vec![open(Proof)], Project, Ok(vec![Proof])),
            (
                vec![done(Author, Issue), open(Proof)],
                Denied,
                Ok(vec![Proof]),
            ),
            (vec![done(Author, Issue)], Denied, Ok(vec![Author])),
            (vec![done(Proof, Denied)], Issue, Ok(vec![Author])),
        ];
        for (known, decision, expected) in table {
            let known: Vec<&Asked> = known.iter().collect();
            assert_eq!(
                answers(&known, decision),
                expected,
                "{known:?} {decision:?}"
            );
        }
    }

    fn refused(host: &str) -> HostUse {
        HostUse {
            refused: 1,
            refused_because: Some("not listed".to_owned()),
            ..HostUse::of(host.to_owned())
        }
    }

    #[test]
    fn a_person_is_asked_about_what_the_work_needs_and_an_answer_can_open() {
        for (host, asked) in [
            ("packages.example.com:443", Some("packages.example.com")),
            ("packages.example.com:80", Some("packages.example.com")),
            (
                "packages.example.com:8443",
                Some("packages.example.com:8443"),
            ),
            ("192.0.66.2:443", Some("192.0.66.2")),
            // What programs call by themselves.
            ("statsig.anthropic.com:443", None),
            ("o1.ingest.sentry.io:443", None),
            ("chatgpt.com:443", None),
            // What no answer opens.
            ("169.254.169.254:80", None),
            ("10.0.0.1:80", None),
            ("[fd00:ec2::254]:80", None),
            ("localhost:3000", None),
            ("metadata.google.internal:80", None),
            ("(others)", None),
        ] {
            let traffic = Traffic {
                hosts: vec![refused(host)],
                models: Vec::new(),
            };
            let hosts = worth_asking(&traffic);
            let shown: Vec<String> = hosts.iter().map(ToString::to_string).collect();
            assert_eq!(shown, asked.into_iter().collect::<Vec<_>>(), "{host}");
        }
    }

    #[test]
    fn what_was_reached_after_all_is_not_asked_about_and_the_rest_is_bounded() {
        let mut hosts: Vec<HostUse> = (0..30)
            .map(|n| refused(&format!("h{n}.example.com:443")))
            .collect();
        hosts[0].requests = 1;
        hosts.push(refused("h1.example.com:80"));
        let asked = worth_asking(&Traffic {
            hosts,
            models: Vec::new(),
        });
        assert_eq!(asked.len(), MOST);
        assert_eq!(asked[0].to_string(), "h1.example.com");
        let again = asked.iter().filter(|host| **host == asked[0]).count();
        assert_eq!(again, 1);
    }

    #[test]
    fn every_entry_of_the_list_can_be_read() {
        for text in OWN_CALLS {
            assert!(text.parse::<Allowed>().is_ok(), "{text}");
        }
    }

    #[test]
    fn one_host_is_asked_for_by_name() {
        for (text, entry) in [
            ("Packages.Example.com", Some("packages.example.com")),
            ("packages.example.com:443", Some("packages.example.com")),
            (
                "packages.example.com:8080",
                Some("packages.example.com:8080"),
            ),
            ("*.example.com", None),
            ("https://example.com", None),
            ("a b", None),
        ] {
            let read = one(text).ok().map(|entry| entry.to_string());
            assert_eq!(read.as_deref(), entry, "{text}");
        }
    }

    #[test]
    fn the_answer_names_what_opens_and_what_does_not() {
        let asked = |host: &str, decision| Asked {
            issue: IssueId(uuid::Uuid::nil()),
            host: host.parse().expect("a host"),
            need: Need::Author,
            run: None,
            why: None,
            at: Timestamp::UNIX_EPOCH,
            decided: Some(Decided {
                decision,
                by: Actor::System,
                at: Timestamp::UNIX_EPOCH,
            }),
        };
        let all = [
            asked("a.example", Decision::Issue),
            asked("b.example", Decision::Denied),
            asked("c.example", Decision::Project),
        ];
        let all: Vec<&Asked> = all.iter().collect();
        insta::assert_snapshot!(answer(&all), @"You may reach `a.example`, `c.example` now, through the proxy that the environment names. `b.example` stays out of reach: do without, and say in your summary what that means.");
    }
}
