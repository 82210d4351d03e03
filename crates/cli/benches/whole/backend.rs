//! The least that can serve `git http-backend`: a CGI host without checks.
//!
//! It costs less than a web server with its CGI wrapper would, so a ratio to it is a strict one.
//! Deliberately absent: anything a real one needs.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use futures_util::TryStreamExt as _;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio_util::io::{ReaderStream, StreamReader};

/// Serves the repositories below `root`; returns the address.
pub(crate) async fn serve(root: &Path) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = listener.expect("a port");
    let address = listener.local_addr().expect("its address");
    let router = Router::new().fallback(answer).with_state(root.to_owned());
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

async fn answer(State(root): State<PathBuf>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let header = |name: &str| text(&parts.headers, name);
    let mut child = Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", &root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REMOTE_USER", "alice")
        .env("REQUEST_METHOD", parts.method.as_str())
        .env("PATH_INFO", parts.uri.path())
        .env("QUERY_STRING", parts.uri.query().unwrap_or_default())
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", header("content-length"))
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("git");
    let mut stdin = child.stdin.take().expect("an input");
    let stdout = child.stdout.take().expect("an output");
    tokio::spawn(async move {
        let stream = body.into_data_stream().map_err(std::io::Error::other);
        let mut body = StreamReader::new(stream);
        // It may have answered before the end.
        tokio::io::copy(&mut body, &mut stdin).await.ok();
        stdin.shutdown().await.ok();
        drop(stdin);
        child.wait().await.ok();
    });
    let mut stdout = BufReader::new(stdout);
    let mut answer = Response::builder().status(StatusCode::OK);
    loop {
        let mut line = String::new();
        stdout.read_line(&mut line).await.expect("a header");
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        answer = match name {
            "Status" => answer.status(&value[..3]),
            _ => answer.header(name, value),
        };
    }
    let body = Body::from_stream(ReaderStream::with_capacity(stdout, 64 << 10));
    answer.body(body).expect("an answer")
}

fn text(headers: &HeaderMap, name: &str) -> String {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}
