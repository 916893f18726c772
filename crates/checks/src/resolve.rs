//! From names to addresses.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use quorate_model::{Outcome, Phase, Reason, ResolverUse};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::Value;

use crate::connect::{Endpoint, exhausted, is_exhausted};
use crate::phase::Stop;
use crate::registry::Families;

/// The most addresses of one answer that are looked at and reported.
const ADDRESSES_MAX: usize = 16;
/// The longest that the first resolver is waited for before the second one is asked.
const SECOND_AFTER_MAX: Duration = Duration::from_secs(1);
/// How long the second resolver may take for one answer; it is asked twice.
const SECOND_TIMEOUT: Duration = Duration::from_secs(2);

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
    /// Like `Any`, and beside it, as evidence, the other family if the name has it.
    Both,
}

impl JsonSchema for IpFamily {
    fn schema_name() -> Cow<'static, str> {
        "IpFamily".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"enum": ["any", "4", "6", "both", 4, 6]})
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
            "both" => Ok(Self::Both),
            _ => Err(format!("{text} is not one of any, 4, 6, both")),
        }
    }
}

impl IpFamily {
    /// Whether `address` is of this family.
    pub(crate) fn holds(self, address: IpAddr) -> bool {
        match self {
            Self::Any | Self::Both => true,
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
        }
    }

    /// The families by which a probe of this endpoint can reach it.
    pub(crate) fn of(self, endpoint: &Endpoint) -> Families {
        match self {
            _ if endpoint.literal().is_some() => Families::One,
            Self::Any => Families::Any,
            Self::Both => Families::Both,
            Self::V4 | Self::V6 => Families::One,
        }
    }

    /// For messages: `no IPv4 address`.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Any | Self::Both => "address",
            Self::V4 => "IPv4 address",
            Self::V6 => "IPv6 address",
        }
    }
}

/// Where names are looked up: the machine's resolver, and a second one for when that is in trouble.
/// Nothing is cached, so that each probe measures a lookup.
#[derive(Debug, Clone)]
pub struct Resolver {
    first: Servers,
    /// Where the first one's name servers are.
    servers: Vec<SocketAddr>,
    second: Option<Servers>,
}

impl Resolver {
    /// The machine's: name servers and search list of `/etc/resolv.conf`, and `/etc/hosts`, both
    /// read once. Without `/etc/resolv.conf` the name server is 127.0.0.1, as for the C library.
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
        let servers = config.name_servers().iter().map(|server| {
            let port = server.connections.first().map_or(53, |connection| connection.port);
            SocketAddr::new(server.ip, port)
        });
        let servers = servers.collect();
        Ok(Self { first: Servers::with(&config, &options)?, servers, second: None })
    }

    /// The machine's name servers.
    pub(crate) fn servers(&self) -> &[SocketAddr] {
        &self.servers
    }

    /// The same with these name servers as the second resolver; without any if there are none.
    pub(crate) fn with_second(self, servers: &[SocketAddr]) -> Result<Self, NetError> {
        let second = (!servers.is_empty()).then(|| Servers::at(servers)).transpose()?;
        Ok(Self { second, ..self })
    }

    /// The addresses of `name`, in the order of the answer: at least one, at most 16.
    ///
    /// The second resolver is asked as soon as the first one has failed, or has been silent for
    /// `second_after`; whichever answers first with an address is right. A failure is the first
    /// one's. Notes in `used` which one it took, if not the first alone.
    pub(crate) async fn addresses(
        &self,
        name: &str,
        family: IpFamily,
        second_after: Duration,
        used: &mut Option<ResolverUse>,
    ) -> Result<Vec<IpAddr>, Stop> {
        let first = self.first.addresses(name, family);
        let Some(second) = &self.second else {
            return first.await;
        };
        let second = second.addresses(name, family);
        tokio::pin!(first, second);
        let mut failure = match tokio::time::timeout(second_after, &mut first).await {
            Ok(Err(stop)) if stop.outcome.is_fail() => Some(stop),
            Ok(found) => return found,
            Err(_) => None,
        };
        let before = used.replace(ResolverUse::Neither);
        let mut refusal: Option<Stop> = None;
        loop {
            tokio::select! {
                biased; // the first one is right if both are
                found = &mut first, if failure.is_none() => match found {
                    Ok(found) => {
                        *used = before;
                        return Ok(found);
                    }
                    Err(stop) => failure = Some(stop),
                },
                found = &mut second, if refusal.is_none() => match found {
                    Ok(found) => {
                        *used = Some(ResolverUse::Second);
                        return Ok(found);
                    }
                    Err(stop) => refusal = Some(stop),
                },
            }
            if let (Some(failure), Some(refusal)) = (&mut failure, &refusal) {
                let message =
                    format!("{}; the second resolver: {}", failure.message, refusal.message);
                return Err(Stop { message, ..failure.clone() });
            }
        }
    }
}

/// How long a probe waits for the first resolver before it asks the second one, too: well before it
/// is late itself, and longer than a resolver needs that has to look far.
pub fn second_after(timeout: Duration) -> Duration {
    (timeout / 4).min(SECOND_AFTER_MAX)
}

/// Name servers that are asked alike.
#[derive(Clone)]
struct Servers {
    v4: TokioResolver,
    v6: TokioResolver,
}

impl fmt::Debug for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Servers").finish_non_exhaustive()
    }
}

impl Servers {
    fn with(config: &ResolverConfig, options: &ResolverOpts) -> Result<Self, NetError> {
        let build = |strategy| {
            let mut options = options.clone();
            options.cache_size = 0;
            options.ip_strategy = strategy;
            TokioResolver::builder_with_config(config.clone(), TokioRuntimeProvider::default())
                .with_options(options)
                .build()
        };
        Ok(Self { v4: build(LookupIpStrategy::Ipv4Only)?, v6: build(LookupIpStrategy::Ipv6Only)? })
    }

    /// Those at these addresses, asked all at once.
    fn at(servers: &[SocketAddr]) -> Result<Self, NetError> {
        let server = |address: &SocketAddr| {
            let mut server = NameServerConfig::udp_and_tcp(address.ip());
            for connection in &mut server.connections {
                connection.port = address.port();
            }
            server
        };
        let config =
            ResolverConfig::from_parts(None, Vec::new(), servers.iter().map(server).collect());
        let mut options = ResolverOpts::default();
        options.timeout = SECOND_TIMEOUT;
        options.attempts = 2;
        options.num_concurrent_reqs = servers.len();
        Self::with(&config, &options)
    }

    /// The addresses of `name`. Of any family means IPv4 unless the name has no such address: a
    /// resolver that fails does not make a probe take another path.
    async fn addresses(&self, name: &str, family: IpFamily) -> Result<Vec<IpAddr>, Stop> {
        let resolver = if family == IpFamily::V6 { &self.v6 } else { &self.v4 };
        let found = look_up(resolver, name, family).await;
        match found {
            Err(none) if matches!(family, IpFamily::Any | IpFamily::Both) && is_absent(&none) => {
                match look_up(&self.v6, name, family).await {
                    Err(stop) if is_absent(&stop) => Err(none),
                    found => found,
                }
            }
            found => found,
        }
    }
}

async fn look_up(
    resolver: &TokioResolver,
    name: &str,
    family: IpFamily,
) -> Result<Vec<IpAddr>, Stop> {
    match resolver.lookup_ip(name).await {
        Ok(found) => {
            let addresses: Vec<_> =
                found.iter().filter(|address| family.holds(*address)).take(ADDRESSES_MAX).collect();
            if addresses.is_empty() { Err(no_address(name, family)) } else { Ok(addresses) }
        }
        Err(error) => Err(failed(name, family, &error)),
    }
}

/// Whether a resolver said that there is no such address, rather than nothing.
fn is_absent(stop: &Stop) -> bool {
    matches!(stop.outcome, Outcome::Fail { reason: Reason::NameNotFound | Reason::NoAddress, .. })
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
