//! Networks in CIDR notation.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A network such as `10.0.0.0/8` or `fd00::/8`; a bare address is the network of that one address.
///
/// Bits beyond the prefix must be zero, so that a slip of the pen is an error.
/// Source: RFC 4632, section 3.1; RFC 4291, section 2.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// The IPv4 network of `octets` and `prefix` (at most 32).
    pub(crate) const fn v4(octets: [u8; 4], prefix: u8) -> Self {
        let [a, b, c, d] = octets;
        Self { address: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), prefix }
    }

    /// The IPv6 network of the first three groups and `prefix` (at most 48).
    pub(crate) const fn v6([one, two, three]: [u16; 3], prefix: u8) -> Self {
        Self { address: IpAddr::V6(Ipv6Addr::new(one, two, three, 0, 0, 0, 0, 0)), prefix }
    }

    /// The network of one IPv6 address.
    pub(crate) const fn one(address: Ipv6Addr) -> Self {
        Self { address: IpAddr::V6(address), prefix: 128 }
    }

    /// Whether `address` is in this network. Families never mix.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let mask = mask(u32::MAX.into(), 32, self.prefix);
                u128::from(network.to_bits()) == u128::from(address.to_bits()) & mask
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                network.to_bits() == address.to_bits() & mask(u128::MAX, 128, self.prefix)
            }
            _ => false,
        }
    }
}

/// The bits of `all`, which is `width` bits wide, that a prefix covers.
fn mask(all: u128, width: u8, prefix: u8) -> u128 {
    let host_bits = u32::from(width.saturating_sub(prefix));
    all & !(1_u128.checked_shl(host_bits).unwrap_or(0).wrapping_sub(1))
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, prefix) =
            text.split_once('/').map_or((text, None), |(left, right)| (left, Some(right)));
        let error = || {
            format!("{text:?} is not a network: write an address and a prefix, such as 10.0.0.0/8")
        };
        let address: IpAddr = address.parse().map_err(|_| error())?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => width,
            Some(digits) => digits
                .parse::<u8>()
                .ok()
                .filter(|prefix| *prefix <= width && !digits.starts_with('+'))
                .ok_or_else(error)?,
        };
        let network = Self { address, prefix };
        if network.contains(address) {
            Ok(network)
        } else {
            Err(format!(
                "{text:?} has bits set beyond its prefix: write the first address of the network"
            ))
        }
    }
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(network: &str, inside: &str, outside: &str) {
        let network: Network = network.parse().unwrap();
        assert!(network.contains(inside.parse().unwrap()), "{inside}");
        assert!(!network.contains(outside.parse().unwrap()), "{outside}");
    }

    #[test]
    fn holds_the_addresses_of_its_prefix() {
        check("10.0.0.0/8", "10.255.255.255", "11.0.0.0");
        check("192.0.2.7", "192.0.2.7", "192.0.2.8");
        check("0.0.0.0/0", "255.1.2.3", "::1");
        check("::/0", "fe80::1", "127.0.0.1");
        check("fc00::/7", "fdff::1", "fe00::");
        check("2001:db8::/32", "2001:db8:ffff::", "2001:db9::");
    }

    #[test]
    fn refuses_what_is_not_a_network() {
        for text in [
            "",
            "10/8",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.1/8",
            "010.0.0.0/8",
            "0x7f.0.0.1",
            "10.0.0.0/+8",
            "fe80::1%eth0/64",
        ] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
        assert_eq!("fd00::/8".parse::<Network>().unwrap().to_string(), "fd00::/8");
    }
}
