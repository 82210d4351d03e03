//! What the terminal desk shows, and what an answer of the server makes of it.
//!
//! Pure: an answer and a state give the next state and what is asked next; what keys do is beside
//! it, in `keys.rs`. Time is a value. Invariant: what was decided is gone at once and comes back if the
//! server refuses it, and for ten seconds it can be taken back. Deliberately absent: the terminal,
//! the network.

use std::collections::BTreeSet;
use std::time::Duration;

use nightshift_api::desk::{Card, Desk, Wanted};
use nightshift_domain::check::Colour;

/// How long a decision can be taken back.
pub(crate) const UNDO: Duration = Duration::from_secs(10);
/// How long a remark stands.
pub(crate) const REMARK: Duration = Duration::from_secs(8);

/// Project and number.
pub(crate) type Name = (String, i64);

/// What is asked of the server, or of the terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ask {
    /// The list anew.
    Refresh,
    /// All of one change.
    Open(Name),
    /// Approve these heads, together.
    Approve(Vec<(Name, String)>),
    SendBack(Name, String, String),
    Answer(Name, String),
    Retry(Name),
    Park(Name),
    /// Take these decisions back.
    Withdraw(Vec<Name>),
    /// Bring a parked one back.
    Unpark(Name),
    /// Bring all parked ones back.
    UnparkAll,
    Quit,
}

/// What is typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) purpose: Purpose,
    pub(crate) text: String,
}

/// What it is typed for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Purpose {
    SendBack(Name, String),
    Answer(Name),
    Filter,
}

/// A change that is open.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Open {
    pub(crate) name: Name,
    /// Its text, once it is there, in the terminal's own colours.
    pub(crate) page: Option<Page>,
    /// The first line that is seen.
    pub(crate) top: usize,
    /// The first column that is seen.
    pub(crate) left: usize,
}

/// A text with places to jump to.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Page {
    pub(crate) lines: Vec<String>,
    /// Lines at which files begin.
    pub(crate) files: Vec<usize>,
}

/// A decision that can be taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Undo {
    pub(crate) ask: Ask,
    pub(crate) words: String,
    pub(crate) until: Duration,
}

/// A remark below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remark {
    pub(crate) text: String,
    pub(crate) bad: bool,
    pub(crate) until: Duration,
}

/// A decision that the server refused, which may not have been read yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// What it was about.
    names: Vec<Name>,
    pub(crate) why: String,
    until: Duration,
}

/// Everything that is shown.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct State {
    pub(crate) desk: Desk,
    /// Whether the list has come once.
    pub(crate) loaded: bool,
    pub(crate) current: Option<Name>,
    pub(crate) selected: BTreeSet<Name>,
    /// Decided here, and not yet known to be gone.
    pub(crate) decided: BTreeSet<Name>,
    pub(crate) filter: String,
    pub(crate) entry: Option<Entry>,
    pub(crate) open: Option<Open>,
    /// What can be taken back, the newest last.
    pub(crate) undo: Vec<Undo>,
    pub(crate) remark: Option<Remark>,
    /// What was refused for as long as a remark stands, unless it was decided again since. Who leaves
    /// meanwhile is told once more.
    pub(crate) refusals: Vec<Refusal>,
    pub(crate) help: bool,
    /// How many lines of a page are seen at once.
    pub(crate) height: usize,
    /// The server's address, for people.
    pub(crate) server: String,
}

/// The name of a card.
pub(crate) fn name_of(card: &Card) -> Name {
    (card.project.clone(), card.number)
}

/// Whether a card can be approved as it is.
pub(crate) fn approvable(card: &Card) -> bool {
    card.wanted == Wanted::Review
        && card.head.is_some()
        && card
            .proof
            .as_ref()
            .is_some_and(|proof| proof.colour == Colour::Green)
}

impl State {
    /// What is seen of the list: not decided, and fitting the filter.
    pub(crate) fn cards(&self) -> Vec<&Card> {
        let wanted: Vec<String> = self
            .filter
            .to_lowercase()
            .split_whitespace()
            .map(str::to_owned)
            .collect();
        let fits = |card: &&Card| {
            let text = format!(
                "{} #{} {} {} {:?}",
                card.project, card.number, card.title, card.agent, card.wanted
            );
            let text = text.to_lowercase();
            wanted.iter().all(|word| text.contains(word))
        };
        let all = self.desk.cards.iter();
        all.filter(|card| !self.decided.contains(&name_of(card)))
            .filter(fits)
            .collect()
    }

    /// How many wait: those that are seen, and those for which the list has no room.
    pub(crate) fn waiting(&self) -> usize {
        let beyond = self.desk.total.saturating_sub(self.desk.cards.len());
        let all = self.filter.is_empty();
        self.cards().len() + if all { beyond } else { 0 }
    }

    /// The card that keys are about.
    pub(crate) fn card(&self) -> Option<&Card> {
        let cards = self.cards();
        let current = self.open.as_ref().map(|open| &open.name);
        let current = current.or(self.current.as_ref())?;
        cards.into_iter().find(|card| name_of(card) == *current)
    }

    /// Where the current card stands in what is seen.
    pub(crate) fn place(&self) -> Option<usize> {
        let current = self.current.as_ref()?;
        self.cards()
            .iter()
            .position(|card| name_of(card) == *current)
    }

    /// Makes sure that something is current: what was, else what now stands where it stood.
    pub(super) fn settle(&mut self, place: Option<usize>) {
        if self.place().is_some() {
            return;
        }
        let names: Vec<Name> = self.cards().into_iter().map(name_of).collect();
        let place = place.unwrap_or(0).min(names.len().saturating_sub(1));
        self.current = names.get(place).cloned();
    }

    /// Takes cards out of what is seen, and goes on to the next.
    pub(super) fn decide(&mut self, names: &[Name]) {
        let seen: Vec<Name> = self.cards().into_iter().map(name_of).collect();
        let above = seen[..self.place().unwrap_or(0)].iter();
        let place = above.filter(|name| !names.contains(name)).count();
        self.decided.extend(names.iter().cloned());
        for name in names {
            self.selected.remove(name);
        }
        self.open = None;
        self.settle(Some(place));
    }

    pub(super) fn offer(&mut self, now: Duration, ask: Ask, words: String) {
        self.remark = None;
        self.undo.push(Undo {
            ask,
            words,
            until: now + UNDO,
        });
    }

    pub(super) fn say(&mut self, now: Duration, bad: bool, text: &str) {
        self.remark = Some(Remark {
            text: text.to_owned(),
            bad,
            until: now + REMARK,
        });
    }

    /// Lets time pass: what is over is no longer shown.
    pub(crate) fn tick(mut self, now: Duration) -> Self {
        self.undo.retain(|undo| undo.until > now);
        self.remark = self.remark.filter(|remark| remark.until > now);
        self.refusals.retain(|refusal| refusal.until > now);
        self
    }

    /// The list has come.
    pub(crate) fn listed(mut self, desk: Desk) -> Self {
        let place = self.place();
        let there: BTreeSet<Name> = desk.cards.iter().map(name_of).collect();
        // What the server no longer lists is gone for good, and is seen again when it comes back.
        self.decided.retain(|name| there.contains(name));
        self.selected.retain(|name| there.contains(name));
        self.desk = desk;
        self.loaded = true;
        self.settle(place);
        self
    }

    /// A change has come.
    pub(crate) fn opened(mut self, name: &Name, page: Page) -> Self {
        if let Some(open) = &mut self.open
            && open.name == *name
        {
            open.page = Some(page);
        }
        self
    }

    /// What was asked is done.
    pub(crate) fn done(mut self, ask: &Ask) -> (Self, Vec<Ask>) {
        for name in decided_by(ask) {
            // From now on the server's list says whether it is there.
            self.desk.cards.retain(|card| name_of(card) != name);
            self.decided.remove(&name);
        }
        if let Ask::Withdraw(names) = ask {
            self.decided.retain(|name| !names.contains(name));
        }
        let about = about(ask);
        self.refusals
            .retain(|refusal| !refusal.names.iter().any(|name| about.contains(name)));
        (self, vec![Ask::Refresh])
    }

    /// What was asked was refused.
    pub(crate) fn refused(mut self, ask: &Ask, why: &str, now: Duration) -> (Self, Vec<Ask>) {
        let names = decided_by(ask);
        if let Ask::Open(name) = ask
            && self.open.as_ref().is_some_and(|open| open.name == *name)
        {
            self.open = None;
        }
        self.undo
            .retain(|undo| !about(&undo.ask).iter().any(|name| names.contains(name)));
        // What was typed is not lost.
        if let Ask::SendBack(name, head, text) = ask {
            self.entry = Some(Entry {
                purpose: Purpose::SendBack(name.clone(), head.clone()),
                text: text.clone(),
            });
        } else if let Ask::Answer(name, text) = ask {
            self.entry = Some(Entry {
                purpose: Purpose::Answer(name.clone()),
                text: text.clone(),
            });
        }
        for name in &names {
            self.decided.remove(name);
        }
        self.settle(None);
        if ask.decides() {
            self.refusals.push(Refusal {
                names: about(ask),
                why: why.to_owned(),
                until: now + REMARK,
            });
        }
        self.say(now, true, why);
        let again = !names.is_empty() || matches!(ask, Ask::Withdraw(_));
        (
            self,
            if again {
                vec![Ask::Refresh]
            } else {
                Vec::new()
            },
        )
    }
}

impl Ask {
    /// Whether it changes anything on the server.
    pub(super) fn decides(&self) -> bool {
        !matches!(self, Self::Refresh | Self::Open(_) | Self::Quit)
    }
}

/// The cards that a request is about, also one that takes a decision back.
fn about(ask: &Ask) -> Vec<Name> {
    match ask {
        Ask::Withdraw(names) => names.clone(),
        Ask::Unpark(name) => vec![name.clone()],
        _ => decided_by(ask),
    }
}

/// The cards that a request decides on.
fn decided_by(ask: &Ask) -> Vec<Name> {
    match ask {
        Ask::Approve(all) => all.iter().map(|(name, _)| name.clone()).collect(),
        Ask::SendBack(name, ..) | Ask::Answer(name, _) | Ask::Retry(name) | Ask::Park(name) => {
            vec![name.clone()]
        }
        Ask::Refresh
        | Ask::Open(_)
        | Ask::Withdraw(_)
        | Ask::Unpark(_)
        | Ask::UnparkAll
        | Ask::Quit => Vec::new(),
    }
}
