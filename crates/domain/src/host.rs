//! Names of hosts: as a program asks for them, and as a list allows them.
//!
//! Invariants: one spelling is accepted for each host, anything that another program might read as a
//! different one is refused, not repaired (a dot at the end, numbers that are addresses in disguise,
//! user names, zones, escapes, other alphabets than ASCII); an address counts as public only if it is
//! in a range that is known to be. Deliberately absent: looking names up.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::refusal::host as say;
use crate::sentence::Sentence;

/// A host, in its one spelling.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// A name, in lower case.
    Name(String),
    /// An address.
    V4(Ipv4Addr),
    /// An address, written in brackets.
    V6(Ipv6Addr),
}

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The host.
    pub host: Host,
    /// The port.
    pub port: u16,
}

/// Why a text is no host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostError {
    /// Nothing, or nothing between two dots.
    Empty,
    /// More than 253 characters, or a part of more than 63.
    TooLong,
    /// A character that is none of letters, digits and hyphens.
    Character,
    /// A hyphen at the end of a part.
    Hyphen,
    /// A number that some programs read as an address.
    Number,
    /// Something in brackets that is no address.
    Bracket,
    /// No port, or none from 1 to 65535.
    Port,
}

impl HostError {
    /// What is said about it.
    #[must_use]
    pub fn said(&self) -> Sentence {
        match self {
            Self::Empty => say::empty(),
            Self::TooLong => say::too_long(),
            Self::Character => say::sign(),
            Self::Hyphen => say::hyphen(),
            Self::Number => say::number(),
            Self::Bracket => say::bracket(),
            Self::Port => say::port(),
        }
    }
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.said().fmt(f)
    }
}

impl std::error::Error for HostError {}

impl Host {
    /// Reads a host.
    ///
    /// # Errors
    /// It is not spelled in the one way that is accepted.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        if let Some(inside) = text.strip_prefix('[') {
            let inside = inside.strip_suffix(']').ok_or(HostError::Bracket)?;
            let address = inside.parse().map_err(|_| HostError::Bracket)?;
            return Ok(Self::V6(address));
        }
        if text.len() > 253 {
            return Err(HostError::TooLong);
        }
        let mut last = "";
        for label in text.split('.') {
            check_label(label)?;
            last = label;
        }
        let lower = text.to_ascii_lowercase();
        if is_number(last) {
            let address: Ipv4Addr = text.parse().map_err(|_| HostError::Number)?;
            return Ok(Self::V4(address));
        }
        Ok(Self::Name(lower))
    }

    /// The address, where it is one.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Name(_) => None,
            Self::V4(address) => Some(IpAddr::V4(*address)),
            Self::V6(address) => Some(IpAddr::V6(*address)),
        }
    }
}

fn check_label(label: &str) -> Result<(), HostError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    if label.is_empty() {
        Err(HostError::Empty)
    } else if !label.bytes().all(plain) {
        Err(HostError::Character)
    } else if label.len() > 63 {
        Err(HostError::TooLong)
    } else if label.starts_with('-') || label.ends_with('-') {
        Err(HostError::Hyphen)
    } else {
        Ok(())
    }
}

/// Whether programs read a name with this last part as an address: digits, or hexadecimal ones.
fn is_number(label: &str) -> bool {
    let lower = label.to_ascii_lowercase();
    let hexadecimal = lower
        .strip_prefix("0x")
        .is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_hexdigit()));
    hexadecimal || label.bytes().all(|b| b.is_ascii_digit())
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::V4(address) => write!(f, "{address}"),
            Self::V6(address) => write!(f, "[{address}]"),
        }
    }
}

impl Place {
    /// Reads `host:port`; the port may be missing where there is a usual one.
    ///
    /// # Errors
    /// The host or the port is not spelled in the one way that is accepted.
    pub fn parse(text: &str, usual: Option<u16>) -> Result<Self, HostError> {
        let (host, port) = split(text)?;
        let port = port.or(usual).ok_or(HostError::Port)?;
        Ok(Self {
            host: Host::parse(host)?,
            port,
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// The host's text and the port, if there is one.
fn split(text: &str) -> Result<(&str, Option<u16>), HostError> {
    let after_host = match text.find(']') {
        Some(end) if text.starts_with('[') => end + 1,
        Some(_) => return Err(HostError::Character),
        None => text.find(':').unwrap_or(text.len()),
    };
    let (host, rest) = text.split_at(after_host);
    if rest.is_empty() {
        return Ok((host, None));
    }
    let digits = rest.strip_prefix(':').ok_or(HostError::Bracket)?;
    let good = !digits.is_empty() && digits.len() <= 5 && !digits.starts_with('0');
    let port = match digits.parse::<u16>() {
        Ok(port) if good && digits.bytes().all(|b| b.is_ascii_digit()) => port,
        Ok(_) | Err(_) => return Err(HostError::Port),
    };
    Ok((host, Some(port)))
}

/// What a list allows: a host, or all names below one, at a port or at the usual two.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Allowed {
    below: bool,
    host: Host,
    port: Option<u16>,
}

/// Why an entry of a list is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AllowedError {
    /// The host.
    Host(HostError),
    /// A scheme or a path.
    Address,
    /// A star that is not the first part of a name with two more.
    Star,
}

impl AllowedError {
    /// What is said about it.
    #[must_use]
    pub fn said(&self) -> Sentence {
        match self {
            Self::Host(error) => error.said(),
            Self::Address => say::address(),
            Self::Star => say::star(),
        }
    }
}

impl From<HostError> for AllowedError {
    fn from(error: HostError) -> Self {
        Self::Host(error)
    }
}

impl fmt::Display for AllowedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.said().fmt(f)
    }
}

impl std::error::Error for AllowedError {}

impl Allowed {
    /// Whether this place is allowed by it. Without a port it is for 80 and 443.
    #[must_use]
    pub fn allows(&self, place: &Place) -> bool {
        let port = match self.port {
            Some(port) => port == place.port,
            None => matches!(place.port, 80 | 443),
        };
        let host = match (&self.host, &place.host) {
            (Host::Name(above), Host::Name(name)) if self.below => name
                .strip_suffix(above.as_str())
                .and_then(|front| front.strip_suffix('.'))
                .is_some_and(|front| !front.is_empty()),
            (Host::Name(_) | Host::V4(_) | Host::V6(_), _) => {
                !self.below && self.host == place.host
            }
        };
        port && host
    }

    /// The host, or the one above those that it stands for.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// This very place and no other.
    #[must_use]
    pub fn only(place: &Place) -> Self {
        Self {
            below: false,
            host: place.host.clone(),
            port: Some(place.port),
        }
    }
}

impl FromStr for Allowed {
    type Err = AllowedError;

    fn from_str(text: &str) -> Result<Self, AllowedError> {
        if text.contains('/') {
            return Err(AllowedError::Address);
        }
        let (below, rest) = match text.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        if rest.contains('*') {
            return Err(AllowedError::Star);
        }
        let (host, port) = split(rest)?;
        let host = Host::parse(host)?;
        let two_parts = matches!(&host, Host::Name(name) if name.contains('.'));
        if below && !two_parts {
            return Err(AllowedError::Star);
        }
        Ok(Self { below, host, port })
    }
}

impl TryFrom<String> for Allowed {
    type Error = AllowedError;

    fn try_from(text: String) -> Result<Self, AllowedError> {
        text.parse()
    }
}

impl From<Allowed> for String {
    fn from(allowed: Allowed) -> Self {
        allowed.to_string()
    }
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.below {
            f.write_str("*.")?;
        }
        write!(f, "{}", self.host)?;
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

/// Where an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// In the public network.
    Public,
    /// In a network of one's own: only where the operator names it.
    Private(&'static str),
    /// Where nothing of a run has any business, whoever names it.
    Never(&'static str),
}

impl Reach {
    /// Where this address is.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => of_v6(address),
        }
    }
}

fn of_v4(address: Ipv4Addr) -> Reach {
    match address.octets() {
        [127, ..] => Reach::Private("a loopback address"),
        [10, ..] | [192, 168, ..] => Reach::Private("a private address"),
        [172, b, ..] if (16..=31).contains(&b) => Reach::Private("a private address"),
        // The metadata service of one cloud stands in this range.
        [100, 100, 100, 200] => Reach::Never("a metadata service"),
        [100, b, ..] if (64..=127).contains(&b) => Reach::Private("an address of a carrier"),
        [169, 254, ..] => Reach::Never("a link-local address"),
        [168, 63, 129, 16] => Reach::Never("a metadata service"),
        [0, ..] => Reach::Never("an unspecified address"),
        [192, 0, 0, _] | [192, 0, 2, _] | [192, 88, 99, _] | [198, 18 | 19, ..] => {
            Reach::Never("a reserved address")
        }
        [198, 51, 100, _] | [203, 0, 113, _] => Reach::Never("a reserved address"),
        [224..=239, ..] => Reach::Never("a multicast address"),
        [240..=255, ..] => Reach::Never("a reserved address"),
        [1..=223, ..] => Reach::Public,
    }
}

fn of_v6(address: Ipv6Addr) -> Reach {
    if let Some(inside) = address.to_ipv4_mapped() {
        return of_v4(inside);
    }
    let [a, b, c, d, e, f, g, h] = address.segments();
    let last_two = || {
        let ([x, y], [z, w]) = (g.to_be_bytes(), h.to_be_bytes());
        Ipv4Addr::new(x, y, z, w)
    };
    match (a, b) {
        (0, 0) if [c, d, e, f, g, h] == [0, 0, 0, 0, 0, 1] => Reach::Private("a loopback address"),
        // The whole of the translation's own range is judged by the address that it stands for.
        (0x64, 0xff9b) if [c, d, e, f] == [0; 4] => of_v4(last_two()),
        (0xfd00, 0x0ec2) => Reach::Never("a metadata service"),
        (0xfc00..=0xfdff, _) => Reach::Private("a private address"),
        (0xfe80..=0xfeff, _) => Reach::Never("a link-local address"),
        (0xff00..=0xffff, _) => Reach::Never("a multicast address"),
        (0x2002, _) => Reach::Never("a tunnel to an IPv4 address"),
        (0x2001, 0..=0x01ff) | (0x2001, 0x0db8) | (0x3fff, 0..=0x0fff) => {
            Reach::Never("a reserved address")
        }
        (0x2000..=0x3fff, _) => Reach::Public,
        (_, _) => Reach::Never("a reserved address"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn place(text: &str) -> Place {
        Place::parse(text, None).expect(text)
    }

    #[test]
    fn one_spelling_is_accepted() {
        for (text, shown) in [
            ("Example.COM:443", "example.com:443"),
            ("a-b.c1.example:8080", "a-b.c1.example:8080"),
            ("localhost:1", "localhost:1"),
            ("xn--bcher-kva.example:443", "xn--bcher-kva.example:443"),
            ("192.0.2.1:80", "192.0.2.1:80"),
            ("[2001:DB8::1]:80", "[2001:db8::1]:80"),
            ("[::ffff:1.2.3.4]:80", "[::ffff:1.2.3.4]:80"),
        ] {
            assert_eq!(place(text).to_string(), shown);
        }
        for (text, error) in [
            ("", HostError::Port),
            (":443", HostError::Empty),
            ("a..b:443", HostError::Empty),
            ("allowed.test.:443", HostError::Empty),
            (".allowed.test:443", HostError::Empty),
            ("evil.test\0.allowed.test:443", HostError::Character),
            ("evil.test#.allowed.test:443", HostError::Character),
            ("evil.test%00.allowed.test:443", HostError::Character),
            ("evil.test/.allowed.test:443", HostError::Character),
            ("evil.test\\.allowed.test:443", HostError::Character),
            ("user@allowed.test:443", HostError::Character),
            ("user:pw@allowed.test:443", HostError::Port),
            ("b\u{fc}cher.example:443", HostError::Character),
            ("allowed\u{3002}test:443", HostError::Character),
            (" allowed.test:443", HostError::Character),
            ("allowed.test\r\n:443", HostError::Character),
            ("-a.test:443", HostError::Hyphen),
            ("a-.test:443", HostError::Hyphen),
            ("2130706433:443", HostError::Number),
            ("127.1:443", HostError::Number),
            ("0177.0.0.1:443", HostError::Number),
            ("0x7f.0.0.1:443", HostError::Number),
            ("0x7f000001:443", HostError::Number),
            ("127.0.0.0x1:443", HostError::Number),
            ("127.0.0.256:443", HostError::Number),
            ("a.0x:443", HostError::Number),
            ("a.9:443", HostError::Number),
            ("[fe80::1%25eth0]:443", HostError::Bracket),
            ("[fe80::1%eth0]:443", HostError::Bracket),
            ("[::1:443", HostError::Port),
            ("[::1]443", HostError::Bracket),
            ("[127.0.0.1]:443", HostError::Bracket),
            ("::1", HostError::Port),
            ("allowed.test]:443", HostError::Character),
            ("allowed.test", HostError::Port),
            ("allowed.test:", HostError::Port),
            ("allowed.test:0", HostError::Port),
            ("allowed.test:0443", HostError::Port),
            ("allowed.test:+443", HostError::Port),
            ("allowed.test:443:443", HostError::Port),
            ("allowed.test:65536", HostError::Port),
        ] {
            assert_eq!(Place::parse(text, None), Err(error), "{text:?}");
        }
        let long = "a.".repeat(127) + "b";
        assert_eq!(Host::parse(&long), Err(HostError::TooLong));
        assert_eq!(Host::parse(&"a".repeat(64)), Err(HostError::TooLong));
    }

    #[test]
    fn a_list_allows_the_true_name_only() {
        let allowed = |entry: &str, asked: &str| {
            let entry: Allowed = entry.parse().expect(entry);
            assert_eq!(entry.to_string().parse(), Ok(entry.clone()));
            entry.allows(&place(asked))
        };
        assert!(allowed("example.com", "EXAMPLE.com:443"));
        assert!(allowed("example.com", "example.com:80"));
        assert!(!allowed("example.com", "example.com:8443"));
        assert!(!allowed("example.com", "a.example.com:443"));
        assert!(!allowed("example.com", "example.com.evil.test:443"));
        assert!(allowed("example.com:8443", "example.com:8443"));
        assert!(!allowed("example.com:8443", "example.com:443"));
        assert!(allowed("*.allowed.test", "a.allowed.test:443"));
        assert!(allowed("*.allowed.test", "a.b.allowed.test:443"));
        assert!(!allowed("*.allowed.test", "allowed.test:443"));
        assert!(!allowed("*.allowed.test", "evilallowed.test:443"));
        assert!(!allowed("*.allowed.test", "allowed.test.evil.test:443"));
        assert!(!allowed("xn--bcher-kva.example", "bcher.example:443"));
        assert!(allowed("192.0.2.7", "192.0.2.7:80"));
        assert!(!allowed("192.0.2.7", "192.0.2.70:80"));
        for bad in [
            "",
            "*",
            "*.",
            "*.com",
            "*.*.example.com",
            "a.*.example.com",
            "*example.com",
            "https://example.com",
            "example.com/x",
            "*.192.0.2.1",
            "example.com:*",
            "1.2",
            "ex\u{e4}mple.com",
            "example.com.",
        ] {
            assert!(bad.parse::<Allowed>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn only_what_is_known_to_be_public_is() {
        let of = |text: &str| Reach::of(text.parse().expect(text));
        for public in [
            "1.1.1.1",
            "8.8.8.8",
            "172.32.0.1",
            "100.128.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
        ] {
            assert_eq!(of(public), Reach::Public, "{public}");
        }
        for private in [
            "127.0.0.1",
            "127.255.0.9",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "::1",
            "fd12::1",
            "::ffff:10.0.0.1",
            "64:ff9b::10.0.0.1",
        ] {
            assert!(matches!(of(private), Reach::Private(_)), "{private}");
        }
        for never in [
            "0.0.0.0",
            "169.254.169.254",
            "168.63.129.16",
            "100.100.100.200",
            "192.0.0.192",
            "198.18.0.1",
            "203.0.113.9",
            "224.0.0.1",
            "255.255.255.255",
            "240.0.0.1",
            "::",
            "fe80::1",
            "ff02::1",
            "fd00:ec2::254",
            "2002:7f00:1::1",
            "2001::1",
            "2001:db8::1",
            "::ffff:169.254.169.254",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::1",
            "::7f00:1",
            "fec0::1",
            "4000::1",
        ] {
            assert!(matches!(of(never), Reach::Never(_)), "{never}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        /// Whatever is accepted here another reader takes for the very same host.
        #[test]
        fn another_reader_sees_the_same_host(
            text in "[a-zA-Z0-9.\\-\\[\\]:%@#x_ \\\\/]{1,24}|(0x?[0-9a-f]{1,8}\\.?){1,5}|[a-z0-9]{1,5}(\\.[a-z0-9-]{1,5}){0,3}",
            port in 1u16..,
        ) {
            let Ok(host) = Host::parse(&text) else { return Ok(()) };
            let address = format!("http://{text}:{port}/");
            // Names of other alphabets that are none are refused there, and harmless here.
            let Ok(url) = url::Url::parse(&address) else {
                prop_assert!(text.to_ascii_lowercase().contains("xn--"), "{}", text);
                return Ok(());
            };
            let shown = host.to_string();
            prop_assert_eq!(url.host_str(), Some(shown.as_str()));
            prop_assert_eq!(url.port_or_known_default(), Some(port));
            prop_assert_eq!(url.username(), "");
            let again = Place::parse(&format!("{text}:{port}"), None).expect("a place");
            prop_assert_eq!(again, Place { host, port });
        }

        #[test]
        fn nothing_makes_it_panic(text in "\\PC{0,40}") {
            Place::parse(&text, Some(443)).ok();
            text.parse::<Allowed>().ok();
        }
    }
}
