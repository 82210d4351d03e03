//! Follows a stream of the server, over breaks of the connection.
//!
//! Invariant: after a break it resumes behind the last event it has seen, so nothing is shown twice
//! and nothing is left out. Deliberately absent: what the events mean.

use std::time::Duration;

use futures_util::StreamExt as _;
use nightshift_api::client::{CallError, Client};
use nightshift_api::operation::RawOperation;
use serde::Serialize;

use crate::event_source::{EventSource, ServerEvent};
use crate::failure::{Done, Failure};

/// Breaks in a row, without an event between them, after which it gives up.
const MOST_BREAKS: u32 = 20;

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// There may be more.
    GoOn,
    /// That was all.
    Stop,
}

/// A stream and the name of the query value at which it resumes.
#[derive(Debug)]
pub(crate) struct Follow<'a> {
    client: &'a Client,
    operation: &'static RawOperation,
    resume: &'static str,
}

impl<'a> Follow<'a> {
    pub(crate) fn new(
        client: &'a Client,
        operation: &'static RawOperation,
        resume: &'static str,
    ) -> Self {
        Self {
            client,
            operation,
            resume,
        }
    }

    /// Hands every event to `each` until that says stop.
    pub(crate) async fn run<P: Serialize>(
        &self,
        path: &P,
        mut query: Vec<(&str, String)>,
        mut each: impl FnMut(&ServerEvent) -> Done<Next>,
    ) -> Done {
        let mut breaks = 0;
        loop {
            let broken = match self.client.stream(self.operation, path, &query).await {
                Ok(stream) => {
                    let mut stream = std::pin::pin!(stream);
                    let mut source = EventSource::default();
                    loop {
                        match stream.next().await {
                            Some(Ok(chunk)) => {
                                for event in source.push(&chunk) {
                                    breaks = 0;
                                    if let Some(id) = &event.id {
                                        resume_at(&mut query, self.resume, id);
                                    }
                                    if each(&event)? == Next::Stop {
                                        return Ok(());
                                    }
                                }
                            }
                            Some(Err(error)) => break error,
                            None => {
                                break CallError::Unreachable {
                                    server: self.client.server().to_owned(),
                                    cause: "the stream ended".to_owned(),
                                };
                            }
                        }
                    }
                }
                Err(error) => error,
            };
            let lasting = match &broken {
                CallError::Problem(problem) => problem.status < 500,
                CallError::Unreachable { .. } => false,
                CallError::Strange { .. } => true,
            };
            breaks += 1;
            if lasting || breaks > MOST_BREAKS {
                return Err(Failure::from(broken));
            }
            let wait = Duration::from_millis(200 * u64::from(breaks.min(10)));
            tokio::time::sleep(wait).await;
        }
    }
}

fn resume_at<'q>(query: &mut Vec<(&'q str, String)>, name: &'q str, id: &str) {
    query.retain(|(key, _)| *key != name);
    query.push((name, id.to_owned()));
}
