//! The kind `tcp`.

use quorate_model::{Phase, Reason};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::server::{self, Server, hold};
use super::tls::Authority;
use super::{assert_fails, assert_ok, probe};

/// Greets like a mail server and answers one command.
async fn greeter() -> Server {
    server::serve(|mut stream| async move {
        drop(stream.write_all(b"220 mail.example ESMTP\r\n").await);
        let mut command = [0; 6];
        if stream.read_exact(&mut command).await.is_ok() && &command == b"QUIT\r\n" {
            drop(stream.write_all(b"221 bye \xff\x1b[0m\r\n").await);
        }
    })
    .await
}

async fn talk(server: &Server, more: Value) -> quorate_model::Observation {
    let mut options = json!({"address": server.address.to_string()});
    for (key, value) in more.as_object().expect("a map") {
        options[key] = value.clone();
    }
    probe("tcp", options).await
}

#[tokio::test]
async fn a_connection_is_enough() {
    let server = server::serve(hold).await;
    let seen = talk(&server, json!({})).await;
    assert_ok(&seen);
    let phases: Vec<_> = seen.phases.iter().map(|lap| lap.phase).collect();
    assert_eq!(phases, [Phase::Connect, Phase::Assert]);
    assert_eq!(seen.evidence.address, Some(server.address.ip()));
}

#[tokio::test]
async fn sends_and_expects() {
    let server = greeter().await;
    for more in [
        json!({"expect": "ESMTP"}),
        json!({"expect": {"regex": "^220 .*\r\n$"}}),
        json!({"send": "QUIT\\r\\n", "expect": "221 bye \\xff"}),
        json!({"send": "QUIT\\r\\n", "expect": {"contains": "221", "regex": "bye", "latency": "9s"}}),
    ] {
        assert_ok(&talk(&server, more).await);
    }
    let wrong = talk(&server, json!({"send": "QUIT\\r\\n", "expect": "550"})).await;
    assert_fails(&wrong, Phase::Assert, Reason::Body, "does not contain \"550\"");
    let message = &wrong.evidence.message;
    assert!(!message.chars().any(char::is_control), "{message:?}");
    let late = talk(&server, json!({"expect": {"contains": "220", "latency": "0s"}})).await;
    assert_fails(&late, Phase::Assert, Reason::Latency, "expected at most 0s");
}

#[tokio::test]
async fn a_flood_is_read_only_so_far() {
    let server = server::serve(|mut stream| async move {
        while stream.write_all(&[b'x'; 8192]).await.is_ok() {}
    })
    .await;
    let seen = talk(&server, json!({"expect": "y"})).await;
    assert_fails(&seen, Phase::Assert, Reason::Body, "does not contain \"y\"");
    assert_eq!(seen.evidence.body_bytes, Some(4096));
}

#[tokio::test]
async fn a_closed_connection_is_a_reset() {
    let server = server::serve(|stream| async { drop(stream) }).await;
    let seen = talk(&server, json!({"expect": "x"})).await;
    assert_fails(&seen, Phase::Ttfb, Reason::Reset, "closed before an answer");
}

#[tokio::test]
async fn a_dialogue_of_several_steps() {
    let server = greeter().await;
    let steps = json!([
        {"expect": "220"},
        {"expect": {"regex": "ESMTP"}},
        {"send": "QUIT\\r\\n", "expect": "221"},
    ]);
    let seen = talk(&server, json!({"dialogue": steps})).await;
    assert_ok(&seen);
    assert_eq!(seen.evidence.body_bytes, Some(24 + 15));
    let phases: Vec<_> = seen.phases.iter().map(|lap| lap.phase).collect();
    let all = [Phase::Connect, Phase::Send, Phase::Ttfb, Phase::Transfer, Phase::Assert];
    assert_eq!(phases, all);
    // What came before something is sent does not count after it.
    let steps = json!([{"expect": "220"}, {"send": "QUIT\\r\\n", "expect": "220"}]);
    let seen = talk(&server, json!({"dialogue": steps})).await;
    assert_fails(&seen, Phase::Assert, Reason::Body, "step 2: the answer");
    let steps = json!([{"send": "HELLO\\n", "expect": "220"}, {"expect": "250"}]);
    let seen = talk(&server, json!({"dialogue": steps})).await;
    assert_fails(&seen, Phase::Assert, Reason::Body, "step 2");
}

/// A mail server that speaks TLS after STARTTLS, with a certificate for `localhost`.
async fn submission(authority: &Authority, trailing: &'static [u8]) -> Server {
    let mut config = authority.server("localhost", (2020, 2090));
    config.alpn_protocols.clear();
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
    server::serve(move |mut stream| {
        let acceptor = acceptor.clone();
        async move {
            let said = b"220 mail\r\n250-mail\r\n250 STARTTLS\r\n220 go\r\n";
            drop(stream.write_all(&[said, trailing].concat()).await);
            let mut asked = [0; b"EHLO quorate.invalid\r\nSTARTTLS\r\n".len()];
            if stream.read_exact(&mut asked).await.is_err() {
                return;
            }
            if let Ok(mut stream) = acceptor.accept(stream).await {
                drop(stream.write_all(b"221 bye").await);
                drop(stream.shutdown().await);
            }
        }
    })
    .await
}

#[tokio::test]
async fn over_to_tls_in_the_middle() {
    let authority = Authority::new();
    let options = |server: &Server| {
        json!({
            "address": format!("localhost:{}", server.address.port()),
            "starttls": "smtp",
            "tls": {"ca": authority.pem},
            "expect": "221 bye",
        })
    };
    let seen = probe("tcp", options(&submission(&authority, b"").await)).await;
    assert_ok(&seen);
    assert_eq!(seen.evidence.protocol.as_deref(), Some("TLSv1.3"));
    // What somebody on the way puts behind the last word in plain text is not the server's.
    let seen = probe("tcp", options(&submission(&authority, b"221 bye\r\n").await)).await;
    assert_fails(&seen, Phase::Tls, Reason::TlsHandshake, "not TLS");
    let plain = greeter().await;
    let mut plainly = options(&plain);
    plainly["address"] = json!(plain.address.to_string());
    let seen = probe("tcp", plainly).await;
    assert_eq!(seen.outcome.word(), "fail", "{seen:?}");
}

#[tokio::test]
async fn over_tls() {
    let authority = Authority::new();
    let mut config = authority.server("localhost", (2020, 2090));
    config.alpn_protocols.clear();
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
    let server = server::serve(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(mut stream) = acceptor.accept(stream).await {
                drop(stream.write_all(b"hello").await);
                drop(stream.shutdown().await);
            }
        }
    })
    .await;
    let address = format!("localhost:{}", server.address.port());
    let trusted = json!({"address": address, "tls": {"ca": authority.pem}, "expect": "hello"});
    let seen = probe("tcp", trusted).await;
    assert_ok(&seen);
    assert_eq!(seen.evidence.protocol.as_deref(), Some("TLSv1.3"));
    assert!(seen.evidence.cert_not_after.is_some());
    let strict = probe("tcp", json!({"address": address, "tls": true})).await;
    assert_fails(&strict, Phase::Tls, Reason::CertIncompleteChain, "does not send");
}
