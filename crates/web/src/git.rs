//! Git over smart HTTP: clone, fetch and push with stock clients, streamed both ways.

use axum::body::{Body, Bytes};
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::{Stream, TryStreamExt as _};
use nightshift_app::App;
use nightshift_app::git::{Protocol, Service};
use nightshift_app::use_case::push::OpenRepository;
use serde::Deserialize;
use tokio_util::io::StreamReader;

use crate::error::Failure;
use crate::token;

#[derive(Deserialize)]
pub(crate) struct ServiceQuery {
    service: Option<String>,
}

async fn open(
    app: &App,
    headers: &HeaderMap,
    name: &str,
) -> Result<(nightshift_app::Caller, OpenRepository), Failure> {
    let caller = token::caller(app, headers).await?;
    let name = name.strip_suffix(".git").unwrap_or(name);
    let opened = app.open_repository(&caller, name).await;
    if opened.is_err() {
        app.record_refusal(&caller, &format!("git {name}")).await?;
    }
    Ok((caller, opened?))
}

/// The repository's name in the address.
fn named(name: Result<Path<String>, PathRejection>) -> Result<String, Failure> {
    name.map(|Path(name)| name).map_err(|rejection| {
        Failure::not_found(format!("no such address: {}", rejection.body_text()))
    })
}

fn protocol(headers: &HeaderMap) -> Protocol {
    Protocol::from_header(headers.get("git-protocol").map(HeaderValue::as_bytes))
}

fn answer(media: String, body: Body) -> Response {
    let mut answer = body.into_response();
    let headers = answer.headers_mut();
    if let Ok(media) = HeaderValue::from_str(&media) {
        headers.insert(header::CONTENT_TYPE, media);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    answer
}

pub(crate) async fn info_refs(
    State(app): State<App>,
    name: Result<Path<String>, PathRejection>,
    query: Result<Query<ServiceQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let name = named(name)?;
    let Query(query) = query.map_err(|rejection| Failure::invalid(rejection.body_text()))?;
    let service = query
        .service
        .as_deref()
        .and_then(Service::from_name)
        .ok_or_else(|| {
            Failure::invalid("this server speaks git's smart protocol only: use git 2.x")
        })?;
    let (_, opened) = open(&app, &headers, &name).await?;
    let body = match service {
        Service::UploadPack => {
            let advertised = opened.repository.advertise_upload(protocol(&headers)).await;
            advertised.map_err(nightshift_app::Error::from)?
        }
        Service::ReceivePack => {
            let advertised = opened.repository.advertise_receive(|_| true).await;
            advertised.map_err(nightshift_app::Error::from)?
        }
    };
    let media = format!("application/x-{}-advertisement", service.name());
    Ok(answer(media, Body::from(body)))
}

pub(crate) async fn upload_pack(
    State(app): State<App>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Failure> {
    let name = named(name)?;
    let headers = request.headers().clone();
    let (_, opened) = open(&app, &headers, &name).await?;
    let output = opened
        .repository
        .upload_pack(protocol(&headers), reader(request.into_body()))
        .map_err(nightshift_app::Error::from)?;
    let media = "application/x-git-upload-pack-result".to_owned();
    Ok(answer(media, Body::from_stream(output)))
}

pub(crate) async fn receive_pack(
    State(app): State<App>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Failure> {
    let name = named(name)?;
    let headers = request.headers().clone();
    let (caller, opened) = open(&app, &headers, &name).await?;
    let input = reader(request.into_body());
    let (beat, mut beats) = tokio::sync::mpsc::unbounded_channel::<Bytes>();
    // A task of its own: when the client goes away after its refs moved, what follows from the push
    // is still taken note of.
    let work = tokio::spawn(async move {
        let heartbeat = move |bytes: Bytes| {
            // Fails when the client is gone; the push ends by itself.
            drop(beat.send(bytes));
        };
        receive(&app, &caller, &opened, input, &heartbeat).await
    });
    let media = "application/x-git-receive-pack-result".to_owned();
    // Most pushes end before the first heartbeat is due, and can still answer with a status code.
    let Some(first) = beats.recv().await else {
        let response = work.await.map_err(nightshift_app::Error::internal)??;
        return Ok(answer(media, Body::from(response)));
    };
    let stream = async_stream::try_stream! {
        yield first;
        while let Some(bytes) = beats.recv().await {
            yield bytes;
        }
        let received = work.await.map_err(std::io::Error::other)?;
        yield received.map_err(std::io::Error::other)?;
    };
    let stream: std::pin::Pin<Box<dyn Stream<Item = std::io::Result<Bytes>> + Send>> =
        Box::pin(stream);
    Ok(answer(media, Body::from_stream(stream)))
}

/// Takes a push and what follows from it; returns the answer's last part.
async fn receive(
    app: &App,
    caller: &nightshift_app::Caller,
    opened: &OpenRepository,
    input: impl tokio::io::AsyncRead + Send + Unpin,
    heartbeat: &(dyn Fn(Bytes) + Send + Sync),
) -> Result<Bytes, nightshift_app::Error> {
    let reason = format!("push by {}", caller.actor().label());
    let received = opened
        .repository
        .receive_pack(input, &opened.policy, &reason, heartbeat)
        .await?;
    if !received.refused.is_empty() && caller.run().is_ok() {
        let names: Vec<_> = received
            .refused
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        app.record_refusal(caller, &format!("push of {}", names.join(", ")))
            .await?;
    }
    // The refs have moved; what follows from it is found by the reconcilers if this fails.
    if let Err(error) = app.pushed(caller, &opened.project, &received.updates).await {
        tracing::warn!(%error, "a push was not taken note of at once");
    }
    Ok(received.response)
}

/// A request's body as a reader.
fn reader(body: Body) -> impl tokio::io::AsyncRead + Send + Unpin + 'static {
    StreamReader::new(Box::pin(
        body.into_data_stream().map_err(std::io::Error::other),
    ))
}
