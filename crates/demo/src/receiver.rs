//! The receiver of the demo's alerts: takes signed webhooks as a user's own service would.
//!
//! Source: Standard Webhooks 1.0.0. A message whose signature or age is wrong is refused and
//! counted; only what was verified reaches the script.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use quorate_model::Timestamp;
use quorate_runtime::{Clock, Tasks};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// The longest body that is read: several times what the specification advises.
const BODY_BYTES_MAX: usize = 256 << 10;
/// How far the time of an attempt may be from now. Source: Standard Webhooks, "Verifying webhook
/// authenticity".
const AGE_MAX: Duration = Duration::from_secs(300);
/// Connections at a time.
const CONNECTIONS_MAX: usize = 64;

/// A message that arrived and whose signature holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrival {
    /// When it arrived.
    pub at: Timestamp,
    /// The same for every attempt.
    pub id: String,
    /// The dotted type, such as `incident.opened`.
    pub kind: String,
    /// What it says.
    pub data: Value,
}

/// A shared secret for signing.
pub struct Secret([u8; 32]);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<redacted>")
    }
}

impl Secret {
    /// A new one, at random.
    pub fn draw() -> Self {
        Self(quorate_runtime::random::bytes())
    }

    /// The text form of the specification: `whsec_` and base64.
    pub fn text(&self) -> String {
        format!("whsec_{}", STANDARD.encode(self.0))
    }

    fn verify(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Result<String, &'static str> {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let id = header("webhook-id").ok_or("no webhook-id")?;
        let sent = header("webhook-timestamp").ok_or("no webhook-timestamp")?;
        let signatures = header("webhook-signature").ok_or("no webhook-signature")?;
        let seconds: i64 = sent.parse().map_err(|_| "webhook-timestamp is not a number")?;
        let sent_at = Timestamp::from_micros(seconds.saturating_mul(1_000_000));
        if (now - sent_at).max(sent_at - now) > AGE_MAX {
            return Err("webhook-timestamp is too far from now");
        }
        let mut signed = format!("{id}.{sent}.").into_bytes();
        signed.extend_from_slice(body);
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        let holds = |signature: &str| {
            signature
                .strip_prefix("v1,")
                .and_then(|text| STANDARD.decode(text).ok())
                .is_some_and(|tag| hmac::verify(&key, &signed, &tag).is_ok())
        };
        if signatures.split(' ').any(holds) {
            Ok(id.to_owned())
        } else {
            Err("the signature is wrong")
        }
    }
}

/// Starts the receiver on a free port of loopback. Returns its address; each message that arrives
/// and holds goes to `arrivals`, which makes the sender wait while it is full.
///
/// # Cancellation
///
/// Dropping it starts nothing.
pub async fn start(
    tasks: &Tasks,
    secret: Secret,
    clock: Clock,
    arrivals: mpsc::Sender<Arrival>,
) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let (secret, stop) = (std::sync::Arc::new(secret), tasks.token());
    tasks.spawn("demo-receiver", async move {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                Some(_) = connections.join_next() => {}
                accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => {
                    let Ok((stream, _)) = accepted else { continue };
                    let (secret, arrivals) = (secret.clone(), arrivals.clone());
                    let serve = service_fn(move |request| {
                        let (secret, arrivals) = (secret.clone(), arrivals.clone());
                        async move { Ok::<_, Infallible>(take(request, &secret, clock, &arrivals).await) }
                    });
                    let connection = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), serve);
                    connections.spawn(async move { drop(connection.await) });
                }
            }
        }
    });
    Ok(address)
}

async fn take(
    request: Request<Incoming>,
    secret: &Secret,
    clock: Clock,
    arrivals: &mpsc::Sender<Arrival>,
) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
        return answer(StatusCode::PAYLOAD_TOO_LARGE, "the body is too long or broken");
    };
    let (body, at) = (body.to_bytes(), clock.now());
    let id = match secret.verify(&parts.headers, &body, at) {
        Ok(id) => id,
        Err(why) => {
            tracing::warn!(why, "message refused");
            return answer(StatusCode::UNAUTHORIZED, why);
        }
    };
    let Ok(mut document) = serde_json::from_slice::<Value>(&body) else {
        return answer(StatusCode::BAD_REQUEST, "the body is not JSON");
    };
    let kind = document["type"].as_str().unwrap_or_default().to_owned();
    let arrival = Arrival { at, id, kind, data: document["data"].take() };
    match arrivals.send(arrival).await {
        Ok(()) => answer(StatusCode::NO_CONTENT, ""),
        Err(_) => answer(StatusCode::SERVICE_UNAVAILABLE, "the demo is over"),
    }
}

fn answer(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of the specification's own library.
    fn vector() -> (Secret, HeaderMap, &'static [u8], Timestamp) {
        let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let mut secret = [0; 32];
        secret[..key.len()].copy_from_slice(&key);
        let mut headers = HeaderMap::new();
        let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        for (name, value) in [
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("webhook-timestamp", "1614265330"),
            ("webhook-signature", signature),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        // HMAC pads short keys with zeroes, so the key of 24 bytes is this one of 32.
        let now = Timestamp::from_micros(1_614_265_331_000_000);
        (Secret(secret), headers, br#"{"test": 2432232314}"#, now)
    }

    #[test]
    fn verifies_what_the_specification_signs() {
        let (secret, headers, body, now) = vector();
        let id = secret.verify(&headers, body, now);
        assert_eq!(id.as_deref(), Ok("msg_p5jXN8AQM9LWM0D4loKWxJek"));
    }

    #[test]
    fn refuses_what_was_changed_or_is_old() {
        let (secret, mut headers, body, now) = vector();
        assert!(secret.verify(&headers, b"{}", now).is_err());
        assert!(secret.verify(&headers, body, now + Duration::from_secs(600)).is_err());
        assert!(Secret([1; 32]).verify(&headers, body, now).is_err());
        headers.remove("webhook-signature");
        assert_eq!(secret.verify(&headers, body, now), Err("no webhook-signature"));
    }
}
