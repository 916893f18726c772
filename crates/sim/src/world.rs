//! The modelled network: what a probe or a self-test meets. A probe's fate is decided at its start.

mod addresses;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use quorate_model::{
    BlockReason, Evidence, Observation, OtherFamily, Outcome, Phase, Reason, RegionId, ResolverUse,
    Timestamp,
};

use crate::random::Draw;
use crate::scenario::{
    DnsPlace, Family, Fault, Of, Scenario, Target, TargetKind, TlsReason, Trouble, What,
};
use addresses::Addresses;

/// The bounds of a round trip to a target.
const ROUND_TRIP: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(250));
/// The bounds of a round trip to an anchor: anchors have a site near everybody.
const ANCHOR: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(60));
/// The end of what does not end.
pub(crate) const FOR_EVER: Timestamp = Timestamp::from_micros(i64::MAX);
/// How long certificates are valid when nothing is wrong with them.
const CERT_LASTS: Duration = Duration::from_secs(60 * 86_400);
/// The time after which an unanswered first packet is sent again. Source: RFC 6298, section 2.1.
const RESEND_FIRST: Duration = Duration::from_secs(1);
/// The same on a connection that has measured its round trip.
const RESEND: Duration = Duration::from_millis(300);

/// Someone asks the network for something.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub(crate) region: &'a RegionId,
    pub(crate) agent: &'a str,
    pub(crate) target: &'a str,
    pub(crate) timeout: Duration,
    pub(crate) slow_after: Duration,
    /// Whether a confirmation round wants it.
    pub(crate) asked: bool,
    /// How long the first resolver is waited for before the second one is asked.
    pub(crate) second_after: Duration,
    /// Different for each probe.
    pub(crate) number: u64,
    pub(crate) now: Timestamp,
}

/// What a probe will have seen in the end.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) observation: Observation,
    /// Until all of it is over, what only adds to the evidence included.
    pub(crate) lasts: Duration,
    /// The phase in which it waits, if it is late.
    pub(crate) waits_in: Phase,
}

/// The network with its troubles.
#[derive(Debug)]
pub(crate) struct World {
    draw: Draw,
    zero: Timestamp,
    targets: BTreeMap<String, Target>,
    addresses: Addresses,
    faults: Vec<Fault>,
    /// How many probes of a region each blip has hit.
    blips: BTreeMap<(usize, RegionId), usize>,
}

impl World {
    pub(crate) fn new(scenario: &Scenario, draw: Draw, zero: Timestamp) -> Self {
        let mut targets = scenario.targets.clone();
        for number in 1..=scenario.background.checks {
            let network = (number - 1) % scenario.background.networks.max(1) + 1;
            targets.insert(
                format!("background-{number}"),
                Target {
                    network: format!("background {network}"),
                    families: vec![Family::V4],
                    edges: BTreeMap::new(),
                    kind: TargetKind::Https,
                    companion: None,
                },
            );
        }
        Self {
            draw,
            zero,
            addresses: Addresses::of(&targets),
            targets,
            faults: scenario.faults.clone(),
            blips: BTreeMap::new(),
        }
    }

    pub(crate) fn fault(&self, index: usize) -> Option<&Fault> {
        self.faults.get(index)
    }

    /// The faults that this agent suffers now.
    pub(crate) fn suffered<'a>(
        &'a self,
        region: &'a RegionId,
        agent: &'a str,
        now: Timestamp,
    ) -> impl Iterator<Item = (usize, &'a Fault)> {
        self.faults.iter().enumerate().filter(move |(_, fault)| {
            let begun = self.zero + fault.at <= now;
            let over = fault.until.is_some_and(|until| self.zero + until <= now);
            begun && !over && fault.who.includes(region.as_str(), agent)
        })
    }

    /// Until when the agent cannot reach the coordinator, perhaps [`FOR_EVER`]; nothing if it can.
    pub(crate) fn link_cut(
        &self,
        region: &RegionId,
        agent: &str,
        now: Timestamp,
    ) -> Option<Timestamp> {
        self.suffered(region, agent, now)
            .filter(|(_, fault)| matches!(fault.what, What::CutLink | What::Isolate { cut: true }))
            .map(|(_, fault)| fault.until.map_or(FOR_EVER, |until| self.zero + until))
            .max()
    }

    /// What the agent's wall clock says now.
    pub(crate) fn wall(&self, region: &RegionId, agent: &str, now: Timestamp) -> Timestamp {
        let wrong = self.suffered(region, agent, now).filter_map(|(_, fault)| {
            let What::Clock { ahead_micros } = fault.what else { return None };
            Some(ahead_micros)
        });
        Timestamp::from_micros(now.as_micros().saturating_add(wrong.sum()))
    }

    /// How long an anchor takes to answer; nothing if it does not.
    pub(crate) fn anchor(&self, ask: &Ask<'_>, anchor: usize) -> Option<Duration> {
        let luck = self.draw.word("anchor").word(ask.agent).number(ask.number);
        for (_, fault) in self.suffered(ask.region, ask.agent, ask.now) {
            let number = u64::try_from(anchor).unwrap_or(0);
            let gone = match fault.what {
                What::Isolate { .. } => true,
                What::Anchors { count } => anchor < count,
                What::Drop { rate } => luck.number(number).happens(both_ways(rate)),
                What::Target { .. }
                | What::Egress { .. }
                | What::CutLink
                | What::Crash
                | What::Overload
                | What::Clock { .. }
                | What::Coordinator
                | What::Duplicate { .. }
                | What::Delay { .. }
                | What::Join { .. }
                | What::Maintenance { .. }
                | What::Reconfigure { .. } => false,
            };
            if gone {
                return None;
            }
        }
        let place = self.draw.word("anchor").word(ask.region.as_str());
        Some(place.number(u64::try_from(anchor).unwrap_or(0)).between(ANCHOR.0, ANCHOR.1))
    }

    /// What a probe that starts now sees.
    pub(crate) fn probe(&mut self, ask: &Ask<'_>) -> Seen {
        let Some(target) = self.targets.get(ask.target).cloned() else {
            return timed_out(ask, Phase::Dns, Evidence::default());
        };
        let place = self.draw.word("path").word(ask.region.as_str()).word(ask.target);
        let trip = place.between(ROUND_TRIP.0, ROUND_TRIP.1);
        let (mut slower, mut excused) = (Duration::ZERO, false);
        let active: Vec<(usize, What)> = self
            .suffered(ask.region, ask.agent, ask.now)
            .map(|(index, fault)| (index, fault.what.clone()))
            .collect();
        for (_, what) in &active {
            if let What::Overload = what {
                return timed_out(ask, Phase::Ttfb, Evidence::default());
            } else if let What::Isolate { .. } = what {
                return timed_out(ask, Phase::Connect, Evidence::default());
            } else if let What::Egress { protocol } = what {
                if let Some(seen) = egress(protocol, target.kind, trip) {
                    return seen;
                }
            } else if let What::Drop { rate } = what {
                slower += self.resent(ask, *rate);
            } else if let What::Target { target: name, trouble: Trouble::ProxyOk } = what {
                excused |= name == ask.target;
            }
        }
        let mut evidence = self.evidence(ask, &target);
        let mut unreached = Vec::new();
        for (index, what) in active {
            let What::Target { target: name, trouble } = what else { continue };
            if name != ask.target || excused {
                continue;
            }
            if let Trouble::Slow { by } = trouble {
                slower += by;
            } else if let Trouble::Family(family) = trouble {
                unreached.push(family);
            } else if let (Trouble::BlackHole, Some(late)) = (&trouble, self.reached(ask, index)) {
                slower += late;
            } else if let Trouble::Dns { place: DnsPlace::Primary, other: false } = trouble {
                // The first resolver is silent, and the second is as far away as the target.
                slower += ask.second_after + trip;
                evidence.resolver = Some(ResolverUse::Second);
            } else if let Some(seen) =
                self.trouble(ask, &target, (index, &trouble), (trip, &mut evidence))
            {
                return seen;
            }
        }
        let seen = answered(ask, target.kind, trip, slower, evidence);
        over_families(ask, &target.families, &unreached, seen)
    }

    /// How late a probe reaches a target that is a black hole when it starts and no longer when its
    /// first packet is sent again; nothing if that comes too late.
    fn reached(&self, ask: &Ask<'_>, fault: usize) -> Option<Duration> {
        let over = (self.zero + self.fault(fault)?.until?).since(ask.now);
        let (mut late, mut wait) = (RESEND_FIRST, RESEND_FIRST * 2);
        while late < over {
            late += wait;
            wait *= 2;
        }
        Some(late).filter(|late| *late < ask.timeout)
    }

    fn evidence(&self, ask: &Ask<'_>, target: &Target) -> Evidence {
        let edge = target.edges.get(ask.region).map(String::as_str);
        let resolved: Vec<IpAddr> = self.addresses.get(ask.target, edge, &target.families);
        Evidence {
            address: resolved.first().copied(),
            resolved,
            status: (target.kind != TargetKind::Dns).then_some(200),
            cert_not_after: (target.kind == TargetKind::Https).then(|| ask.now + CERT_LASTS),
            pop_hint: target.edges.get(ask.region).cloned(),
            ..Evidence::default()
        }
    }

    /// What one trouble of the target does to a probe; nothing if the probe goes on.
    fn trouble(
        &mut self,
        ask: &Ask<'_>,
        target: &Target,
        (index, trouble): (usize, &Trouble),
        (trip, evidence): (Duration, &mut Evidence),
    ) -> Option<Seen> {
        let on_edge = |edges: &[String]| {
            target.edges.get(ask.region).is_some_and(|edge| edges.contains(edge))
        };
        let seen = evidence.clone();
        Some(match trouble {
            Trouble::BlackHole => timed_out(ask, Phase::Connect, seen),
            Trouble::Refuse => failed(Phase::Connect, Reason::Refused, trip, seen),
            Trouble::Status { code, retry_after } => {
                status(*code, trip, Evidence { retry_after: *retry_after, ..seen })
            }
            Trouble::Blip { count, of, code } => {
                let hit = match of {
                    Of::Any => true,
                    Of::Scheduled => !ask.asked,
                    Of::Confirmation => ask.asked,
                };
                let so_far = self.blips.entry((index, ask.region.clone())).or_default();
                if !hit || *so_far >= *count {
                    return None;
                }
                *so_far += 1;
                broken(ask, *code, trip, seen)
            }
            Trouble::Flaky { rate, code } => {
                let luck = self.draw.word("flaky").word(ask.agent).number(ask.number);
                if !luck.happens(*rate) {
                    return None;
                }
                broken(ask, *code, trip, seen)
            }
            Trouble::Dns { other: true, .. } => {
                // Another record is another server, and that is not the one the check expects.
                let elsewhere = self.addresses.elsewhere();
                let seen = Evidence { resolved: vec![elsewhere], address: Some(elsewhere), ..seen };
                failed(Phase::Assert, Reason::Body, trip, seen)
            }
            Trouble::Dns { place: DnsPlace::All | DnsPlace::Authoritative, .. } => {
                let resolver = Some(ResolverUse::Neither);
                timed_out(ask, Phase::Dns, Evidence { resolver, ..Evidence::default() })
            }
            Trouble::Tls { reason, edges } => {
                if target.kind == TargetKind::Dns || !(edges.is_empty() || on_edge(edges)) {
                    return None;
                }
                return self.certificate(ask, *reason, (trip, evidence));
            }
            Trouble::Content => failed(Phase::Assert, Reason::Body, trip, seen),
            Trouble::Edge { edges, code } => {
                if !on_edge(edges) {
                    return None;
                }
                broken(ask, *code, trip, seen)
            }
            Trouble::Dns { .. } | Trouble::Slow { .. } | Trouble::ProxyOk | Trouble::Family(_) => {
                return None;
            }
        })
    }

    /// What a certificate does to a probe; nothing if it is only noted.
    fn certificate(
        &self,
        ask: &Ask<'_>,
        reason: TlsReason,
        (trip, evidence): (Duration, &mut Evidence),
    ) -> Option<Seen> {
        let reason = match reason {
            TlsReason::Expired => {
                evidence.cert_not_after = Some(ask.now.before(Duration::from_secs(60)));
                Reason::CertExpired
            }
            TlsReason::Untrusted => Reason::CertUntrusted,
            TlsReason::Name => Reason::CertHostMismatch,
            TlsReason::ExpiresIn(by) => {
                // A day, not an instant: the same certificate is seen from everywhere.
                evidence.cert_not_after = Some(self.zero + by);
                return None;
            }
        };
        Some(failed(Phase::Tls, reason, trip * 2, evidence.clone()))
    }

    /// How much longer the packets of a probe take when so many are lost.
    fn resent(&self, ask: &Ask<'_>, rate: f64) -> Duration {
        let luck = self.draw.word("drop").word(ask.agent).number(ask.number);
        let mut longer = Duration::ZERO;
        for exchange in 0..4_u64 {
            let mut wait = if exchange == 0 { RESEND_FIRST } else { RESEND };
            for attempt in 0..6_u64 {
                if !luck.number(exchange * 8 + attempt).happens(both_ways(rate)) {
                    break;
                }
                longer += wait;
                wait *= 2;
            }
        }
        longer
    }
}

/// The likelihood that a packet or its answer is lost.
fn both_ways(rate: f64) -> f64 {
    1.0 - (1.0 - rate) * (1.0 - rate)
}

fn egress(protocol: &str, kind: TargetKind, trip: Duration) -> Option<Seen> {
    let (phase, reason) = match (protocol, kind) {
        ("tls" | "https", TargetKind::Https) => (Phase::Tls, Reason::TlsHandshake),
        ("http", TargetKind::Http | TargetKind::Https) => (Phase::Ttfb, Reason::Reset),
        ("tcp", TargetKind::Http | TargetKind::Https) => (Phase::Connect, Reason::Unreachable),
        ("dns", TargetKind::Dns) => (Phase::Dns, Reason::DnsFailed),
        _ => return None,
    };
    Some(failed(phase, reason, trip, Evidence::default()))
}

/// What is left of a probe when these families cannot be reached. It votes by the first family of
/// its target; of two it tries both, like a check with `ip_family: both`.
fn over_families(ask: &Ask<'_>, families: &[Family], unreached: &[Family], mut seen: Seen) -> Seen {
    let answers = seen.observation.outcome;
    let silence = Outcome::Fail { phase: Phase::Connect, reason: Reason::Timeout };
    let is_silent = |family: &Family| unreached.contains(family);
    let evidence = &mut seen.observation.evidence;
    let address = evidence.resolved.get(1).copied();
    evidence.other_family = families.get(1).zip(address).map(|(family, address)| {
        let outcome = if is_silent(family) { silence } else { answers };
        OtherFamily { address, outcome }
    });
    if families.first().is_some_and(is_silent) {
        timed_out(ask, Phase::Connect, evidence.clone())
    } else if families.iter().any(is_silent) {
        Seen { lasts: ask.timeout, ..seen }
    } else {
        seen
    }
}

/// A probe that meets a broken server: with a status, or without an answer.
fn broken(ask: &Ask<'_>, code: Option<u16>, trip: Duration, evidence: Evidence) -> Seen {
    match code {
        Some(code) => status(code, trip, evidence),
        None => timed_out(ask, Phase::Connect, evidence),
    }
}

fn timed_out(ask: &Ask<'_>, phase: Phase, evidence: Evidence) -> Seen {
    let evidence = Evidence { status: None, cert_not_after: None, pop_hint: None, ..evidence };
    failed(phase, Reason::Timeout, ask.timeout, evidence)
}

fn failed(phase: Phase, reason: Reason, total: Duration, mut evidence: Evidence) -> Seen {
    if phase < Phase::Assert {
        evidence.status = None;
        evidence.pop_hint = None;
    }
    evidence.message = format!("{phase}: {reason}");
    let outcome = Outcome::Fail { phase, reason };
    Seen {
        lasts: total,
        observation: Observation { outcome, total, phases: Vec::new(), evidence },
        waits_in: phase,
    }
}

fn status(code: u16, total: Duration, evidence: Evidence) -> Seen {
    let outcome = match code {
        200..=299 => Outcome::Ok,
        429 => Outcome::Blocked { reason: BlockReason::RateLimit },
        403 | 451 => Outcome::Blocked { reason: BlockReason::Forbidden },
        _ => Outcome::Fail { phase: Phase::Assert, reason: Reason::Status },
    };
    let message = format!("status {code}");
    let evidence = Evidence { status: Some(code), message, ..evidence };
    Seen {
        lasts: total,
        observation: Observation { outcome, total, phases: Vec::new(), evidence },
        waits_in: Phase::Ttfb,
    }
}

fn answered(
    ask: &Ask<'_>,
    kind: TargetKind,
    trip: Duration,
    slower: Duration,
    evidence: Evidence,
) -> Seen {
    let trips = match kind {
        TargetKind::Dns => 1,
        TargetKind::Http => 2,
        TargetKind::Https => 3,
    };
    let total = trip * trips + slower;
    if total >= ask.timeout {
        return timed_out(ask, Phase::Ttfb, evidence);
    }
    let outcome = if total > ask.slow_after { Outcome::Slow } else { Outcome::Ok };
    Seen {
        lasts: total,
        observation: Observation { outcome, total, phases: Vec::new(), evidence },
        waits_in: Phase::Ttfb,
    }
}
