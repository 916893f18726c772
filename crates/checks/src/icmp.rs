//! The kind `icmp`: echo requests ("ping"), and how many of them come back how soon.

mod packet;
mod socket;

use std::pin::Pin;
use std::sync::LazyLock;
use std::time::Duration;

use quorate_model::{Doubt, Observation, OptionProblem, Phase, PingFacts, Reason, RoundTrips};
use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use serde_json::Value;
use tokio::net::UdpSocket;

use self::packet::{Echo, NONCE_BYTES};
use crate::connect::{Endpoint, bare, locate};
use crate::datagram;
use crate::options::{Findings, read, schema_of};
use crate::phase::{Stop, Trace, rounded};
use crate::registry::{CheckKind, Families, Probe};
use crate::resolve::IpFamily;
use crate::{Policy, ProbeContext};

/// How many packets are sent unless the check says otherwise.
const COUNT_DEFAULT: u16 = 3;
/// How long after a packet the next one is sent, unless the check says otherwise.
const INTERVAL_DEFAULT: Duration = Duration::from_millis(200);
/// The shortest interval.
const INTERVAL_MIN: Duration = Duration::from_millis(100);
/// The longest time from the first to the last packet.
const SENDING_MAX: Duration = Duration::from_secs(5);
/// The bytes of a packet after its head, unless the check says otherwise: those of `ping`.
const SIZE_DEFAULT: u16 = 56;
/// How long is waited for the last packets, at least.
const PATIENCE_MIN: Duration = Duration::from_secs(1);
/// The longest packet that can come: 64 KiB with its header.
const PACKET_BYTES_MAX: usize = 65_535;

/// The schema of the options.
static SCHEMA: LazyLock<Schema> = LazyLock::new(schema_of::<IcmpOptions>);

/// The row of the registry.
pub(super) const KIND: Icmp = Icmp;

/// The kind itself.
#[derive(Debug)]
pub(super) struct Icmp;

/// Options of the kind `icmp`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct IcmpOptions {
    /// A name or an address, without a port.
    #[schemars(required)]
    host: Option<String>,
    /// How many packets to send, at most 10.
    #[schemars(extend("default" = 3), range(min = 1, max = 10))]
    #[serde(default)]
    count: Option<u16>,
    /// How long after a packet the next one is sent, at least `100ms`; in all at most 5 seconds.
    #[schemars(extend("default" = "200ms", "x-unit" = "duration"))]
    #[serde(default)]
    interval: Option<String>,
    /// Bytes of a packet after the 8 bytes of its head, from 16 to 1472.
    #[schemars(extend("default" = 56, "x-unit" = "bytes"), range(min = 16, max = 1472))]
    #[serde(default)]
    size: Option<u16>,
    /// Whether packets must not be cut on their way ("do not fragment"), to test the size that a path
    /// carries.
    #[schemars(extend("default" = false))]
    #[serde(default)]
    whole: Option<bool>,
    /// `4`, `6`, `any`: IPv4 if the name has such an address, else IPv6; or `both`: like `any`, and
    /// each time over the other family beside it, which makes the check `degraded` where one fails.
    #[schemars(extend("default" = "any"))]
    #[serde(default)]
    ip_family: IpFamily,
    /// What must come back: the options below it.
    #[serde(default)]
    expect: ExpectOptions,
}

/// Conditions on what comes back.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct ExpectOptions {
    /// How many packets may be lost.
    #[schemars(extend("x-default" = "all but one"), range(min = 0, max = 9))]
    max_lost: Option<u16>,
    /// The mean round trip must not take longer.
    #[schemars(extend("x-unit" = "duration"))]
    round_trip: Option<String>,
}

impl CheckKind for Icmp {
    fn name(&self) -> &'static str {
        "icmp"
    }

    fn parse(&self, options: &Value) -> Result<Box<dyn Probe>, Vec<OptionProblem>> {
        let (read, mut problems) = read::<IcmpOptions>(&SCHEMA, options);
        let probe = read.and_then(|read| read.plan(&mut problems));
        match probe {
            Some(probe) if problems.is_empty() => Ok(Box::new(probe)),
            _ => Err(problems),
        }
    }

    fn schema(&self) -> Schema {
        SCHEMA.clone()
    }
}

impl IcmpOptions {
    /// Validates; adds what is wrong to `problems`.
    fn plan(self, problems: &mut Vec<OptionProblem>) -> Option<IcmpProbe> {
        let mut findings = Findings::new(problems);
        let host = self.host.as_deref().and_then(|text| {
            let bracketed = if text.contains(':') { format!("[{text}]") } else { text.to_owned() };
            let host = url::Host::parse(&bracketed).map(|host| bare(&host)).map_err(|_| {
                format!("{text:?} is no host: write a name or an address, without a port")
            });
            findings.at("host").keep(host)
        });
        let count = self.count.unwrap_or(COUNT_DEFAULT);
        let interval = match self.interval.as_deref() {
            None => Some(INTERVAL_DEFAULT),
            Some(text) => findings.at("interval").duration(text),
        };
        if let Some(interval) = interval {
            if interval < INTERVAL_MIN {
                findings.at("interval").note("at least 100ms must be between packets");
            }
            if interval.saturating_mul(u32::from(count.saturating_sub(1))) > SENDING_MAX {
                findings.at("interval").note("all packets must be sent within 5s: send fewer");
            }
        }
        let max_lost = self.expect.max_lost.unwrap_or(count.saturating_sub(1));
        if max_lost >= count {
            findings.at("expect").at("max_lost").note(format!(
                "if {max_lost} of {count} packets may be lost, nothing is expected: allow fewer"
            ));
        }
        let round_trip = self.expect.round_trip.and_then(|text| {
            let mut at = findings.at("expect");
            at.at("round_trip").duration(&text)
        });
        Some(IcmpProbe {
            endpoint: Endpoint { host: host?, port: 0 },
            count,
            interval: interval?,
            size: self.size.unwrap_or(SIZE_DEFAULT).into(),
            whole: self.whole.unwrap_or(false),
            family: self.ip_family,
            max_lost,
            round_trip,
        })
    }
}

/// A probe that is ready to run.
#[derive(Debug)]
struct IcmpProbe {
    /// Without a port.
    endpoint: Endpoint,
    count: u16,
    interval: Duration,
    size: usize,
    whole: bool,
    family: IpFamily,
    max_lost: u16,
    round_trip: Option<Duration>,
}

impl Probe for IcmpProbe {
    fn target(&self) -> String {
        self.endpoint.host.clone()
    }

    fn refused_by(&self, policy: &Policy) -> Option<String> {
        policy.judge(self.endpoint.literal()?).err()
    }

    fn families(&self) -> Families {
        self.family.of(&self.endpoint)
    }

    fn run<'a>(
        &'a self,
        context: &'a ProbeContext,
    ) -> Pin<Box<dyn Future<Output = Observation> + Send + 'a>> {
        Box::pin(async move {
            let mut trace = Trace::start(context);
            let probing = self.probe(&mut trace, context);
            let ended = tokio::time::timeout(context.timeout, probing).await.ok();
            trace.finish(ended, context)
        })
    }
}

impl IcmpProbe {
    async fn probe(&self, trace: &mut Trace, context: &ProbeContext) -> Result<(), Stop> {
        datagram::direct(context, "ICMP")?;
        let to = locate(trace, context, &self.endpoint, self.family).await?.ip();
        let mut nonce = [0; NONCE_BYTES];
        aws_lc_rs::rand::fill(&mut nonce)
            .map_err(|_| Stop::doubt(Doubt::Internal, "this agent has no random numbers"))?;
        let mut flight = Flight {
            echo: Echo::new(to, nonce, self.size),
            socket: socket::open(to, self.whole)?,
            sent: Vec::new(),
            back: vec![None; self.count.into()],
            patience: PATIENCE_MIN.min(context.timeout / 4),
        };
        let flown = self.fly(trace, &mut flight).await;
        trace.evidence.ping = Some(Box::new(flight.facts()));
        flown.map_err(|error| self.failed(to, &error))?;
        trace.watch.enter(Phase::Assert);
        self.judge(&flight)
    }

    /// Sends all packets, and waits for those that come back.
    async fn fly(&self, trace: &mut Trace, flight: &mut Flight) -> std::io::Result<()> {
        for sequence in 0..self.count {
            trace.watch.enter(Phase::Send);
            flight.sent.push(trace.watch.elapsed());
            flight.socket.send(&flight.echo.request(sequence)).await?;
            trace.watch.enter(Phase::Ttfb);
            let is_last = sequence + 1 == self.count;
            let wait = if is_last { flight.patience() } else { self.interval };
            match tokio::time::timeout(wait, flight.hear(trace, is_last)).await {
                Ok(heard) => heard?,
                Err(_elapsed) => {}
            }
        }
        Ok(())
    }

    fn failed(&self, to: std::net::IpAddr, error: &std::io::Error) -> Stop {
        // EMSGSIZE has this number on Linux.
        const TOO_LONG: i32 = 90;
        let what = format!("packet to {to}");
        if self.whole && error.raw_os_error() == Some(TOO_LONG) {
            let message = format!(
                "{what} of {} bytes does not fit the path without being cut",
                self.size + 8
            );
            return Stop::fail(Phase::Send, Reason::Unreachable, message);
        }
        datagram::failed(&what, error)
    }

    fn judge(&self, flight: &Flight) -> Result<(), Stop> {
        let PingFacts { sent, received, round_trips } = flight.facts();
        let Some(trips) = round_trips else {
            let message = format!("none of {sent} packets came back");
            return Err(Stop::fail(Phase::Ttfb, Reason::Timeout, message));
        };
        let lost = sent.saturating_sub(received);
        if lost > u32::from(self.max_lost) {
            let message =
                format!("{lost} of {sent} packets lost, at most {} may be", self.max_lost);
            return Err(Stop::fail(Phase::Assert, Reason::Loss, message));
        }
        match self.round_trip {
            Some(most) if trips.mean > most => {
                let (mean, most) = (rounded(trips.mean), rounded(most));
                let message = format!("the mean round trip took {mean}, expected at most {most}");
                Err(Stop::fail(Phase::Assert, Reason::Latency, message))
            }
            _ => Ok(()),
        }
    }
}

/// Packets under way.
struct Flight {
    echo: Echo,
    socket: UdpSocket,
    /// When each was sent, before the system was asked to.
    sent: Vec<Duration>,
    /// How long each took.
    back: Vec<Option<Duration>>,
    patience: Duration,
}

impl Flight {
    /// How long to wait after the last packet: longer if others took long.
    fn patience(&self) -> Duration {
        let longest = self.back.iter().flatten().max().copied().unwrap_or_default();
        self.patience.max(longest * 2)
    }

    /// Takes in replies: until all are back if it is the last time, else without end.
    async fn hear(&mut self, trace: &Trace, is_last: bool) -> std::io::Result<()> {
        let mut buffer = vec![0; PACKET_BYTES_MAX];
        while !is_last || self.back.iter().any(Option::is_none) {
            let length = self.socket.recv(&mut buffer).await?;
            let now = trace.watch.elapsed();
            let packet = buffer.get(..length).unwrap_or_default();
            let Some(sequence) = self.echo.reply(packet).map(usize::from) else {
                continue;
            };
            let sent = self.sent.get(sequence).copied();
            if let (Some(sent), Some(back)) = (sent, self.back.get_mut(sequence)) {
                // Only the first of several replies counts.
                back.get_or_insert(now.saturating_sub(sent));
            }
        }
        Ok(())
    }

    fn facts(&self) -> PingFacts {
        let back: Vec<Duration> = self.back.iter().flatten().copied().collect();
        let received = u32::try_from(back.len()).unwrap_or(u32::MAX);
        let trips = |shortest: Duration, longest: Duration| RoundTrips {
            shortest,
            mean: back.iter().sum::<Duration>() / received.max(1),
            longest,
        };
        let ends = back.iter().min().zip(back.iter().max());
        PingFacts {
            sent: u32::try_from(self.sent.len()).unwrap_or(u32::MAX),
            received,
            round_trips: ends.map(|(shortest, longest)| trips(*shortest, *longest)),
        }
    }
}
