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

#[cfg(test)]
mod tests {
    use nightshift_api::Nothing;
    use nightshift_api::operations::EVENT_STREAM;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;
    use crate::connection::http;

    /// Answers one request with `body`, breaks off, and returns the first line that was asked.
    async fn answer(listener: &TcpListener, body: &str) -> String {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut request = vec![0; 4096];
        let read = stream.read(&mut request).await.expect("a request");
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
        let whole = format!("{head}{body}");
        stream.write_all(whole.as_bytes()).await.expect("answered");
        let text = String::from_utf8_lossy(&request[..read]).into_owned();
        text.lines().next().unwrap_or_default().to_owned()
    }

    #[tokio::test]
    async fn a_broken_stream_is_resumed_behind_what_was_seen() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("an address");
        let address = format!("http://{}", listener.local_addr().expect("it"));
        let serving = tokio::spawn(async move {
            let first = "id: 1\ndata: a\n\nid: 2\ndata: b\n\nid: 3\ndata: lost in the br";
            let asked = [
                answer(&listener, first).await,
                answer(&listener, "id: 3\ndata: c\n\nid: 4\ndata: never\n\n").await,
            ];
            asked.map(|line| line.split(' ').nth(1).unwrap_or_default().to_owned())
        });
        let client = Client::new(http(&address).expect("a client"), &address, None);
        let mut seen = Vec::new();
        Follow::new(&client, &EVENT_STREAM, "after")
            .run(
                &Nothing {},
                vec![("project", "p".to_owned()), ("after", "0".to_owned())],
                |event| {
                    seen.push(event.data.clone());
                    Ok(if seen.len() == 3 {
                        Next::Stop
                    } else {
                        Next::GoOn
                    })
                },
            )
            .await
            .expect("followed");
        assert_eq!(seen, ["a", "b", "c"]);
        let asked = serving.await.expect("served");
        assert!(asked[0].ends_with("?project=p&after=0"), "{asked:?}");
        assert!(asked[1].ends_with("?project=p&after=2"), "{asked:?}");
    }
}
