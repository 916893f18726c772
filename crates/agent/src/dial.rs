//! Connections to the coordinator.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint, Uri};

use crate::tls::COORDINATOR;

/// The time for a connection, with its handshakes. Source: the pages' defaults for agents.
pub(crate) const CONNECT: Duration = Duration::from_secs(10);
/// Time between two pings of HTTP/2, and for the answer to one.
const PING: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(10));
/// The largest message either way.
pub(crate) const MESSAGE_MAX: usize = 1 << 20;

/// No connection to the coordinator.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// It could not be opened.
    #[error("cannot connect to {address}: {}", innermost(source))]
    Failed {
        /// `host:port`.
        address: String,
        /// Why.
        #[source]
        source: tonic::transport::Error,
    },
    /// It took too long.
    #[error("no connection to {address} within {} s", CONNECT.as_secs())]
    TimedOut {
        /// `host:port`.
        address: String,
    },
}

/// Opens a connection to `address` (`host:port`), whose certificate must bear the coordinator's
/// name.
///
/// # Cancellation
///
/// Dropping it closes the connection.
pub(crate) async fn dial(address: &str, tls: &Arc<ClientConfig>) -> Result<Channel, DialError> {
    let connector = tower::service_fn({
        let (address, tls) = (address.to_owned(), Arc::clone(tls));
        move |_: Uri| open(address.clone(), Arc::clone(&tls))
    });
    // The address travels in the connector; `http` because the connector does the TLS.
    let endpoint = Endpoint::from_static("http://coordinator.quorate.internal")
        .connect_timeout(CONNECT)
        .http2_keep_alive_interval(PING.0)
        .keep_alive_timeout(PING.1)
        .keep_alive_while_idle(true);
    let connecting = endpoint.connect_with_connector(connector);
    match tokio::time::timeout(CONNECT, connecting).await {
        Ok(Ok(channel)) => Ok(channel),
        Ok(Err(source)) => Err(DialError::Failed { address: address.to_owned(), source }),
        Err(_) => Err(DialError::TimedOut { address: address.to_owned() }),
    }
}

type TlsStream = tokio_rustls::client::TlsStream<TcpStream>;

async fn open(address: String, tls: Arc<ClientConfig>) -> io::Result<TokioIo<TlsStream>> {
    let stream = TcpStream::connect(address.as_str()).await?;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from(COORDINATOR).map_err(io::Error::other)?;
    let stream = TlsConnector::from(tls).connect(name, stream).await?;
    Ok(TokioIo::new(stream))
}

/// The text of the cause that has no further cause: what really happened.
pub(crate) fn innermost(error: &dyn Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_never_answers_costs_ten_seconds() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = silent.local_addr().unwrap().to_string();
        let clock = quorate_runtime::Clock::start();
        let tls = Arc::new(crate::tls::pinned([0; 32]).unwrap());
        let error = dial(&address, &tls).await.unwrap_err();
        assert!(clock.uptime() <= CONNECT + Duration::from_secs(1));
        assert!(error.to_string().contains(&address), "{error}");
    }

    #[tokio::test]
    async fn a_closed_port_is_named_with_its_reason() {
        let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = closed.local_addr().unwrap().to_string();
        drop(closed);
        let tls = Arc::new(crate::tls::pinned([0; 32]).unwrap());
        let text = dial(&address, &tls).await.unwrap_err().to_string();
        assert!(text.contains(&address) && text.contains("refused"), "{text}");
    }
}
