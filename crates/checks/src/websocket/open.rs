//! Opening a WebSocket. Source: RFC 6455, section 4.1.

use std::pin::pin;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use quorate_model::{Doubt, Phase, Reason};
use tokio::io::{AsyncRead, AsyncWrite};
use url::Url;

use crate::phase::{Stop, Trace};
use crate::status::refused;

/// The most headers of an answer.
const HEADERS_MAX: usize = 100;
/// The most bytes of an answer's head.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// What a server adds to the key, to show that it knows what it is asked for.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Asks for an upgrade on `stream`.
pub(super) async fn open(
    trace: &mut Trace,
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    (url, headers, subprotocol): (&Url, &HeaderMap, Option<&str>),
) -> Result<TokioIo<Upgraded>, Stop> {
    let key = key()?;
    let request = request(url, headers, subprotocol, &key)?;
    trace.watch.enter(Phase::Send);
    let handshake = http1::Builder::new()
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.map_err(|error| broken(&error))?;
    let mut connection = pin!(connection.with_upgrades());
    trace.watch.enter(Phase::Ttfb);
    let asked = async {
        let answer = sender.send_request(request).await.map_err(|error| broken(&error))?;
        trace.evidence.status = Some(answer.status().as_u16());
        agreed(&answer, subprotocol, &key)?;
        hyper::upgrade::on(answer).await.map_err(|error| broken(&error))
    };
    let mut asked = pin!(asked);
    // The connection makes progress only while it is polled; it ends when the stream is handed over.
    let upgraded = tokio::select! {
        biased;
        upgraded = &mut asked => upgraded,
        _ = &mut connection => asked.await,
    };
    upgraded.map(TokioIo::new)
}

fn key() -> Result<String, Stop> {
    let mut nonce = [0; 16];
    aws_lc_rs::rand::fill(&mut nonce)
        .map_err(|_| Stop::doubt(Doubt::Internal, "this agent has no random numbers"))?;
    Ok(BASE64.encode(nonce))
}

/// What a server that understands answers to `key`.
fn accept(key: &str) -> String {
    let text = format!("{key}{GUID}");
    let digest =
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    BASE64.encode(digest)
}

fn request(
    url: &Url,
    headers: &HeaderMap,
    subprotocol: Option<&str>,
    key: &str,
) -> Result<Request<Empty<Bytes>>, Stop> {
    let query = url.query().map_or_else(String::new, |query| format!("?{query}"));
    let mut request = Request::get(format!("{}{query}", url.path()))
        .body(Empty::new())
        .map_err(|_| Stop::doubt(Doubt::Internal, "the URL cannot be asked for"))?;
    let ours = request.headers_mut();
    ours.clone_from(headers);
    let own = [
        (header::HOST, url.authority()),
        (header::USER_AGENT, concat!("quorate/", env!("CARGO_PKG_VERSION"))),
    ];
    for (name, value) in own {
        if let Ok(value) = HeaderValue::try_from(value) {
            ours.entry(name).or_insert(value);
        }
    }
    let fixed = [
        (header::CONNECTION, "Upgrade"),
        (header::UPGRADE, "websocket"),
        (header::SEC_WEBSOCKET_VERSION, "13"),
        (header::SEC_WEBSOCKET_KEY, key),
    ];
    for (name, value) in fixed {
        if let Ok(value) = HeaderValue::try_from(value) {
            ours.insert(name, value);
        }
    }
    if let Some(Ok(value)) = subprotocol.map(HeaderValue::try_from) {
        ours.insert(header::SEC_WEBSOCKET_PROTOCOL, value);
    }
    Ok(request)
}

/// Whether the server has agreed, and to what was asked.
fn agreed(answer: &Response<Incoming>, subprotocol: Option<&str>, key: &str) -> Result<(), Stop> {
    let status = answer.status();
    if status != StatusCode::SWITCHING_PROTOCOLS {
        let code = status.as_u16();
        let message = format!("the server answered with status {code}, expected 101");
        return Err(refused(code, message));
    }
    let says =
        |name: &header::HeaderName| answer.headers().get(name).and_then(|it| it.to_str().ok());
    let fail = |message: &str| Err(Stop::fail(Phase::Ttfb, Reason::Header, message));
    if !says(&header::UPGRADE).is_some_and(|value| value.eq_ignore_ascii_case("websocket")) {
        return fail("the server upgrades to something else than websocket");
    }
    if says(&header::SEC_WEBSOCKET_ACCEPT) != Some(accept(key).as_str()) {
        return fail("the server's Sec-WebSocket-Accept is not the one for our key");
    }
    if answer.headers().contains_key(header::SEC_WEBSOCKET_EXTENSIONS) {
        return fail("the server uses an extension that nobody asked for");
    }
    match (subprotocol, says(&header::SEC_WEBSOCKET_PROTOCOL)) {
        (Some(asked), Some(found)) if asked == found => Ok(()),
        (None, None) => Ok(()),
        (Some(_), _) => fail("the server does not speak the subprotocol"),
        (None, Some(_)) => fail("the server chose a subprotocol that nobody asked for"),
    }
}

fn broken(error: &hyper::Error) -> Stop {
    if error.is_parse() {
        let message = format!("the answer is not valid HTTP ({error})");
        return Stop::fail(Phase::Ttfb, Reason::Protocol, message);
    }
    Stop::fail(Phase::Ttfb, Reason::Reset, "connection closed before an answer")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_the_key_of_the_example() {
        // Source: RFC 6455, section 1.3.
        assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
