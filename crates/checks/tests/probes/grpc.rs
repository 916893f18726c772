//! The kind `grpc`, against a server of raw answers. The real one is in `tests/peers`.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use quorate_model::{BlockReason, Observation, Phase, Reason};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};

use super::server::{self, Server, reply};
use super::tls::Authority;
use super::{assert_blocked, assert_fails, assert_ok, probe};

/// A server that says this, with these trailers.
async fn speak<S>(stream: S, body: Vec<u8>, trailers: &'static [(&'static str, &'static str)])
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let body = body.clone();
        async move {
            assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
            assert_eq!(request.headers()["te"], "trailers");
            let mut map = HeaderMap::new();
            for (name, value) in trailers {
                map.insert(*name, value.parse().expect("a value"));
            }
            let body = Full::new(Bytes::from(body)).with_trailers(async { Some(Ok(map)) });
            Response::builder().header("content-type", "application/grpc").body(body)
        }
    });
    let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    drop(server.serve_connection(TokioIo::new(stream), service).await);
}

async fn serve(body: &[u8], trailers: &'static [(&'static str, &'static str)]) -> Server {
    let body = body.to_vec();
    server::serve(move |stream| speak(stream, body.clone(), trailers)).await
}

async fn ask(server: &Server, more: Value) -> Observation {
    let mut options = json!({"address": server.address.to_string()});
    for (key, value) in more.as_object().expect("a map") {
        options[key] = value.clone();
    }
    probe("grpc", options).await
}

const SERVING: &[u8] = &[0, 0, 0, 0, 2, 8, 1];
const NOT_SERVING: &[u8] = &[0, 0, 0, 0, 2, 8, 2];
const OK: &[(&str, &str)] = &[("grpc-status", "0")];

#[tokio::test]
async fn status_and_serving_status_are_told_apart() {
    let serving = serve(SERVING, OK).await;
    let seen = ask(&serving, json!({})).await;
    assert_ok(&seen);
    let facts = seen.evidence.grpc.as_deref().expect("facts");
    assert_eq!((facts.status, facts.serving.as_str()), (0, "SERVING"));
    let wanted = json!({"expect": {"serving": "NOT_SERVING"}});
    assert_fails(
        &ask(&serving, wanted.clone()).await,
        Phase::Assert,
        Reason::NotServing,
        "says SERVING",
    );
    let late = ask(&serving, json!({"expect": {"latency": "0s"}})).await;
    assert_fails(&late, Phase::Assert, Reason::Latency, "expected at most 0s");
    let resting = serve(NOT_SERVING, OK).await;
    assert_fails(
        &ask(&resting, json!({})).await,
        Phase::Assert,
        Reason::NotServing,
        "says NOT_SERVING, expected SERVING",
    );
    assert_ok(&ask(&resting, wanted).await);

    let closed = serve(&[], &[("grpc-status", "16"), ("grpc-message", "who%20are%20you")]).await;
    let seen = ask(&closed, json!({})).await;
    assert_fails(&seen, Phase::Assert, Reason::GrpcStatus, "ended with UNAUTHENTICATED");
    assert_eq!(seen.evidence.grpc.as_deref().expect("facts").status, 16);
    assert_ok(&ask(&closed, json!({"expect": {"status": "UNAUTHENTICATED"}})).await);
    let unknown = serve(&[], &[("grpc-status", "5")]).await;
    let seen = ask(&unknown, json!({"service": "shop"})).await;
    assert_fails(&seen, Phase::Assert, Reason::GrpcStatus, "does not know this service's name");
}

#[tokio::test]
async fn what_is_no_grpc_is_told() {
    for (body, trailers, message) in [
        (&[1, 0, 0, 0, 0][..], OK, "compressed"),
        (&[0, 0, 0, 0, 9, 8][..], OK, "another length"),
        (&[][..], OK, "no message"),
        (SERVING, &[][..], "names no status"),
        (&[0; 8_192][..], OK, "more than 4096 bytes"),
    ] {
        let server = serve(body, trailers).await;
        assert_fails(&ask(&server, json!({})).await, Phase::Transfer, Reason::Protocol, message);
    }
    let web = server::http(|_, _| reply(200, &[("content-type", "text/html")], "hello")).await;
    assert_fails(&ask(&web, json!({})).await, Phase::Transfer, Reason::Protocol, "content type");
    let gateway = server::http(|_, _| reply(502, &[], "")).await;
    assert_fails(&ask(&gateway, json!({})).await, Phase::Ttfb, Reason::Status, "status 502");
    let busy = server::http(|_, _| reply(429, &[], "")).await;
    assert_blocked(&ask(&busy, json!({})).await, BlockReason::RateLimit);
    let old = server::raw("HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let seen = ask(&old, json!({})).await;
    assert_eq!(seen.outcome.word(), "fail", "{seen:?}");
}

#[tokio::test]
async fn over_tls() {
    let authority = Authority::new();
    let tls =
        tokio_rustls::TlsAcceptor::from(Arc::new(authority.server("localhost", (2020, 2090))));
    let server = server::serve(move |stream| {
        let tls = tls.clone();
        async move {
            if let Ok(stream) = tls.accept(stream).await {
                speak(stream, SERVING.to_vec(), OK).await;
            }
        }
    })
    .await;
    let address = format!("localhost:{}", server.address.port());
    let seen = probe("grpc", json!({"address": address, "tls": {"ca": authority.pem}})).await;
    assert_ok(&seen);
    assert!(seen.evidence.cert_not_after.is_some());
    let seen = probe("grpc", json!({"address": address, "tls": true})).await;
    assert_fails(&seen, Phase::Tls, Reason::CertIncompleteChain, "tls.ca");
}
