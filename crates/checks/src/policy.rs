//! What this agent may contact. No message from a coordinator can widen it.
//!
//! The judgement is about the address that would be connected to, never about a name, so neither
//! rebinding nor an odd way of writing an address gets around it. IPv4 addresses that travel inside
//! IPv6 ones are taken out and judged again. It is asked anew at each hop of a redirect.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use serde::{Deserialize, Serialize};

use crate::Network;

/// The local policy of an agent: by default public unicast addresses only, the methods GET, HEAD,
/// OPTIONS and POST, and every port but 25.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// Networks that may be contacted although they are not public.
    pub allow: Vec<Network>,
    /// Networks that must not be contacted, whatever `allow` says: the coordinators, for example.
    pub deny: Vec<Network>,
    /// Whether the metadata services of clouds may be contacted, where the rest of the policy
    /// allows it. They hand out credentials.
    pub allow_metadata: bool,
    /// HTTP methods that may be used, in upper case.
    pub methods: BTreeSet<String>,
    /// TCP ports that must not be contacted.
    pub denied_ports: BTreeSet<u16>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            deny: Vec::new(),
            allow_metadata: false,
            methods: ["GET", "HEAD", "OPTIONS", "POST"].map(str::to_owned).into(),
            denied_ports: [25].into(),
        }
    }
}

impl Policy {
    /// The default policy, opened for `networks`.
    pub fn allowing(networks: impl IntoIterator<Item = Network>) -> Self {
        Self { allow: networks.into_iter().collect(), ..Self::default() }
    }

    /// Judges an address that would be connected to. An error is a clause that names the rule and
    /// says what to do.
    pub fn judge(&self, address: IpAddr) -> Result<(), String> {
        self.judge_listed(address)?;
        let inner = embedded(address).unwrap_or(address);
        if !self.allows(inner) && is_own(inner) {
            return Err(format!("{inner} is an address of this agent's own machine"));
        }
        Ok(())
    }

    /// Judges an address by the lists alone, without asking the machine for its own addresses.
    fn judge_listed(&self, address: IpAddr) -> Result<(), String> {
        if let Some(network) = self.deny.iter().find(|network| network.contains(address)) {
            return Err(format!("{address} is in the denied network {network}"));
        }
        if let Some(inner) = embedded(address) {
            return self
                .judge_listed(inner)
                .map_err(|reason| format!("{address} leads to {inner}; {reason}"));
        }
        if !self.allow_metadata && METADATA.contains(&address) {
            return Err(format!("{address} is a metadata service (open it with allow_metadata)"));
        }
        if self.allows(address) {
            return Ok(());
        }
        match CLOSED.iter().find(|(network, _)| network.contains(address)) {
            Some((network, name)) => {
                Err(format!("{address} is in {network}, {name} (open it with allow)"))
            }
            None if address.is_ipv6() && !GLOBAL_UNICAST.contains(address) => Err(format!(
                "{address} is not in {GLOBAL_UNICAST}, the public networks (open it with allow)"
            )),
            None => Ok(()),
        }
    }

    fn allows(&self, address: IpAddr) -> bool {
        self.allow.iter().any(|network| network.contains(address))
    }

    /// Judges a TCP port.
    pub fn judge_port(&self, port: u16) -> Result<(), String> {
        if self.denied_ports.contains(&port) {
            Err(format!("port {port} is denied (see denied_ports)"))
        } else {
            Ok(())
        }
    }

    /// Judges an HTTP method.
    pub fn judge_method(&self, method: &str) -> Result<(), String> {
        if self.methods.contains(method) {
            Ok(())
        } else {
            Err(format!("method {method} is not allowed (see methods)"))
        }
    }
}

/// The IPv4 address inside an IPv6 address that only carries it.
///
/// Source: RFC 4291, section 2.5.5 (compatible and mapped); RFC 6052, section 2.1 (translated);
/// RFC 3056, section 2 (6to4).
fn embedded(address: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(address) = address else {
        return None;
    };
    let inner = match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => return None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => (u32::from(high) << 16) | u32::from(low),
        _ => return None,
    };
    Some(IpAddr::V4(Ipv4Addr::from_bits(inner)))
}

/// Whether `address` belongs to one of this machine's interfaces: the kernel then answers from the
/// address itself. No packet is sent. False if the kernel has no route.
fn is_own(address: IpAddr) -> bool {
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let source = || {
        let socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
        socket.connect(SocketAddr::new(address, 9))?;
        socket.local_addr()
    };
    source().is_ok_and(|source| source.ip() == address)
}

/// Addresses where clouds hand credentials to machines.
const METADATA: [IpAddr; 5] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

/// Where all public unicast addresses of IPv6 are. Source: RFC 4291, section 2.4.
const GLOBAL_UNICAST: Network = Network::v6([0x2000, 0, 0], 3);

/// Networks that are not public unicast. Source: IANA special-purpose address registries
/// (RFC 6890), and RFC 5771, RFC 4291 for multicast.
const CLOSED: [(Network, &str); 26] = [
    (Network::v4([0, 0, 0, 0], 8), "\"this network\""),
    (Network::v4([10, 0, 0, 0], 8), "a private network"),
    (Network::v4([100, 64, 0, 0], 10), "shared by carriers"),
    (Network::v4([127, 0, 0, 0], 8), "loopback"),
    (Network::v4([169, 254, 0, 0], 16), "link-local"),
    (Network::v4([172, 16, 0, 0], 12), "a private network"),
    (Network::v4([192, 0, 0, 0], 24), "reserved for protocols"),
    (Network::v4([192, 0, 2, 0], 24), "for documentation"),
    (Network::v4([192, 88, 99, 0], 24), "of 6to4 relays"),
    (Network::v4([192, 168, 0, 0], 16), "a private network"),
    (Network::v4([198, 18, 0, 0], 15), "for benchmarks"),
    (Network::v4([198, 51, 100, 0], 24), "for documentation"),
    (Network::v4([203, 0, 113, 0], 24), "for documentation"),
    (Network::v4([224, 0, 0, 0], 4), "multicast"),
    (Network::v4([240, 0, 0, 0], 4), "reserved"),
    (Network::one(Ipv6Addr::UNSPECIFIED), "unspecified"),
    (Network::one(Ipv6Addr::LOCALHOST), "loopback"),
    (Network::v6([0x64, 0xff9b, 1], 48), "a private translation network"),
    (Network::v6([0x100, 0, 0], 64), "for discarding"),
    (Network::v6([0x2001, 0, 0], 23), "reserved for protocols"),
    (Network::v6([0x2001, 0xdb8, 0], 32), "for documentation"),
    (Network::v6([0x3fff, 0, 0], 20), "for documentation"),
    (Network::v6([0xfc00, 0, 0], 7), "a private network"),
    (Network::v6([0xfe80, 0, 0], 10), "link-local"),
    (Network::v6([0xfec0, 0, 0], 10), "site-local"),
    (Network::v6([0xff00, 0, 0], 8), "multicast"),
];

#[cfg(test)]
mod tests;
