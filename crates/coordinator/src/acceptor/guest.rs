//! A connection that has come in.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use quorate_model::Timestamp;
use quorate_runtime::Clock;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected;

use super::gate::Stranger;
use super::{Request, Serving};
use crate::peer::{Peer, PeerAddress};
use crate::pki::Identity;

/// The bytes of a connection.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// What a connection holds while it is open.
#[derive(Debug)]
pub(super) struct Pass {
    #[expect(dead_code, reason = "held for the time of the connection")]
    pub(super) permit: OwnedSemaphorePermit,
    pub(super) stranger: Option<Stranger>,
    pub(super) address: SocketAddr,
    pub(super) cut: CancellationToken,
}

/// A connection whose handshake is done. Reading from it fails once it must end: when no request
/// came in time, when its certificate has expired, or when the listener is gone.
pub(super) struct Guest {
    stream: Stream,
    end: Pin<Box<dyn Future<Output = &'static str> + Send>>,
    arrival: Arrival,
    #[expect(dead_code, reason = "held for the time of the connection")]
    pass: Pass,
}

/// What requests of a connection have in their extensions before [`announce`].
#[derive(Debug, Clone)]
pub(super) struct Arrival {
    address: SocketAddr,
    identity: Option<Identity>,
    requested: CancellationToken,
}

impl Guest {
    pub(super) fn new(
        stream: Stream,
        identity: Option<Identity>,
        mut pass: Pass,
        serving: &Serving,
    ) -> Self {
        if !serving.limits.always_strangers {
            pass.stranger = None;
        }
        let arrival =
            Arrival { address: pass.address, identity, requested: CancellationToken::new() };
        let end = end(
            arrival.requested.clone(),
            serving.limits.first_request,
            pass.cut.clone(),
            arrival.identity.as_ref().map(|identity| identity.not_after),
            serving.clock,
        );
        Self { stream, end: Box::pin(end), arrival, pass }
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        self.end.as_mut().poll(cx).map(|why| {
            tracing::debug!(address = %self.arrival.address, why, "ending a connection");
            self.end = Box::pin(std::future::ready(why));
            io::Error::new(io::ErrorKind::TimedOut, why)
        })
    }
}

/// Returns when a connection must end, and why.
async fn end(
    requested: CancellationToken,
    first_request: Duration,
    cut: CancellationToken,
    not_after: Option<Timestamp>,
    clock: Clock,
) -> &'static str {
    let idle = async {
        if tokio::time::timeout(first_request, requested.cancelled()).await.is_ok() {
            std::future::pending::<()>().await;
        }
    };
    let expired = async {
        match not_after {
            Some(at) => clock.sleep_until(at).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = cut.cancelled() => "the listener has stopped",
        () = idle => "no request came in time",
        () = expired => "the client certificate has expired",
    }
}

/// Notes that a connection has had a request, and tells the request who sent it.
pub(super) fn announce(mut request: Request) -> Request {
    let extensions = request.extensions_mut();
    let Some(arrival) = extensions.remove::<Arrival>() else {
        return request;
    };
    arrival.requested.cancel();
    let address = arrival.address;
    extensions.insert(PeerAddress(address));
    if let Some(identity) = arrival.identity {
        extensions.insert(Peer {
            agent: identity.agent,
            region: identity.region,
            not_after: identity.not_after,
            address,
        });
    }
    request
}

impl Connected for Guest {
    type ConnectInfo = Arrival;

    fn connect_info(&self) -> Arrival {
        self.arrival.clone()
    }
}

impl AsyncRead for Guest {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Poll::Ready(error) = self.poll_end(cx) {
            return Poll::Ready(Err(error));
        }
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Guest {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
