//! One request and its answer over a connection of its own.
//!
//! The connection is driven by the probe's own future, not by a task: whoever drops the probe
//! closes it.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use quorate_model::{Phase, Reason, TlsFacts};
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use url::Url;

use super::interim::Interim;
use crate::ProbeContext;
use crate::connect::{Endpoint, Route, bare, connect_by};
use crate::phase::{Stop, Trace, WriteMark};
use crate::tls::{self, TlsPlan};

/// The most headers of an answer.
const HEADERS_MAX: usize = 100;
/// The most bytes of an answer's head.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// How much of a body may be under way unread over HTTP/2, in bytes.
const WINDOW_BYTES: u32 = 256 * 1024;

/// How much is read at a stretch before the probe looks at the time, in bytes.
const STRETCH_BYTES: usize = 16 * 1024;

/// The HTTP version to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(try_from = "serde_json::Value")]
pub(super) enum Version {
    /// What the server prefers.
    #[default]
    Auto,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, also without TLS (prior knowledge).
    Http2,
}

impl Version {
    /// The protocols to offer. Source: RFC 7301; RFC 9113, section 3.2.
    fn alpn(self) -> &'static [&'static str] {
        match self {
            Self::Auto => &["h2", "http/1.1"],
            Self::Http1 => &["http/1.1"],
            Self::Http2 => &["h2"],
        }
    }
}

/// What to ask for at one hop.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// How connections are made and what is spoken over them.
#[derive(Debug, Clone)]
pub(super) struct Manner {
    pub(super) route: Route,
    pub(super) tls: TlsPlan,
    pub(super) version: Version,
}

impl Manner {
    /// The same towards a server other than the check's: it is shown nothing that is the check's own.
    pub(super) fn elsewhere(&self) -> Self {
        Self { tls: self.tls.elsewhere(), ..self.clone() }
    }
}

/// Opens a connection, sends the request and waits for the head of the answer.
pub(super) async fn ask(
    trace: &mut Trace,
    context: &ProbeContext,
    manner: &Manner,
    ask: &Ask,
) -> Result<(Response<Incoming>, Live), Stop> {
    context
        .environment
        .policy
        .judge_method(ask.method.as_str())
        .map_err(|rule| Stop::denied(&rule))?;
    let endpoint = endpoint(&ask.url)?;
    let stream = connect_by(trace, context, &endpoint, &manner.route).await?;
    let (stream, http2): (Box<dyn Stream>, bool) = if ask.url.scheme() == "https" {
        let alpn = manner.version.alpn();
        let environment = &context.environment;
        let name = (endpoint.host.as_str(), alpn);
        let stream = tls::handshake(trace, environment, &manner.tls, name, stream).await?;
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        if manner.version == Version::Http2 && !http2 {
            let message = "the server does not offer HTTP/2";
            return Err(Stop::fail(Phase::Tls, Reason::Protocol, message));
        }
        (Box::new(stream), http2)
    } else {
        (Box::new(stream), manner.version == Version::Http2)
    };
    let stream = Observed { stream, mark: trace.watch.begin_send(), stretch: 0 };
    let mut request = request(ask, http2)?;
    let interim = Interim::of(&mut request);
    let sent = interim.bound(Live::send(stream, request, http2)).await;
    trace.evidence.interim = interim.codes();
    let Some(sent) = sent else {
        let message = "the server sends more than 8 answers before the final one";
        return Err(Stop::fail(trace.watch.reached(), Reason::Protocol, message));
    };
    let (answer, live) = sent.map_err(|error| {
        let facts = trace.evidence.tls.as_deref();
        refused_client(&error, facts, manner.tls.has_client())
            .unwrap_or_else(|| broken(trace.watch.reached(), &error))
    })?;
    trace.watch.answer_begun(Phase::Transfer);
    if answer.headers().len() > HEADERS_MAX {
        return Err(too_large(Phase::Ttfb));
    }
    trace.evidence.protocol = Some(format!("{:?}", answer.version()))
        .map(|version| if http2 { "HTTP/2".to_owned() } else { version });
    Ok((answer, live))
}

/// Sends one request of another kind of check over its own stream, and waits for the head of the
/// answer.
pub(crate) async fn once(
    trace: &mut Trace,
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Full<Bytes>>,
    http2: bool,
) -> Result<(Response<Incoming>, Live), Stop> {
    let stream = Observed { stream: Box::new(stream), mark: trace.watch.begin_send(), stretch: 0 };
    let (answer, live) = Live::send(stream, request, http2)
        .await
        .map_err(|error| broken(trace.watch.reached(), &error))?;
    trace.watch.answer_begun(Phase::Transfer);
    if answer.headers().len() > HEADERS_MAX {
        return Err(too_large(Phase::Ttfb));
    }
    Ok((answer, live))
}

/// Where the URL's server is.
pub(super) fn endpoint(url: &Url) -> Result<Endpoint, Stop> {
    let host = url.host().map(|host| bare(&host));
    host.zip(url.port_or_known_default()).map(|(host, port)| Endpoint { host, port }).ok_or_else(
        || {
            let message = format!("{url} names no server");
            Stop::fail(Phase::Assert, Reason::RedirectInvalid, message)
        },
    )
}

/// The request as the connection wants it: HTTP/1.1 has the path in its first line, HTTP/2 the
/// whole URL in its pseudo-headers.
fn request(ask: &Ask, http2: bool) -> Result<Request<Full<Bytes>>, Stop> {
    let invalid = |_| {
        let message = format!("{} cannot be asked for", ask.url);
        Stop::fail(Phase::Send, Reason::RedirectInvalid, message)
    };
    let mut headers = ask.headers.clone();
    let authority = ask.url.authority().to_owned();
    let authority = headers
        .remove(header::HOST)
        .and_then(|host| host.to_str().ok().map(str::to_owned))
        .unwrap_or(authority);
    let path = ask.url.path();
    let query = ask.url.query().map_or_else(String::new, |query| format!("?{query}"));
    let uri: Uri = if http2 {
        format!("{}://{authority}{path}{query}", ask.url.scheme()).parse()
    } else {
        let host = HeaderValue::try_from(&authority).unwrap_or(HeaderValue::from_static(""));
        headers.insert(header::HOST, host);
        format!("{path}{query}").parse()
    }
    .map_err(invalid)?;
    let mut request = Request::new(Full::new(ask.body.clone()));
    *request.method_mut() = ask.method.clone();
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    Ok(request)
}

/// Whether the connection broke off because the server wants a certificate of the client's.
fn refused_client(error: &hyper::Error, facts: Option<&TlsFacts>, has_own: bool) -> Option<Stop> {
    let gone = io::Error::from(io::ErrorKind::UnexpectedEof);
    let cause = std::error::Error::source(error)
        .and_then(<dyn std::error::Error>::downcast_ref::<io::Error>)
        .or_else(|| is_closed(error).then_some(&gone))?;
    let (reason, message) = tls::refused_client(cause, facts, has_own)?;
    Some(Stop::fail(Phase::Tls, reason, message))
}

fn too_large(reached: Phase) -> Stop {
    let message =
        format!("the answer's head is over {HEADERS_MAX} headers or {HEAD_BYTES_MAX} bytes");
    Stop::fail(reached, Reason::Protocol, message)
}

fn is_closed(error: &hyper::Error) -> bool {
    error.is_incomplete_message() || error.is_canceled() || error.is_closed()
}

/// The sentence and reason for an exchange that broke off before its answer.
fn broken(reached: Phase, error: &hyper::Error) -> Stop {
    if error.is_parse_too_large() {
        return too_large(reached);
    }
    let cause = std::error::Error::source(error);
    if is_closed(error) || cause.is_some_and(<dyn std::error::Error>::is::<io::Error>) {
        let message = "connection closed before an answer";
        return Stop::fail(reached, Reason::Reset, message);
    }
    let detail = cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"));
    Stop::fail(reached, Reason::Protocol, format!("the answer is not valid HTTP ({detail})"))
}

/// Whatever hyper can talk over.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A connection that is making progress whenever somebody waits for something on it.
pub(crate) struct Live {
    works: Vec<Work>,
    queue: Queue,
}

/// Where hyper leaves what it wants to run beside the connection.
#[derive(Clone, Default)]
struct Queue(Arc<Mutex<Vec<Work>>>);

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Queue {
    fn execute(&self, work: F) {
        if let Ok(mut queue) = self.0.lock() {
            queue.push(Box::pin(work));
        }
    }
}

impl Live {
    /// Sends `request` and returns the head of the answer.
    async fn send(
        stream: Observed,
        request: Request<Full<Bytes>>,
        http2: bool,
    ) -> hyper::Result<(Response<Incoming>, Self)> {
        let io = TokioIo::new(stream);
        let mut live = Self { works: Vec::new(), queue: Queue::default() };
        let answer = if http2 {
            let handshake = http2::Builder::new(live.queue.clone())
                .initial_stream_window_size(WINDOW_BYTES)
                .initial_connection_window_size(WINDOW_BYTES)
                .max_header_list_size(HEAD_BYTES_MAX.try_into().unwrap_or(u32::MAX))
                .handshake(io);
            let (mut sender, connection) = live.drive(handshake).await?;
            live.works.push(Box::pin(async { drop(connection.await) }));
            live.drive(sender.send_request(request)).await?
        } else {
            let handshake = http1::Builder::new()
                .max_headers(HEADERS_MAX)
                .max_buf_size(HEAD_BYTES_MAX)
                .handshake(io);
            let (mut sender, connection) = live.drive(handshake).await?;
            live.works.push(Box::pin(async { drop(connection.await) }));
            live.drive(sender.send_request(request)).await?
        };
        Ok((answer, live))
    }

    /// Waits for `wanted` while the connection makes progress.
    async fn drive<T>(&mut self, wanted: impl Future<Output = T>) -> T {
        let mut wanted = pin!(wanted);
        poll_fn(|cx| {
            loop {
                self.works.retain_mut(|work| work.as_mut().poll(cx).is_pending());
                let answer = wanted.as_mut().poll(cx);
                let mut new = match self.queue.0.lock() {
                    Ok(mut queue) => std::mem::take(&mut *queue),
                    Err(_) => Vec::new(),
                };
                if answer.is_ready() || new.is_empty() {
                    self.works.append(&mut new);
                    return answer;
                }
                self.works.append(&mut new);
            }
        })
        .await
    }

    /// Reads a body that must not be longer than `bytes_max` bytes, and the trailers after it.
    pub(crate) async fn read_with_trailers(
        &mut self,
        body: &mut Incoming,
        bytes_max: usize,
    ) -> Result<(Vec<u8>, Option<HeaderMap>), Stop> {
        let mut read = Vec::new();
        while let Some(frame) = self.drive(body.frame()).await {
            let frame = frame.map_err(|error| incomplete(read.len(), &error))?;
            match frame.into_data() {
                Ok(data) if data.len() > bytes_max.saturating_sub(read.len()) => {
                    let message = format!("the body has more than {bytes_max} bytes");
                    return Err(Stop::fail(Phase::Transfer, Reason::Protocol, message));
                }
                Ok(data) => read.extend_from_slice(&data),
                Err(frame) => return Ok((read, frame.into_trailers().ok())),
            }
        }
        Ok((read, None))
    }

    /// Reads at most `bytes_max` bytes of a body. Returns them, and whether that is all of it.
    pub(crate) async fn read(
        &mut self,
        body: &mut Incoming,
        bytes_max: usize,
    ) -> Result<(Vec<u8>, bool), Stop> {
        let mut read = Vec::new();
        while let Some(frame) = self.drive(body.frame()).await {
            let frame = frame.map_err(|error| incomplete(read.len(), &error))?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            let room = bytes_max.saturating_sub(read.len());
            read.extend_from_slice(data.get(..room).unwrap_or(&data));
            if data.len() > room {
                return Ok((read, false));
            }
        }
        Ok((read, true))
    }
}

fn incomplete(bytes: usize, error: &hyper::Error) -> Stop {
    let detail =
        std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    Stop::fail(
        Phase::Transfer,
        Reason::BodyIncomplete,
        format!("the body broke off after {bytes} bytes ({detail})"),
    )
}

/// A stream that tells the stopwatch when it writes and reads, and pauses now and then: as long as
/// there is something to read, hyper goes on, and a flood of empty answers would last for ever.
struct Observed {
    stream: Box<dyn Stream>,
    mark: WriteMark,
    /// Bytes read since the last pause.
    stretch: usize,
}

impl AsyncRead for Observed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.stretch >= STRETCH_BYTES {
            self.stretch = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let read = buffer.filled().len().saturating_sub(before);
        self.stretch = if polled.is_pending() { 0 } else { self.stretch + read };
        if read > 0 {
            self.mark.read();
        }
        polled
    }
}

impl AsyncWrite for Observed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if polled.is_ready() {
            self.mark.wrote();
        }
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        if polled.is_ready() {
            self.mark.wrote();
        }
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        if polled.is_ready() {
            self.mark.flushed();
        }
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
