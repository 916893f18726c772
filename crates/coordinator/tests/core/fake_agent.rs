//! An agent of the wire only.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use quorate_coordinator::pki::LISTENER_NAME;
use quorate_proto::agent::v1 as wire;
use quorate_proto::agent::v1::agent_service_client::AgentServiceClient;
use quorate_proto::agent::v1::connect_request::Message as Up;
use quorate_proto::agent::v1::connect_response::Message as Down;
use quorate_proto::convert::agent::duration_to_wire;
use rcgen::{CertificateParams, KeyPair};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};
use tonic::{Status, Streaming};

use crate::bench::Bench;

const PATIENCE: Duration = Duration::from_secs(10);

/// The certificate of an agent, and what it says of itself.
pub(crate) struct FakeAgent {
    tls: ClientTlsConfig,
    pub(crate) hello: wire::Hello,
}

/// An open stream.
pub(crate) struct Stream {
    up: mpsc::Sender<wire::ConnectRequest>,
    down: Streaming<wire::ConnectResponse>,
}

impl FakeAgent {
    pub(crate) fn new(bench: &Bench, agent: &str, region: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let csr = CertificateParams::default().serialize_request(&key).unwrap();
        let (region, agent) = (region.parse().unwrap(), agent.parse().unwrap());
        let now = bench.clock.now();
        let issued = bench.authority.sign_agent(csr.der(), &region, &agent, now).unwrap();
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(bench.authority.ca_pem()))
            .identity(Identity::from_pem(issued.certificate_pem, key.serialize_pem()))
            .domain_name(LISTENER_NAME);
        let hello = wire::Hello {
            boot_id: vec![7; 16],
            version: "0.0.1-test".to_owned(),
            kinds: vec!["http".to_owned(), "tcp".to_owned()],
            ..wire::Hello::default()
        };
        Self { tls, hello }
    }

    /// Opens a stream and says this first.
    pub(crate) async fn open(&self, address: SocketAddr, first: Up) -> Result<Stream, Status> {
        let endpoint = Endpoint::from_shared(format!("https://{address}")).unwrap();
        let endpoint = endpoint.tls_config(self.tls.clone()).unwrap();
        let channel = endpoint.connect().await.unwrap();
        let (up, requests) = mpsc::channel(100);
        up.send(request(first)).await.unwrap();
        let mut client = AgentServiceClient::new(channel);
        let down = client.connect(ReceiverStream::new(requests)).await?;
        let down = down.into_inner();
        Ok(Stream { up, down })
    }

    /// Opens a stream, says hello, and hears welcome.
    pub(crate) async fn connect(&self, address: SocketAddr) -> (Stream, wire::Welcome) {
        let first = Up::Hello(self.hello.clone());
        let mut stream = self.open(address, first).await.unwrap();
        match stream.next().await.unwrap() {
            Down::Welcome(welcome) => (stream, welcome),
            other => panic!("{other:?}"),
        }
    }

    /// As [`FakeAgent::connect`], and answers the first configuration.
    pub(crate) async fn settle(&self, address: SocketAddr) -> (Stream, wire::ConfigUpdate) {
        let (mut stream, _) = self.connect(address).await;
        let update = stream.update().await;
        stream.ack(&update, Vec::new()).await;
        stream.beat().await;
        (stream, update)
    }
}

fn request(message: Up) -> wire::ConnectRequest {
    wire::ConnectRequest { message: Some(message) }
}

impl Stream {
    pub(crate) async fn say(&self, message: Up) {
        self.up.send(request(message)).await.unwrap();
    }

    /// The next message; an error ends the stream.
    pub(crate) async fn next(&mut self) -> Result<Down, Status> {
        let message = tokio::time::timeout(PATIENCE, self.down.message()).await;
        let message = message.expect("a message in time")?;
        let message = message.ok_or_else(|| Status::ok("the stream has ended"))?;
        Ok(message.message.expect("a known message"))
    }

    /// The next message that `pick` wants.
    pub(crate) async fn find<T>(&mut self, pick: impl Fn(Down) -> Option<T>) -> T {
        loop {
            let message = self.next().await.expect("the stream goes on");
            if let Some(found) = pick(message) {
                return found;
            }
        }
    }

    /// How the stream ends.
    pub(crate) async fn end(&mut self) -> Status {
        loop {
            if let Err(status) = self.next().await {
                return status;
            }
        }
    }

    pub(crate) async fn update(&mut self) -> wire::ConfigUpdate {
        self.find(|message| match message {
            Down::ConfigUpdate(update) => Some(update),
            _ => None,
        })
        .await
    }

    pub(crate) async fn acked(&mut self) -> u64 {
        self.find(|message| match message {
            Down::ResultAck(ack) => Some(ack.through_sequence),
            _ => None,
        })
        .await
    }

    pub(crate) async fn asked(&mut self) -> wire::RunProbe {
        self.find(|message| match message {
            Down::RunProbe(run) => Some(run),
            _ => None,
        })
        .await
    }

    /// Sends a heartbeat and waits for its answer: everything said before has been heard by then.
    pub(crate) async fn beat(&mut self) {
        let heartbeat = wire::Heartbeat {
            sequence: 1,
            health: wire::Health::Fine.into(),
            round_trip: Some(duration_to_wire(Duration::from_millis(2))),
            ..wire::Heartbeat::default()
        };
        self.say(Up::Heartbeat(heartbeat)).await;
        self.find(|message| matches!(message, Down::HeartbeatAck(_)).then_some(())).await;
    }

    pub(crate) async fn ack(
        &self,
        update: &wire::ConfigUpdate,
        rejections: Vec<wire::ConfigRejection>,
    ) {
        let nonce = update.nonce.clone();
        self.say(Up::ConfigAck(wire::ConfigAck { nonce, rejections })).await;
    }

    pub(crate) async fn send(&self, results: Vec<wire::Result>) {
        let sent_at = Some(duration_to_wire(Duration::from_secs(100)));
        self.say(Up::ResultBatch(wire::ResultBatch { sent_at, results })).await;
    }
}

/// A result of a probe that has just ended.
pub(crate) fn result(update: &wire::ConfigUpdate, sequence: u64, check: &str) -> wire::Result {
    let specs: BTreeMap<&str, u64> =
        update.upserts.iter().map(|spec| (spec.check.as_str(), spec.revision)).collect();
    wire::Result {
        sequence,
        check: check.to_owned(),
        revision: specs[check],
        started_at: Some(duration_to_wire(Duration::from_millis(99_990))),
        ended_at: Some(duration_to_wire(Duration::from_millis(99_999))),
        outcome: "ok".to_owned(),
        health: wire::Health::Fine.into(),
        evidence: Some(wire::Evidence::default()),
        ..wire::Result::default()
    }
}

/// The same, but failed.
pub(crate) fn failure(update: &wire::ConfigUpdate, sequence: u64, check: &str) -> wire::Result {
    wire::Result {
        outcome: "fail".to_owned(),
        phase: "connect".to_owned(),
        reason: "refused".to_owned(),
        ..result(update, sequence, check)
    }
}
