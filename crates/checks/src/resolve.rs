//! From names to addresses.

use std::borrow::Cow;
use std::io;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use quorate_model::{Phase, Reason};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::Value;

use crate::connect::{exhausted, is_exhausted};
use crate::phase::Stop;

/// The most addresses of one answer that are looked at and reported.
const ADDRESSES_MAX: usize = 16;

/// The address family to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(try_from = "Value")]
pub(crate) enum IpFamily {
    /// IPv4 if the name has such an address, else IPv6.
    #[default]
    Any,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}

impl JsonSchema for IpFamily {
    fn schema_name() -> Cow<'static, str> {
        "IpFamily".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"enum": ["any", "4", "6", 4, 6]})
    }
}

impl TryFrom<Value> for IpFamily {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        match text.as_str() {
            "any" => Ok(Self::Any),
            "4" => Ok(Self::V4),
            "6" => Ok(Self::V6),
            _ => Err(format!("{text} is not one of any, 4, 6")),
        }
    }
}

impl IpFamily {
    /// Whether `address` is of this family.
    pub(crate) fn holds(self, address: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
        }
    }

    /// For messages: `no IPv4 address`.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Any => "address",
            Self::V4 => "IPv4 address",
            Self::V6 => "IPv6 address",
        }
    }
}

/// The machine's resolver: name servers and search list of `/etc/resolv.conf`, and `/etc/hosts`,
/// both read once. Nothing is cached, so that each probe measures a lookup.
#[derive(Clone)]
pub struct Resolver {
    any: TokioResolver,
    v4: TokioResolver,
    v6: TokioResolver,
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

impl Resolver {
    /// Reads the system's configuration. Without `/etc/resolv.conf` the name server is 127.0.0.1,
    /// as for the C library.
    pub fn system() -> Result<Self, NetError> {
        let (config, options) = match hickory_resolver::system_conf::read_system_conf() {
            Ok(read) => read,
            Err(NetError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
                let server = NameServerConfig::udp_and_tcp(Ipv4Addr::LOCALHOST.into());
                let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
                (config, ResolverOpts::default())
            }
            Err(error) => return Err(error),
        };
        Self::with(&config, &options)
    }

    /// With these name servers.
    fn with(config: &ResolverConfig, options: &ResolverOpts) -> Result<Self, NetError> {
        let build = |strategy| {
            let mut options = options.clone();
            options.cache_size = 0;
            options.ip_strategy = strategy;
            TokioResolver::builder_with_config(config.clone(), TokioRuntimeProvider::default())
                .with_options(options)
                .build()
        };
        Ok(Self {
            any: build(LookupIpStrategy::Ipv4thenIpv6)?,
            v4: build(LookupIpStrategy::Ipv4Only)?,
            v6: build(LookupIpStrategy::Ipv6Only)?,
        })
    }

    /// The addresses of `name`, in the order of the answer: at least one, at most 16.
    pub(crate) async fn addresses(
        &self,
        name: &str,
        family: IpFamily,
    ) -> Result<Vec<IpAddr>, Stop> {
        let resolver = match family {
            IpFamily::Any => &self.any,
            IpFamily::V4 => &self.v4,
            IpFamily::V6 => &self.v6,
        };
        match resolver.lookup_ip(name).await {
            Ok(found) => {
                let addresses: Vec<_> = found
                    .iter()
                    .filter(|address| family.holds(*address))
                    .take(ADDRESSES_MAX)
                    .collect();
                if addresses.is_empty() { Err(no_address(name, family)) } else { Ok(addresses) }
            }
            Err(error) => Err(failed(name, family, &error)),
        }
    }
}

fn no_address(name: &str, family: IpFamily) -> Stop {
    Stop::fail(Phase::Dns, Reason::NoAddress, format!("{name} has no {}", family.words()))
}

/// Tells a name that does not exist from one without such an address, and both from a resolver
/// that fails.
fn failed(name: &str, family: IpFamily, error: &NetError) -> Stop {
    let code = if let NetError::Dns(DnsError::NoRecordsFound(nothing)) = error {
        Some(nothing.response_code)
    } else if let NetError::Dns(DnsError::ResponseCode(code)) = error {
        Some(*code)
    } else {
        None
    };
    if code == Some(ResponseCode::NXDomain) {
        let message = format!("{name} does not exist (NXDOMAIN)");
        return Stop::fail(Phase::Dns, Reason::NameNotFound, message);
    }
    if code == Some(ResponseCode::NoError) {
        return no_address(name, family);
    }
    if let Some(code) = code {
        let message = format!("the resolver answered {code} for {name}");
        return Stop::fail(Phase::Dns, Reason::DnsFailed, message);
    }
    // The resolver's error does not say why it could ask nobody.
    if let Err(error) = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))
        && is_exhausted(&error)
    {
        return exhausted(&format!("lookup of {name}"), &error);
    }
    Stop::fail(Phase::Dns, Reason::DnsFailed, format!("cannot resolve {name}: {error}"))
}

#[cfg(test)]
mod tests;
