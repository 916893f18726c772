//! Attribution: what the failing regions have in common, and so who is probably responsible.
//!
//! A list of rules over the failing regions F and the succeeding regions O; the first that matches
//! wins.
//!
//! 1. Slow, blocked or reached over one address family only, without a failing quorum: that itself.
//! 2. F have met one edge of a delivery network and O have met others, with at most one exception
//!    among each: that edge.
//! 3. Exactly one failing region while others succeed: the path from there, whatever labels it has.
//! 4. The name, if a quorum cannot resolve it by their second resolvers either.
//! 5. The target is down, and a check of its origin fails too: the origin. It works while nobody
//!    succeeds here: the delivery network in front of it.
//! 6. A label (provider, then country, then transit) that all of F have and none of O: that label.
//! 7. The origin works while most regions fail here: the delivery network.
//! 8. All of F were told by a gateway that its origin is in trouble: the origin.
//! 9. One symptom in more than half of F: that symptom.
//! 10. Else: mixed.
//!
//! The rules below the first that match too are not wrong either: the verdict lists them as what
//! else would fit. A label that all regions of a check have is among them when all fail, for then
//! nothing tells that label from the target.
//!
//! It ignores history, other checks and how many regions are silent. Example: fra and iad of one
//! provider time out while gru of another succeeds: `path.provider`.

use std::collections::BTreeMap;

use quorate_model::{Cause, OriginFinding, Outcome, Phase, Reason, Region, StatusInfo};

use crate::edge::{self, Edge};
use crate::vote::Lookup;

/// One region's evidence.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Witness<'a> {
    pub(crate) region: Option<&'a Region>,
    pub(crate) outcome: Outcome,
    pub(crate) status: Option<u16>,
    pub(crate) lookup: Option<Lookup>,
    pub(crate) edge: Edge<'a>,
}

/// Labels that can be responsible, in the order in which they are tried.
const LABELS: [(&str, Cause); 3] = [
    ("provider", Cause::PathProvider),
    ("country", Cause::PathCountry),
    ("transit", Cause::PathTransit),
];

/// The causes of the failures of `failing` while `fine` succeed that fit, the most probable first;
/// `none` alone if nothing fails. `needed` are as many as a quorum; `origin` is what is known of the
/// origin of a target that is down.
pub(crate) fn of_failures(
    failing: &[Witness<'_>],
    fine: &[Witness<'_>],
    needed: usize,
    origin: Option<OriginFinding>,
) -> Vec<Cause> {
    if failing.is_empty() {
        return vec![Cause::None];
    }
    let mut fitting = Vec::new();
    if edge::of(failing, fine).is_some() {
        fitting.push(Cause::CdnEdge);
    }
    if failing.len() == 1 && !fine.is_empty() {
        fitting.push(Cause::Path);
    }
    if failing.iter().filter(|witness| is_nameless(witness)).count() >= needed {
        fitting.push(Cause::TargetDns);
    }
    let works = origin == Some(OriginFinding::Works) && failing.len() > fine.len();
    if origin == Some(OriginFinding::Fails) {
        fitting.push(Cause::Origin);
    } else if works && fine.is_empty() {
        fitting.push(Cause::Cdn);
    }
    let shared = shared_labels(failing, fine);
    // Where nobody succeeds, nothing tells a label that all have from the target.
    if !fine.is_empty() {
        fitting.extend(&shared);
    }
    if works && !fine.is_empty() {
        fitting.push(Cause::Cdn);
    }
    let is_told = failing.iter().all(|witness| witness.status.is_some_and(is_of_origin));
    if is_told && origin != Some(OriginFinding::Fails) {
        fitting.push(Cause::Origin);
    }
    let symptom = dominant_symptom(failing).filter(|symptom| !fitting.contains(symptom));
    fitting.extend(symptom);
    if fitting.is_empty() {
        fitting.push(Cause::TargetMixed);
    }
    if fine.is_empty() && failing.len() > 1 {
        fitting.extend(&shared);
    }
    fitting
}

/// Whether the second resolver could not resolve the name either.
fn is_nameless(witness: &Witness<'_>) -> bool {
    symptom(witness.outcome) == Cause::TargetDns && witness.lookup == Some(Lookup::Neither)
}

fn dominant_symptom(failing: &[Witness<'_>]) -> Option<Cause> {
    let mut symptoms: BTreeMap<Cause, usize> = BTreeMap::new();
    for witness in failing {
        *symptoms.entry(symptom(witness.outcome)).or_default() += 1;
    }
    symptoms.into_iter().find(|(_, count)| count * 2 > failing.len()).map(|(cause, _)| cause)
}

/// The labels that all of `failing` have and none of `fine`.
fn shared_labels(failing: &[Witness<'_>], fine: &[Witness<'_>]) -> Vec<Cause> {
    let label = |witness: &Witness<'_>, name: &str| {
        witness.region.and_then(|region| region.labels.get(name)).cloned()
    };
    let shared = LABELS.into_iter().filter(|(name, _)| {
        failing.first().and_then(|first| label(first, name)).is_some_and(|value| {
            let has = |witness: &Witness<'_>| label(witness, name).as_ref() == Some(&value);
            failing.iter().all(has) && !fine.iter().any(has)
        })
    });
    shared.map(|(_, cause)| cause).collect()
}

/// Whether a status is a gateway's word about what lies behind it.
fn is_of_origin(status: u16) -> bool {
    StatusInfo::of(status).is_some_and(|info| info.row().is_of_origin())
}

/// The cause that one probe's outcome points at.
pub(crate) fn symptom(outcome: Outcome) -> Cause {
    let (phase, reason) = match outcome {
        Outcome::Ok => return Cause::None,
        Outcome::Slow => return Cause::TargetSlow,
        Outcome::Blocked { .. } => return Cause::TargetHttp,
        Outcome::Inconclusive { .. } => return Cause::Agent,
        Outcome::Fail { phase, reason } => (phase, reason),
    };
    match reason {
        Reason::NameNotFound
        | Reason::NoAddress
        | Reason::DnsFailed
        | Reason::NoRecords
        | Reason::Answer
        | Reason::Dangling
        | Reason::Address => Cause::TargetDns,
        Reason::Refused => Cause::TargetRefused,
        Reason::Unreachable | Reason::Loss => Cause::TargetNetwork,
        Reason::CertExpired
        | Reason::CertNotYetValid
        | Reason::CertUntrusted
        | Reason::CertSelfSigned
        | Reason::CertHostMismatch
        | Reason::CertIncompleteChain
        | Reason::CertRevoked
        | Reason::TlsClientCert
        | Reason::CertExpiresSoon
        | Reason::CertWeak
        | Reason::CertNotPinned
        | Reason::OcspMissing
        | Reason::TlsVersion
        | Reason::TlsHandshake
        | Reason::Certificate => Cause::TargetTls,
        Reason::Protocol
        | Reason::RedirectInvalid
        | Reason::RedirectDowngrade
        | Reason::RedirectLimit
        | Reason::BodyIncomplete
        | Reason::Encoding
        | Reason::Auth
        | Reason::Range
        | Reason::Url
        | Reason::Status
        | Reason::GrpcStatus => Cause::TargetHttp,
        Reason::Header
        | Reason::Body
        | Reason::Json
        | Reason::Size
        | Reason::NotServing
        | Reason::CloseCode => Cause::TargetContent,
        Reason::Latency => Cause::TargetSlow,
        Reason::Timeout | Reason::Reset => match phase {
            Phase::Dns => Cause::TargetDns,
            Phase::Connect => Cause::TargetNetwork,
            Phase::Tls => Cause::TargetTls,
            Phase::Send | Phase::Ttfb | Phase::Transfer | Phase::Assert => {
                if reason == Reason::Timeout { Cause::TargetTimeout } else { Cause::TargetHttp }
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(id: &str, provider: &str, country: &str) -> Region {
        Region {
            id: id.parse().unwrap(),
            labels: [("provider", provider), ("country", country)]
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        }
    }

    fn fitting(failing: &[(&Region, Reason, Option<u16>)], fine: &[&Region]) -> Vec<Cause> {
        let failing: Vec<Witness<'_>> = failing
            .iter()
            .map(|(region, reason, status)| Witness {
                region: Some(region),
                outcome: Outcome::Fail { phase: Phase::Connect, reason: *reason },
                status: *status,
                lookup: None,
                edge: Edge::default(),
            })
            .collect();
        let fine: Vec<Witness<'_>> = fine
            .iter()
            .map(|region| Witness {
                region: Some(region),
                outcome: Outcome::Ok,
                status: None,
                lookup: None,
                edge: Edge::default(),
            })
            .collect();
        of_failures(&failing, &fine, 3, None)
    }

    fn check(failing: &[(&Region, Reason, Option<u16>)], fine: &[&Region], cause: Cause) {
        assert_eq!(fitting(failing, fine)[0], cause);
    }

    #[test]
    fn what_else_would_fit_is_listed_after_what_is_most_probable() {
        let (a, b) = (region("a", "aws", "us"), region("b", "aws", "ie"));
        let (c, d) = (region("c", "gcp", "in"), region("d", "ovh", "us"));
        let failed = |region| (region, Reason::Timeout, None);
        let network = Cause::TargetNetwork;
        assert_eq!(
            fitting(&[failed(&c)], &[&a, &b]),
            [Cause::Path, Cause::PathProvider, Cause::PathCountry, network]
        );
        assert_eq!(fitting(&[failed(&a), failed(&b)], &[&c]), [Cause::PathProvider, network]);
        assert_eq!(fitting(&[failed(&a), failed(&c)], &[&b]), [network]);
        assert_eq!(fitting(&[failed(&a), failed(&b)], &[]), [network, Cause::PathProvider]);
        assert_eq!(fitting(&[failed(&a), failed(&b), failed(&d)], &[]), [network]);
        let told = |region| (region, Reason::Status, Some(502));
        assert_eq!(fitting(&[told(&a), told(&c)], &[]), [Cause::Origin, Cause::TargetHttp]);
        let mixed = [failed(&a), (&d, Reason::Refused, None)];
        assert_eq!(fitting(&mixed, &[]), [Cause::TargetMixed, Cause::PathCountry]);
    }

    #[test]
    fn a_name_that_a_quorum_cannot_resolve_by_any_resolver_is_the_targets() {
        let (a, b) = (region("a", "aws", "us"), region("b", "aws", "ie"));
        let (c, d) = (region("c", "aws", "in"), region("d", "ovh", "us"));
        let witness = |region, lookup| Witness {
            region: Some(region),
            outcome: Outcome::Fail { phase: Phase::Dns, reason: Reason::Timeout },
            status: None,
            lookup: Some(lookup),
            edge: Edge::default(),
        };
        let fine = [Witness { outcome: Outcome::Ok, ..witness(&d, Lookup::First) }];
        let all = [&a, &b, &c].map(|region| witness(region, Lookup::Neither));
        assert_eq!(of_failures(&all, &fine, 3, None), [Cause::TargetDns, Cause::PathProvider]);
        // Where there is no second resolver, what the regions share comes first.
        let one_alone = [all[0], all[1], witness(&c, Lookup::Alone)];
        assert_eq!(
            of_failures(&one_alone, &fine, 3, None),
            [Cause::PathProvider, Cause::TargetDns]
        );
        assert_eq!(of_failures(&all[..1], &fine, 3, None)[0], Cause::Path);
    }

    fn witness(region: &Region, outcome: Outcome) -> Witness<'_> {
        let edge = Edge::default();
        Witness { region: Some(region), outcome, status: Some(502), lookup: None, edge }
    }

    #[test]
    fn what_is_known_of_the_origin_tells_it_from_the_network() {
        let (a, b) = (region("a", "aws", "us"), region("b", "aws", "ie"));
        let (c, d) = (region("c", "gcp", "in"), region("d", "ovh", "us"));
        let told = Outcome::Fail { phase: Phase::Assert, reason: Reason::Status };
        let first = |failing: &[&Region], fine: &[&Region], finding| {
            let failing: Vec<_> = failing.iter().map(|region| witness(region, told)).collect();
            let fine: Vec<_> = fine.iter().map(|region| witness(region, Outcome::Ok)).collect();
            of_failures(&failing, &fine, 2, Some(finding))[0]
        };
        let (works, fails) = (OriginFinding::Works, OriginFinding::Fails);
        assert_eq!(first(&[&a, &b, &c], &[], works), Cause::Cdn, "whatever its edges say");
        assert_eq!(first(&[&a, &b, &c], &[], fails), Cause::Origin);
        assert_eq!(first(&[&a, &c, &d], &[&b], works), Cause::Cdn);
        assert_eq!(first(&[&a, &b], &[&c], works), Cause::PathProvider, "that tells them apart");
        assert_eq!(first(&[&a, &c], &[&b, &d], works), Cause::Origin, "most are served");
        assert_eq!(first(&[&a, &b], &[&c], fails), Cause::Origin);
    }

    #[test]
    fn the_first_rule_that_matches_wins() {
        let (a, b) = (region("a", "aws", "us"), region("b", "aws", "ie"));
        let (c, d) = (region("c", "gcp", "in"), region("d", "ovh", "us"));
        let timeout = Reason::Timeout;
        check(&[(&a, timeout, None)], &[&b, &c], Cause::Path);
        check(&[(&a, timeout, None)], &[], Cause::TargetNetwork);
        check(&[(&a, timeout, None), (&b, timeout, None)], &[&c, &d], Cause::PathProvider);
        check(&[(&a, timeout, None), (&d, timeout, None)], &[&b, &c], Cause::PathCountry);
        check(&[(&a, timeout, None), (&c, timeout, None)], &[&b, &d], Cause::TargetNetwork);
        check(&[(&a, timeout, None), (&b, timeout, None)], &[], Cause::TargetNetwork);
        let told = Some(502);
        let status = Reason::Status;
        check(&[(&a, status, told), (&c, status, told)], &[], Cause::Origin);
        check(&[(&a, status, told), (&c, status, Some(500))], &[], Cause::TargetHttp);
        check(&[(&a, timeout, None), (&c, Reason::Refused, None)], &[], Cause::TargetMixed);
        check(&[], &[&a], Cause::None);
    }
}
