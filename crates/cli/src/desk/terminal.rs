//! The terminal, taken and always given back.
//!
//! Invariant: whatever ends the desk (a key, a signal, a panic, an error), the terminal is as it was
//! before. While it is stopped the shell has it. Deliberately absent: what is drawn.

use std::io::{self, IsTerminal as _, Stdout, Write as _};
use std::sync::Once;

use nix::sys::signal::{Signal, raise};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    Clear as ClearAll, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
    enable_raw_mode,
};

/// Whether there is a terminal to read keys from and to draw on.
pub(crate) fn is_there() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// The terminal, until this is dropped.
pub(crate) struct Taken {
    pub(crate) screen: Terminal<CrosstermBackend<Stdout>>,
}

impl Taken {
    /// Takes it.
    pub(crate) fn take() -> io::Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                give_back();
                before(panic);
            }));
        });
        begin().inspect_err(|_| give_back())?;
        let screen = Terminal::new(CrosstermBackend::new(io::stdout()));
        Ok(Self {
            screen: screen.inspect_err(|_| give_back())?,
        })
    }

    /// Lets the shell have it until somebody goes on.
    pub(crate) fn stop(&mut self) -> io::Result<()> {
        give_back();
        raise(Signal::SIGSTOP).map_err(io::Error::from)?;
        begin()?;
        // Drawn anew as a whole; asking the terminal where its cursor is would compete with keys.
        self.screen = Terminal::new(CrosstermBackend::new(io::stdout()))?;
        Ok(())
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        give_back();
    }
}

fn begin() -> io::Result<()> {
    enable_raw_mode()?;
    execute!(
        io::stdout(),
        EnterAlternateScreen,
        EnableBracketedPaste,
        ClearAll(ClearType::All)
    )
}

/// Twice is once; nobody can be told that it does not work.
fn give_back() {
    disable_raw_mode().ok();
    execute!(
        io::stdout(),
        DisableBracketedPaste,
        LeaveAlternateScreen,
        Show
    )
    .ok();
    io::stdout().flush().ok();
}
