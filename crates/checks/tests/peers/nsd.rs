//! The kind `dns` against NSD, an authoritative name server.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use quorate_model::{Phase, Reason};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Peer, assert_fails, assert_ok, free_address, probe};

const ZONE: &str = r#"$ORIGIN shop.test.
$TTL 60
@    SOA   ns.shop.test. root.shop.test. 2026010107 3600 600 86400 60
@    NS    ns.shop.test.
ns   A     127.0.0.1
@    A     192.0.2.1
@    A     192.0.2.2
@    AAAA  2001:db8::1
@    MX    10 mail.shop.test.
@    MX    20 backup.shop.test.
@    TXT   "v=spf1 mx " "-all"
@    CAA   0 issue "ca.test"
@    HTTPS 1 . alpn=h2,h3 port=8443 ipv4hint=192.0.2.1,192.0.2.2
@    NAPTR 100 10 "S" "SIP+D2U" "" _sip._udp.shop.test.
@    TYPE65280 \# 3 010203
www  CNAME shop.test.
app  CNAME gone.shop.test.
far  CNAME elsewhere.test.
_sip._tcp SRV 1 2 5060 sip.shop.test.
_443._tcp TLSA 3 1 1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
sec  DS    12345 13 2 0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF
sec  NS    ns.shop.test.
key  DNSKEY 257 3 13 //79/A==
"#;

/// `None` if NSD is not installed.
async fn start() -> Option<(Peer, TempDir, SocketAddr)> {
    let folder = TempDir::new().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let address = free_address().await;
    // A text that is longer than a datagram may be.
    let long = format!(" \"{}\"", "x".repeat(200)).repeat(20);
    fs::write(at("zone"), format!("{ZONE}long TXT{long}\n")).expect("a zone");
    let settings = format!(
        "server:\n  server-count: 1\n  ip-address: 127.0.0.1@{port}\n  username: \"\"\n  \
         zonesdir: \"{folder}\"\n  pidfile: \"{pid}\"\n  xfrdfile: \"{xfrd}\"\n  \
         zonelistfile: \"{list}\"\n  logfile: \"{log}\"\nremote-control:\n  control-enable: no\n\
         zone:\n  name: shop.test\n  zonefile: \"{zone}\"\n",
        port = address.port(),
        folder = folder.path().display(),
        pid = at("pid"),
        xfrd = at("xfrd"),
        list = at("list"),
        log = at("log"),
        zone = at("zone"),
    );
    fs::write(at("nsd.conf"), settings).expect("settings");
    let mut command = Command::new("nsd");
    command.args(["-d", "-c"]).arg(at("nsd.conf"));
    match Peer::start(&mut command) {
        Ok(mut peer) => {
            peer.takes_connections(address).await;
            Some((peer, folder, address))
        }
        Err(error) => {
            println!("SKIPPED: probes of a real name server: nsd does not start: {error}");
            None
        }
    }
}

#[tokio::test]
async fn every_type_of_record_is_read_as_it_was_written() {
    let Some((_peer, _folder, address)) = start().await else {
        return;
    };
    for (name, kind, answer) in [
        ("shop.test", "A", json!(["192.0.2.2", "192.0.2.1"])),
        ("shop.test", "AAAA", json!("2001:db8::1")),
        ("shop.test", "MX", json!(["10 mail.shop.test", "20 backup.shop.test."])),
        ("shop.test", "TXT", json!("v=spf1 mx -all")),
        ("shop.test", "NS", json!("ns.shop.test.")),
        ("shop.test", "CAA", json!("0 issue \"ca.test\"")),
        ("shop.test", "SOA", json!("ns.shop.test root.shop.test 2026010107 3600 600 86400 60")),
        ("shop.test", "HTTPS", json!("1 . alpn=h2,h3 port=8443 ipv4hint=192.0.2.1,192.0.2.2")),
        ("shop.test", "NAPTR", json!("100 10 \"S\" \"SIP+D2U\" \"\" _sip._udp.shop.test")),
        ("shop.test", "TYPE65280", json!("\\# 3 010203")),
        ("www.shop.test", "CNAME", json!("shop.test")),
        ("www.shop.test", "A", json!({"cidr": "192.0.2.0/30", "min": 2})),
        ("_sip._tcp.shop.test", "SRV", json!("1 2 5060 sip.shop.test")),
        ("_443._tcp.shop.test", "TLSA", json!({"regex": "^3 1 1 0123456789abcdef"})),
        ("sec.shop.test", "DS", json!({"regex": "^12345 13 2 0123456789abcdef"})),
        ("key.shop.test", "DNSKEY", json!("257 3 13 //79/A==")),
    ] {
        for scheme in ["udp", "tcp"] {
            let seen = ask(
                address,
                scheme,
                json!({"name": name, "type": kind, "expect": {"answer": answer}}),
            );
            let seen = seen.await;
            assert_eq!(seen.outcome.word(), "ok", "{name} {kind} over {scheme}: {seen:?}");
            let facts = seen.evidence.dns.expect("facts");
            assert!(facts.flags.contains(&"aa".to_owned()), "{facts:?}");
        }
    }
}

async fn ask(address: SocketAddr, scheme: &str, more: Value) -> quorate_model::Observation {
    let mut options = json!({"resolver": format!("{scheme}://{address}"), "recursion": false});
    for (key, value) in more.as_object().expect("a map") {
        options[key] = value.clone();
    }
    probe("dns", options).await
}

#[tokio::test]
async fn what_is_not_there_is_told_apart() {
    let Some((_peer, _folder, address)) = start().await else {
        return;
    };
    let udp = |more| ask(address, "udp", more);
    let seen = udp(json!({"name": "none.shop.test"})).await;
    assert_fails(&seen, Phase::Assert, Reason::NameNotFound, "NXDOMAIN");
    let seen = udp(json!({"name": "shop.test", "type": "SRV"})).await;
    assert_fails(&seen, Phase::Assert, Reason::NoRecords, "has no SRV record");
    assert_eq!(seen.evidence.dns.expect("facts").authority_count, 1);
    let seen = udp(json!({"name": "example.com"})).await;
    assert_fails(&seen, Phase::Assert, Reason::DnsFailed, "REFUSED");
    let seen = udp(json!({"name": "app.shop.test"})).await;
    assert_fails(&seen, Phase::Assert, Reason::Dangling, "leads to gone.shop.test");
    let seen = udp(json!({"name": "app.shop.test", "type": "CNAME"})).await;
    assert_fails(&seen, Phase::Assert, Reason::Dangling, "leads to gone.shop.test");
    // The server knows nothing of what it points at: no proof that it is gone.
    let elsewhere = json!({"name": "far.shop.test", "type": "CNAME"});
    assert_ok(&udp(elsewhere).await);
    let soa = json!({"name": "shop.test", "type": "SOA", "expect": {"serial": 2_026_010_107}});
    assert_ok(&udp(soa).await);
    let soa = json!({"name": "shop.test", "type": "SOA", "expect": {"serial": 2_026_010_108}});
    assert_fails(&udp(soa).await, Phase::Assert, Reason::Answer, "expected at least 2026010108");
}

#[tokio::test]
async fn an_answer_too_long_for_a_datagram_comes_over_tcp() {
    let Some((_peer, _folder, address)) = start().await else {
        return;
    };
    let options = json!({"name": "long.shop.test", "type": "TXT", "expect": {"answer": {"regex": "^x{4000}$"}}});
    let seen = ask(address, "udp", options).await;
    assert_ok(&seen);
    assert_eq!(seen.evidence.protocol.as_deref(), Some("TCP"));
}
