//! The desk in the terminal: the same list and the same keys as on the page.
//!
//! The parts: `state` and `keys` decide, `ask` speaks to the server, `draw` draws, `terminal` takes the
//! terminal and gives it back; here is the loop that joins them. Invariant: nothing is changed but
//! by an operation of the API.

mod ask;
mod draw;
mod keys;
mod page;
mod state;
mod terminal;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use nightshift_api::Nothing;
use nightshift_api::operations::EVENT_STREAM;
use ratatui::crossterm::event::{
    Event, EventStream, KeyCode, KeyEvent, KeyEventKind, KeyModifiers,
};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use crate::connection::Connection;
use crate::failure::{Done, Failure};
use crate::follow::{Follow, Next};
use ask::{Answer, Paper, carry_out};
use draw::{Look, draw, page_height};
use keys::Key;
use state::{Ask, State};
use terminal::Taken;

/// How long after something happened the list is asked for, since much may happen at once.
const GATHER: Duration = Duration::from_millis(150);

/// How long the last decisions of somebody who leaves are waited for.
const LEAVE: Duration = Duration::from_secs(15);

/// Shows the desk, on a terminal; as JSON, the list.
pub(crate) async fn run(connection: Connection) -> Done {
    connection.token()?;
    if connection.output.json {
        return connection.output.json(&ask::list(&connection).await?);
    }
    if !terminal::is_there() {
        return Err(Failure::usage(
            "the desk needs a terminal for keys and for its screen: use `nightshift desk --json` \
             or `nightshift inbox` here",
        ));
    }
    // What cannot work is said before the screen is taken.
    let first = ask::list(&connection).await?;
    let look = Look {
        colour: !connection.environment.no_colour,
    };
    let taken = Taken::take().map_err(broken)?;
    let (answers, mut answered) = unbounded_channel();
    let connection = Arc::new(connection);
    let following = follow(Arc::clone(&connection), answers.clone());
    let state = State {
        server: connection.client.server().to_owned(),
        ..State::default()
    };
    let (orders, deciding) = in_order(Arc::clone(&connection), answers.clone());
    let mut desk = Running {
        orders,
        connection,
        taken,
        look,
        state: state.listed(first),
        began: Instant::now(),
        answers,
        listing: false,
        again: false,
    };
    let ended = desk.run(&mut answered).await;
    following.abort();
    let state = std::mem::take(&mut desk.state).tick(desk.began.elapsed());
    // The terminal is given back. What was refused a moment ago may not have been read, and what was
    // decided last may still be on its way.
    drop(desk);
    let mut refused: Vec<String> = state.refusals.into_iter().map(|one| one.why).collect();
    if tokio::time::timeout(LEAVE, deciding).await.is_err() {
        let seconds = LEAVE.as_secs();
        refused.push(format!("the server did not answer within {seconds} s"));
    }
    while let Ok(unread) = answered.try_recv() {
        match unread {
            News::Answer(Answer::Refused(ask, why)) if ask.decides() => refused.push(why),
            News::Answer(_) | News::Moved | News::Deaf(_) => {}
        }
    }
    match refused.is_empty() {
        true => ended,
        false => Err(Failure::failed(format!(
            "not all that you decided last was taken: {}; look again with `nightshift desk`",
            refused.join("; ")
        ))),
    }
}

/// What comes from outside.
enum News {
    Answer(Answer),
    /// Something happened on the server.
    Moved,
    /// The stream of what happens is lost.
    Deaf(String),
}

struct Running {
    connection: Arc<Connection>,
    /// Decisions, for one after the other: what is taken back was there first.
    orders: UnboundedSender<(Ask, Paper)>,
    taken: Taken,
    look: Look,
    state: State,
    began: Instant,
    answers: UnboundedSender<News>,
    /// Whether the list is being asked for, and whether it must be asked for again.
    listing: bool,
    again: bool,
}

impl Running {
    async fn run(&mut self, news: &mut UnboundedReceiver<News>) -> Done {
        let mut keys = EventStream::new();
        let mut ends = [
            SignalKind::terminate(),
            SignalKind::hangup(),
            SignalKind::interrupt(),
        ]
        .map(signal)
        .into_iter()
        .collect::<io::Result<Vec<Signal>>>()
        .map_err(broken)?;
        let mut stops = signal(SignalKind::from_raw(nix::libc::SIGTSTP)).map_err(broken)?;
        let mut seconds = tokio::time::interval(Duration::from_secs(1));
        loop {
            self.draw()?;
            let [terminate, hang_up, interrupt] = &mut ends[..] else {
                return Ok(());
            };
            let asks = tokio::select! {
                event = keys.next() => match event {
                    Some(Ok(event)) => match self.event(event)? {
                        Some(asks) => asks,
                        None => return Ok(()),
                    },
                    Some(Err(error)) => return Err(broken(error)),
                    // The terminal is gone.
                    None => return Ok(()),
                },
                Some(one) = news.recv() => self.news(one),
                _ = seconds.tick() => {
                    self.state = std::mem::take(&mut self.state).tick(self.began.elapsed());
                    Vec::new()
                }
                _ = stops.recv() => {
                    self.taken.stop().map_err(broken)?;
                    vec![Ask::Refresh]
                }
                _ = terminate.recv() => return Ok(()),
                _ = hang_up.recv() => return Ok(()),
                _ = interrupt.recv() => return Ok(()),
            };
            for ask in asks {
                if ask == Ask::Quit {
                    return Ok(());
                }
                self.ask(ask);
            }
        }
    }

    fn draw(&mut self) -> Done {
        let (state, look, now) = (&self.state, self.look, self.began.elapsed());
        self.taken
            .screen
            .draw(|frame| draw(frame, state, look, now))
            .map(drop)
            .map_err(broken)
    }

    /// What an event of the terminal asks for; nothing to go on with when one leaves.
    fn event(&mut self, event: Event) -> Done<Option<Vec<Ask>>> {
        let state = std::mem::take(&mut self.state);
        let now = self.began.elapsed();
        let (state, asks) = match event {
            Event::Key(key) if leaves(&key) => {
                self.state = state;
                return Ok(None);
            }
            Event::Key(key) if is_control(&key, 'z') => {
                self.state = state;
                self.taken.stop().map_err(broken)?;
                return Ok(Some(vec![Ask::Refresh]));
            }
            Event::Key(key) => {
                let height = self.taken.screen.size().map_err(broken)?.height;
                let state = State {
                    height: page_height(height),
                    ..state
                };
                match known(&key) {
                    Some(key) => state.key(key, now),
                    None => (state, Vec::new()),
                }
            }
            Event::Paste(text) => (state.paste(&text), Vec::new()),
            _ => (state, Vec::new()),
        };
        self.state = state;
        Ok(Some(asks))
    }

    fn news(&mut self, news: News) -> Vec<Ask> {
        let state = std::mem::take(&mut self.state);
        let now = self.began.elapsed();
        let (state, asks) = match news {
            News::Moved => (state, vec![Ask::Refresh]),
            News::Deaf(why) => {
                let why = format!("not live any more ({why}): r asks again");
                (state.refused(&Ask::Refresh, &why, now).0, Vec::new())
            }
            News::Answer(Answer::Listed(desk)) => {
                self.listing = false;
                let again = std::mem::take(&mut self.again);
                let asks = if again {
                    vec![Ask::Refresh]
                } else {
                    Vec::new()
                };
                (state.listed(desk), asks)
            }
            News::Answer(Answer::Opened(name, page)) => (state.opened(&name, page), Vec::new()),
            News::Answer(Answer::Done(ask)) => state.done(&ask),
            News::Answer(Answer::Refused(ask, why)) => {
                if ask == Ask::Refresh {
                    self.listing = false;
                }
                state.refused(&ask, &why, now)
            }
        };
        self.state = state;
        asks
    }

    fn ask(&mut self, ask: Ask) {
        if ask == Ask::Refresh {
            if self.listing {
                self.again = true;
                return;
            }
            self.listing = true;
        }
        let width = self.taken.screen.size().map_or(80, |size| size.width);
        let paper = Paper {
            colour: self.look.colour,
            width,
        };
        if ask.decides() {
            // Its end is ours.
            self.orders.send((ask, paper)).ok();
            return;
        }
        let (connection, answers) = (Arc::clone(&self.connection), self.answers.clone());
        tokio::spawn(async move {
            let answer = carry_out(&connection, ask, paper).await;
            // Whoever has left wants no answer.
            answers.send(News::Answer(answer)).ok();
        });
    }
}

/// Carries out what is sent, one after the other.
fn in_order(
    connection: Arc<Connection>,
    answers: UnboundedSender<News>,
) -> (UnboundedSender<(Ask, Paper)>, JoinHandle<()>) {
    let (orders, mut ordered) = unbounded_channel();
    let deciding = tokio::spawn(async move {
        while let Some((ask, paper)) = ordered.recv().await {
            let answer = carry_out(&connection, ask, paper).await;
            answers.send(News::Answer(answer)).ok();
        }
    });
    (orders, deciding)
}

/// Tells when something happened on the server.
fn follow(connection: Arc<Connection>, news: UnboundedSender<News>) -> JoinHandle<()> {
    let (happened, mut gathered) = unbounded_channel();
    let moved = news.clone();
    tokio::spawn(async move {
        while gathered.recv().await.is_some() {
            tokio::time::sleep(GATHER).await;
            while gathered.try_recv().is_ok() {}
            if moved.send(News::Moved).is_err() {
                return;
            }
        }
    });
    tokio::spawn(async move {
        let stream = Follow::new(&connection.client, &EVENT_STREAM, "after");
        let each = |_: &crate::event_source::ServerEvent| {
            happened.send(()).ok();
            Ok(Next::GoOn)
        };
        if let Err(failure) = stream.run(&Nothing {}, Vec::new(), each).await {
            news.send(News::Deaf(failure.message)).ok();
        }
    })
}

fn leaves(key: &KeyEvent) -> bool {
    is_control(key, 'c') || is_control(key, 'd')
}

fn is_control(key: &KeyEvent, letter: char) -> bool {
    key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char(letter)
}

/// A key of the terminal as the desk knows it.
fn known(key: &KeyEvent) -> Option<Key> {
    if key.kind == KeyEventKind::Release || key.modifiers.contains(KeyModifiers::ALT) {
        return None;
    }
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return match key.code {
            KeyCode::Char('u') => Some(Key::Clear),
            KeyCode::Char('w') => Some(Key::ClearWord),
            KeyCode::Char('h') => Some(Key::Backspace),
            KeyCode::Char('f') => Some(Key::PageDown),
            KeyCode::Char('b') => Some(Key::PageUp),
            _ => None,
        };
    }
    Some(match key.code {
        KeyCode::Char(one) => Key::Char(one),
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Escape,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        _ => return None,
    })
}

fn broken(error: io::Error) -> Failure {
    Failure::failed(format!("the terminal does not take the desk: {error}"))
}

#[cfg(test)]
mod tests;
