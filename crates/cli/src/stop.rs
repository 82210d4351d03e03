//! Being told to stop: SIGTERM or Ctrl-C once for an orderly end, twice for an end at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::failure::{Done, Failure};

/// What a long-lived command watches.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop {
    /// End in order.
    pub(crate) orderly: CancellationToken,
    /// End now.
    pub(crate) at_once: CancellationToken,
}

impl Stop {
    /// Watches the signals of this process.
    pub(crate) fn on_signals() -> Done<Self> {
        let failed =
            |error: std::io::Error| Failure::failed(format!("cannot watch signals: {error}"));
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let stop = Self::default();
        let tell = stop.clone();
        tokio::spawn(async move {
            for token in [tell.orderly, tell.at_once] {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                token.cancel();
            }
        });
        Ok(stop)
    }
}
