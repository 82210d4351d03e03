//! Live fragments: the same templates as the page, sent again when something changed.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::Path;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};

use super::{Visit, desk, issue};

/// How often a stream looks without being woken.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// The desk's list, whenever it changes.
pub(crate) async fn desk(visit: Visit) -> Response {
    let stream = async_stream::stream! {
        let mut bell = visit.app.signals().events();
        let mut last = String::new();
        loop {
            let Ok(found) = visit.app.desk(&visit.caller).await else {
                break;
            };
            let html = desk::list(&visit, &found).into_string();
            if html != last {
                yield Ok::<_, Infallible>(Event::default().event("fragment").data(&html));
                last = html;
            }
            drop(tokio::time::timeout(LOOK_AGAIN, bell.recv()).await);
        }
    };
    Sse::new(stream)
        .keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
        .into_response()
}

/// What an issue's page shows below its title, whenever it changes.
pub(crate) async fn issue(
    visit: Visit,
    Path((project, number)): Path<(String, String)>,
) -> Response {
    let stream = async_stream::stream! {
        let mut bell = visit.app.signals().events();
        let mut last = String::new();
        loop {
            let Ok(story) = issue::story(&visit, &project, &number).await else {
                break;
            };
            let html = issue::fragment(&visit, &story).into_string();
            if html != last {
                yield Ok::<_, Infallible>(Event::default().event("fragment").data(&html));
                last = html;
            }
            drop(tokio::time::timeout(LOOK_AGAIN, bell.recv()).await);
        }
    };
    Sse::new(stream)
        .keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
        .into_response()
}
