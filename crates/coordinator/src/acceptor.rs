//! Accepting connections: TCP and TLS under our own limits, HTTP by tonic.
//!
//! The stock server neither ends a handshake that never finishes nor bounds streams, and it cannot
//! refuse an expired client certificate that resumes a session. So sockets are accepted here, by
//! one loop for each listener; every handshake is a task of its own with a deadline.

mod door;
mod gate;
mod guest;

#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quorate_runtime::Clock;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Server;

pub use door::Door;
use gate::Gate;
use guest::{Guest, Pass};

/// The longest message taken or sent on the listeners for agents and for the API, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 1_024 * 1_024;

/// Requests at a time on one connection; an agent needs one, `quorate watch` a few.
const STREAMS_MAX: u32 = 32;
/// Connections that wait to be handed to HTTP.
const READY_MAX: usize = 64;
/// The pauses after the system refused to accept, such as for want of file descriptors.
const PAUSE_LEAST: Duration = Duration::from_millis(50);
const PAUSE_GREATEST: Duration = Duration::from_secs(1);
/// TCP keep-alive: first probe, time between two, and how many go unanswered.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(30), Duration::from_secs(10), 3);
/// How long sent data may go unacknowledged.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

/// What a listener puts up with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time; more wait in the system's queue.
    pub connections: usize,
    /// Handshakes at a time.
    pub handshakes: usize,
    /// Connections from one address that nobody has vouched for: those in their handshake, or all
    /// of them where there are no client certificates and no tokens. More are closed at once.
    pub strangers_per_address: usize,
    /// Whether clients stay strangers for as long as they are connected.
    pub always_strangers: bool,
    /// Time for a handshake.
    pub handshake: Duration,
    /// Time from there to the first request.
    pub first_request: Duration,
    /// Time for connections to end by themselves when the listener stops.
    pub drain: Duration,
}

impl Limits {
    /// For the listener where agents join: everybody is a stranger there for ever.
    pub fn join() -> Self {
        Self { connections: 256, always_strangers: true, ..Self::default() }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 2_048,
            handshakes: 64,
            strangers_per_address: 16,
            always_strangers: false,
            handshake: Duration::from_secs(10),
            first_request: Duration::from_secs(10),
            drain: Duration::from_secs(5),
        }
    }
}

/// How to serve a listener.
#[derive(Debug, Clone)]
pub struct Serving {
    /// Who may come in, and how.
    pub door: Door,
    /// What is put up with.
    pub limits: Limits,
    /// The clock of the process.
    pub clock: Clock,
    /// Stops the listener.
    pub stop: CancellationToken,
}

/// Serves `routes` on `listener` until told to stop. Then no connection is accepted any more, open
/// ones are asked to end, and those left after the drain time are cut.
///
/// Every request has [`PeerAddress`](crate::PeerAddress) in its extensions, and
/// [`Peer`](crate::Peer) too where a client certificate is required.
///
/// # Cancellation
///
/// Dropping it cuts all connections.
pub async fn serve(listener: TcpListener, routes: Routes, serving: Serving) {
    let cut = CancellationToken::new();
    let _cut_when_dropped = cut.clone().drop_guard();
    let (ready, incoming) = mpsc::channel(READY_MAX);
    let http1 = matches!(serving.door, Door::Tls(_) | Door::Plain);
    let (stop, drain) = (serving.stop.clone(), serving.limits.drain);
    let accepting = Accepting {
        gate: Gate::new(serving.limits.strangers_per_address),
        connections: Arc::new(Semaphore::new(serving.limits.connections)),
        handshakes: Arc::new(Semaphore::new(serving.limits.handshakes)),
        cut: cut.clone(),
        ready,
        serving,
    };
    let http = http_server(http1).serve_with_incoming_shutdown(
        routes.prepare(),
        ReceiverStream::new(incoming),
        stop.cancelled(),
    );
    let overdue = async {
        stop.cancelled().await;
        tokio::time::sleep(drain).await;
    };
    let served = async {
        let ((), served) = tokio::join!(accepting.run(listener), http);
        if let Err(error) = served {
            tracing::error!(%error, "listener failed");
        }
    };
    tokio::select! {
        () = served => {}
        () = overdue => tracing::info!("cutting the connections that are left"),
    }
}

type Request = hyper::Request<tonic::body::Body>;
type Announce = tower::util::MapRequestLayer<fn(Request) -> Request>;
type Layers = tower::layer::util::Stack<Announce, tower::layer::util::Identity>;

/// The HTTP side of a listener. Every bound is set here: the defaults have none for streams.
fn http_server(http1: bool) -> Server<Layers> {
    Server::builder()
        .accept_http1(http1)
        .max_concurrent_streams(STREAMS_MAX)
        .http2_keepalive_interval(Some(Duration::from_secs(20)))
        .http2_keepalive_timeout(Some(Duration::from_secs(10)))
        .http2_max_header_list_size(16 * 1_024)
        .max_frame_size(16 * 1_024)
        .initial_stream_window_size(256 * 1_024)
        .initial_connection_window_size(1_024 * 1_024)
        .http2_max_pending_accept_reset_streams(Some(20))
        .http2_max_local_error_reset_streams(Some(128))
        .layer(Announce::new(guest::announce))
}

/// One accept loop.
struct Accepting {
    serving: Serving,
    gate: Gate,
    connections: Arc<Semaphore>,
    handshakes: Arc<Semaphore>,
    cut: CancellationToken,
    ready: mpsc::Sender<io::Result<Guest>>,
}

impl Accepting {
    async fn run(self, listener: TcpListener) {
        let mut running = JoinSet::new();
        let mut pause = PAUSE_LEAST;
        loop {
            let accepted = tokio::select! {
                () = self.serving.stop.cancelled() => break,
                // Ended handshakes are taken away as they end.
                Some(_) = running.join_next() => continue,
                accepted = self.accept(&listener) => accepted,
            };
            match accepted {
                Ok((stream, address, permit)) => {
                    pause = PAUSE_LEAST;
                    self.admit(stream, address, permit, &mut running).await;
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    tracing::warn!(%error, ?pause, "cannot accept connections, pausing");
                    tokio::select! {
                        () = self.serving.stop.cancelled() => break,
                        () = tokio::time::sleep(pause) => {}
                    }
                    pause = (pause * 2).min(PAUSE_GREATEST);
                }
            }
        }
        // Handshakes that are under way end with the set.
    }

    /// One connection, once there is room for it. Cancel-safe: nothing has been accepted before it
    /// returns.
    async fn accept(
        &self,
        listener: &TcpListener,
    ) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
        let permit =
            Arc::clone(&self.connections).acquire_owned().await.map_err(io::Error::other)?;
        let (stream, address) = listener.accept().await?;
        Ok((stream, address, permit))
    }

    /// Starts the handshake of one connection.
    async fn admit(
        &self,
        stream: TcpStream,
        address: SocketAddr,
        permit: OwnedSemaphorePermit,
        running: &mut JoinSet<()>,
    ) {
        let Some(stranger) = self.gate.enter(address.ip()) else {
            tracing::debug!(%address, "too many strangers from this address");
            return;
        };
        if let Err(error) = tune(&stream) {
            tracing::debug!(%address, %error, "connection was closed at once");
            return;
        }
        let slot = Arc::clone(&self.handshakes).acquire_owned();
        let slot = tokio::select! {
            () = self.serving.stop.cancelled() => return,
            slot = slot => slot,
        };
        let (serving, ready) = (self.serving.clone(), self.ready.clone());
        let pass = Pass { permit, stranger: Some(stranger), address, cut: self.cut.clone() };
        running.spawn(async move {
            let handshake = serving.door.open(stream);
            let limit = serving.limits.handshake;
            match tokio::time::timeout(limit, handshake).await {
                Ok(Ok((stream, identity))) => {
                    let guest = Guest::new(stream, identity, pass, &serving);
                    drop(slot);
                    // The listener has stopped when nobody takes it.
                    drop(ready.send(Ok(guest)).await);
                }
                Ok(Err(error)) => tracing::info!(%address, %error, "connection refused"),
                Err(_) => tracing::info!(%address, ?limit, "handshake took too long"),
            }
        });
    }
}

/// Sets what `serve_with_incoming` would ignore.
fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (time, interval, retries) = KEEPALIVE;
    let socket = SockRef::from(stream);
    socket.set_tcp_keepalive(
        &TcpKeepalive::new().with_time(time).with_interval(interval).with_retries(retries),
    )?;
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))
}
