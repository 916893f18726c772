//! The way to the coordinator: connects, keeps one stream open, and comes back when it ends.

mod session;

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use quorate_checks::WallClock;
use quorate_model::{AgentSettings, BootId, Timestamp};
use quorate_proto::agent::v1 as wire;
use quorate_proto::agent::v1::agent_service_client::AgentServiceClient;
use quorate_proto::convert::agent as convert;
use quorate_runtime::{Backoff, Clock};
use rustls::ClientConfig;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use wire::connect_request::Message;
use wire::connect_response::Message as Reply;

use crate::dial::{self, DialError};
use crate::lag::Lag;
use crate::outbox::Outbox;
use crate::prober::{Command, Revisions};
use crate::reachability::{Change, Reachability};
use crate::selftest::SelfTest;
use session::{Greeting, Session};

/// The shortest bound of a wait before an attempt.
const RETRY_MIN: Duration = Duration::from_millis(500);
/// The wait after the coordinator has refused who the agent is.
const RETRY_REFUSED: Duration = Duration::from_secs(60);
/// The longest wait that a coordinator can ask for.
const DRAIN_MAX: Duration = Duration::from_secs(300);
/// How long a stream must last before the next wait is short again.
const HEALTHY: Duration = Duration::from_secs(60);
/// How long a stream must last before the coordinator counts as there again: longer than one keeps
/// a stream open whose results it cannot store.
const STEADY: Duration = Duration::from_secs(5);
/// The time for the coordinator's first message.
const WELCOME: Duration = Duration::from_secs(10);

/// What the uplink works with.
#[derive(Debug)]
pub(crate) struct Uplink {
    pub(crate) coordinators: Vec<String>,
    pub(crate) tls: Arc<ClientConfig>,
    pub(crate) boot: BootId,
    pub(crate) region: String,
    pub(crate) kinds: Vec<String>,
    pub(crate) retry_max: Duration,
    pub(crate) grace: Duration,
    pub(crate) clock: Clock,
    /// Told what time it is by the coordinator.
    pub(crate) wall: WallClock,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) revisions: Revisions,
    pub(crate) settings: watch::Receiver<AgentSettings>,
    pub(crate) selftest: Arc<SelfTest>,
    pub(crate) lag: Arc<Lag>,
    /// Cancelled when no new result will come: send the rest, and leave.
    pub(crate) drain: CancellationToken,
}

/// Why a stream ended, or never began.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Ended {
    /// The agent is done.
    #[error("the agent is shutting down")]
    Finished,
    /// No connection.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The coordinator ended it with an error.
    #[error("the coordinator at {address} ended the stream: {}", said(status))]
    Refused {
        /// `host:port`.
        address: String,
        /// What it said.
        #[source]
        status: Box<Status>,
    },
    /// The coordinator ended it.
    #[error("the coordinator at {address} closed the stream")]
    Closed {
        /// `host:port`.
        address: String,
    },
    /// The coordinator asked the agent to go.
    #[error("the coordinator at {address} is draining")]
    Drained {
        /// `host:port`.
        address: String,
        /// How long to wait.
        retry_after: Duration,
    },
    /// The coordinator is there, but says nothing.
    #[error("the coordinator at {address} does not answer")]
    Silent {
        /// `host:port`.
        address: String,
    },
    /// Something else came than the protocol allows.
    #[error("{address} does not speak the agents' protocol: {problem}")]
    Protocol {
        /// `host:port`.
        address: String,
        /// What is wrong.
        problem: &'static str,
    },
}

fn said(status: &Status) -> String {
    let message: String = status.message().chars().take(256).collect();
    format!("{} ({})", message.escape_debug(), status.code())
}

impl Uplink {
    /// Keeps a stream open until `drain` is cancelled, and then until its results are sent.
    ///
    /// # Cancellation
    ///
    /// Dropping it closes the stream; results that were not acknowledged stay in the outbox.
    pub(crate) async fn run(self) {
        let seed = u64::from_be_bytes(quorate_runtime::random::bytes());
        let mut backoff = Backoff::new(RETRY_MIN, self.retry_max.max(RETRY_MIN), seed);
        let mut reachability = Reachability::default();
        let mut number = 0_u64;
        let mut turn = 0_usize;
        while let Some(address) = self.coordinators.get(turn % self.coordinators.len().max(1)) {
            number += 1;
            let mut greeted = None;
            let ended = self.connect(number, address, &mut reachability, &mut greeted).await;
            if matches!(ended, Ended::Finished) {
                return;
            }
            let now = self.clock.now();
            tell(reachability.failed(now), &ended);
            if greeted.is_some_and(|at| now.since(at) >= HEALTHY) {
                backoff.reset();
            }
            turn = turn.wrapping_add(1);
            let delay = delay_after(&ended, backoff.next_delay());
            tracing::debug!(%ended, ?delay, "attempt ended");
            tokio::select! {
                () = self.clock.sleep_until(now + delay) => {}
                () = self.drain.cancelled() => return,
            }
        }
    }

    async fn connect(
        &self,
        number: u64,
        address: &str,
        reachability: &mut Reachability,
        greeted: &mut Option<Timestamp>,
    ) -> Ended {
        let greeting = tokio::select! {
            greeting = self.greet(address) => greeting,
            () = self.drain.cancelled() => return Ended::Finished,
        };
        let greeting = match greeting {
            Ok(greeting) => greeting,
            Err(ended) => return ended,
        };
        let now = self.clock.now();
        *greeted = Some(now);
        let session = Session::new(self, number, address, greeting).run();
        if !reachability.is_lost() {
            tracing::info!(address, "connected to the coordinator");
            return session.await;
        }
        tokio::pin!(session);
        tokio::select! {
            ended = &mut session => return ended,
            () = self.clock.sleep_until(now + STEADY) => {}
        }
        if let Some(Change::Back { since }) = reachability.steady() {
            tracing::info!(address, away = ?now.since(since), "coordinator can be reached again");
        }
        session.await
    }

    /// Opens a stream, says hello, and waits for the welcome.
    async fn greet(&self, address: &str) -> Result<Greeting, Ended> {
        let channel = dial::dial(address, &self.tls).await?;
        let mut client = AgentServiceClient::new(channel)
            .max_decoding_message_size(dial::MESSAGE_MAX)
            .max_encoding_message_size(dial::MESSAGE_MAX);
        // One message at a time, so that what is urgent overtakes all that has not left yet.
        let (sender, receiver) = mpsc::channel(1);
        let hello = wire::ConnectRequest { message: Some(Message::Hello(self.hello())) };
        let silent = || Ended::Silent { address: address.to_owned() };
        let refused =
            |status| Ended::Refused { address: address.to_owned(), status: Box::new(status) };
        sender.send(hello).await.map_err(|_| silent())?;
        let first = async {
            let stream = client.connect(ReceiverStream::new(receiver)).await;
            let mut incoming = stream.map_err(refused)?.into_inner();
            let first = incoming.message().await.map_err(refused)?;
            Ok::<_, Ended>((incoming, first))
        };
        let (incoming, first) =
            tokio::time::timeout(WELCOME, first).await.map_err(|_| silent())??;
        let Some(first) = first else {
            return Err(Ended::Closed { address: address.to_owned() });
        };
        match first.message {
            Some(Reply::Welcome(welcome)) => Ok(Greeting { welcome, sender, incoming }),
            Some(Reply::Drain(drain)) => Err(Ended::Drained {
                address: address.to_owned(),
                retry_after: retry_after(&drain),
            }),
            Some(
                Reply::HeartbeatAck(_)
                | Reply::ConfigUpdate(_)
                | Reply::ResultAck(_)
                | Reply::RunProbe(_),
            )
            | None => Err(Ended::Protocol {
                address: address.to_owned(),
                problem: "its first message is not a welcome",
            }),
        }
    }

    fn hello(&self) -> wire::Hello {
        let (spooled, _) = self.outbox.counts();
        let revisions = self.revisions.read().unwrap_or_else(PoisonError::into_inner);
        wire::Hello {
            boot_id: self.boot.0.to_be_bytes().to_vec(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            kinds: self.kinds.clone(),
            known_revisions: revisions.clone(),
            spooled_result_count: i64::try_from(spooled).unwrap_or(i64::MAX),
            region: self.region.clone(),
            send_time: Some(convert::timestamp_to_wire(self.clock.wall())),
        }
    }
}

/// How long to wait, given the back-off's own wish.
fn delay_after(ended: &Ended, backoff: Duration) -> Duration {
    match ended {
        Ended::Refused { status, .. }
            if matches!(status.code(), Code::Unauthenticated | Code::PermissionDenied) =>
        {
            RETRY_REFUSED + backoff
        }
        Ended::Refused { status, .. } => match asked(status) {
            Some(wait) => wait + backoff.min(RETRY_MIN),
            None => backoff,
        },
        Ended::Drained { retry_after, .. } => *retry_after + backoff.min(RETRY_MIN),
        Ended::Finished
        | Ended::Dial(_)
        | Ended::Closed { .. }
        | Ended::Silent { .. }
        | Ended::Protocol { .. } => backoff,
    }
}

/// How long the coordinator asks the agent to wait, when what it cannot do now it can do later.
fn asked(status: &Status) -> Option<Duration> {
    let later = matches!(status.code(), Code::ResourceExhausted | Code::Unavailable);
    let wait = later.then(|| status.get_details_retry_info()).flatten()?.retry_delay?;
    Some(wait.min(DRAIN_MAX))
}

fn retry_after(drain: &wire::Drain) -> Duration {
    convert::duration_from_wire("retry_after", drain.retry_after).unwrap_or_default().min(DRAIN_MAX)
}

fn tell(change: Option<Change>, ended: &Ended) {
    if let Some(Change::Lost) = change {
        tracing::warn!(
            reason = %ended,
            "coordinator cannot be reached: probing goes on, results are kept, \
             attempts are repeated until it is back"
        );
    }
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    fn refused(code: Code) -> Ended {
        Ended::Refused { address: "c:1".into(), status: Box::new(Status::new(code, "no")) }
    }

    #[test]
    fn who_is_refused_comes_back_slowly() {
        let short = Duration::from_millis(300);
        assert!(delay_after(&refused(Code::PermissionDenied), short) >= RETRY_REFUSED);
        assert!(delay_after(&refused(Code::Unauthenticated), short) >= RETRY_REFUSED);
        assert_eq!(delay_after(&refused(Code::Unknown), short), short);
    }

    #[test]
    fn who_is_asked_to_wait_a_moment_waits_no_longer() {
        let long = Duration::from_secs(30);
        let wait = |asked| {
            let details = ErrorDetails::with_retry_info(Some(asked));
            let code = Code::ResourceExhausted;
            let status = Box::new(Status::with_error_details(code, "full", details));
            delay_after(&Ended::Refused { address: "c:1".into(), status }, long)
        };
        assert_eq!(wait(Duration::from_secs(1)), Duration::from_secs(1) + RETRY_MIN);
        assert_eq!(wait(Duration::from_secs(86_400)), DRAIN_MAX + RETRY_MIN);
        assert_eq!(delay_after(&refused(Code::ResourceExhausted), long), long);
    }

    #[test]
    fn who_is_told_to_go_comes_back_when_told() {
        let short = Duration::from_millis(300);
        let drained = Ended::Drained { address: "c:1".into(), retry_after: Duration::from_secs(7) };
        assert!(delay_after(&drained, short) >= Duration::from_secs(7));
    }

    #[test]
    fn a_coordinator_cannot_send_agents_away_for_ever() {
        let drain = wire::Drain {
            retry_after: Some(convert::duration_to_wire(Duration::from_secs(86_400))),
        };
        assert_eq!(retry_after(&drain), DRAIN_MAX);
        assert_eq!(retry_after(&wire::Drain::default()), Duration::ZERO);
    }

    #[test]
    fn what_a_coordinator_says_is_cut_and_escaped() {
        let status = Status::new(Code::Internal, "\u{1b}[31m".to_owned() + &"x".repeat(9_999));
        let text = said(&status);
        assert!(text.len() < 400 && !text.contains('\u{1b}'), "{text}");
    }
}
