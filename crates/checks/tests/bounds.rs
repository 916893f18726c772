//! What hostile servers can make an agent hold: a process of its own, so that it can be measured.
#![expect(clippy::expect_used, reason = "a test says what it expects")]

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use quorate_checks::{Egress, Environment, Network, Policy, ProbeContext, kind};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// The time of each probe.
const SHORT: Duration = Duration::from_millis(500);
/// How much later than that it may end.
const TOLERANCE: Duration = Duration::from_millis(250);
/// How much memory all of it may take, in KiB.
const GROWTH_KIB_MAX: u64 = 64 * 1024;

/// What a server does to those who connect.
#[derive(Debug, Clone, Copy)]
enum Trick {
    /// Sends the first text, and then the second for ever.
    Flood(&'static [u8], &'static [u8]),
    /// Sends the text, and then nothing, for ever.
    Hang(&'static [u8]),
}

/// An empty SETTINGS frame of HTTP/2, and one that opens no window. Source: RFC 9113, section 6.5.
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
const NO_WINDOW: &[u8] = &[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0];
/// A PING frame. Source: RFC 9113, section 6.7.
const PING: &[u8] = &[0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
/// A HEADERS frame with `:status: 200`, and one more that never ends. Source: RFC 9113, sections
/// 6.2 and 6.10.
const OPEN_HEADERS: &[u8] = &[0, 0, 1, 1, 0, 0, 0, 0, 1, 0x88];
const CONTINUATION: &[u8] = &[0, 0, 4, 9, 0, 0, 0, 0, 1, 0, 1, b'a', 0];
/// A record of TLS that means nothing: change of the cipher. Source: RFC 8446, section 5.
const IDLE_RECORD: &[u8] = &[20, 3, 3, 0, 1, 1];
/// The head of an answer whose chunks follow.
const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

async fn play(mut stream: TcpStream, trick: Trick) {
    let mut asked = [0; 1024];
    drop(stream.read(&mut asked).await);
    match trick {
        Trick::Flood(first, more) => {
            drop(stream.write_all(first).await);
            let more = more.repeat(16 * 1024 / more.len());
            while stream.write_all(&more).await.is_ok() {}
        }
        Trick::Hang(first) => {
            drop(stream.write_all(first).await);
            while stream.read(&mut asked).await.is_ok_and(|read| read > 0) {}
        }
    }
}

async fn serve(trick: Trick, tasks: &mut JoinSet<()>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tasks.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            play(stream, trick).await;
        }
    });
    address
}

/// The most memory that this process has held so far, in KiB.
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("a status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").expect("a folder").count()
}

async fn probe(environment: &Environment, options: Value) {
    let context = ProbeContext::new(environment.clone(), SHORT, SHORT);
    let probe = kind("http").expect("http").parse(&options).expect("valid options");
    let seen = probe.run(&context).await;
    assert!(seen.total < SHORT + TOLERANCE, "{options}: took {:?}", seen.total);
    let ended = seen.outcome.is_fail() || seen.outcome.is_success();
    assert!(ended, "{options}: {seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_servers_take_little_memory_and_leave_nothing_open() {
    let networks = ["127.0.0.0/8".parse::<Network>().expect("a network")];
    let environment =
        Environment::new(Egress::Direct, Policy::allowing(networks)).expect("an environment");
    let (memory, open) = (peak_kib(), descriptors());
    let mut tasks = JoinSet::new();
    for (trick, scheme, more) in [
        (Trick::Flood(b"HTTP/1.1 200 OK\r\n\r\n", b"x"), "http", json!({"max_body": "10MiB"})),
        (Trick::Flood(CHUNKED, b"1\r\nx\r\n"), "http", json!({"max_body": "10MiB"})),
        (Trick::Flood(CHUNKED, b"FFFFFFFFFFFFFF"), "http", json!({})),
        (Trick::Flood(b"HTTP/1.1 200 OK\r\n", b"x: y\r\n"), "http", json!({})),
        (Trick::Flood(b"HTTP/1.1 200 OK\r\nx: ", b"y"), "http", json!({})),
        (Trick::Flood(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"), "http", json!({})),
        (
            Trick::Hang(b"HTTP/1.1 200 OK\r\ncontent-length: 10737418240\r\n\r\nx"),
            "http",
            json!({}),
        ),
        (Trick::Flood(SETTINGS, SETTINGS), "http", json!({"http_version": 2})),
        (Trick::Flood(SETTINGS, PING), "http", json!({"http_version": 2})),
        (Trick::Flood(OPEN_HEADERS, CONTINUATION), "http", json!({"http_version": 2})),
        (
            Trick::Hang(NO_WINDOW),
            "http",
            json!({"http_version": 2, "method": "POST", "body": "z".repeat(100_000)}),
        ),
        (Trick::Hang(b""), "https", json!({})),
        (Trick::Flood(b"", IDLE_RECORD), "https", json!({})),
        (Trick::Flood(b"\x16\x03\x03", b"\xff"), "https", json!({})),
    ] {
        let address = serve(trick, &mut tasks).await;
        let mut options = more;
        options["url"] = format!("{scheme}://{address}/").into();
        probe(&environment, options).await;
    }
    tasks.shutdown().await;
    let grown = peak_kib().saturating_sub(memory);
    assert!(grown < GROWTH_KIB_MAX, "{grown} KiB more than before");
    assert_eq!(descriptors(), open, "descriptors are left open");
}
