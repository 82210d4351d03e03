//! Where a request comes from, and how often it may come.
//!
//! The address is the connection's own, unless the operator has said that a proxy of ours is there:
//! then it is the last one in the proxy's list that no proxy of ours stands for, so nobody can choose
//! one. Deliberately absent: how much is allowed (`app::limit`).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use nightshift_app::{App, Proxies};

use crate::error::Failure;
use crate::page::visit::{COOKIE, cookie};
use crate::token;

/// The address a request comes from, as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Address(pub(crate) IpAddr);

/// Finds out where a request comes from, and answers in its place where it came too often.
pub(crate) async fn limit(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let peer = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip());
    let address = counted(origin(
        peer,
        request.headers(),
        &app.settings().trusted_proxies,
    ));
    request.extensions_mut().insert(address);
    let turn = match searches(&request) {
        true => {
            let who = searcher(request.headers(), address);
            if let Err(error) = app.limits().search.take(&who) {
                return Failure(error).into_response();
            }
            Some(app.limits().searching.wait(&who).await)
        }
        false => None,
    };
    let answer = next.run(request).await;
    drop(turn);
    if answer.status() == StatusCode::UNAUTHORIZED
        && let Err(error) = app.limits().guess.take(address)
    {
        return Failure(error).into_response();
    }
    answer
}

/// Who searches: the token or the session alone, so that nobody is somebody else by what they send
/// beside it; else the address.
fn searcher(headers: &HeaderMap, address: Address) -> (Option<String>, Option<Address>) {
    let held = token::secret(headers).or_else(|| cookie(headers, COOKIE));
    let unknown = held.is_none().then_some(address);
    (held, unknown)
}

/// Whether a request makes the server look through much.
fn searches(request: &Request) -> bool {
    let asked = request.uri().query().unwrap_or_default();
    request.method() == Method::GET
        && asked.split('&').any(|pair| {
            matches!(pair.split_once('='), Some(("q" | "text", wanted)) if !wanted.is_empty())
        })
}

/// Whoever has one address of version 6 has all of its network.
fn counted(address: IpAddr) -> Address {
    Address(match address.to_canonical() {
        IpAddr::V6(six) => {
            let mut parts = six.segments();
            parts[4..].fill(0);
            IpAddr::from(parts)
        }
        four @ IpAddr::V4(_) => four,
    })
}

/// Where a request comes from, behind the proxies that the operator trusts.
fn origin(peer: IpAddr, headers: &HeaderMap, trusted: &Proxies) -> IpAddr {
    let mut known = peer;
    for told in told(headers) {
        if !trusted.contains(known) {
            break;
        }
        match told {
            Some(address) => known = address,
            // What a proxy of ours could not name is not to be guessed.
            None => break,
        }
    }
    known
}

/// The addresses that proxies wrote down, the last proxy's first.
fn told(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let listed = |name: &str| {
        let lines = headers.get_all(name).iter();
        let texts = lines.map(|line| line.to_str().unwrap_or_default());
        texts
            .flat_map(|line| line.split(','))
            .map(|part| part.trim().to_owned())
            .collect::<Vec<_>>()
    };
    let plain = listed("x-forwarded-for");
    let mut all: Vec<Option<IpAddr>> = if plain.is_empty() {
        let standard = listed("forwarded");
        standard.iter().map(|part| forwarded(part)).collect()
    } else {
        plain.iter().map(|part| node(part)).collect()
    };
    all.reverse();
    all
}

/// The `for` of one element of a `Forwarded` header (RFC 7239).
fn forwarded(element: &str) -> Option<IpAddr> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        let own = name.eq_ignore_ascii_case("for");
        own.then(|| node(value.trim().trim_matches('"')))?
    })
}

/// An address, with or without a port.
fn node(text: &str) -> Option<IpAddr> {
    let plain = text.parse::<IpAddr>().ok();
    let bare = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|one| one.ip());
    plain.or_else(bare).or_else(with_port)
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn origin_of(peer: &str, headers: &[(&'static str, &'static str)]) -> String {
        let trusted = Proxies::parse(&["10.0.0.0/8", "::1"]).expect("networks");
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        origin(peer.parse().expect("an address"), &map, &trusted).to_string()
    }

    #[test]
    fn only_a_proxy_that_is_trusted_says_where_a_request_comes_from() {
        const LIST: &str = "x-forwarded-for";
        for (peer, headers, expected) in [
            ("192.0.2.1", vec![], "192.0.2.1"),
            ("192.0.2.1", vec![(LIST, "198.51.100.7")], "192.0.2.1"),
            ("10.0.0.1", vec![(LIST, "198.51.100.7")], "198.51.100.7"),
            (
                "10.0.0.1",
                vec![(LIST, "198.51.100.7:4711")],
                "198.51.100.7",
            ),
            ("10.0.0.1", vec![(LIST, "[2001:db8::1]:80")], "2001:db8::1"),
            // What the client wrote itself stands before what the proxy wrote.
            (
                "10.0.0.1",
                vec![(LIST, "1.1.1.1, 198.51.100.7")],
                "198.51.100.7",
            ),
            (
                "10.0.0.1",
                vec![(LIST, "1.1.1.1"), (LIST, "198.51.100.7")],
                "198.51.100.7",
            ),
            (
                "10.0.0.1",
                vec![(LIST, "198.51.100.7, 10.9.9.9")],
                "198.51.100.7",
            ),
            ("10.0.0.1", vec![(LIST, "10.1.1.1, 10.2.2.2")], "10.1.1.1"),
            (
                "10.0.0.1",
                vec![(LIST, "198.51.100.7, unknown")],
                "10.0.0.1",
            ),
            ("10.0.0.1", vec![(LIST, "")], "10.0.0.1"),
            (
                "10.0.0.1",
                vec![(
                    "forwarded",
                    "for=1.1.1.1, For=\"[2001:db8::9]:1\";proto=https",
                )],
                "2001:db8::9",
            ),
            ("10.0.0.1", vec![("forwarded", "for=_hidden")], "10.0.0.1"),
            (
                "10.0.0.1",
                vec![("forwarded", "for=1.1.1.1"), (LIST, "198.51.100.7")],
                "198.51.100.7",
            ),
            ("::1", vec![(LIST, "198.51.100.7")], "198.51.100.7"),
        ] {
            assert_eq!(origin_of(peer, &headers), expected, "{peer} {headers:?}");
        }
    }

    #[test]
    fn whoever_searches_is_the_same_with_other_cookies_and_other_words() {
        let of = |headers: &[(&'static str, &str)]| {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(*name, value.parse().expect("a value"));
            }
            searcher(&map, Address(IpAddr::V4(Ipv4Addr::LOCALHOST)))
        };
        let session = of(&[("cookie", "nightshift_session=s")]);
        assert_eq!(session, of(&[("cookie", "a=1; nightshift_session=s; b=2")]));
        assert_ne!(session, of(&[("cookie", "nightshift_session=t")]));
        let token = of(&[("authorization", "Bearer t")]);
        assert_eq!(
            token,
            of(&[("authorization", "bearer  t"), ("cookie", "a=1")])
        );
        assert_eq!(of(&[("cookie", "a=1")]), of(&[("authorization", "odd")]));
    }

    #[test]
    fn a_network_of_version_6_is_one_caller() {
        let of = |text: &str| counted(text.parse().expect("an address")).0.to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(of("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(of("192.0.2.1"), "192.0.2.1");
    }
}
