//! Servers in Python, installed by `tests/run` into a virtual environment below the target folder.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use quorate_model::{Observation, Phase, Reason};
use serde_json::{Value, json};

use super::{Peer, assert_fails, assert_ok, free_address, probe};

/// `None` if the peers are not installed.
pub(crate) async fn start(script: &str) -> Option<(Peer, SocketAddr)> {
    let python = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../venv/bin/python");
    if !python.exists() {
        println!("SKIPPED: probes of {script}: the Python peers are not installed");
        return None;
    }
    let address = free_address().await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(script);
    let mut command = Command::new(python);
    command.arg(script).arg(address.port().to_string());
    let mut peer = Peer::start(&mut command).expect("Python starts");
    peer.takes_connections(address).await;
    Some((peer, address))
}

async fn ask(kind: &str, target: (&str, String), more: Value) -> Observation {
    let (key, value) = target;
    let mut options = json!({key: value});
    for (key, value) in more.as_object().expect("a map") {
        options[key] = value.clone();
    }
    probe(kind, options).await
}

#[tokio::test]
async fn the_health_service_of_grpcio() {
    let Some((_peer, address)) = start("health.py").await else {
        return;
    };
    let grpc = |more| ask("grpc", ("address", address.to_string()), more);
    assert_ok(&grpc(json!({})).await);
    let seen = grpc(json!({"service": "shop.v1.Orders"})).await;
    assert_ok(&seen);
    assert_eq!(seen.evidence.grpc.expect("facts").serving, "SERVING");
    let seen = grpc(json!({"service": "shop.v1.Billing"})).await;
    assert_fails(&seen, Phase::Assert, Reason::NotServing, "NOT_SERVING");
    let seen = grpc(json!({"service": "shop.v1.Nothing"})).await;
    assert_fails(&seen, Phase::Assert, Reason::GrpcStatus, "NOT_FOUND");
    assert_ok(
        &grpc(json!({"service": "shop.v1.Nothing", "expect": {"status": "NOT_FOUND"}})).await,
    );
    let seen = grpc(json!({"metadata": {"x-tenant": "stranger"}})).await;
    assert_fails(&seen, Phase::Assert, Reason::GrpcStatus, "PERMISSION_DENIED (\"not you\")");
}

#[tokio::test]
async fn the_library_websockets() {
    let Some((_peer, address)) = start("echo.py").await else {
        return;
    };
    let socket = |more| ask("websocket", ("url", format!("ws://{address}/")), more);
    assert_ok(&socket(json!({})).await);
    assert_ok(&socket(json!({"send": "hällo", "expect": "hällo"})).await);
    assert_ok(&socket(json!({"send": "x".repeat(4_000), "expect": {"regex": "^x{4000}$"}})).await);
    let seen = socket(json!({"send": "close", "close_code": 4001})).await;
    assert_ok(&seen);
    assert_eq!(seen.evidence.close_code, Some(4001));
    let seen = socket(json!({"send": "close", "expect": "anything"})).await;
    assert_fails(&seen, Phase::Transfer, Reason::Body, "closed with code 4001");
    assert_ok(&socket(json!({"subprotocol": "chat", "send": "protocol", "expect": "chat"})).await);
    let seen = socket(json!({"subprotocol": "mqtt"})).await;
    assert_fails(&seen, Phase::Ttfb, Reason::Status, "status 400");
}
