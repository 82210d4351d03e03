//! The allow-listed network of one run: an HTTP proxy inside the broker.
//!
//! A request goes out when the host it names is on the list, the name's address was looked up out
//! here and is public (or the operator named it), and the connection is made to that very address.
//! Invariants: nothing is dialled before all of this held; a tunnel carries TLS for the host that was
//! asked for, or plain HTTP that is looked at request by request, and nothing else; no credential is
//! ever added here; every byte is counted, and a budget that is used up ends all of it. Deliberately
//! absent: following redirects, keeping connections, a look into TLS.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _};
use http_body_util::{BodyDataStream, BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::http::header::{self, HeaderMap, HeaderValue};
use hyper::http::uri::{PathAndQuery, Scheme};
use hyper::http::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use nightshift_domain::host::{Allowed, Host, Place, Reach};
use nightshift_domain::traffic::HostUse;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::answer::{Body, forwarded, full, problem, whole};
use super::room::Tell;
use super::stream::Way;
use super::tunnel::Tunnel;
use super::wire::{Budget, Event, NetworkWay};

/// Longest look-up, and longest wait for a connection.
const DIAL: Duration = Duration::from_secs(4);
/// Hosts that are told apart at most; the rest is counted together.
const MOST_HOSTS: usize = 200;
/// What the rest is called.
const REST: &str = "(others)";

/// One run's network.
pub(super) struct Network {
    allow: NetworkWay,
    /// Places that may have addresses of a network of one's own.
    private: Vec<Allowed>,
    used: Mutex<Used>,
    tell: Tell,
}

#[derive(Default)]
struct Used {
    hosts: BTreeMap<String, HostUse>,
    requests: u64,
    sent: u64,
    received: u64,
    told: bool,
}

/// Why a place is out of reach.
pub(super) struct Refused {
    status: StatusCode,
    kind: &'static str,
    why: String,
}

impl Network {
    pub(super) fn new(
        allow: NetworkWay,
        private: Vec<Allowed>,
        before: Vec<HostUse>,
        tell: Tell,
    ) -> Self {
        let mut used = Used::default();
        for host in before {
            used.requests += host.requests;
            used.sent += host.bytes_sent;
            used.received += host.bytes_received;
            used.hosts.insert(host.host.clone(), host);
        }
        Self {
            allow,
            private,
            used: Mutex::new(used),
            tell,
        }
    }

    /// What went to and from each host, and which were refused.
    pub(super) fn report(&self) -> Vec<HostUse> {
        self.used().hosts.values().cloned().collect()
    }

    /// Whether a request may go to this place: counted, or refused and told.
    pub(super) fn ask(&self, place: &Place) -> Result<(), Refused> {
        let granted = self.allow.allow.iter().find(|g| g.entry.allows(place));
        let Some(granted) = granted else {
            return Err(self.refuse(place, "it is not among the hosts that this run may reach"));
        };
        let mut used = self.used();
        if let Some(what) = over(&used, self.allow.budget) {
            drop(used);
            return Err(self.spent(what));
        }
        used.requests += 1;
        let host = used.host(place);
        host.requests += 1;
        host.allowed_by.get_or_insert_with(|| granted.by.clone());
        Ok(())
    }

    /// Notes that a place was refused, and tells it once.
    pub(super) fn refuse(&self, place: &Place, why: &str) -> Refused {
        let mut used = self.used();
        let host = used.host(place);
        host.refused += 1;
        let first = host.refused == 1 && host.host != REST;
        host.refused_because = Some(why.to_owned());
        drop(used);
        if first {
            tracing::info!(%place, why, "refused a host of a run");
            let (place, why) = (place.to_string(), why.to_owned());
            (self.tell)(Event::Blocked { place, why });
        }
        Refused {
            status: StatusCode::FORBIDDEN,
            kind: "host_not_allowed",
            why: format!("{place} is out of reach: {why}"),
        }
    }

    /// Counts bytes that are about to go on.
    pub(super) fn count(&self, place: &Place, way: Way, bytes: usize) -> io::Result<()> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let mut used = self.used();
        match way {
            Way::Out => {
                used.sent += bytes;
                used.host(place).bytes_sent += bytes;
            }
            Way::Back => {
                used.received += bytes;
                used.host(place).bytes_received += bytes;
            }
        }
        match over(&used, self.allow.budget) {
            // The request that is under way was counted when it was let through.
            Some(what) if what != REQUESTS => {
                drop(used);
                Err(io::Error::other(self.spent(what).why))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn spent(&self, what: &'static str) -> Refused {
        let first = !std::mem::replace(&mut self.used().told, true);
        if first {
            let what = what.to_owned();
            (self.tell)(Event::Spent { what });
        }
        Refused {
            status: StatusCode::TOO_MANY_REQUESTS,
            kind: "budget_exhausted",
            why: what.to_owned(),
        }
    }

    /// Looks the name up, checks what was found, and connects to that.
    pub(super) async fn dial(&self, place: &Place) -> Result<TcpStream, Refused> {
        let unavailable = |why: String| Refused {
            status: StatusCode::BAD_GATEWAY,
            kind: "unavailable",
            why: format!("{place}: {why}"),
        };
        let found: Vec<IpAddr> = match &place.host {
            Host::Name(name) => {
                let lookup = tokio::net::lookup_host((name.as_str(), place.port));
                match timeout(DIAL, lookup).await {
                    Ok(Ok(found)) => found.map(|address| address.ip()).collect(),
                    Ok(Err(error)) => return Err(unavailable(error.to_string())),
                    Err(_elapsed) => {
                        return Err(unavailable("its name is not known in time".to_owned()));
                    }
                }
            }
            Host::V4(address) => vec![IpAddr::V4(*address)],
            Host::V6(address) => vec![IpAddr::V6(*address)],
        };
        let named = self.private.iter().any(|entry| entry.allows(place));
        let mut last = None;
        let mut good = Vec::new();
        for address in found {
            match Reach::of(address) {
                Reach::Public => good.push(address.to_canonical()),
                Reach::Private(_) if named => good.push(address.to_canonical()),
                Reach::Private(what) | Reach::Never(what) => last = Some(what),
            }
        }
        if good.is_empty() {
            return Err(match last {
                Some(what) => self.refuse(place, &format!("its address is {what}")),
                None => unavailable("its name has no address".to_owned()),
            });
        }
        let connect = async {
            let mut failed = io::Error::other("no address");
            for address in good {
                match TcpStream::connect(SocketAddr::new(address, place.port)).await {
                    Ok(stream) => return Ok(stream),
                    Err(error) => failed = error,
                }
            }
            Err(failed)
        };
        match timeout(DIAL, connect).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true).ok();
                Ok(stream)
            }
            Ok(Err(error)) => Err(unavailable(error.to_string())),
            Err(_elapsed) => Err(unavailable("no connection in time".to_owned())),
        }
    }

    fn used(&self) -> std::sync::MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Used {
    fn host(&mut self, place: &Place) -> &mut HostUse {
        let mut name = place.to_string();
        if !self.hosts.contains_key(&name) && self.hosts.len() >= MOST_HOSTS {
            REST.clone_into(&mut name);
        }
        self.hosts
            .entry(name.clone())
            .or_insert_with(|| HostUse::of(name))
    }
}

/// The budget of requests has its own word: it stops new ones only.
const REQUESTS: &str = "the run has made all the requests to the network that it may make";

fn over(used: &Used, budget: Budget) -> Option<&'static str> {
    if used.sent > budget.bytes_sent {
        Some("the run has sent all the bytes to the network that it may send")
    } else if used.received > budget.bytes_received {
        Some("the run has received all the bytes from the network that it may receive")
    } else if used.requests >= budget.requests {
        Some(REQUESTS)
    } else {
        None
    }
}

/// Answers one request of a run to the network. `pinned` is the place that a tunnel was asked for,
/// where the request came through one.
pub(super) async fn answer(
    network: Arc<Network>,
    pinned: Option<Place>,
    tunnels: mpsc::UnboundedSender<Tunnel>,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let place = match place(&request, pinned.as_ref()) {
        Ok(place) => place,
        Err((status, why)) => return Ok(problem(status, "refused", why)),
    };
    if let Err(refused) = network.ask(&place) {
        return Ok(refused.answer());
    }
    let stream = match network.dial(&place).await {
        Ok(stream) => stream,
        Err(refused) => return Ok(refused.answer()),
    };
    if request.method() == Method::CONNECT {
        let upgrade = hyper::upgrade::on(&mut request);
        let tunnel = Tunnel {
            place,
            upgrade,
            stream,
        };
        // The connection's own task takes it when the answer is out.
        return Ok(match tunnels.send(tunnel) {
            Ok(()) => Response::new(full("")),
            Err(_) => problem(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "no tunnel"),
        });
    }
    Ok(match send(&network, &place, stream, request).await {
        Ok(response) => response,
        Err(why) => problem(StatusCode::BAD_GATEWAY, "unavailable", &why),
    })
}

impl Refused {
    fn answer(&self) -> Response<Body> {
        problem(self.status, self.kind, &self.why)
    }
}

/// The place that a request is for, if all that it says agrees.
fn place(
    request: &Request<Incoming>,
    pinned: Option<&Place>,
) -> Result<Place, (StatusCode, &'static str)> {
    let bad = |why| (StatusCode::BAD_REQUEST, why);
    let fronting = (
        StatusCode::MISDIRECTED_REQUEST,
        "the Host header names another host than the request",
    );
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = hosts.next().map(HeaderValue::to_str).transpose();
    let host = host.map_err(|_| bad("the Host header is no host"))?;
    if hosts.next().is_some() {
        return Err(bad("there are two Host headers"));
    }
    let uri: &Uri = request.uri();
    let connect = request.method() == Method::CONNECT;
    let (asked, usual) = match (uri.authority(), pinned) {
        (Some(authority), None) if connect => (Place::parse(authority.as_str(), None), None),
        (Some(authority), _) if !connect && uri.scheme() == Some(&Scheme::HTTP) => {
            (Place::parse(authority.as_str(), Some(80)), Some(80))
        }
        (Some(_), _) if !connect => {
            return Err(bad(
                "only http addresses are asked for directly; https goes through CONNECT",
            ));
        }
        (None, Some(pinned)) if !connect => (Ok(pinned.clone()), Some(80)),
        _ => return Err(bad("this is a proxy: a request names its host")),
    };
    let asked = asked.map_err(|_| bad("the host is not spelled in the way that is accepted"))?;
    if pinned.is_some_and(|pinned| *pinned != asked) {
        return Err(fronting);
    }
    match host {
        // Without a port the request's own is meant: some programs leave it out in CONNECT.
        Some(host) => match Place::parse(host, usual.or(Some(asked.port))) {
            Ok(same) if same == asked => Ok(asked),
            Ok(_) | Err(_) => Err(fronting),
        },
        None if connect => Ok(asked),
        None => Err(bad("a Host header is needed")),
    }
}

/// One plain request and its answer, streamed both ways, over a connection of its own.
async fn send(
    network: &Arc<Network>,
    place: &Place,
    stream: TcpStream,
    request: Request<Incoming>,
) -> Result<Response<Body>, String> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    // It ends when the answer was read or dropped.
    let _detached = tokio::spawn(connection);
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().cloned();
    let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
    let mut headers = forwarded(&parts.headers);
    let host = match place.port {
        80 => place.host.to_string(),
        _ => place.to_string(),
    };
    let host = HeaderValue::from_str(&host).map_err(|error| error.to_string())?;
    headers.insert(header::HOST, host);
    let head = path.as_str().len() + size(&headers);
    network
        .count(place, Way::Out, head)
        .map_err(|error| error.to_string())?;
    let (counting, to) = (Arc::clone(network), place.clone());
    let body = BodyDataStream::new(body)
        .map_err(io::Error::other)
        .and_then(move |chunk| {
            let counted = counting.count(&to, Way::Out, chunk.len());
            std::future::ready(counted.map(|()| Frame::data(chunk)))
        });
    let mut out = Request::new(StreamBody::new(body).boxed_unsync());
    *out.method_mut() = parts.method;
    *out.uri_mut() = Uri::from(path);
    *out.headers_mut() = headers;
    let response = sender.send_request(out).await;
    let response = response.map_err(|error| error.to_string())?;
    let (parts, body) = response.into_parts();
    network
        .count(place, Way::Back, size(&parts.headers))
        .map_err(|error| error.to_string())?;
    let (counting, from) = (Arc::clone(network), place.clone());
    let stream = BodyDataStream::new(body).map(move |chunk| {
        let chunk = chunk.map_err(io::Error::other)?;
        counting.count(&from, Way::Back, chunk.len())?;
        Ok(Frame::data(chunk))
    });
    let headers = forwarded(&parts.headers);
    Ok(whole(
        parts.status,
        headers,
        StreamBody::new(stream).boxed_unsync(),
    ))
}

fn size(headers: &HeaderMap) -> usize {
    headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum()
}
