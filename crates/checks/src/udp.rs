//! The kind `udp`: one datagram, and one that must answer it.

use std::pin::Pin;
use std::sync::LazyLock;

use quorate_model::{Observation, OptionProblem, Phase};
use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use serde_json::Value;
use tokio::net::UdpSocket;

use crate::answer::{Expect, ExpectChoice, to_send};
use crate::connect::{Endpoint, locate};
use crate::datagram;
use crate::options::{Findings, read, schema_of};
use crate::phase::{Stop, Trace};
use crate::registry::{CheckKind, Families, Probe};
use crate::resolve::IpFamily;
use crate::{Policy, ProbeContext};

/// The longest datagram that a check may send, in bytes: small enough for every path, and too small
/// to make an agent a weapon.
const SEND_BYTES_MAX: usize = 512;
/// The longest datagram that can come, in bytes.
const DATAGRAM_BYTES_MAX: usize = 65_535;
/// How often the datagram is sent unless the check says otherwise.
const TRIES_DEFAULT: u32 = 2;

/// The schema of the options.
static SCHEMA: LazyLock<Schema> = LazyLock::new(schema_of::<UdpOptions>);

/// The row of the registry.
pub(super) const KIND: Udp = Udp;

/// The kind itself.
#[derive(Debug)]
pub(super) struct Udp;

/// Options of the kind `udp`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UdpOptions {
    /// `host:port`; an IPv6 address in brackets, such as `[2001:db8::1]:123`.
    #[schemars(required)]
    address: Option<String>,
    /// What to send, at most 512 bytes, with the escapes `\r`, `\n`, `\t`, `\0`, `\\` and `\xHH`.
    #[schemars(required)]
    send: Option<String>,
    /// What must come in one datagram, within its first 4 KiB: a text (with the same escapes), or the
    /// options below it.
    #[schemars(required)]
    expect: Option<ExpectChoice>,
    /// How often to send it at most, evenly within the timeout: networks lose datagrams. `1` where a
    /// second one would do harm.
    #[schemars(extend("default" = 2), range(min = 1, max = 5))]
    #[serde(default)]
    tries: Option<u32>,
    /// `4`, `6`, `any`: IPv4 if the name has such an address, else IPv6; or `both`: like `any`, and
    /// each time over the other family beside it, which makes the check `degraded` where one fails.
    #[schemars(extend("default" = "any"))]
    #[serde(default)]
    ip_family: IpFamily,
}

impl CheckKind for Udp {
    fn name(&self) -> &'static str {
        "udp"
    }

    fn parse(&self, options: &Value) -> Result<Box<dyn Probe>, Vec<OptionProblem>> {
        let (read, mut problems) = read::<UdpOptions>(&SCHEMA, options);
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

impl UdpOptions {
    /// Validates; adds what is wrong to `problems`.
    fn plan(self, problems: &mut Vec<OptionProblem>) -> Option<UdpProbe> {
        // A schema says "is missing"; here it matters why.
        for problem in problems.iter_mut().filter(|problem| problem.path.is_empty()) {
            if problem.message == "expect is missing" {
                problem.message.push_str(
                    ": without an answer nothing tells a service that works from one that is gone, \
                     as UDP has no connections",
                );
            }
        }
        let mut findings = Findings::new(problems);
        let endpoint = self.address.as_deref().and_then(|text| {
            let mut at = findings.at("address");
            at.keep(Endpoint::parse(text))
        });
        let send = self
            .send
            .as_deref()
            .map_or_else(Vec::new, |text| to_send(text, SEND_BYTES_MAX, &mut findings.at("send")));
        let expect = self.expect?.plan(&mut findings.at("expect"));
        if !expect.wants_an_answer() {
            findings.at("expect").note("says nothing about the answer: write contains or regex");
        }
        let tries = self.tries.unwrap_or(TRIES_DEFAULT);
        Some(UdpProbe { endpoint: endpoint?, send, expect, tries, family: self.ip_family })
    }
}

/// A probe that is ready to run.
struct UdpProbe {
    endpoint: Endpoint,
    send: Vec<u8>,
    expect: Expect,
    tries: u32,
    family: IpFamily,
}

/// What is sent may hold a secret, so it is not shown.
impl std::fmt::Debug for UdpProbe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UdpProbe").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl Probe for UdpProbe {
    fn target(&self) -> String {
        self.endpoint.to_string()
    }

    fn refused_by(&self, policy: &Policy) -> Option<String> {
        self.endpoint.refused_by(policy)
    }

    fn families(&self) -> Families {
        match self.family.of(&self.endpoint) {
            // What a datagram does is not known, so it is not sent twice unless the check says so.
            Families::Any => Families::One,
            families @ (Families::One | Families::Both) => families,
        }
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

impl UdpProbe {
    async fn probe(&self, trace: &mut Trace, context: &ProbeContext) -> Result<(), Stop> {
        datagram::direct(context, "UDP")?;
        let target = locate(trace, context, &self.endpoint, self.family).await?;
        let what = format!("datagram to {target}");
        let socket = datagram::socket(target).await?;
        let answer = self.exchange(trace, context, &socket).await;
        let answer = answer.map_err(|error| datagram::failed(&what, &error))?;
        trace.watch.enter(Phase::Assert);
        self.expect.judge(&answer)?;
        self.expect.latency(trace.watch.elapsed())
    }

    /// Sends until something comes. The kernel takes only what comes from the target.
    async fn exchange(
        &self,
        trace: &mut Trace,
        context: &ProbeContext,
        socket: &UdpSocket,
    ) -> std::io::Result<Vec<u8>> {
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
        let mut left = self.tries;
        loop {
            trace.watch.enter(Phase::Send);
            socket.send(&self.send).await?;
            left = left.saturating_sub(1);
            trace.watch.enter(Phase::Ttfb);
            let coming = socket.recv(&mut buffer);
            let length = if left == 0 {
                coming.await?
            } else {
                match tokio::time::timeout(context.timeout / (self.tries + 1), coming).await {
                    Ok(length) => length?,
                    Err(_) => continue,
                }
            };
            trace.evidence.body_bytes = u64::try_from(length).ok();
            let most = length.min(crate::answer::ANSWER_BYTES_MAX);
            return Ok(buffer.get(..most).unwrap_or_default().to_vec());
        }
    }
}
