//! The kind `icmp` in networks of its own: without privileges, without permission, without replies.
#![expect(clippy::expect_used, reason = "a test says what it expects")]
#![expect(clippy::print_stdout, reason = "this program is its own harness")]

use std::process::Command;
use std::time::Duration;

use quorate_checks::{Egress, Environment, Network, Policy, ProbeContext, kind};
use quorate_model::{Doubt, Observation, Outcome, Phase, Reason};
use serde_json::json;

/// What a child answers that found what it should.
const FOUND: i32 = 42;
/// A user without any privilege.
const NOBODY: &str = "setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all";

/// What a child in its own network finds, and how the network is made.
struct Case {
    name: &'static str,
    setting: &'static str,
    before: &'static str,
    holds: fn(&Observation) -> bool,
}

const CASES: [Case; 3] = [
    Case {
        name: "a_ping_socket_needs_no_privilege",
        setting: "net.ipv4.ping_group_range=65534 65534",
        before: NOBODY,
        holds: |seen| {
            let facts = seen.evidence.ping.as_deref();
            seen.outcome == Outcome::Ok && facts.is_some_and(|facts| facts.received == 2)
        },
    },
    Case {
        name: "without_permission_there_is_doubt_and_advice",
        setting: "net.ipv4.ping_group_range=1 0",
        before: NOBODY,
        holds: |seen| {
            seen.outcome == Outcome::Inconclusive { reason: Doubt::NoPrivilege }
                && seen.evidence.message.contains("net.ipv4.ping_group_range")
        },
    },
    Case {
        name: "what_never_comes_back_is_lost_in_time",
        setting: "net.ipv4.icmp_echo_ignore_all=1",
        before: "",
        holds: |seen| {
            let lost = Outcome::Fail { phase: Phase::Ttfb, reason: Reason::Timeout };
            let facts = seen.evidence.ping.as_deref();
            seen.outcome == lost
                && seen.evidence.message == "none of 2 packets came back"
                && facts.is_some_and(|facts| (facts.sent, facts.received) == (2, 0))
                && seen.total < Duration::from_secs(3)
        },
    },
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["child", name] => child(name),
        // `cargo test -- --list` asks every test program.
        other if other.contains(&"--list") => println!("{} tests", CASES.len()),
        _ => CASES.iter().for_each(run),
    }
}

/// Runs a case in a network name space of its own.
fn run(case: &Case) {
    let script = format!(
        "ip link set lo up && sysctl -qw '{}' || exit 1; exec {} \"$0\" child {}",
        case.setting, case.before, case.name
    );
    let this = std::env::current_exe().expect("this program");
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", &script]).arg(this);
    let code = command.status().ok().and_then(|status| status.code());
    match code {
        Some(FOUND) => println!("test {} ... ok", case.name),
        // 1 is what `unshare` itself and the settings answer.
        None | Some(1 | 126 | 127) => {
            println!("SKIPPED: {}: no network of its own, or no setpriv", case.name);
        }
        other => assert_eq!(other, Some(FOUND), "{} failed", case.name),
    }
}

/// Probes loopback in this network.
fn child(name: &str) {
    let case = CASES.iter().find(|case| case.name == name).expect("a case");
    let networks = ["127.0.0.0/8".parse::<Network>().expect("a network")];
    let environment =
        Environment::new(Egress::Direct, Policy::allowing(networks)).expect("an environment");
    let ample = Duration::from_secs(20);
    let context = ProbeContext::new(environment, ample, ample);
    let options = json!({"host": "127.0.0.1", "count": 2, "interval": "100ms"});
    let probe = kind("icmp").expect("icmp").parse(&options).expect("valid options");
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let seen = runtime.block_on(probe.run(&context));
    let holds = (case.holds)(&seen);
    assert!(holds, "{name}: {seen:?}");
    #[expect(clippy::disallowed_methods, reason = "a child tells its parent by its exit code")]
    #[expect(clippy::exit, reason = "a child tells its parent by its exit code")]
    std::process::exit(FOUND);
}
