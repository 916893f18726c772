//! The agents' side of the API: one session for each open stream.
//!
//! A session knows the wire. It checks what an agent says and passes it on, and turns what the
//! agent is to do into messages; it decides nothing.

mod hello;
mod inbound;
mod refusal;
mod sync;

use std::sync::Arc;
use std::time::Duration;

use quorate_model::{BootId, Timestamp};
use quorate_proto::agent::v1 as wire;
use quorate_proto::agent::v1::agent_service_server::{AgentService, AgentServiceServer};
use quorate_proto::agent::v1::connect_response::Message as Down;
use quorate_proto::convert::agent as convert;
use quorate_runtime::{Clock, Tasks};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::acceptor::MESSAGE_BYTES_MAX;
use crate::bus::{Bus, Inbox, SessionId, ToEngine, ToSession};
use crate::{Peer, StoreHandle};
use sync::Sync;

/// Messages that wait to be written to a stream; the session waits for room.
const OUTBOUND_MAX: usize = 64;

/// How long a session waits for an agent to read before it is cut off.
/// Source: the write stall of 30 s that the listener's other timers allow for.
const WRITE_STALL: Duration = Duration::from_secs(30);

/// Silence after which a stream is closed.
const IDLE_MAX: Duration = Duration::from_secs(45);

/// How long the first message may take.
const HELLO_MAX: Duration = Duration::from_secs(10);

/// Result batches that an agent may have under way.
const INFLIGHT_BATCHES: i32 = 4;

/// How long agents wait before they come back after their results were refused. Short, because
/// meanwhile they neither vote nor confirm: the session itself has waited for the store.
const REFUSED_RETRY: Duration = Duration::from_millis(500);

/// How long agents wait before they come back after a planned stop.
const DRAIN_RETRY: Duration = Duration::from_secs(1);

/// Serves the streams of agents.
#[derive(Debug, Clone)]
pub(crate) struct Sessions {
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) store: StoreHandle,
    pub(crate) clock: Clock,
    /// Owns the sessions.
    pub(crate) tasks: Tasks,
}

impl Sessions {
    /// The service, with its limits.
    pub(crate) fn service(self) -> AgentServiceServer<Self> {
        AgentServiceServer::new(self)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }

    /// Lets in the agents that have joined, in the region in which they joined.
    async fn admit(&self, peer: &Peer) -> Result<(), Status> {
        let agent = peer.agent.clone();
        let record = self.store.read(move |store| store.agent(&agent)).await;
        match record {
            Ok(Some(record)) if record.region == peer.region => Ok(()),
            Ok(_) => {
                tracing::warn!(agent = %peer.agent, region = %peer.region, address = %peer.address, "refused an agent that has not joined");
                Err(refusal::not_enrolled(peer))
            }
            Err(error) => {
                tracing::warn!(%error, "cannot look up an agent");
                Err(refusal::store_unavailable(false, DRAIN_RETRY))
            }
        }
    }
}

#[tonic::async_trait]
impl AgentService for Sessions {
    type ConnectStream = ReceiverStream<Result<wire::ConnectResponse, Status>>;

    async fn connect(
        &self,
        request: Request<Streaming<wire::ConnectRequest>>,
    ) -> Result<Response<Self::ConnectStream>, Status> {
        let peer = request.extensions().get::<Peer>().cloned();
        let peer = peer.ok_or_else(refusal::no_certificate)?;
        self.admit(&peer).await?;
        let (outbound, stream) = mpsc::channel(OUTBOUND_MAX);
        let session = Session {
            peer,
            bus: Arc::clone(&self.bus),
            clock: self.clock,
            tasks: self.tasks.clone(),
            outbound,
            inbound: request.into_inner(),
        };
        self.tasks.spawn("session", session.run());
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

/// One stream of one agent.
struct Session {
    peer: Peer,
    bus: Arc<dyn Bus>,
    clock: Clock,
    tasks: Tasks,
    outbound: mpsc::Sender<Result<wire::ConnectResponse, Status>>,
    inbound: Streaming<wire::ConnectRequest>,
}

/// What a session knows of its agent once it has said hello.
struct Known {
    session: SessionId,
    boot: BootId,
    sync: Sync,
    half_round_trip: Duration,
    /// When the agent was last heard.
    heard: Timestamp,
    warned: bool,
    /// Set once results were refused: when the stream ends for that, and whether for want of room.
    refused: Option<(Timestamp, bool)>,
}

impl Session {
    async fn run(mut self) {
        let Err(end) = self.serve().await else {
            return;
        };
        tracing::info!(agent = %self.peer.agent, code = ?end.code(), message = end.message(), "stream ended");
        // The stream may be gone, or the agent may not be reading.
        let told = tokio::time::timeout(DRAIN_RETRY, self.outbound.send(Err(end)));
        drop(told.await);
    }

    /// From the first message to the last. An agent that takes its leave ends it without error.
    async fn serve(&mut self) -> Result<(), Status> {
        let hello = hello::first(&mut self.inbound, HELLO_MAX).await?;
        let hello = hello::check(hello, &self.peer)?;
        let mut inbox = self.bus.open(&self.peer.agent);
        let session = inbox.session;
        let connected = hello.introduce(&self.peer, session);
        let mut known = Known {
            session,
            boot: hello.boot,
            sync: Sync::new(hello.revisions),
            half_round_trip: Duration::ZERO,
            heard: self.clock.now(),
            warned: false,
            refused: None,
        };
        self.tell(ToEngine::Connected(Box::new(connected))).await?;
        let served = self.talk(&mut inbox, &mut known).await;
        self.bus.close(&self.peer.agent, session);
        let agent = self.peer.agent.clone();
        let told = self.tell(ToEngine::Disconnected { agent, session }).await;
        served.and(told)
    }

    async fn talk(&mut self, inbox: &mut Inbox, known: &mut Known) -> Result<(), Status> {
        let stop = self.tasks.token();
        loop {
            let clock = self.clock;
            let idle_at = known.heard + IDLE_MAX;
            let unacked_at = known.sync.overdue_at();
            let (refused_at, full) = known.refused.unzip();
            tokio::select! {
                message = self.inbound.message() => {
                    known.heard = clock.now();
                    match message? {
                        Some(message) => {
                            if !self.hear(message, known).await? {
                                return Ok(());
                            }
                        }
                        None => return Ok(()),
                    }
                }
                word = inbox.words.recv() => match word {
                    Some(word) => self.obey(word, known).await?,
                    None => return Err(refusal::too_slow()),
                },
                () = stop.cancelled() => {
                    let drain = wire::Drain {
                        retry_after: Some(convert::duration_to_wire(DRAIN_RETRY)),
                    };
                    self.send(Down::Drain(drain)).await?;
                    return Err(refusal::draining(DRAIN_RETRY));
                }
                () = clock.sleep_until(idle_at) => return Err(refusal::idle(IDLE_MAX)),
                () = crate::engine_task::sleep_until(clock, unacked_at) => {
                    return Err(refusal::unacked());
                }
                () = crate::engine_task::sleep_until(clock, refused_at) => {
                    let full = full.unwrap_or_default();
                    return Err(refusal::store_unavailable(full, REFUSED_RETRY));
                }
                () = clock.sleep_until(self.peer.not_after) => {
                    return Err(refusal::expired(&self.peer));
                }
            }
        }
    }

    /// Does what the engine's owner says.
    async fn obey(&self, word: ToSession, known: &mut Known) -> Result<(), Status> {
        match word {
            ToSession::Opened { resume_after, duties } => {
                let welcome = wire::Welcome {
                    session_id: known.session.0.to_string(),
                    coordinator_version: env!("CARGO_PKG_VERSION").to_owned(),
                    settings: Some(convert::settings_to_wire(&duties.settings)),
                    max_inflight_batches: INFLIGHT_BATCHES,
                    resume_after_sequence: resume_after,
                    server_time: Some(convert::timestamp_to_wire(self.clock.wall())),
                };
                known.sync.welcome(*duties);
                self.send(Down::Welcome(welcome)).await?;
                self.sync(known).await
            }
            ToSession::Configure(duties) => {
                known.sync.configure(*duties);
                self.sync(known).await
            }
            ToSession::Assign(duties) => {
                known.sync.assign(duties);
                self.sync(known).await
            }
            ToSession::RunProbe { round, check, revision, start_within } => {
                let run = wire::RunProbe {
                    round: round.0,
                    check: check.to_string(),
                    revision: revision.0,
                    start_within: Some(convert::duration_to_wire(start_within)),
                };
                self.send(Down::RunProbe(run)).await
            }
            ToSession::Stored { boot, through } if boot == known.boot => {
                let ack = wire::ResultAck { through_sequence: through };
                self.send(Down::ResultAck(ack)).await
            }
            ToSession::Stored { .. } => Ok(()),
            ToSession::NotStored { full, retry_after } => {
                // Until then the agent can still say what it sees and be asked to look.
                known.refused.get_or_insert((self.clock.now() + retry_after, full));
                Ok(())
            }
            ToSession::Drain { retry_after } => {
                let drain =
                    wire::Drain { retry_after: Some(convert::duration_to_wire(retry_after)) };
                self.send(Down::Drain(drain)).await?;
                Err(refusal::draining(retry_after))
            }
            ToSession::Superseded => Err(refusal::superseded()),
        }
    }

    /// Sends the next change of the configuration, if one is due.
    async fn sync(&self, known: &mut Known) -> Result<(), Status> {
        match known.sync.next_update(self.clock.now()) {
            Some(update) => self.send(Down::ConfigUpdate(update)).await,
            None => Ok(()),
        }
    }

    async fn send(&self, message: Down) -> Result<(), Status> {
        let message = wire::ConnectResponse { message: Some(message) };
        let sent = tokio::time::timeout(WRITE_STALL, self.outbound.send(Ok(message))).await;
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Status::cancelled("the agent has closed the stream")),
            Err(_) => Err(refusal::too_slow()),
        }
    }

    async fn tell(&self, word: ToEngine) -> Result<(), Status> {
        self.bus.tell_engine(word).await.map_err(|_| refusal::draining(DRAIN_RETRY))
    }
}
