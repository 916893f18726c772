//! TCP connections as every kind makes them: resolve, ask the policy, connect through the egress.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use quorate_model::{Doubt, Outcome, Phase, Reason};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::context::{Egress, Environment, ProbeContext};
use crate::phase::{Stop, Trace};
use crate::resolve::IpFamily;

/// The longest answer of an HTTP proxy to CONNECT, in bytes.
const PROXY_HEAD_BYTES_MAX: usize = 8 * 1024;

/// Where to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// A name, or an address without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Endpoint {
    /// Reads `host:port`, where an IPv6 address stands in brackets.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let error = || {
            format!(
                "{text:?} is not host:port: write a name or an address and a port, such as \
                 db.example.com:5432 or [2001:db8::1]:443"
            )
        };
        let (host, port) = text.rsplit_once(':').ok_or_else(error)?;
        let port: u16 = port
            .parse()
            .ok()
            .filter(|number| *number > 0 && !port.starts_with('+'))
            .ok_or_else(error)?;
        let host = url::Host::parse(host).map_err(|_| error())?;
        Ok(Self { host: bare(&host), port })
    }

    /// The address, if the host is one.
    pub(crate) fn literal(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// What of this endpoint a policy forbids before any name is resolved.
    pub(crate) fn refused_by(&self, policy: &crate::Policy) -> Option<String> {
        policy
            .judge_port(self.port)
            .and_then(|()| self.literal().map_or(Ok(()), |ip| policy.judge(ip)))
            .err()
    }
}

/// The host without the brackets of an IPv6 address.
pub(crate) fn bare<S: AsRef<str>>(host: &url::Host<S>) -> String {
    match host {
        url::Host::Domain(name) => name.as_ref().to_owned(),
        url::Host::Ipv4(address) => address.to_string(),
        url::Host::Ipv6(address) => address.to_string(),
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Which way a check wants its target to be reached.
#[derive(Debug, Clone, Default)]
pub(crate) struct Route {
    /// Over which addresses.
    pub(crate) family: IpFamily,
    /// Addresses for names that are not looked up.
    pub(crate) overrides: BTreeMap<String, IpAddr>,
    /// Through which proxy, if any.
    pub(crate) proxy: Option<Proxy>,
}

impl Route {
    /// What of this way to `endpoint` a policy forbids before any name is resolved.
    pub(crate) fn refused_by(&self, endpoint: &Endpoint, policy: &crate::Policy) -> Option<String> {
        let address = self.overrides.get(&endpoint.host);
        let proxy = self.proxy.as_ref();
        endpoint
            .refused_by(policy)
            .or_else(|| policy.judge(*address?).err())
            .or_else(|| proxy?.endpoint.refused_by(policy))
    }
}

/// A proxy that a check names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proxy {
    endpoint: Endpoint,
    is_socks: bool,
}

impl Proxy {
    /// Reads `http://host:port` or `socks5://host:port`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (address, is_socks) = if let Some(address) = text.strip_prefix("http://") {
            (address, false)
        } else if let Some(address) = text.strip_prefix("socks5://") {
            (address, true)
        } else {
            let message = "is neither http://host:port nor socks5://host:port";
            return Err(message.to_owned());
        };
        if address.contains('@') {
            return Err("a proxy with a user and a password cannot be used".to_owned());
        }
        let endpoint = Endpoint::parse(address.trim_end_matches('/'))?;
        Ok(Self { endpoint, is_socks })
    }

    /// Where it is, once the policy has judged that.
    async fn egress(&self, trace: &mut Trace, context: &ProbeContext) -> Result<Egress, Stop> {
        let environment = &context.environment;
        let of_proxy = |rule: String| Stop::denied(&format!("the check's proxy: {rule}"));
        environment.policy.judge_port(self.endpoint.port).map_err(of_proxy)?;
        let addresses = if let Some(address) = self.endpoint.literal() {
            vec![address]
        } else {
            trace.watch.enter(Phase::Dns);
            let (name, used) = (&self.endpoint.host, &mut None);
            let resolver = &environment.resolver;
            resolver.addresses(name, IpFamily::Any, context.second_after, used).await?
        };
        let proxy = SocketAddr::new(permitted(environment, &addresses)?, self.endpoint.port);
        Ok(if self.is_socks { Egress::Socks5(proxy) } else { Egress::HttpConnect(proxy) })
    }
}

/// Connects to one address of `endpoint`; notes phases and addresses.
pub(crate) async fn connect(
    trace: &mut Trace,
    context: &ProbeContext,
    endpoint: &Endpoint,
    family: IpFamily,
) -> Result<TcpStream, Stop> {
    connect_by(trace, context, endpoint, &Route { family, ..Route::default() }).await
}

/// The same by a way of the check's own. The policy judges the target's address, then the proxy's.
pub(crate) async fn connect_by(
    trace: &mut Trace,
    context: &ProbeContext,
    endpoint: &Endpoint,
    route: &Route,
) -> Result<TcpStream, Stop> {
    let environment = &context.environment;
    let target = locate_by(trace, context, endpoint, route).await?;
    let egress = match &route.proxy {
        None => environment.egress.clone(),
        Some(proxy) if environment.egress == Egress::Direct => proxy.egress(trace, context).await?,
        Some(_) => {
            let rule = "it goes out through a proxy of its own, so not through the check's";
            return Err(Stop::denied(rule));
        }
    };
    let whose = if route.proxy.is_some() { "the check's proxy" } else { "the egress proxy" };
    trace.watch.enter(Phase::Connect);
    let stream = match egress {
        Egress::Direct => TcpStream::connect(target)
            .await
            .map_err(|error| failed(&format!("connection to {target}"), &error))?,
        Egress::Socks5(proxy) => through((whose, proxy), target, socks5).await?,
        Egress::HttpConnect(proxy) => through((whose, proxy), target, http_connect).await?,
    };
    stream.set_nodelay(true).map_err(|error| failed(&format!("connection to {target}"), &error))?;
    Ok(stream)
}

/// The address of `endpoint` to contact, which the policy permits; notes it and those of its name.
pub(crate) async fn locate(
    trace: &mut Trace,
    context: &ProbeContext,
    endpoint: &Endpoint,
    family: IpFamily,
) -> Result<SocketAddr, Stop> {
    locate_by(trace, context, endpoint, &Route { family, ..Route::default() }).await
}

async fn locate_by(
    trace: &mut Trace,
    context: &ProbeContext,
    endpoint: &Endpoint,
    route: &Route,
) -> Result<SocketAddr, Stop> {
    let environment = &context.environment;
    environment.policy.judge_port(endpoint.port).map_err(|rule| Stop::denied(&rule))?;
    let addresses = match route.overrides.get(&endpoint.host) {
        Some(address) => vec![*address],
        None => resolve(trace, context, endpoint, route.family).await?,
    };
    let target = SocketAddr::new(permitted(environment, &addresses)?, endpoint.port);
    trace.evidence.resolved = addresses;
    trace.evidence.address = Some(target.ip());
    Ok(target)
}

async fn resolve(
    trace: &mut Trace,
    context: &ProbeContext,
    endpoint: &Endpoint,
    family: IpFamily,
) -> Result<Vec<IpAddr>, Stop> {
    let family = if context.is_other_family { IpFamily::V6 } else { family };
    let Some(address) = endpoint.literal() else {
        trace.watch.enter(Phase::Dns);
        let resolver = &context.environment.resolver;
        let used = &mut trace.evidence.resolver;
        return resolver.addresses(&endpoint.host, family, context.second_after, used).await;
    };
    if family.holds(address) {
        Ok(vec![address])
    } else {
        let message = format!("{address} is no {}", family.words());
        Err(Stop::fail(Phase::Dns, Reason::NoAddress, message))
    }
}

/// The first address that the policy permits.
fn permitted(environment: &Environment, addresses: &[IpAddr]) -> Result<IpAddr, Stop> {
    let mut refusal = None;
    for address in addresses {
        match environment.policy.judge(*address) {
            Ok(()) => return Ok(*address),
            Err(rule) => refusal = refusal.or(Some(rule)),
        }
    }
    Err(Stop::denied(refusal.as_deref().unwrap_or("no address")))
}

/// The process, or the whole machine, has no file descriptor or no memory left: EMFILE, ENFILE and
/// ENOMEM, which have these numbers on every Unix.
const USED_UP: [i32; 3] = [24, 23, 12];

/// EPERM, which only the agent's own machine says: its firewall, or the sandbox of the service. What a
/// firewall on the way says arrives as another error, over IPv6 as EACCES.
const NOT_PERMITTED: i32 = 1;

/// Whether something could not be opened because the agent has used up its own means: descriptors,
/// memory, or local ports.
pub fn is_exhausted(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable
        || error.raw_os_error().is_some_and(|number| USED_UP.contains(&number))
}

/// What a probe says that the agent's own machine kept from being sent; nothing of any other error.
pub(crate) fn kept_back(what: &str, error: &io::Error) -> Option<Stop> {
    if is_exhausted(error) {
        return Some(exhausted(what, error));
    }
    (error.raw_os_error() == Some(NOT_PERMITTED)).then(|| {
        let message = format!(
            "{what} not tried, this agent's own machine forbids it ({error}): see its firewall and \
             the sandbox of its service"
        );
        Stop::doubt(Doubt::NoPrivilege, message)
    })
}

/// What a probe says that could not even begin.
pub(crate) fn exhausted(what: &str, error: &io::Error) -> Stop {
    let message = format!("{what} not tried, this agent has used up its own means: {error}");
    Stop::doubt(Doubt::Overloaded, message)
}

/// A failed connection attempt to `what`.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the kinds of errors grow; what is unknown is told in its own words"
)]
pub(crate) fn failed(what: &str, error: &io::Error) -> Stop {
    if let Some(own) = kept_back(what, error) {
        return own;
    }
    let (reason, words) = match error.kind() {
        io::ErrorKind::ConnectionRefused => (Reason::Refused, "refused".to_owned()),
        io::ErrorKind::TimedOut => (Reason::Timeout, "timed out".to_owned()),
        io::ErrorKind::HostUnreachable => (Reason::Unreachable, "failed: no route".to_owned()),
        io::ErrorKind::NetworkUnreachable => {
            (Reason::Unreachable, "failed: network unreachable".to_owned())
        }
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::UnexpectedEof => (Reason::Reset, "closed by the peer".to_owned()),
        _ => (Reason::Unreachable, format!("failed: {error}")),
    };
    Stop::fail(Phase::Connect, reason, format!("{what} {words}"))
}

/// Opens a tunnel to `target` through `proxy`, in the way of `ask`.
async fn through<F>(
    (whose, proxy): (&str, SocketAddr),
    target: SocketAddr,
    ask: impl FnOnce(TcpStream, SocketAddr) -> F,
) -> Result<TcpStream, Stop>
where
    F: Future<Output = Result<TcpStream, TunnelError>>,
{
    let to_proxy = format!("connection to {whose} {proxy}");
    let stream = TcpStream::connect(proxy).await.map_err(|error| failed(&to_proxy, &error))?;
    // The greetings are small and waited for.
    stream.set_nodelay(true).map_err(|error| failed(&to_proxy, &error))?;
    ask(stream, target).await.map_err(|error| match error {
        TunnelError::Io(error) => failed(&to_proxy, &error),
        TunnelError::Refused(reason, words) => Stop::fail(
            Phase::Connect,
            reason,
            format!("connection to {target} through {whose} {proxy} failed: {words}"),
        ),
    })
}

/// Why a proxy opened no tunnel.
enum TunnelError {
    /// The proxy itself is out of reach.
    Io(io::Error),
    /// The proxy says that it could not connect, or nonsense.
    Refused(Reason, String),
}

impl From<io::Error> for TunnelError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Asks a SOCKS5 proxy to connect, without authentication. Source: RFC 1928, sections 3, 4 and 6.
async fn socks5(mut stream: TcpStream, target: SocketAddr) -> Result<TcpStream, TunnelError> {
    const NO_AUTHENTICATION: [u8; 3] = [5, 1, 0];
    let nonsense = |words: &str| TunnelError::Refused(Reason::Protocol, words.to_owned());
    stream.write_all(&NO_AUTHENTICATION).await?;
    let mut choice = [0; 2];
    stream.read_exact(&mut choice).await?;
    if choice != [5, 0] {
        return Err(nonsense("it does not speak SOCKS5 without authentication"));
    }
    let mut request = vec![5, 1, 0];
    match target.ip() {
        IpAddr::V4(address) => {
            request.push(1);
            request.extend(address.octets());
        }
        IpAddr::V6(address) => {
            request.push(4);
            request.extend(address.octets());
        }
    }
    request.extend(target.port().to_be_bytes());
    stream.write_all(&request).await?;
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    let [version, reply, _, kind] = head;
    if version != 5 {
        return Err(nonsense("its reply is not SOCKS5"));
    }
    let (reason, words) = match reply {
        0 => {
            let bound = match kind {
                1 => 4,
                3 => usize::from(stream.read_u8().await?),
                4 => 16,
                _ => return Err(nonsense("its reply has an unknown type of address")),
            };
            let mut rest = vec![0; bound + 2];
            stream.read_exact(&mut rest).await?;
            return Ok(stream);
        }
        3 => (Reason::Unreachable, "network unreachable"),
        4 => (Reason::Unreachable, "host unreachable"),
        5 => (Reason::Refused, "refused"),
        6 => (Reason::Timeout, "timed out"),
        2 => (Reason::Unreachable, "the proxy's rules forbid it"),
        _ => (Reason::Unreachable, "the proxy could not connect"),
    };
    Err(TunnelError::Refused(reason, words.to_owned()))
}

/// Asks an HTTP proxy to connect. Source: RFC 9110, section 9.3.6.
async fn http_connect(mut stream: TcpStream, target: SocketAddr) -> Result<TcpStream, TunnelError> {
    let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    // Byte by byte, so that nothing that belongs to the target is taken.
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= PROXY_HEAD_BYTES_MAX {
            let words = "its answer is too long".to_owned();
            return Err(TunnelError::Refused(Reason::Protocol, words));
        }
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head);
    let mut words = head.split_ascii_whitespace();
    let version = words.next().unwrap_or_default();
    let status = words.next().and_then(|status| status.parse::<u16>().ok());
    match status {
        Some(200..=299) if version.starts_with("HTTP/1.") => Ok(stream),
        Some(504) => Err(TunnelError::Refused(Reason::Timeout, "status 504".to_owned())),
        Some(status) if version.starts_with("HTTP/1.") => {
            Err(TunnelError::Refused(Reason::Unreachable, format!("status {status}")))
        }
        _ => Err(TunnelError::Refused(Reason::Protocol, "its answer is not HTTP".to_owned())),
    }
}

/// Why an address cannot be reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ReachError {
    /// What a probe would have said.
    pub outcome: Outcome,
    /// One sentence without a final stop.
    pub message: String,
}

impl From<Stop> for ReachError {
    fn from(stop: Stop) -> Self {
        Self { outcome: stop.outcome, message: stop.message }
    }
}

/// Opens and closes a TCP connection to `address` (`host:port`) in the way that probes do: same
/// resolver, policy and egress. Returns the time it took.
///
/// # Cancellation
///
/// Dropping it closes the connection.
pub async fn reach(
    address: &str,
    environment: &Environment,
    timeout: Duration,
) -> Result<Duration, ReachError> {
    let endpoint = Endpoint::parse(address).map_err(|message| ReachError {
        outcome: Outcome::Inconclusive { reason: Doubt::Internal },
        message,
    })?;
    let context = ProbeContext::new(environment.clone(), timeout, timeout);
    let mut trace = Trace::start(&context);
    let connecting = connect(&mut trace, &context, &endpoint, IpFamily::Any);
    let ended =
        tokio::time::timeout(timeout, connecting).await.ok().map(|connected| connected.map(drop));
    let late = ended.is_none();
    if let Some(Err(stop)) = ended {
        return Err(stop.into());
    }
    let observation = trace.finish(ended, &context);
    if late {
        Err(ReachError { outcome: observation.outcome, message: observation.evidence.message })
    } else {
        Ok(observation.total)
    }
}

#[cfg(test)]
mod tests;
