//! Public prefixes: from where the coordinator sees an agent.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

/// A public /24 of IPv4 or /48 of IPv6: what one site usually has, and what the network of the world
/// routes as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Prefix {
    /// The first three octets of an IPv4 address.
    V4([u8; 3]),
    /// The first three groups of an IPv6 address.
    V6([u16; 3]),
}

impl Prefix {
    /// The prefix of an address; `None` if it says nothing of a place.
    ///
    /// Over loopback all agents are on the coordinator's machine, as in a demonstration. Private
    /// addresses, those of carriers' translators (100.64.0.0/10) and link-local ones are the same in
    /// many networks: agents that come through one tunnel, container bridge or load balancer have
    /// them in common, wherever they are.
    pub fn public(address: IpAddr) -> Option<Self> {
        match address.to_canonical() {
            IpAddr::V4(address) => {
                let [a, b, c, _] = address.octets();
                let is_shared = a == 100 && b & 0b1100_0000 == 64;
                let is_public = !address.is_loopback()
                    && !address.is_private()
                    && !address.is_link_local()
                    && !address.is_unspecified()
                    && !is_shared;
                is_public.then_some(Self::V4([a, b, c]))
            }
            IpAddr::V6(address) => {
                let [a, b, c, ..] = address.segments();
                let is_public = !address.is_loopback()
                    && !address.is_unique_local()
                    && !address.is_unicast_link_local()
                    && !address.is_unspecified();
                is_public.then_some(Self::V6([a, b, c]))
            }
        }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::V4([a, b, c]) => write!(f, "{}/24", Ipv4Addr::new(a, b, c, 0)),
            Self::V6([a, b, c]) => write!(f, "{}/48", Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_say_where_somebody_is() {
        let of = |text: &str| {
            Prefix::public(text.parse().unwrap()).map_or_else(|| "-".into(), |p| p.to_string())
        };
        assert_eq!(of("198.51.100.7"), "198.51.100.0/24");
        assert_eq!(of("::ffff:198.51.100.7"), "198.51.100.0/24");
        assert_eq!(of("2001:db8:7:8::9"), "2001:db8:7::/48");
        assert_eq!(of("100.63.1.2"), "100.63.1.0/24");
        for none in [
            "127.0.0.1",
            "::1",
            "10.1.2.3",
            "172.31.0.1",
            "192.168.0.1",
            "169.254.1.1",
            "100.64.0.1",
            "100.127.255.255",
            "0.0.0.0",
            "fd00::1",
            "fe80::1",
            "::",
            "::ffff:10.0.0.1",
        ] {
            assert_eq!(of(none), "-", "{none}");
        }
    }
}
