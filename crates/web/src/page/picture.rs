//! Pictures of a change, before and after; and the route that hands one out.
//!
//! What is handed out can run nothing, however it is opened: no script, no frame, no other file, no
//! form, no origin, and a browser that opens it by its address saves it. An SVG is therefore safe as
//! an image and as a download. Deliberately absent: changing a picture.

use axum::extract::{Path, Query};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use maud::{Markup, html};
use nightshift_app::git::{FilePatch, Side};
use nightshift_app::use_case::change::ChangeView;
use nightshift_app::use_case::picture::{Face, MOST_BYTES, Picture};
use nightshift_domain::git_name::ObjectId;

use super::Visit;
use super::change::commit;
use super::change_form::FileQuery;
use super::visit::url_part;
use super::words::Words;

/// What a picture may do: look like it does.
pub(super) const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox";

/// Hands a picture out.
pub(crate) async fn show(
    visit: Visit,
    Path((project, number)): Path<(String, i64)>,
    Query(query): Query<FileQuery>,
) -> Response {
    let id = match commit(&query.commit) {
        Ok(id) => id,
        Err(error) => return visit.failed(error),
    };
    let found = visit
        .app
        .change_picture(&visit.caller, &project, number, &id, &query.path)
        .await;
    match found {
        Ok((kind, bytes)) => {
            let mut answer = bytes.into_response();
            let headers = answer.headers_mut();
            for (name, value) in [
                (header::CONTENT_TYPE, kind.media()),
                (header::CONTENT_DISPOSITION, "attachment"),
                (header::CONTENT_SECURITY_POLICY, POLICY),
                (header::X_FRAME_OPTIONS, "DENY"),
                // A commit's file never changes, and it is for whoever may see it now.
                (header::CACHE_CONTROL, "private, max-age=3600"),
            ] {
                headers.insert(name, HeaderValue::from_static(value));
            }
            headers.insert(
                "cross-origin-resource-policy",
                HeaderValue::from_static("same-origin"),
            );
            answer
        }
        Err(error) => visit.failed(error),
    }
}

/// Both sides of a picture.
pub(super) fn faces(
    words: &Words,
    home: &str,
    view: &ChangeView,
    file: &FilePatch,
    picture: &Picture,
) -> Markup {
    let (old, new) = (file.file.old.as_ref(), file.file.new.as_ref());
    html! {
        div.pictures {
            (face(words, home, "change.before", &view.old, old, picture.before))
            (face(words, home, "change.after", &view.new, new, picture.after))
        }
    }
}

fn face(
    words: &Words,
    home: &str,
    word: &str,
    commit: &ObjectId,
    side: Option<&Side>,
    face: Option<Face>,
) -> Markup {
    let (Some(side), Some(face)) = (side, face) else {
        return html! {};
    };
    let path = side.path.to_text();
    let address = format!("{home}/picture?commit={commit}&path={}", url_part(&path));
    html! {
        figure.face {
            figcaption {
                b { (words.get(word)) } " "
                @if let Some((width, height)) = face.pixels { (width) "×" (height) " px · " }
                (size(face.bytes))
            }
            @if face.kind.is_none() {
                p.quiet { (words.get("change.no-picture")) }
            } @else if face.bytes > MOST_BYTES {
                p.quiet { (words.get("change.large-picture")) }
            } @else {
                div.checker {
                    img src=(address) loading="lazy" decoding="async" alt={ (words.get(word)) (words.get("mark.colon")) (path) }
                        width=[face.pixels.map(|(width, _)| width)] height=[face.pixels.map(|(_, height)| height)];
                }
            }
        }
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..=1_023 => format!("{bytes} B"),
        1_024..=1_048_575 => format!("{}.{} KiB", bytes >> 10, ((bytes & 1_023) * 10) >> 10),
        _ => format!("{}.{} MiB", bytes >> 20, ((bytes & 1_048_575) * 10) >> 20),
    }
}
