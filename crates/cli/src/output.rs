//! Where words go: results to standard output, everything else to standard error.
//!
//! Invariant: on standard output stands either what was asked for in human form, or with `--json`
//! the server's answer as it is; a reader that goes away early is no error. Deliberately absent:
//! what the words are.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::failure::{Done, Failure};
use crate::screen::{Screen, clean};

/// How to print.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    /// Whether results are wanted as JSON.
    pub(crate) json: bool,
    /// Whether standard output is a terminal.
    pub(crate) terminal: bool,
    colour: bool,
    width: Option<u16>,
}

impl Output {
    /// For this process.
    pub(crate) fn new(json: bool, no_colour: bool) -> Self {
        let terminal = io::stdout().is_terminal();
        Self {
            json,
            terminal,
            colour: terminal && !no_colour,
            width: terminal
                .then(|| comfy_table::Table::new().width())
                .flatten(),
        }
    }

    /// The same, for steps within a step: no progress is shown.
    pub(crate) fn silent(self) -> Self {
        Self { json: true, ..self }
    }

    /// Whether another program's progress may be shown.
    pub(crate) fn shows_progress(&self) -> bool {
        !self.json && io::stderr().is_terminal()
    }

    /// An empty screen of this terminal.
    pub(crate) fn screen(&self) -> Screen {
        Screen::new(self.colour, self.width)
    }

    /// Prints `value` as JSON if that is wanted, else what `draw` makes of it.
    pub(crate) fn answer<T: Serialize>(&self, value: &T, draw: impl FnOnce(&mut Screen)) -> Done {
        if self.json {
            return self.json(value);
        }
        let mut screen = self.screen();
        draw(&mut screen);
        self.show(&mut screen)
    }

    /// Prints the wire form, whether or not it was asked for.
    pub(crate) fn json<T: Serialize>(&self, value: &T) -> Done {
        let mut text = serde_json::to_string_pretty(value)
            .map_err(|error| Failure::failed(format!("cannot write JSON: {error}")))?;
        text.push('\n');
        self.bytes(text.as_bytes())
    }

    /// Prints one value on one line of JSON.
    pub(crate) fn json_line<T: Serialize>(&self, value: &T) -> Done {
        let mut text = serde_json::to_string(value)
            .map_err(|error| Failure::failed(format!("cannot write JSON: {error}")))?;
        text.push('\n');
        self.bytes(text.as_bytes())
    }

    /// Prints a screen, and empties it.
    pub(crate) fn show(&self, screen: &mut Screen) -> Done {
        self.bytes(screen.take().as_bytes())
    }

    /// Prints bytes as they are.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Done {
        let mut out = io::stdout().lock();
        let written = out.write_all(bytes).and_then(|()| out.flush());
        match written {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
            Err(error) => Err(Failure::failed(format!("cannot print: {error}"))),
        }
    }

    /// Says something beside the result.
    pub(crate) fn note(&self, text: &str) {
        // Nobody can be told that standard error is gone.
        writeln!(io::stderr(), "{}", clean(text)).ok();
    }

    /// Shows that something takes time; only on a terminal.
    pub(crate) fn busy(&self, text: &str) -> Busy {
        let bar = if self.shows_progress() {
            let style = ProgressStyle::with_template("{spinner} {msg} {elapsed:.dim}");
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = style {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        } else {
            ProgressBar::hidden()
        };
        bar.set_message(clean(text).replace('\n', " "));
        Busy { bar }
    }
}

/// Something takes time until this is dropped.
#[derive(Debug)]
pub(crate) struct Busy {
    bar: ProgressBar,
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// The one line of a bad end.
pub(crate) fn complain(failure: &Failure) {
    if !failure.message.is_empty() {
        let line = clean(&failure.message).replace('\n', " ");
        writeln!(io::stderr(), "nightshift: {line}").ok();
    }
}
