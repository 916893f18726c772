//! Results a second through mutual TLS, decision and SQLite, acked after the commit, beside the bare
//! store.

use std::sync::Arc;
use std::time::{Duration, Instant};

use quorate_coordinator::pki::Authority;
use quorate_coordinator::{Access, Listeners, Parts};
use quorate_model::{
    AgentId, BootId, Check, CheckId, Evidence, Health, MeasuredResult, Observation,
    Outcome as Seen, ProbeResult, RegionId, ResultId,
};
use quorate_proto::agent::v1 as wire;
use quorate_proto::convert::agent::measured_to_wire;
use quorate_runtime::{Clock, Tasks};
use quorate_store::Write;
use quorate_tests::raw_agent::{Credentials, register};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use wire::connect_request::Message as Up;
use wire::connect_response::Message as Down;

use crate::usage::{cpu, micros_each, per_second};
use crate::{Outcome, say};

/// Results of each measurement.
const RESULTS: u64 = 200_000;
/// Results in a batch.
const BATCH: u64 = 256;

const CONFIGURATION: &str = r#"
version: 1
server: { agents: { listen: "127.0.0.1:7444" } }
regions: { fra: {} }
anchors: []
checks:
  shop: { tcp: { address: "127.0.0.1:9" }, interval: 60s, timeout: 10s }
"#;

fn names() -> Outcome<(RegionId, AgentId, CheckId)> {
    Ok(("fra".parse()?, "fra-1".parse()?, "shop".parse()?))
}

pub(crate) async fn measure() -> Outcome {
    let bare = tokio::task::spawn_blocking(store_alone).await??;
    let whole = stream_to_commit().await?;
    say(&format!("  whole path / bare store: {:.2} of the rate", whole / bare));
    Ok(())
}

fn observation() -> Observation {
    let total = Duration::from_millis(40);
    Observation { outcome: Seen::Ok, total, phases: Vec::new(), evidence: Evidence::default() }
}

/// The ceiling: the same results committed by one thread in the same batches, nothing else.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn store_alone() -> Outcome<f64> {
    let folder = tempfile::tempdir()?;
    let mut store =
        quorate_store::open(&format!("sqlite:{}", folder.path().join("bench.db").display()))?;
    let (region, agent, check) = names()?;
    let now = Clock::start().now();
    let result = |sequence| ProbeResult {
        id: ResultId { agent: agent.clone(), boot: BootId(1), sequence },
        region: region.clone(),
        check: check.clone(),
        revision: quorate_model::Revision(1),
        round: None,
        started: now,
        received: now,
        health: Health::Fine,
        observation: observation(),
    };
    let started = Instant::now();
    for first in (1..=RESULTS).step_by(usize::try_from(BATCH)?) {
        let batch = (first..(first + BATCH).min(RESULTS + 1)).map(result).collect();
        store.commit(&[Write::Results(batch)])?;
    }
    let rate = per_second(RESULTS, started.elapsed());
    say(&format!("  bare store, batches of {BATCH}, one fsync each: {rate:.0} results a second"));
    Ok(rate)
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
async fn stream_to_commit() -> Outcome<f64> {
    let folder = tempfile::tempdir()?;
    let mut store =
        quorate_store::open(&format!("sqlite:{}", folder.path().join("bench.db").display()))?;
    let (region, agent, check) = names()?;
    let (clock, tasks) = (Clock::start(), Tasks::new());
    let authority = Arc::new(Authority::ephemeral(&[], clock.now())?);
    register(store.as_mut(), &region, &agent, clock.now())?;
    let configuration = quorate_config::parse("bench.yaml", CONFIGURATION)
        .map_err(|problems| format!("{problems:?}"))?;
    let known = configuration.fleet.checks.get(&check).ok_or("the check is missing")?.clone();
    let listeners = Listeners {
        agents: TcpListener::bind("127.0.0.1:0").await?,
        join: TcpListener::bind("127.0.0.1:0").await?,
        api: TcpListener::bind("127.0.0.1:0").await?,
    };
    let running = quorate_coordinator::start(Parts {
        configuration,
        source: None,
        store,
        authority: Arc::clone(&authority),
        listeners,
        access: Access::LoopbackOpen,
        clock,
        tasks,
        data: None,
    })
    .await?;

    let credentials = Credentials::sign(&authority, &region, &agent, clock.now())?;
    let mut client = credentials.connect(running.agents_addr()).await?;
    let (up, messages) = mpsc::channel(8);
    up.send(request(Up::Hello(hello()))).await?;
    let mut down = client.connect(ReceiverStream::new(messages)).await?.into_inner();
    let (before, started) = (cpu(), Instant::now());
    let sending = send(up, &known, clock);
    let receiving = async {
        while let Some(message) = down.message().await? {
            if let Some(Down::ResultAck(ack)) = message.message
                && ack.through_sequence == RESULTS
            {
                return Ok::<_, Box<dyn std::error::Error + Send + Sync>>(());
            }
        }
        Err("the stream ended before all was acked".into())
    };
    let (sent, acked) = tokio::join!(sending, receiving);
    drop(sent?);
    acked?;
    let (used, elapsed) = (cpu().saturating_sub(before), started.elapsed());
    let rate = per_second(RESULTS, elapsed);
    say(&format!(
        "  agent stream to SQLite commit to ack: {rate:.0} results a second, {:.1} us of processor time each, sender included",
        micros_each(used, RESULTS),
    ));
    running.stop(Duration::from_secs(5)).await;
    Ok(rate)
}

fn hello() -> wire::Hello {
    wire::Hello {
        boot_id: BootId(7).0.to_be_bytes().to_vec(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        kinds: vec!["tcp".to_owned()],
        ..wire::Hello::default()
    }
}

fn request(message: Up) -> wire::ConnectRequest {
    wire::ConnectRequest { message: Some(message) }
}

/// Sends all results as fast as they are taken. Returns the stream's sender, so that it stays open.
async fn send(
    up: mpsc::Sender<wire::ConnectRequest>,
    check: &Check,
    clock: Clock,
) -> Outcome<mpsc::Sender<wire::ConnectRequest>> {
    for first in (1..=RESULTS).step_by(usize::try_from(BATCH)?) {
        let at = clock.uptime();
        let result = |sequence| {
            measured_to_wire(&MeasuredResult {
                sequence,
                check: check.id.clone(),
                revision: check.revision,
                round: None,
                started_at: at.saturating_sub(Duration::from_millis(40)),
                ended_at: at,
                health: Health::Fine,
                observation: observation(),
            })
        };
        let batch = wire::ResultBatch {
            sent_at: Some(prost_types::Duration::try_from(at)?),
            results: (first..(first + BATCH).min(RESULTS + 1)).map(result).collect(),
        };
        up.send(request(Up::ResultBatch(batch))).await?;
    }
    Ok(up)
}
