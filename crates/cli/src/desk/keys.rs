//! What each key of the terminal desk makes of its state.
//!
//! Pure: a key and a state give the next state and what is asked of the server. Keys mean what they
//! mean on the page. Deliberately absent: the terminal.

use std::time::Duration;

use nightshift_api::desk::{Card, Wanted};

use super::state::{Ask, Entry, Name, Open, Purpose, REMARK, State, approvable, name_of};

/// The longest text that is taken; more was pasted by mistake.
const LONGEST: usize = 20_000;

/// A key, as far as the desk knows keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    Char(char),
    Enter,
    Escape,
    Backspace,
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    Home,
    End,
    /// Forget the line that is typed.
    Clear,
    /// Forget its last word.
    ClearWord,
}

impl State {
    /// What a key makes of it.
    pub(crate) fn key(mut self, key: Key, now: Duration) -> (Self, Vec<Ask>) {
        let asks = if self.help {
            self.help = false;
            Vec::new()
        } else if self.entry.is_some() {
            self.typed(key, now)
        } else if self.open.is_some() {
            self.key_in_change(key, now)
        } else {
            self.key_in_list(key, now)
        };
        (self, asks)
    }

    /// What pasted text makes of it.
    pub(crate) fn paste(mut self, text: &str) -> Self {
        if let Some(entry) = &mut self.entry {
            for one in text.chars() {
                push(&mut entry.text, one);
            }
        }
        self
    }

    fn key_in_list(&mut self, key: Key, now: Duration) -> Vec<Ask> {
        match key {
            Key::Char('j') | Key::Down => self.step(1),
            Key::Char('k') | Key::Up => self.step(-1),
            Key::PageDown => self.step(5),
            Key::PageUp => self.step(-5),
            Key::Char('g') | Key::Home => self.step(isize::MIN / 2),
            Key::Char('G') | Key::End => self.step(isize::MAX / 2),
            Key::Enter | Key::Right | Key::Char('l') => return self.enter(),
            Key::Char('x') => self.select(now),
            Key::Char('A') => return self.approve_selected(now),
            Key::Char('P') => return vec![Ask::UnparkAll],
            Key::Char('q') => return vec![Ask::Quit],
            Key::Escape => {
                self.filter.clear();
                self.selected.clear();
                self.settle(None);
            }
            other => return self.key_anywhere(other, now),
        }
        Vec::new()
    }

    fn key_in_change(&mut self, key: Key, now: Duration) -> Vec<Ask> {
        let height = self.height.max(1);
        let page = height.saturating_sub(1).max(1);
        match key {
            Key::Char('q') | Key::Escape => self.open = None,
            Key::Char('j') | Key::Down => self.scroll(|top| top + 1),
            Key::Char('k') | Key::Up => self.scroll(|top| top.saturating_sub(1)),
            Key::Char(' ') | Key::PageDown => self.scroll(|top| top + page),
            Key::Char('b') | Key::PageUp => self.scroll(|top| top.saturating_sub(page)),
            Key::Char('g') | Key::Home => self.scroll(|_| 0),
            Key::Char('G') | Key::End => self.scroll(|_| usize::MAX),
            Key::Right | Key::Char('l') => self.shift(|left| left + 8),
            Key::Left | Key::Char('h') => self.shift(|left| left.saturating_sub(8)),
            Key::Char('n') => self.jump(true),
            Key::Char('N') => self.jump(false),
            other => return self.key_anywhere(other, now),
        }
        Vec::new()
    }

    /// Keys that mean the same in the list and in a change.
    fn key_anywhere(&mut self, key: Key, now: Duration) -> Vec<Ask> {
        match key {
            Key::Char('a') => return self.approve(now),
            Key::Char('s') => self.begin_text(now),
            Key::Char('p') => return self.park(now),
            Key::Char('u') => return self.take_back(now),
            Key::Char('r') => return vec![Ask::Refresh],
            Key::Char('o') => self.say_address(now),
            Key::Char('/') => {
                self.open = None;
                self.entry = Some(Entry {
                    purpose: Purpose::Filter,
                    text: self.filter.clone(),
                });
            }
            Key::Char('?') => self.help = true,
            _ => {}
        }
        Vec::new()
    }

    fn step(&mut self, by: isize) {
        let names: Vec<Name> = self.cards().into_iter().map(name_of).collect();
        let Some(last) = names.len().checked_sub(1) else {
            self.current = None;
            return;
        };
        let place = self.place().unwrap_or(0);
        let place = isize::try_from(place).unwrap_or(0).saturating_add(by);
        let place = usize::try_from(place.max(0)).unwrap_or(0).min(last);
        self.current = Some(names[place].clone());
    }

    fn enter(&mut self) -> Vec<Ask> {
        let Some(name) = self.card().map(name_of) else {
            return Vec::new();
        };
        self.open = Some(Open {
            name: name.clone(),
            page: None,
            top: 0,
            left: 0,
        });
        vec![Ask::Open(name)]
    }

    fn scroll(&mut self, to: impl FnOnce(usize) -> usize) {
        let height = self.height.max(1);
        if let Some(open) = &mut self.open {
            let lines = open.page.as_ref().map_or(0, |page| page.lines.len());
            open.top = to(open.top).min(lines.saturating_sub(height));
        }
    }

    fn shift(&mut self, to: impl FnOnce(usize) -> usize) {
        if let Some(open) = &mut self.open {
            open.left = to(open.left).min(2_000);
        }
    }

    fn jump(&mut self, forward: bool) {
        let Some(open) = &self.open else { return };
        let files = open.page.as_ref().map_or(&[][..], |page| &page.files);
        let top = open.top;
        let next = match forward {
            true => files.iter().find(|line| **line > top),
            false => files.iter().rfind(|line| **line < top),
        };
        if let Some(line) = next.copied() {
            self.scroll(|_| line);
        }
    }

    fn select(&mut self, now: Duration) {
        let Some(card) = self.card() else { return };
        let (name, fits) = (name_of(card), approvable(card));
        if let Some(words) = not_yours(card) {
            self.say(now, true, &words);
        } else if !fits {
            self.say(now, true, "only what is proved can be selected");
        } else if !self.selected.remove(&name) {
            self.selected.insert(name);
        }
    }

    fn approve(&mut self, now: Duration) -> Vec<Ask> {
        let Some(card) = self.card() else {
            return Vec::new();
        };
        let name = name_of(card);
        if let Some(words) = not_yours(card) {
            self.say(now, true, &words);
            return Vec::new();
        }
        match (card.wanted, card.head.clone()) {
            (Wanted::Rescue, _) => {
                self.decide(std::slice::from_ref(&name));
                self.say(now, false, &format!("#{} is tried again", name.1));
                vec![Ask::Retry(name)]
            }
            (Wanted::Review, Some(head)) if approvable(card) => {
                let words = format!("approved #{}", name.1);
                self.decide(std::slice::from_ref(&name));
                self.offer(now, Ask::Withdraw(vec![name.clone()]), words);
                vec![Ask::Approve(vec![(name, head)])]
            }
            (Wanted::Review, _) => {
                let words = "not proved, so not approved by a key: look at it, then `nightshift pr \
                             approve`, or send it back";
                self.say(now, true, words);
                Vec::new()
            }
            (Wanted::Answer, _) => {
                self.say(now, true, "it asks something: answer with s");
                Vec::new()
            }
        }
    }

    fn approve_selected(&mut self, now: Duration) -> Vec<Ask> {
        let picked: Vec<(Name, String)> = self
            .cards()
            .into_iter()
            .filter(|card| approvable(card) && self.selected.contains(&name_of(card)))
            .filter_map(|card| Some((name_of(card), card.head.clone()?)))
            .collect();
        if picked.is_empty() {
            self.say(now, true, "nothing is selected: x selects");
            return Vec::new();
        }
        let names: Vec<Name> = picked.iter().map(|(name, _)| name.clone()).collect();
        self.decide(&names);
        self.selected.clear();
        let words = format!("approved {} together", names.len());
        self.offer(now, Ask::Withdraw(names), words);
        vec![Ask::Approve(picked)]
    }

    fn begin_text(&mut self, now: Duration) {
        let Some(card) = self.card() else { return };
        let name = name_of(card);
        if let Some(words) = not_yours(card) {
            self.say(now, true, &words);
            return;
        }
        let purpose = match (card.wanted, card.head.clone()) {
            (Wanted::Answer, _) => Purpose::Answer(name),
            (Wanted::Review, Some(head)) => Purpose::SendBack(name, head),
            (Wanted::Review | Wanted::Rescue, _) => {
                self.say(
                    now,
                    true,
                    "it failed: a tries again, o shows where to edit it",
                );
                return;
            }
        };
        self.entry = Some(Entry {
            purpose,
            text: String::new(),
        });
    }

    fn typed(&mut self, key: Key, now: Duration) -> Vec<Ask> {
        let Some(mut entry) = self.entry.take() else {
            return Vec::new();
        };
        match key {
            Key::Escape => {
                if entry.purpose == Purpose::Filter {
                    self.filter.clear();
                    self.settle(None);
                }
                return Vec::new();
            }
            Key::Enter => return self.finish(entry, now),
            Key::Char(one) => push(&mut entry.text, one),
            Key::Backspace => drop(entry.text.pop()),
            Key::Clear => entry.text.clear(),
            Key::ClearWord => {
                let kept = entry.text.trim_end().rfind(char::is_whitespace);
                entry.text.truncate(kept.map_or(0, |at| at + 1));
            }
            _ => {}
        }
        if entry.purpose == Purpose::Filter {
            self.filter = entry.text.clone();
            self.settle(None);
        }
        self.entry = Some(entry);
        Vec::new()
    }

    fn finish(&mut self, entry: Entry, now: Duration) -> Vec<Ask> {
        let text = entry.text.trim().to_owned();
        match entry.purpose {
            Purpose::Filter => Vec::new(),
            _ if text.is_empty() => {
                self.say(now, true, "nothing was typed, so nothing was sent");
                Vec::new()
            }
            Purpose::SendBack(name, head) => {
                self.decide(std::slice::from_ref(&name));
                let words = format!("sent #{} back", name.1);
                self.offer(now, Ask::Withdraw(vec![name.clone()]), words);
                vec![Ask::SendBack(name, head, text)]
            }
            Purpose::Answer(name) => {
                self.decide(std::slice::from_ref(&name));
                self.say(now, false, &format!("answered #{}", name.1));
                vec![Ask::Answer(name, text)]
            }
        }
    }

    fn park(&mut self, now: Duration) -> Vec<Ask> {
        let Some(name) = self.card().map(name_of) else {
            return Vec::new();
        };
        self.decide(std::slice::from_ref(&name));
        let words = format!("parked #{} until tomorrow", name.1);
        self.offer(now, Ask::Unpark(name.clone()), words);
        vec![Ask::Park(name)]
    }

    fn take_back(&mut self, now: Duration) -> Vec<Ask> {
        self.undo.retain(|undo| undo.until > now);
        match self.undo.pop() {
            Some(undo) => {
                self.say(now, false, &format!("taken back: {}", undo.words));
                vec![undo.ask]
            }
            None => {
                self.say(now, true, "there is nothing to take back any more");
                Vec::new()
            }
        }
    }

    fn say_address(&mut self, now: Duration) {
        let Some(card) = self.card() else { return };
        let end = match card.wanted {
            Wanted::Review => "/change",
            Wanted::Answer | Wanted::Rescue => "",
        };
        let address = format!("{}/p/{}/{}{end}", self.server, card.project, card.number);
        self.say(now + REMARK * 4, false, &address);
    }
}

/// Who decides on a card, where that is not who sits here.
fn not_yours(card: &Card) -> Option<String> {
    let may = match card.wanted {
        Wanted::Review => card.may.review,
        Wanted::Answer => card.may.answer,
        Wanted::Rescue => card.may.control,
    };
    (!may).then(|| format!("writers of {} decide on this", card.project))
}

fn push(text: &mut String, one: char) {
    let one = if one == '\r' { '\n' } else { one };
    let fits = !one.is_control() || one == '\n' || one == '\t';
    if fits && text.len() < LONGEST {
        text.push(one);
    }
}
