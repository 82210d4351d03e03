//! Style, scripts and icon: part of the program, cached for ever under their content's hash.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

/// Name, media type, content.
const FILES: &[(&str, &str, &str)] = &[
    (
        "style.css",
        "text/css; charset=utf-8",
        include_str!("../asset/style.css"),
    ),
    (
        "live.js",
        "text/javascript; charset=utf-8",
        include_str!("../asset/live.js"),
    ),
    (
        "change.js",
        "text/javascript; charset=utf-8",
        include_str!("../asset/change.js"),
    ),
    (
        "desk.js",
        "text/javascript; charset=utf-8",
        include_str!("../asset/desk.js"),
    ),
    (
        "form.js",
        "text/javascript; charset=utf-8",
        include_str!("../asset/form.js"),
    ),
    (
        "run.js",
        "text/javascript; charset=utf-8",
        include_str!("../asset/run.js"),
    ),
    (
        "icon.svg",
        "image/svg+xml",
        include_str!("../asset/icon.svg"),
    ),
];

static HASHES: LazyLock<Vec<String>> = LazyLock::new(|| {
    FILES
        .iter()
        .map(|(_, _, content)| {
            let mut hash = DefaultHasher::new();
            content.hash(&mut hash);
            format!("{:016x}", hash.finish())
        })
        .collect()
});

/// Where a file is served; changes with its content.
pub(crate) fn address(name: &str) -> String {
    let place = FILES.iter().position(|(known, _, _)| *known == name);
    let hash = place.map_or("", |place| HASHES[place].as_str());
    format!("/assets/{hash}/{name}")
}

/// Serves a file.
pub(crate) async fn serve(Path((_, name)): Path<(String, String)>) -> Response {
    let Some((_, media, content)) = FILES.iter().find(|(known, _, _)| *known == name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let mut answer = content.into_response();
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=31536000, immutable"),
    );
    answer
}
