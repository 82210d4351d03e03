//! How much is written into a container whose file system is kept, watched as the tree is elsewhere.
//!
//! Invariant: what the engine cannot tell is not a reason to end anything here; before it is kept it
//! is asked again ([`crate::sandbox::Making::keep`]). Deliberately absent: a limit in the file system;
//! few engines have one.

use std::time::{Duration, Instant};

use bollard::Docker;

use super::shelf;
use crate::sandbox::spec::Cap;

/// How often the engine is asked: it counts all files for its answer.
const EVERY: Duration = Duration::from_secs(5);

/// The layer of one container.
#[derive(Debug)]
pub(super) struct Layer {
    docker: Docker,
    container: String,
    most: u64,
    next: Instant,
}

impl Layer {
    /// Of a container that may write `most` bytes.
    pub(super) fn new(docker: Docker, container: String, most: u64) -> Self {
        Self {
            docker,
            container,
            most,
            next: Instant::now() + EVERY,
        }
    }

    /// The cap, if it is passed; asks at most every few seconds, and less often where an answer takes
    /// long.
    pub(super) async fn passed(&mut self) -> Option<Cap> {
        let begin = Instant::now();
        if begin < self.next {
            return None;
        }
        let written = shelf::written(&self.docker, &self.container).await;
        let end = Instant::now();
        self.next = end + EVERY.max((end - begin) * 10);
        written
            .ok()
            .flatten()
            .is_some_and(|bytes| bytes > self.most)
            .then_some(Cap::DiskBytes(self.most))
    }
}
