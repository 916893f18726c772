//! One HTTP request over a connection of its own.
//!
//! A message is rare and its sender must not hold connections, so there is no pool. Nothing here
//! shows more of a URL than its scheme and host, because the rest of it is often a secret.

mod answer;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

pub(crate) use self::answer::Answer;
use crate::{Retry, SendError};

/// How long to wait for one of several addresses before the next is tried.
const ADDRESS_TIMEOUT: Duration = Duration::from_secs(5);

/// How much of an answer's body is read: an answer is complete when so much of it has come.
const BODY_BYTES_MAX: usize = 1_024;

/// What we call ourselves.
const AGENT: &str = concat!("quorate/", env!("CARGO_PKG_VERSION"));

/// Where to send. Shows only its scheme, host and port.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Endpoint(Url);

impl Endpoint {
    /// An endpoint at an absolute `http` or `https` URL without credentials; or what is wrong.
    pub(crate) fn parse(text: &str, allow_http: bool) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| format!("not a URL: {error}"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must not hold credentials: send them in a header".to_owned());
        }
        let loopback = match url.host() {
            None => return Err("names no host".to_owned()),
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
        };
        match url.scheme() {
            "https" => Ok(Self(url)),
            "http" if allow_http || loopback => Ok(Self(url)),
            "http" => Err("must be https, or set `allow_http: true`".to_owned()),
            scheme => Err(format!("must be https, not {scheme}")),
        }
    }
}

/// The scheme, host and port.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.origin().ascii_serialization())
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Sends requests.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    /// `None` is the system's trust.
    tls: Option<Arc<ClientConfig>>,
}

impl Sender {
    /// A sender that trusts what the system trusts; what browsers trust if the system has no
    /// certificates.
    pub(crate) const fn new() -> Self {
        Self { tls: None }
    }

    /// Posts `body` once, and returns the answer when it is complete. Redirects are answers.
    ///
    /// # Cancellation
    ///
    /// Dropping it closes the connection; whether the other side has taken the request is open.
    pub(crate) async fn post(
        &self,
        endpoint: &Endpoint,
        headers: HeaderMap,
        body: Bytes,
        limit: Duration,
    ) -> Result<Answer, SendError> {
        let failed = |message: String| SendError {
            message: format!("{endpoint}: {message}"),
            retry: Retry::BackOff,
        };
        let request = request(endpoint, headers, body)
            .map_err(|message| SendError { retry: Retry::Never, ..failed(message) })?;
        match tokio::time::timeout(limit, self.exchange(endpoint, request)).await {
            Ok(result) => result.map_err(failed),
            Err(_) => Err(failed(format!("no complete answer within {limit:?}"))),
        }
    }

    async fn exchange(
        &self,
        endpoint: &Endpoint,
        request: Request<Full<Bytes>>,
    ) -> Result<Answer, String> {
        let stream = connect(&endpoint.0).await?;
        if endpoint.0.scheme() == "http" {
            return converse(stream, request).await;
        }
        let name = match endpoint.0.host() {
            Some(Host::Domain(name)) => ServerName::try_from(name.to_owned())
                .map_err(|error| format!("no name for TLS: {error}"))?,
            Some(Host::Ipv4(address)) => ServerName::from(std::net::IpAddr::from(address)),
            Some(Host::Ipv6(address)) => ServerName::from(std::net::IpAddr::from(address)),
            None => return Err("names no host".to_owned()),
        };
        let config = match &self.tls {
            Some(config) => Arc::clone(config),
            None => system_tls()?,
        };
        let tls = TlsConnector::from(config).connect(name, stream).await;
        let tls = tls.map_err(|error| format!("the TLS handshake failed: {error}"))?;
        converse(tls, request).await
    }
}

fn request(
    endpoint: &Endpoint,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Request<Full<Bytes>>, String> {
    let url = &endpoint.0;
    let target = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let host = match url.port() {
        Some(port) => format!("{}:{port}", url.host_str().unwrap_or_default()),
        None => url.host_str().unwrap_or_default().to_owned(),
    };
    let length = HeaderValue::from(body.len());
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(target)
        .header(HOST, host)
        .body(Full::new(body))
        .map_err(|_| "its URL cannot be put into a request".to_owned())?;
    request.headers_mut().extend(headers);
    let ours = [
        (CONNECTION, HeaderValue::from_static("close")),
        (CONTENT_LENGTH, length),
        (USER_AGENT, HeaderValue::from_static(AGENT)),
    ];
    for (name, value) in ours {
        request.headers_mut().insert(name, value);
    }
    Ok(request)
}

/// Connects to the first address that answers.
async fn connect(url: &Url) -> Result<TcpStream, String> {
    let port = url.port_or_known_default().unwrap_or(443);
    let addresses: Vec<SocketAddr> = match url.host() {
        Some(Host::Ipv4(address)) => vec![(address, port).into()],
        Some(Host::Ipv6(address)) => vec![(address, port).into()],
        Some(Host::Domain(name)) => tokio::net::lookup_host((name, port))
            .await
            .map_err(|error| format!("its name cannot be resolved: {error}"))?
            .collect(),
        None => Vec::new(),
    };
    let mut last = "its name has no address".to_owned();
    for address in addresses {
        match tokio::time::timeout(ADDRESS_TIMEOUT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                let set = stream.set_nodelay(true);
                set.map_err(|error| format!("cannot set up the connection: {error}"))?;
                return Ok(stream);
            }
            Ok(Err(error)) => last = format!("cannot connect to {address}: {error}"),
            Err(_) => last = format!("cannot connect to {address}: no answer"),
        }
    }
    Err(last)
}

/// Sends the request and reads the answer.
async fn converse<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Answer, String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let broken = |error: hyper::Error| format!("the exchange broke off: {}", reason(&error));
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let exchange = async {
        let response = sender.send_request(request).await?;
        let (head, body) = response.into_parts();
        drain(body).await?;
        Ok(Answer {
            status: head.status,
            retry_after: head.headers.get(http::header::RETRY_AFTER).cloned(),
        })
    };
    tokio::pin!(exchange, connection);
    let mut connected = true;
    loop {
        // Both may be polled after the other: the connection only moves bytes for the exchange.
        tokio::select! {
            done = &mut exchange => return done.map_err(broken),
            // How it ended, the exchange learns from its own end.
            _ended = &mut connection, if connected => connected = false,
        }
    }
}

/// The innermost reason of an error, which says most.
fn reason(error: &hyper::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// Reads the body to its end, or as much of it as concerns us.
async fn drain(mut body: Incoming) -> Result<(), hyper::Error> {
    let mut held = 0;
    while let Some(frame) = body.frame().await {
        held += frame?.data_ref().map_or(0, Bytes::len);
        if held >= BODY_BYTES_MAX {
            break;
        }
    }
    Ok(())
}

/// TLS as the system trusts, read once.
fn system_tls() -> Result<Arc<ClientConfig>, String> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(Arc::clone(config));
    }
    let mut roots = RootCertStore::empty();
    let (added, _) =
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if added == 0 {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    let config = tls(roots).map_err(|error| format!("cannot set up TLS: {error}"))?;
    Ok(Arc::clone(CONFIG.get_or_init(|| Arc::new(config))))
}

fn tls(roots: RootCertStore) -> Result<ClientConfig, io::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
