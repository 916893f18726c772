//! What an agent says after its first message.

use std::time::Duration;

use quorate_model::{CheckId, RoundId};
use quorate_proto::agent::v1 as wire;
use quorate_proto::agent::v1::connect_request::Message as Up;
use quorate_proto::agent::v1::connect_response::Message as Down;
use quorate_proto::convert::agent as convert;
use tonic::Status;

use super::{Known, Session, refusal};
use crate::bus::{Alive, Batch, ToEngine};

/// Results in one batch.
const BATCH_MAX: usize = 500;

/// The longest half of a round trip that is believed: more would date a probe too far back.
const HALF_ROUND_TRIP_MAX: Duration = Duration::from_secs(1);

impl Session {
    /// Hears a message. Returns whether the agent goes on.
    pub(super) async fn hear(
        &self,
        request: wire::ConnectRequest,
        known: &mut Known,
    ) -> Result<bool, Status> {
        match request.message {
            Some(Up::Heartbeat(heartbeat)) => self.heartbeat(&heartbeat, known).await?,
            Some(Up::ConfigAck(ack)) => self.config_ack(ack, known).await?,
            Some(Up::ResultBatch(batch)) => self.results(batch, known).await?,
            Some(Up::ProbeAck(ack)) => self.declined(&ack).await?,
            Some(Up::Suspect(suspect)) => {
                let received = self.received(known, Duration::ZERO);
                let suspicion =
                    convert::suspicion(&suspect, &received).map_err(refusal::invalid)?;
                self.tell(ToEngine::Suspected(Box::new(suspicion))).await?;
            }
            Some(Up::Hello(_)) => {
                return Err(refusal::invalid("only the first message may be Hello"));
            }
            Some(Up::Goodbye(goodbye)) => {
                let reason: String = goodbye.reason.chars().take(64).collect();
                tracing::info!(agent = %self.peer.agent, ?reason, "agent takes its leave");
                return Ok(false);
            }
            // Of a later version: not for us.
            None => tracing::debug!(agent = %self.peer.agent, "passed over an unknown message"),
        }
        Ok(true)
    }

    fn received(&self, known: &Known, sent_at: Duration) -> convert::Received {
        convert::Received {
            agent: self.peer.agent.clone(),
            region: self.peer.region.clone(),
            boot: known.boot,
            received: known.heard,
            sent_at,
            half_round_trip: known.half_round_trip,
        }
    }

    async fn heartbeat(
        &self,
        heartbeat: &wire::Heartbeat,
        known: &mut Known,
    ) -> Result<(), Status> {
        let received = self.clock.wall();
        let ack = wire::HeartbeatAck {
            sequence: heartbeat.sequence,
            server_time: Some(convert::timestamp_to_wire(received)),
        };
        self.send(Down::HeartbeatAck(ack)).await?;
        let round_trip = match heartbeat.round_trip {
            Some(span) => convert::duration_from_wire("round_trip", Some(span))
                .map(Some)
                .map_err(refusal::invalid)?,
            None => None,
        };
        let half = round_trip.map(|round_trip| (round_trip / 2).min(HALF_ROUND_TRIP_MAX));
        known.half_round_trip = half.unwrap_or(known.half_round_trip);
        let alive = Alive {
            agent: self.peer.agent.clone(),
            heartbeat: convert::heartbeat(heartbeat, received, half).map_err(refusal::invalid)?,
            spooled: u64::try_from(heartbeat.spooled_result_count).unwrap_or(0),
            dropped: u64::try_from(heartbeat.dropped_result_count).unwrap_or(0),
            round_trip,
        };
        self.tell(ToEngine::Alive(alive)).await
    }

    async fn config_ack(&self, ack: wire::ConfigAck, known: &mut Known) -> Result<(), Status> {
        if !known.sync.acked(ack) {
            return Err(refusal::invalid("field nonce is not that of the update under way"));
        }
        let word = ToEngine::Configured {
            agent: self.peer.agent.clone(),
            rejections: known.sync.rejections(),
        };
        self.tell(word).await?;
        self.sync(known).await
    }

    /// Passes results on. One that is not fit to be kept is passed over, and acknowledged with the
    /// others: sent again it would be no better.
    async fn results(&self, batch: wire::ResultBatch, known: &mut Known) -> Result<(), Status> {
        if batch.results.len() > BATCH_MAX {
            return Err(refusal::invalid("field results has more than 500 entries"));
        }
        let sent_at = convert::duration_from_wire("sent_at", batch.sent_at);
        let received = self.received(known, sent_at.map_err(refusal::invalid)?);
        let mut results = Vec::with_capacity(batch.results.len());
        let mut through = 0;
        for result in batch.results {
            through = through.max(result.sequence);
            match convert::result(result, &received) {
                Ok(result) => results.push(result),
                Err(error) if known.warned => {
                    tracing::debug!(agent = %self.peer.agent, %error, "passed over a result");
                }
                Err(error) => {
                    known.warned = true;
                    tracing::warn!(agent = %self.peer.agent, %error, "passed over a result that is not fit to be kept");
                }
            }
        }
        let batch = Batch {
            agent: self.peer.agent.clone(),
            session: known.session,
            boot: known.boot,
            through,
            results,
        };
        self.tell(ToEngine::Results(batch)).await
    }

    async fn declined(&self, ack: &wire::ProbeAck) -> Result<(), Status> {
        let check: CheckId = ack.check.parse().map_err(refusal::invalid)?;
        let reason: String = ack.reason.chars().take(64).collect();
        tracing::debug!(agent = %self.peer.agent, %check, round = ack.round, ?reason, "probe declined");
        let word =
            ToEngine::Declined { agent: self.peer.agent.clone(), round: RoundId(ack.round), check };
        self.tell(word).await
    }
}
