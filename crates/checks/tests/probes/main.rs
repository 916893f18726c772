//! Probes against real servers on loopback.
#![expect(clippy::expect_used, reason = "a test says what it expects")]
#![expect(clippy::print_stdout, reason = "what is skipped is said")]

mod assertions;
mod certificates;
mod client_certificates;
mod dns;
mod documents;
mod egress;
mod expectations;
mod expiry;
mod forbidden;
mod grpc;
mod hostile;
mod http;
mod icmp;
mod names;
mod redirects;
mod requests;
mod resolver;
mod server;
mod tables;
mod tcp;
mod tls;
mod tokens;
mod udp;
mod websocket;

use std::time::Duration;

use quorate_checks::{Egress, Environment, Network, Policy, ProbeContext, kind};
use quorate_model::{BlockReason, Doubt, Observation, Outcome, Phase, Reason};
use serde_json::Value;

/// More than any probe on loopback takes.
const AMPLE: Duration = Duration::from_secs(10);

/// The policy of the tests: loopback beside the public networks.
fn loopback() -> Policy {
    let networks = ["127.0.0.0/8", "::1"];
    Policy::allowing(networks.map(|text| text.parse::<Network>().expect("a network")))
}

fn context(egress: Egress, policy: Policy) -> ProbeContext {
    let environment = Environment::new(egress, policy).expect("an environment");
    ProbeContext::new(environment, AMPLE, AMPLE)
}

/// Runs one probe directly, with ample time.
async fn probe(name: &str, options: Value) -> Observation {
    probe_in(&context(Egress::Direct, loopback()), name, options).await
}

/// Runs one probe and checks what must hold of every observation.
async fn probe_in(context: &ProbeContext, name: &str, options: Value) -> Observation {
    let probe = kind(name).expect("the kind exists").parse(&options).expect("valid options");
    let observation = probe.run(context).await;
    let sum: Duration = observation.phases.iter().map(|lap| lap.elapsed).sum();
    let difference = observation.total.abs_diff(sum);
    // One that is refused before anything happens has no phases to add up.
    assert!(
        observation.phases.is_empty() || difference < Duration::from_millis(1),
        "phases miss the total by {difference:?}: {observation:?}"
    );
    let phases: Vec<_> = observation.phases.iter().map(|lap| lap.phase).collect();
    assert!(phases.is_sorted(), "{phases:?}");
    let silent = observation.evidence.message.is_empty();
    assert_eq!(observation.outcome == Outcome::Ok, silent, "{observation:?}");
    observation
}

#[track_caller]
fn assert_ok(observation: &Observation) {
    assert_eq!(observation.outcome, Outcome::Ok, "{observation:?}");
}

#[track_caller]
fn assert_fails(observation: &Observation, phase: Phase, reason: Reason, message: &str) {
    assert_eq!(observation.outcome, Outcome::Fail { phase, reason }, "{observation:?}");
    let said = &observation.evidence.message;
    assert!(said.contains(message), "{said:?} lacks {message:?}");
}

#[track_caller]
fn assert_blocked(observation: &Observation, reason: BlockReason) {
    assert_eq!(observation.outcome, Outcome::Blocked { reason }, "{observation:?}");
}

#[track_caller]
fn assert_denied(observation: &Observation, rule: &str) {
    let denied = Outcome::Inconclusive { reason: Doubt::PolicyDenied };
    assert_eq!(observation.outcome, denied, "{observation:?}");
    let said = &observation.evidence.message;
    assert!(said.contains(rule), "{said:?} lacks {rule:?}");
}
