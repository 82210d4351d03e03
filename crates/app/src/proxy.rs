//! The proxies in front of the server that the operator trusts.

use std::net::IpAddr;

use ipnet::IpNet;

/// Networks of proxies whose word on where a request comes from is taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies(Vec<IpNet>);

impl Proxies {
    /// Reads networks, as in `10.0.0.0/8`, and single addresses.
    ///
    /// # Errors
    /// The text that is neither.
    pub fn parse<T: AsRef<str>>(texts: &[T]) -> Result<Self, String> {
        let one = |text: &T| {
            let text = text.as_ref();
            let alone = || text.parse::<IpAddr>().map(IpNet::from);
            text.parse()
                .or_else(|_| alone())
                .map_err(|_| format!("{text:?} is no network: expected 10.0.0.0/8 or 10.0.0.1"))
        };
        texts.iter().map(one).collect::<Result<_, _>>().map(Self)
    }

    /// Whether an address is one of theirs.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_and_single_addresses() {
        let known =
            Proxies::parse(&["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"]).expect("networks");
        for (address, inside) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("11.1.2.3", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("2001:db8:1::1", true),
            ("::1", false),
        ] {
            let found = known.contains(address.parse().expect("an address"));
            assert_eq!(found, inside, "{address}");
        }
        for bad in ["", "10.0.0.0/33", "localhost", "*"] {
            assert!(Proxies::parse(&[bad]).is_err(), "{bad}");
        }
        assert!(!Proxies::default().contains(IpAddr::from([127, 0, 0, 1])));
    }
}
