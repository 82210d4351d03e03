//! Reconcilers: each looks at everything, decides, and acts; running one twice changes nothing.
//!
//! They are woken by signals and by a timer; a missed signal costs time, never correctness.
//! Deliberately absent: input of any kind.

mod answer;
mod branch;
mod desk;
mod dispatch;
mod lease;
mod merge;
mod retention;
mod verify;

pub(crate) use branch::Seen;

pub mod deliver;
pub mod driver;

use crate::{App, Error};

/// What a tick did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// How many things it changed.
    pub changed: usize,
    /// How many things it could not handle; they are in the log and do not stop the others.
    pub skipped: usize,
}

impl Report {
    fn add(&mut self, other: Self) {
        self.changed += other.changed;
        self.skipped += other.skipped;
    }

    /// Counts one thing's outcome; a failure is logged and skipped.
    fn count(&mut self, what: &str, outcome: Result<bool, Error>) {
        match outcome {
            Ok(true) => self.changed += 1,
            Ok(false) => {}
            Err(error) => {
                self.skipped += 1;
                match &error {
                    Error::Internal(cause) => {
                        tracing::error!(what, cause = cause.for_log(), "a reconciler skipped one");
                    }
                    other => tracing::warn!(what, %other, "a reconciler skipped one"),
                }
            }
        }
    }
}

impl App {
    /// One tick of every reconciler, in the order of an issue's life.
    ///
    /// # Errors
    /// When the database does not answer; single bad rows are skipped.
    pub async fn tick(&self) -> Result<Report, Error> {
        let mut report = Report::default();
        report.add(lease::tick(self).await?);
        report.add(dispatch::tick(self).await?);
        report.add(answer::tick(self).await?);
        report.add(branch::tick(self).await?);
        report.add(verify::tick(self).await?);
        report.add(merge::tick(self).await?);
        report.add(desk::tick(self).await?);
        report.add(retention::tick(self).await?);
        let now = self.now().as_second();
        self.0
            .ticked
            .store(now, std::sync::atomic::Ordering::Relaxed);
        Ok(report)
    }
}
