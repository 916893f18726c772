//! Who may come in.

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::guest::Stream;
use crate::pki::{Alpn, Authority, Identity, IdentityError, PkiError};

/// Who may come in, and how.
#[derive(Clone)]
pub enum Door {
    /// Agents only: TLS with a client certificate that names one, HTTP/2.
    Agents(Arc<ServerConfig>),
    /// Anybody, with TLS and HTTP/2.
    TlsH2(Arc<ServerConfig>),
    /// Anybody, with TLS; HTTP/2 or HTTP/1.1.
    Tls(Arc<ServerConfig>),
    /// Anybody, in plain text; HTTP/2 or HTTP/1.1.
    Plain,
}

/// Why a handshake failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum DoorError {
    /// TLS did not come about.
    #[error("TLS handshake failed: {0}")]
    Tls(#[source] io::Error),
    /// The client asked for no protocol of ours.
    #[error("the client did not ask for HTTP/2 (ALPN h2)")]
    Protocol,
    /// There is no client certificate.
    #[error("the client showed no certificate")]
    NoCertificate,
    /// The client certificate is not that of an agent.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

impl Door {
    /// The door for the streams of agents.
    pub fn agents(authority: &Authority) -> Result<Self, PkiError> {
        Ok(Self::Agents(authority.agents_tls()?))
    }

    /// The door for agents that join.
    pub fn join(authority: &Authority) -> Result<Self, PkiError> {
        Ok(Self::TlsH2(authority.server_tls(Alpn::H2)?))
    }

    /// The door for people and programs, with TLS or without.
    pub fn api(authority: &Authority, tls: bool) -> Result<Self, PkiError> {
        if !tls {
            return Ok(Self::Plain);
        }
        Ok(Self::Tls(authority.server_tls(Alpn::H2AndHttp1)?))
    }

    /// Goes through the handshake.
    pub(super) async fn open(
        &self,
        stream: TcpStream,
    ) -> Result<(Stream, Option<Identity>), DoorError> {
        let (config, agents, h2) = match self {
            Self::Plain => return Ok((Stream::Plain(stream), None)),
            Self::Agents(config) => (config, true, true),
            Self::TlsH2(config) => (config, false, true),
            Self::Tls(config) => (config, false, false),
        };
        let stream =
            TlsAcceptor::from(Arc::clone(config)).accept(stream).await.map_err(DoorError::Tls)?;
        let session = stream.get_ref().1;
        if h2 && session.alpn_protocol() != Some(b"h2") {
            return Err(DoorError::Protocol);
        }
        let identity = if agents {
            let certificate = session
                .peer_certificates()
                .and_then(<[_]>::first)
                .ok_or(DoorError::NoCertificate)?;
            Some(Identity::of(certificate)?)
        } else {
            None
        };
        Ok((Stream::Tls(Box::new(stream)), identity))
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Agents(_) => "Agents",
            Self::TlsH2(_) => "TlsH2",
            Self::Tls(_) => "Tls",
            Self::Plain => "Plain",
        })
    }
}
