//! An agent that has no file descriptor left. Alone in its process, whose limit it lowers.
#![expect(clippy::expect_used, reason = "a test says what it expects")]

use std::fs::File;
use std::time::Duration;

use quorate_checks::{Egress, Environment, Policy, ProbeContext, kind, reach};
use quorate_model::{Doubt, Outcome};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use tokio::net::TcpListener;

const OVERLOADED: Outcome = Outcome::Inconclusive { reason: Doubt::Overloaded };

/// Opens files until none can be opened any more.
fn exhaust() -> Vec<File> {
    let limits = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(64), ..limits }).expect("a lower limit");
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

#[tokio::test]
async fn without_descriptors_nothing_is_said_of_the_target() {
    let timeout = Duration::from_secs(5);
    let policy = Policy::allowing(["127.0.0.0/8".parse().expect("a network")]);
    let environment = Environment::new(Egress::Direct, policy).expect("an environment");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let tcp = kind("tcp").expect("the kind exists");
    let by_address = tcp.parse(&json!({ "address": address })).expect("valid options");
    let by_name = tcp.parse(&json!({"address": "name.example:80"})).expect("valid options");

    let files = exhaust();
    let context = ProbeContext::new(environment.clone(), timeout, timeout);
    let seen = by_address.run(&context).await;
    assert_eq!(seen.outcome, OVERLOADED, "{seen:?}");
    assert!(seen.evidence.message.contains("used up its own means"), "{seen:?}");
    let seen = by_name.run(&context).await;
    assert_eq!(seen.outcome, OVERLOADED, "{seen:?}");
    let anchor = reach(&address, &environment, timeout).await;
    assert_eq!(anchor.expect_err("nothing was tried").outcome, OVERLOADED);

    drop(files);
    assert_eq!(by_address.run(&context).await.outcome, Outcome::Ok);
}
