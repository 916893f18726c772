//! Probes a second and processor time for each probe, beside a bare client.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper_util::rt::TokioIo;
use quorate_checks::{Egress, Environment, Policy, ProbeContext};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::server::Server;
use crate::usage::{cpu, micros_each, per_second};
use crate::{Outcome, say};

/// Probes of each measurement.
const PROBES: u64 = 20_000;
/// Probes at the same time.
const WORKERS: u64 = 16;

pub(crate) async fn measure() -> Outcome {
    let server = Server::start().await?;
    let url = format!("http://{}/", server.address);

    let kind = quorate_checks::kind("http").ok_or("there is no http check")?;
    let options = serde_json::json!({ "url": url });
    let probe: Arc<dyn quorate_checks::Probe> =
        kind.parse(&options).map_err(|problems| format!("{problems:?}"))?.into();
    let loopback = "127.0.0.0/8".parse()?;
    let policy = Policy { allow: vec![loopback], ..Policy::default() };
    let environment = Environment::new(Egress::Direct, policy)?;

    let bare = run("bare hyper client", || {
        let address = server.address.clone();
        async move { get(&address).await.is_ok() }
    })
    .await?;
    let ours = run("http check", || {
        let (probe, environment) = (Arc::clone(&probe), environment.clone());
        async move {
            let (timeout, slow) = (Duration::from_secs(10), Duration::from_secs(5));
            let context = ProbeContext::new(environment, timeout, slow);
            probe.run(&context).await.outcome.is_success()
        }
    })
    .await?;
    say(&format!("  http check / bare client: {:.2} times the processor time", ours / bare));
    Ok(())
}

/// One GET over a connection of its own.
async fn get(address: &str) -> Outcome {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get("/").header("host", address).body(Empty::<Bytes>::new())?;
    let exchange = async {
        let answer = sender.send_request(request).await?;
        answer.into_body().collect().await
    };
    tokio::select! {
        answer = exchange => drop(answer?),
        ended = connection => ended?,
    }
    Ok(())
}

/// Runs `once` many times; the processor time for each, in microseconds.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
async fn run<F>(name: &str, once: impl Fn() -> F) -> Outcome<f64>
where
    F: Future<Output = bool> + Send + 'static,
{
    let (before, started) = (cpu(), Instant::now());
    let mut running = JoinSet::new();
    let (mut begun, mut good) = (0, 0);
    while begun < PROBES || !running.is_empty() {
        while begun < PROBES && (running.len() as u64) < WORKERS {
            running.spawn(once());
            begun += 1;
        }
        if let Some(ended) = running.join_next().await {
            good += u64::from(ended?);
        }
    }
    let (used, elapsed) = (cpu().saturating_sub(before), started.elapsed());
    let each = micros_each(used, PROBES);
    say(&format!(
        "  {name}: {:.0} a second, {each:.0} us of processor time each ({good} of {PROBES} succeeded)",
        per_second(PROBES, elapsed),
    ));
    if good == PROBES { Ok(each) } else { Err(format!("{name}: not every probe succeeded").into()) }
}
