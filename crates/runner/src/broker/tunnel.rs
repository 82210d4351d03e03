//! What goes through a tunnel that CONNECT asked for.
//!
//! Invariants: the first bytes decide: TLS that asks for the tunnel's own host goes on byte by byte,
//! plain HTTP is served as if it had been asked for without a tunnel, and anything else is cut. No
//! byte from inside reaches the other end before that. Deliberately absent: other protocols.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioIo, TokioTimer};
use nightshift_domain::host::{Host, Place};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::hello;
use super::network::{self, Network};
use super::stream::{self, Prefixed};

/// How long the first bytes may take.
const FIRST: Duration = Duration::from_secs(10);
/// How long a tunnel may be silent.
const IDLE: Duration = Duration::from_secs(300);
/// Says to a TLS client that the name is not the one of this tunnel.
const UNRECOGNISED_NAME: &[u8] = &[0x15, 3, 3, 0, 2, 2, 112];

/// A tunnel that is answered and not begun.
pub(super) struct Tunnel {
    pub(super) place: Place,
    pub(super) upgrade: OnUpgrade,
    pub(super) stream: TcpStream,
}

/// What the first bytes are.
enum First {
    Tls,
    Http,
    Refused(&'static str),
}

/// Carries it to its end.
pub(super) async fn run(network: Arc<Network>, tunnel: Tunnel) {
    let Tunnel {
        place,
        upgrade,
        stream,
    } = tunnel;
    let Ok(Ok(upgraded)) = timeout(FIRST, upgrade).await else {
        return;
    };
    let mut inside = TokioIo::new(upgraded);
    let mut bytes = Vec::new();
    // Otherwise it said nothing, or went away.
    let looked = timeout(FIRST, look(&mut inside, &mut bytes, &place.host)).await;
    let Ok(Ok(first)) = looked else {
        return;
    };
    match first {
        First::Tls => {
            let inside = Prefixed::new(bytes, inside);
            let counted = |way, count| network.count(&place, way, count);
            if let Err(error) = stream::copy(inside, stream, IDLE, counted).await {
                tracing::debug!(%place, %error, "a tunnel of a run broke");
            }
        }
        First::Http => {
            drop(stream);
            plain(network, place, Prefixed::new(bytes, inside)).await;
        }
        First::Refused(why) => {
            drop(stream);
            drop(network.refuse(&place, why));
            if bytes.first() == Some(&22) {
                // Whoever is not there any more need not be told.
                inside.write_all(UNRECOGNISED_NAME).await.ok();
            }
            inside.shutdown().await.ok();
        }
    }
}

/// Reads until it is known what this is.
async fn look(
    from: &mut (impl AsyncRead + Unpin),
    bytes: &mut Vec<u8>,
    host: &Host,
) -> io::Result<First> {
    loop {
        if from.read_buf(bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match bytes.first() {
            Some(b'A'..=b'Z') => return Ok(First::Http),
            Some(22) => {}
            Some(_) | None => {
                return Ok(First::Refused(
                    "a tunnel carries TLS or HTTP, and nothing else",
                ));
            }
        }
        match hello::read(bytes) {
            Ok(None) if bytes.len() <= 2 * hello::MOST => {}
            Ok(Some(hello)) if hello.hides => {
                return Ok(First::Refused("the name asked for in TLS is hidden"));
            }
            Ok(Some(hello)) => {
                let same = match (hello.name.as_deref().map(Host::parse), host) {
                    (Some(Ok(name)), host) => name == *host,
                    // Addresses have no name to ask for.
                    (None, Host::V4(_) | Host::V6(_)) => true,
                    (None, Host::Name(_)) | (Some(Err(_)), _) => false,
                };
                return Ok(match same {
                    true => First::Tls,
                    false => First::Refused("the name asked for in TLS is another"),
                });
            }
            Ok(None) | Err(hello::Broken) => {
                return Ok(First::Refused("what came first is no TLS"));
            }
        }
    }
}

/// Plain HTTP in a tunnel: every request is looked at, and is for the tunnel's own place.
async fn plain<S>(network: Arc<Network>, place: Place, inside: Prefixed<S>)
where
    S: AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    // There is no tunnel in a tunnel: nobody takes from the other end.
    let (tunnels, _nobody) = mpsc::unbounded_channel();
    let service = service_fn(move |request| {
        network::answer(
            Arc::clone(&network),
            Some(place.clone()),
            tunnels.clone(),
            request,
        )
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(FIRST)
        .serve_connection(TokioIo::new(inside), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "plain HTTP in a tunnel broke");
    }
}
