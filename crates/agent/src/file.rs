//! The agent's own configuration file: where it goes, how it gets out, and what it may contact.
//!
//! What stands here is up to whoever runs the agent's machine. No coordinator can change it.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io;
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use quorate_checks::{Egress, Network, Policy};
use quorate_runtime::telemetry::Format;
use quorate_yaml::{Document, Problem};
use serde::de::Visitor;
use serde::{Deserialize, Deserializer};

use crate::Limits;

/// Where the file is unless somebody says otherwise.
pub const DEFAULT_PATH: &str = "/etc/quorate/agent.yaml";
/// Cloudflare's and Google's, which the coordinator's default anchors contact anyway.
const PUBLIC_RESOLVERS: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(1, 1, 1, 1)), IpAddr::V4(Ipv4Addr::new(8, 8, 8, 8))];
/// The port of name servers. Source: RFC 1035, section 4.2.
const DNS_PORT: u16 = 53;
/// The largest file that is read, in bytes.
const BYTES_MAX: u64 = 1 << 20;

/// What the file says, with the defaults for what it does not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentFile {
    /// `host:port` of the coordinators; empty: those of the join bundle.
    pub coordinators: Vec<String>,
    /// The state folder.
    pub state: PathBuf,
    /// The way out.
    pub egress: Egress,
    /// The name servers to ask when the system's resolver is in trouble.
    pub second_resolver: Vec<SocketAddr>,
    /// What the agent may contact.
    pub policy: Policy,
    /// How much it does at most.
    pub limits: Limits,
    /// How logs are written.
    pub log_format: Format,
    /// Which logs are written.
    pub log_filter: String,
}

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is too long.
    #[error("{} has more than {BYTES_MAX} bytes: this is not an agent's configuration", path.display())]
    TooLong {
        /// Which file.
        path: PathBuf,
    },
    /// Something in it is wrong.
    #[error("{}", listed(problems))]
    Wrong {
        /// Everything that is.
        problems: Vec<Problem>,
    },
}

fn listed(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

impl AgentFile {
    /// Reads the file at `path`, or at the default place, where it may be absent.
    pub fn load(path: Option<&Path>) -> Result<Self, FileError> {
        let place = path.unwrap_or_else(|| Path::new(DEFAULT_PATH));
        let read = || {
            if fs::metadata(place)?.len() > BYTES_MAX {
                return Ok(None);
            }
            fs::read_to_string(place).map(Some)
        };
        match read() {
            Ok(Some(text)) => Self::parse(&place.display().to_string(), &text)
                .map_err(|problems| FileError::Wrong { problems }),
            Ok(None) => Err(FileError::TooLong { path: place.to_owned() }),
            Err(error) if path.is_none() && error.kind() == io::ErrorKind::NotFound => {
                Ok(Raw::default().resolve())
            }
            Err(source) => Err(FileError::Read { path: place.to_owned(), source }),
        }
    }

    /// Reads a text, or says everything that is wrong with it. `name` is its name in problems.
    pub fn parse(name: &str, text: &str) -> Result<Self, Vec<Problem>> {
        let document = Document::parse(name, text)?;
        if document.is_empty() {
            return Ok(Raw::default().resolve());
        }
        document.read::<Raw>().map(Raw::resolve)
    }
}

/// The file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Raw {
    coordinators: Vec<Written<HostPort>>,
    state: PathBuf,
    egress: Written<RawEgress>,
    resolver: RawResolver,
    policy: RawPolicy,
    log: RawLog,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawResolver {
    second: Option<Vec<Written<NameServer>>>,
}

impl Default for Raw {
    fn default() -> Self {
        Self {
            coordinators: Vec::new(),
            state: PathBuf::from("/var/lib/quorate-agent"),
            egress: Written(RawEgress(Egress::Direct)),
            resolver: RawResolver::default(),
            policy: RawPolicy::default(),
            log: RawLog::default(),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawPolicy {
    allow: Vec<Written<Network>>,
    deny: Vec<Written<Network>>,
    allow_metadata: bool,
    methods: BTreeSet<Written<Method>>,
    ports_denied: BTreeSet<u16>,
    rate: Written<PerSecond>,
    rate_per_address: Written<PerSecond>,
    in_flight: Written<Places>,
}

impl Default for RawPolicy {
    fn default() -> Self {
        let (policy, limits) = (Policy::default(), Limits::default());
        Self {
            allow: Vec::new(),
            deny: Vec::new(),
            allow_metadata: policy.allow_metadata,
            methods: policy.methods.into_iter().map(|method| Written(Method(method))).collect(),
            ports_denied: policy.denied_ports,
            rate: Written(PerSecond(limits.rate)),
            rate_per_address: Written(PerSecond(limits.rate_per_address)),
            in_flight: Written(Places(limits.in_flight)),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawLog {
    format: RawFormat,
    filter: String,
}

impl Default for RawLog {
    fn default() -> Self {
        Self { format: RawFormat::Text, filter: "info".to_owned() }
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawFormat {
    Text,
    Json,
}

/// A value with a text form. Read within the text's own node, so that a problem has its place.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Written<T>(T);

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Written<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Reader(PhantomData))
    }
}

struct Reader<T>(PhantomData<T>);

impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for Reader<T> {
    type Value = Written<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Written<T>, E> {
        text.parse().map(Written).map_err(E::custom)
    }
}

/// `host:port`.
#[derive(Debug)]
struct HostPort(String);

impl FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.rsplit_once(':');
        let good = parts.is_some_and(|(host, port)| {
            let host =
                host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
            !host.is_empty()
                && !host.contains(['/', ' '])
                && port.parse::<u16>().is_ok_and(|port| port > 0)
        });
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!(
                "{text:?} is not an address: write host:port, such as coordinator.example.com:7444"
            ))
        }
    }
}

/// An address, or one with a port other than that of DNS.
#[derive(Debug)]
struct NameServer(SocketAddr);

impl FromStr for NameServer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let alone = text.parse().map(|address: IpAddr| SocketAddr::new(address, DNS_PORT));
        alone.or_else(|_| text.parse()).map(Self).map_err(|_| {
            format!("{text:?} is not a name server: write its address, such as 192.0.2.53")
        })
    }
}

/// `direct`, `socks5://address:port` or `http://address:port`.
#[derive(Debug)]
struct RawEgress(Egress);

impl FromStr for RawEgress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let proxy = |text: &str| text.trim_end_matches('/').parse::<SocketAddr>().ok();
        let egress = match text.split_once("://") {
            None if text == "direct" => Some(Egress::Direct),
            Some(("socks5", address)) => proxy(address).map(Egress::Socks5),
            Some(("http", address)) => proxy(address).map(Egress::HttpConnect),
            None | Some(_) => None,
        };
        egress.map(Self).ok_or_else(|| {
            format!(
                "{text:?} is not a way out: write direct, socks5://ADDRESS:PORT or \
                 http://ADDRESS:PORT, with an IP address"
            )
        })
    }
}

/// An HTTP method in upper case. Source: RFC 9110, section 9.1.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Method(String);

impl FromStr for Method {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let good = (1..=16).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_uppercase());
        good.then(|| Self(text.to_owned()))
            .ok_or_else(|| format!("{text:?} is not a method: write it in upper case, such as GET"))
    }
}

/// A rate: 1 to 10,000 a second.
#[derive(Debug)]
struct PerSecond(u32);

impl FromStr for PerSecond {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rate = text.parse().ok().filter(|rate| (1..=10_000).contains(rate));
        rate.map(Self).ok_or_else(|| format!("{text:?} is not a rate: 1 to 10000 probes a second"))
    }
}

/// How many probes at once: 2 to 4,096.
#[derive(Debug)]
struct Places(usize);

impl FromStr for Places {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let places = text.parse().ok().filter(|places| (2..=4_096).contains(places));
        places
            .map(Self)
            .ok_or_else(|| format!("{text:?} is not a number of probes at once: 2 to 4096"))
    }
}

/// The second resolver unless the file names one: two public ones, but only for an agent that goes
/// out directly, probes public targets only, and may contact them. Others may know names that are
/// nobody's business, or must not leave by another way than their egress.
fn public_resolvers(egress: &Egress, policy: &Policy) -> Vec<SocketAddr> {
    let is_private = *egress != Egress::Direct || !policy.allow.is_empty();
    let servers = PUBLIC_RESOLVERS.into_iter().filter(|server| {
        !is_private && policy.judge(*server).is_ok() && policy.judge_port(DNS_PORT).is_ok()
    });
    servers.map(|server| SocketAddr::new(server, DNS_PORT)).collect()
}

impl Raw {
    fn resolve(self) -> AgentFile {
        let policy = self.policy;
        let limits = Limits {
            rate: policy.rate.0.0,
            rate_per_address: policy.rate_per_address.0.0,
            in_flight: policy.in_flight.0.0,
            reserved: policy.in_flight.0.0 / 4,
            ..Limits::default()
        };
        let egress = self.egress.0.0;
        let written = self.resolver.second;
        let policy = Policy {
            allow: policy.allow.into_iter().map(|network| network.0).collect(),
            deny: policy.deny.into_iter().map(|network| network.0).collect(),
            allow_metadata: policy.allow_metadata,
            methods: policy.methods.into_iter().map(|method| method.0.0).collect(),
            denied_ports: policy.ports_denied,
        };
        AgentFile {
            coordinators: self.coordinators.into_iter().map(|address| address.0.0).collect(),
            state: self.state,
            second_resolver: written.map_or_else(
                || public_resolvers(&egress, &policy),
                |written| written.into_iter().map(|server| server.0.0).collect(),
            ),
            egress,
            policy,
            limits,
            log_format: match self.log.format {
                RawFormat::Text => Format::Text,
                RawFormat::Json => Format::Json,
            },
            log_filter: self.log.filter,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_not_said() {
        let file = AgentFile::parse("agent.yaml", "# nothing\n").unwrap();
        assert_eq!(file.policy, Policy::default());
        assert_eq!(file.limits, Limits::default());
        assert_eq!(file.egress, Egress::Direct);
        assert_eq!(file.state, Path::new("/var/lib/quorate-agent"));
        assert!(file.coordinators.is_empty());
    }

    #[test]
    fn reads_all_that_can_be_said() {
        let text = "
coordinators: [coordinator.example.com:7441, \"[2001:db8::1]:7441\"]
state: /srv/agent
egress: socks5://192.0.2.1:1080
resolver: { second: [192.0.2.53, \"[2001:db8::53]:5353\"] }
policy:
  allow: [10.0.0.0/8]
  deny: [10.1.0.0/16]
  allow_metadata: true
  methods: [GET]
  ports_denied: [25, 465]
  rate: 50
  rate_per_address: 2
  in_flight: 8
log: { format: json, filter: debug }
";
        let file = AgentFile::parse("agent.yaml", text).unwrap();
        assert_eq!(file.coordinators.len(), 2);
        assert_eq!(file.egress, Egress::Socks5("192.0.2.1:1080".parse().unwrap()));
        let servers = ["192.0.2.53:53", "[2001:db8::53]:5353"].map(|text| text.parse().unwrap());
        assert_eq!(file.second_resolver, servers);
        assert!(file.policy.judge("10.2.3.4".parse().unwrap()).is_ok());
        assert!(file.policy.judge("10.1.3.4".parse().unwrap()).is_err());
        assert!(file.policy.judge_method("POST").is_err());
        assert!(file.policy.judge_port(465).is_err());
        let limits = &file.limits;
        assert_eq!((limits.rate, limits.rate_per_address), (50, 2));
        assert_eq!((limits.in_flight, limits.reserved), (8, 2));
        assert_eq!((file.log_format, file.log_filter.as_str()), (Format::Json, "debug"));
    }

    #[test]
    fn every_problem_is_reported_with_its_place() {
        let text = "coordinator: [a:1]
coordinators: [nowhere]
egress: socks5://proxy.example.com:1080
resolver: { second: [dns.example.com] }
policy:
  allow: [10.0.0.1/8]
  methods: [get]
  rate: 0
  in_flight: 1
";
        let problems = AgentFile::parse("agent.yaml", text).unwrap_err();
        let lines: Vec<_> = problems.iter().map(|problem| problem.line).collect();
        assert_eq!(lines, [1, 2, 3, 4, 6, 7, 8, 9], "{}", listed(&problems));
        assert!(problems[0].to_string().starts_with("agent.yaml:1:1: "), "{}", problems[0]);
    }

    #[test]
    fn names_go_to_public_resolvers_only_where_nothing_is_private() {
        let second = |text: &str| {
            let servers = AgentFile::parse("agent.yaml", text).unwrap().second_resolver;
            servers.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(second("state: /srv\n"), ["1.1.1.1:53", "8.8.8.8:53"]);
        for none in [
            "egress: socks5://192.0.2.1:1080\n",
            "policy: { allow: [10.0.0.0/8] }\n",
            "policy: { ports_denied: [53] }\n",
            "resolver: { second: [] }\n",
        ] {
            assert_eq!(second(none), [""; 0], "{none}");
        }
        assert_eq!(second("policy: { deny: [1.1.1.0/24] }\n"), ["8.8.8.8:53"]);
        let named = "egress: http://192.0.2.1:80\nresolver: { second: [10.0.0.53] }\n";
        assert_eq!(second(named), ["10.0.0.53:53"]);
    }

    #[test]
    fn a_file_that_was_named_must_be_there() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("agent.yaml");
        assert!(AgentFile::load(Some(&path)).is_err());
        fs::write(&path, "state: /srv/agent\n").unwrap();
        assert_eq!(AgentFile::load(Some(&path)).unwrap().state, Path::new("/srv/agent"));
    }
}
