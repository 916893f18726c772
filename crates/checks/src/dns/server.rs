//! Which name server is asked, and over what.

use std::fmt;
use std::net::IpAddr;

use url::Url;

use crate::Policy;
use crate::connect::{Endpoint, bare};

/// The port of DNS over UDP and TCP. Source: RFC 1035, section 4.2.
const PLAIN_PORT: u16 = 53;
/// The port of DNS over TLS. Source: RFC 7858, section 3.1.
const TLS_PORT: u16 = 853;

/// A name server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Server {
    /// Those of the agent's own machine.
    Own,
    /// Over UDP, and over TCP when the answer does not fit.
    Udp(Endpoint),
    /// Over TCP alone.
    Tcp(Endpoint),
    /// Over TLS. Source: RFC 7858.
    Tls(Endpoint),
    /// Over HTTPS. Source: RFC 8484.
    Https(Url),
}

impl Server {
    /// Reads `system`, `1.1.1.1`, `ns1.example.com:5353`, `tcp://1.1.1.1`, `tls://dns.example` or
    /// `https://dns.example/dns-query`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("udp", text));
        match scheme {
            _ if text == "system" => Ok(Self::Own),
            "udp" => endpoint(rest, PLAIN_PORT).map(Self::Udp),
            "tcp" => endpoint(rest, PLAIN_PORT).map(Self::Tcp),
            "tls" => endpoint(rest, TLS_PORT).map(Self::Tls),
            "https" => match Url::parse(text) {
                Ok(url) if url.username().is_empty() && url.password().is_none() => {
                    Ok(Self::Https(url))
                }
                Ok(_) => Err("a resolver takes no user and no password".to_owned()),
                Err(error) => Err(format!("{text:?} is not a URL ({error})")),
            },
            other => Err(format!(
                "unknown scheme {other:?}: write an address, or udp://, tcp://, tls:// or https://"
            )),
        }
    }

    /// What a policy forbids before any name is resolved. The agent's own is always allowed.
    pub(super) fn refused_by(&self, policy: &Policy) -> Option<String> {
        self.endpoint()?.refused_by(policy)
    }

    /// Where it is; `None` for the agent's own.
    pub(super) fn endpoint(&self) -> Option<Endpoint> {
        match self {
            Self::Own => None,
            Self::Udp(endpoint) | Self::Tcp(endpoint) | Self::Tls(endpoint) => {
                Some(endpoint.clone())
            }
            Self::Https(url) => {
                let host = bare(&url.host()?);
                Some(Endpoint { host, port: url.port_or_known_default()? })
            }
        }
    }

    /// Whether it is reached over TLS.
    pub(super) fn is_encrypted(&self) -> bool {
        matches!(self, Self::Tls(_) | Self::Https(_))
    }
}

/// Reads `host`, `host:port`, `address` or `[address]:port`.
fn endpoint(text: &str, port: u16) -> Result<Endpoint, String> {
    let bracketed = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    if let Ok(address) = bracketed.unwrap_or(text).parse::<IpAddr>() {
        return Ok(Endpoint { host: address.to_string(), port });
    }
    if text.contains(':') {
        return Endpoint::parse(text);
    }
    Endpoint::parse(&format!("{text}:{port}"))
        .map_err(|_| format!("{text:?} is no name server: write an address or a name"))
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own => f.write_str("the agent's own resolver"),
            Self::Udp(endpoint) => endpoint.fmt(f),
            Self::Tcp(endpoint) => write!(f, "tcp://{endpoint}"),
            Self::Tls(endpoint) => write!(f, "tls://{endpoint}"),
            Self::Https(url) => url.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn reads(text: &str, shown: &str) {
        assert_eq!(Server::parse(text).unwrap().to_string(), shown);
    }

    #[test]
    fn reads_every_way_of_reaching_a_server() {
        reads("system", "the agent's own resolver");
        reads("1.1.1.1", "1.1.1.1:53");
        reads("ns1.example.com", "ns1.example.com:53");
        reads("2606:4700::1111", "[2606:4700::1111]:53");
        reads("[2606:4700::1111]:5353", "[2606:4700::1111]:5353");
        reads("udp://1.1.1.1:5353", "1.1.1.1:5353");
        reads("tcp://1.1.1.1", "tcp://1.1.1.1:53");
        reads("tls://dns.example", "tls://dns.example:853");
        reads("https://dns.example/dns-query", "https://dns.example/dns-query");
        for text in
            ["", "a b", "http://dns.example/", "https://", "https://u:p@dns.example/", "x:0"]
        {
            assert!(Server::parse(text).is_err(), "{text}");
        }
    }
}
