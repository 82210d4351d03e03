//! Live fragments: the same templates as the page, sent again when something changed.
//!
//! Everybody of the same sight gets the very same bytes: forms in a fragment carry no token, the
//! page's script puts its own in. An event's id stands for what the fragment shows, so that a
//! reader that was cut off is sent only what it does not have.

use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, Query};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use maud::{Markup, html};
use nightshift_app::{Error, Sight};
use serde::Deserialize;
use tokio::time::Instant;

use super::parts::Ink;
use super::words::Words;
use super::{Visit, desk, issue, tryout};
use crate::live::{Burst, Key, LOOK_AGAIN, Live, Viewer};

/// How often a stream says that it is still there.
const STILL_THERE: Duration = Duration::from_secs(15);

/// In steps of how many put-off cards desks are loaded.
const PARKED: usize = 50;

/// What the reader has already.
#[derive(Deserialize)]
pub(crate) struct Seen {
    seen: Option<String>,
}

/// A fragment, ready to be sent to anybody of its sight.
pub(crate) struct Fragment {
    id: String,
    bytes: Bytes,
    /// Whether it is the last one.
    last: bool,
}

impl Fragment {
    fn new(html: &Markup) -> Self {
        Self::written(&html.0, false)
    }

    fn written(html: &str, last: bool) -> Self {
        let id = name(html);
        let mut text = format!("id: {id}\nevent: fragment\n");
        for line in html.split(['\n', '\r']) {
            text.push_str("data: ");
            text.push_str(line);
            text.push('\n');
        }
        text.push('\n');
        if last {
            text.push_str(END);
        }
        Self {
            id,
            bytes: text.into(),
            last,
        }
    }
}

const END: &str = "event: end\ndata: \n\n";

/// A short name for what a fragment shows.
fn name(html: &str) -> String {
    let mut hash = DefaultHasher::new();
    html.hash(&mut hash);
    format!("{:016x}", hash.finish())
}

/// The address of a live part of a page, for a reader who has `now` already. `now` is written
/// without a form token, as the stream writes it.
pub(crate) fn address(stream: &str, now: &Markup) -> String {
    format!("{stream}?seen={}", name(&now.0))
}

/// The desk's list, whenever it changes.
pub(crate) async fn desk(
    visit: Visit,
    Extension(live): Extension<Live>,
    headers: HeaderMap,
    Query(seen): Query<Seen>,
) -> Response {
    let words = visit.words;
    follow(
        visit,
        live,
        &headers,
        seen,
        move |visit, burst, sight| async move {
            let rights = sight.rights();
            // Whoever put off about as much shares what is loaded.
            let parked = sight.parked.len().next_multiple_of(PARKED);
            let key = Key::new("waits", (&rights, parked));
            let waits = burst
                .shared(key, || visit.app.waits(&rights, parked))
                .await?;
            let key = Key::new("desk", (&rights, &sight.parked, words.code));
            burst
                .shared(key, || async {
                    let desk = waits.desk(&sight.parked);
                    Ok(Fragment::new(&desk::list(Ink::without_token(words), &desk)))
                })
                .await
        },
    )
}

/// What an issue's page shows below its title, whenever it changes.
pub(crate) async fn issue(
    visit: Visit,
    Path((project, number)): Path<(String, String)>,
    Extension(live): Extension<Live>,
    headers: HeaderMap,
    Query(seen): Query<Seen>,
) -> Response {
    let words = visit.words;
    follow(visit, live, &headers, seen, move |visit, burst, sight| {
        let (project, number) = (project.clone(), number.clone());
        async move {
            let standing = sight.standing(&project);
            let key = Key::new("issue", (&project, &number, standing, words.code));
            burst
                .shared(key, || async {
                    match issue::story(&visit.app, &sight.caller, &project, &number).await {
                        Ok(story) => {
                            let html = issue::fragment(Ink::without_token(words), &story);
                            Ok(Fragment::new(&html))
                        }
                        Err(Error::NotFound { .. }) => Ok(gone(words)),
                        Err(other) => Err(other),
                    }
                })
                .await
        }
    })
}

/// How far the trying of an issue's tests is, whenever it changes.
pub(crate) async fn tryout(
    visit: Visit,
    Path((project, number)): Path<(String, String)>,
    Extension(live): Extension<Live>,
    headers: HeaderMap,
    Query(seen): Query<Seen>,
) -> Response {
    let words = visit.words;
    follow(visit, live, &headers, seen, move |visit, burst, sight| {
        let (project, number) = (project.clone(), number.clone());
        async move {
            let standing = sight.standing(&project);
            let key = Key::new("tryout", (&project, &number, standing, words.code));
            burst
                .shared(key, || async {
                    let number = issue::number_of(&number)?;
                    let found = visit.app.issue_get(&sight.caller, &project, number).await;
                    match found {
                        Ok(view) => Ok(Fragment::new(&tryout::panel(words, &view))),
                        Err(Error::NotFound { .. }) => Ok(gone(words)),
                        Err(other) => Err(other),
                    }
                })
                .await
        }
    })
}

/// In the place of what somebody may not see any more.
fn gone(words: &Words) -> Fragment {
    let html = html! { p.notice.bad { (words.get("problem.not-found")) } };
    Fragment::written(&html.0, true)
}

/// Sends what `look` makes of each burst, whenever it is something else than before.
fn follow<L, F>(visit: Visit, live: Live, headers: &HeaderMap, seen: Seen, look: L) -> Response
where
    L: Fn(Arc<Visit>, Arc<Burst>, Arc<Sight>) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Arc<Fragment>, Error>> + Send,
{
    let known = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let mut last = known.map(str::to_owned).or(seen.seen).unwrap_or_default();
    let viewer = live.enter(visit.session_key());
    let visit = Arc::new(visit);
    let stream = async_stream::stream! {
        let mut commits = visit.app.signals().commits();
        let mut said = Instant::now();
        // The browser gets the head of the answer at once.
        yield Ok::<_, Infallible>(Bytes::from_static(b": here\n\n"));
        loop {
            let at = *commits.borrow_and_update();
            let fragment = match newest(&visit, &live, &viewer, at, &look).await {
                Ok(Some(fragment)) => fragment,
                Ok(None) => {
                    yield Ok(Bytes::from_static(END.as_bytes()));
                    break;
                }
                // The browser comes again by itself, with what it saw last.
                Err(error) => {
                    tracing::warn!(%error, "a live page is cut off");
                    break;
                }
            };
            if fragment.id != last {
                last.clone_from(&fragment.id);
                live.sends();
                said = Instant::now();
                yield Ok(fragment.bytes.clone());
            } else if said.elapsed() >= STILL_THERE {
                said = Instant::now();
                yield Ok(Bytes::from_static(b": still here\n\n"));
            }
            if fragment.last {
                break;
            }
            drop(tokio::time::timeout(LOOK_AGAIN, commits.changed()).await);
        }
        drop(viewer);
    };
    let mut answer = Response::new(Body::from_stream(stream));
    let headers = answer.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    answer
}

/// The newest fragment for a viewer; `None` when they are signed out.
async fn newest<L, F>(
    visit: &Arc<Visit>,
    live: &Live,
    viewer: &Viewer,
    at: u64,
    look: &L,
) -> Result<Option<Arc<Fragment>>, Error>
where
    L: Fn(Arc<Visit>, Arc<Burst>, Arc<Sight>) -> F,
    F: Future<Output = Result<Arc<Fragment>, Error>>,
{
    let burst = live.burst(&visit.app, at).await;
    let Some(sight) = burst.sight(&visit.app, viewer).await? else {
        return Ok(None);
    };
    look(Arc::clone(visit), burst, sight).await.map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fragment_is_one_event_whatever_line_ends_it_has() {
        let html = maud::PreEscaped("<p>a\r\nb\n\nc\rdata: x</p>".to_owned());
        let fragment = Fragment::new(&html);
        let text = String::from_utf8(fragment.bytes.to_vec()).expect("a text");
        let (head, rest) = text.split_once("event: fragment\n").expect("an event");
        assert_eq!(head, format!("id: {}\n", fragment.id));
        assert_eq!(
            rest,
            "data: <p>a\ndata: \ndata: b\ndata: \ndata: c\ndata: data: x</p>\n\n"
        );
        assert_eq!(
            address("/live/x", &html),
            format!("/live/x?seen={}", fragment.id)
        );
    }
}
