//! One unary call over HTTP/2. Source: gRPC, "gRPC over HTTP2".

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Request, StatusCode};
use http_body_util::Full;
use prost::Message as _;
use quorate_model::{Phase, Reason};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::http::exchange;
use crate::phase::{Stop, Trace};
use crate::status::refused;

/// The most bytes of an answer: a health service sends seven.
const ANSWER_BYTES_MAX: usize = 4 * 1024;
/// The length of what goes before a message: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;
/// The status UNKNOWN, for a server that names none.
const UNKNOWN: u8 = 2;

/// `grpc.health.v1.HealthCheckRequest`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
struct HealthCheckRequest {
    #[prost(string, tag = "1")]
    service: String,
}

/// `grpc.health.v1.HealthCheckResponse`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
struct HealthCheckResponse {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// What is asked.
pub(super) struct Question<'a> {
    pub(super) uri: String,
    pub(super) service: &'a str,
    pub(super) metadata: &'a HeaderMap,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ended {
    /// The status code, at most 16.
    pub(super) status: u8,
    /// What the server says about it.
    pub(super) message: String,
    /// The serving status, if the call succeeded.
    pub(super) serving: Option<i32>,
}

/// Calls `grpc.health.v1.Health/Check`.
pub(super) async fn check(
    trace: &mut Trace,
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    question: Question<'_>,
) -> Result<Ended, Stop> {
    let request = request(&question)?;
    let (answer, mut live) = exchange::once(trace, stream, request, true).await?;
    trace.evidence.protocol = Some("HTTP/2".to_owned());
    let (head, mut body) = answer.into_parts();
    trace.evidence.status = Some(head.status.as_u16());
    if head.status != StatusCode::OK {
        let message =
            format!("the answer has status {}, but gRPC always has 200", head.status.as_u16());
        return Err(refused(head.status.as_u16(), message));
    }
    let is_grpc = head
        .headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"));
    if !is_grpc {
        return Err(broken("its content type is not application/grpc"));
    }
    let (message, trailers) = live.read_with_trailers(&mut body, ANSWER_BYTES_MAX).await?;
    trace.evidence.body_bytes = u64::try_from(message.len()).ok();
    // A call that fails at once has its trailers in the head.
    let trailers = trailers.unwrap_or(head.headers);
    let (status, said) = status(&trailers)?;
    let serving = if status == 0 { Some(serving(&message)?) } else { None };
    Ok(Ended { status, message: said, serving })
}

fn request(question: &Question<'_>) -> Result<Request<Full<Bytes>>, Stop> {
    let message = HealthCheckRequest { service: question.service.to_owned() }.encode_to_vec();
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut body = vec![0];
    body.extend(length.to_be_bytes());
    body.extend(message);
    let mut request = Request::post(&question.uri)
        .body(Full::new(Bytes::from(body)))
        .map_err(|_| broken("the server cannot be asked by this authority"))?;
    *request.headers_mut() = question.metadata.clone();
    for (name, value) in [
        (header::CONTENT_TYPE, "application/grpc"),
        (header::TE, "trailers"),
        (header::USER_AGENT, concat!("quorate/", env!("CARGO_PKG_VERSION"))),
    ] {
        request.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    Ok(request)
}

/// The status and what is said about it.
fn status(trailers: &HeaderMap) -> Result<(u8, String), Stop> {
    let Some(status) = trailers.get("grpc-status") else {
        return Err(broken("it names no status"));
    };
    let status = status.to_str().ok().and_then(|text| text.parse::<u8>().ok());
    let said = trailers.get("grpc-message").map(|value| percent_decoded(value.as_bytes()));
    Ok((status.filter(|code| *code <= 16).unwrap_or(UNKNOWN), said.unwrap_or_default()))
}

fn percent_decoded(text: &[u8]) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        let digits = tail.get(..2).filter(|_| *first == b'%');
        let byte = digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        decoded.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// The serving status in a message.
fn serving(body: &[u8]) -> Result<i32, Stop> {
    let Some((prefix, message)) = body.split_at_checked(PREFIX_BYTES) else {
        return Err(broken("it holds no message"));
    };
    let &[compressed, a, b, c, d] = prefix else {
        return Err(broken("it holds no message"));
    };
    if compressed != 0 {
        return Err(broken("it is compressed, which nobody asked for"));
    }
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
    if message.len() != length {
        return Err(broken("its message has another length than it says"));
    }
    HealthCheckResponse::decode(message)
        .map(|response| response.status)
        .map_err(|error| broken(&format!("its message cannot be read: {error}")))
}

fn broken(why: &str) -> Stop {
    Stop::fail(Phase::Transfer, Reason::Protocol, format!("the answer is not usable gRPC: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_and_lies_about_them_told() {
        assert_eq!(serving(&[0, 0, 0, 0, 2, 8, 1]), Ok(1));
        assert_eq!(serving(&[0, 0, 0, 0, 0]), Ok(0));
        for body in [
            &[][..],
            &[0, 0, 0, 0],
            &[1, 0, 0, 0, 0],
            &[0, 0, 0, 0, 1],
            &[0, 255, 255, 255, 255, 8],
            &[0, 0, 0, 0, 1, 8],
        ] {
            assert!(serving(body).is_err(), "{body:?}");
        }
    }

    #[test]
    fn what_a_server_says_is_decoded() {
        assert_eq!(percent_decoded(b"no%20caf%C3%A9 100% %zz"), "no caf\u{e9} 100% %zz");
    }
}
