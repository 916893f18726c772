//! The kind `dns`, against a name server of the tests' own.

use std::sync::Arc;
use std::time::Duration;

use quorate_checks::{Egress, Environment, ProbeContext};
use quorate_model::{Observation, Outcome, Phase, Reason};
use serde_json::{Value, json};

use super::names::{self, A, CNAME, NameServer, Query, Reply, SOA, a, alias, name, record, serve};
use super::server;
use super::tls::Authority;
use super::{assert_denied, assert_fails, assert_ok, context, loopback, probe, probe_in};

const NX_DOMAIN: u8 = 3;

/// A small world: two shops, one of them behind a chain, and abandoned names.
fn world(query: &Query) -> Reply {
    match (query.name.as_str(), query.kind) {
        ("shop.example", A) => {
            Reply::with([a("shop.example", [192, 0, 2, 1]), a("shop.example", [192, 0, 2, 2])])
        }
        ("www.example", A) => Reply::with([
            alias("www.example", "edge.example"),
            alias("edge.example", "Shop.example"),
            a("shop.example", [192, 0, 2, 1]),
        ]),
        ("www.example", CNAME) => Reply::with([alias("www.example", "gone.example")]),
        ("old.example", A) => Reply {
            authorities: vec![record("test", SOA, &soa(1))],
            ..Reply { code: NX_DOMAIN, ..Reply::with([alias("old.example", "app.gone.test")]) }
        },
        ("text.example", 16) => Reply::with([record("text.example", 16, b"\x06v=spf1\x05 -all")]),
        ("mail.example", 15) => {
            Reply::with([record("mail.example", 15, &[&[0, 10][..], &name("mx.example")].concat())])
        }
        ("zone.example", SOA) => {
            Reply { code: 0x20, ..Reply::with([record("zone.example", SOA, &soa(2_026_010_100))]) }
        }
        ("refused.example", _) => Reply::code(5),
        ("shop.example" | "mail.example", _) => Reply::default(),
        _ => Reply::code(NX_DOMAIN),
    }
}

fn soa(serial: u32) -> Vec<u8> {
    [name("ns.example"), name("root.example"), serial.to_be_bytes().to_vec(), vec![0; 16]].concat()
}

async fn ask(server: &NameServer, more: Value) -> Observation {
    let mut options = json!({"resolver": server.address.to_string()});
    for (key, value) in more.as_object().expect("a map") {
        options[key] = value.clone();
    }
    probe("dns", options).await
}

#[tokio::test]
async fn an_answer_and_its_facts() {
    let server = serve(world).await;
    let seen = ask(&server, json!({"name": "www.example"})).await;
    assert_ok(&seen);
    let facts = seen.evidence.dns.as_deref().expect("facts");
    assert_eq!(facts.rcode, "NOERROR");
    assert_eq!(facts.flags, ["ra"]);
    assert_eq!(
        facts.answers,
        [
            "www.example CNAME edge.example",
            "edge.example CNAME Shop.example",
            "shop.example A 192.0.2.1"
        ]
    );
    assert_eq!((facts.answer_count, facts.authority_count), (3, 0));
    assert_eq!(seen.evidence.protocol.as_deref(), Some("UDP"));
    assert_eq!(seen.evidence.address, Some(server.address.ip()));
    let phases: Vec<_> = seen.phases.iter().map(|lap| lap.phase).collect();
    assert_eq!(phases, [Phase::Send, Phase::Ttfb, Phase::Assert]);
}

#[tokio::test]
async fn answers_as_expected() {
    let server = serve(world).await;
    for (name, kind, expect) in [
        ("shop.example", "A", json!({"answer": ["192.0.2.2", "192.0.2.1"]})),
        (
            "shop.example",
            "A",
            json!({"answer": {"contains": "192.0.2.2", "cidr": "192.0.2.0/24", "min": 2}}),
        ),
        (
            "shop.example",
            "A",
            json!({"answer": {"regex": "\\.1$", "not_contains": "192.0.2.3", "not_regex": "^10"}}),
        ),
        ("shop.example", "AAAA", json!({"answer": {"min": 0}})),
        ("www.example", "A", json!({"answer": "192.0.2.1"})),
        ("text.example", "TXT", json!({"answer": "v=spf1 -all"})),
        ("mail.example", "MX", json!({"answer": "10 MX.example."})),
        ("zone.example", "SOA", json!({"serial": 2_026_010_100, "ad": true})),
        (
            "zone.example",
            "SOA",
            json!({"serial": {"at_least": 2_026_010_100, "max_age": "36500d"}}),
        ),
        ("none.example", "A", json!({"rcode": "NXDOMAIN"})),
        ("refused.example", "A", json!({"rcode": ["REFUSED", "NOERROR"]})),
    ] {
        let seen = ask(&server, json!({"name": name, "type": kind, "expect": expect})).await;
        assert_eq!(seen.outcome, Outcome::Ok, "{name} {kind}: {seen:?}");
    }
}

#[tokio::test]
async fn answers_that_are_not_as_expected() {
    let server = serve(world).await;
    for (name, kind, expect, reason, message) in [
        (
            "shop.example",
            "A",
            json!({"answer": "192.0.2.1"}),
            Reason::Answer,
            "expected \"192.0.2.1\"",
        ),
        (
            "shop.example",
            "A",
            json!({"answer": {"contains": "192.0.2.20"}}),
            Reason::Answer,
            "without \"192.0.2.20\"",
        ),
        (
            "shop.example",
            "A",
            json!({"answer": {"not_contains": "192.0.2.1"}}),
            Reason::Answer,
            "among them",
        ),
        (
            "shop.example",
            "A",
            json!({"answer": {"cidr": ["192.0.2.1", "10.0.0.0/8"]}}),
            Reason::Answer,
            "192.0.2.2, outside",
        ),
        (
            "shop.example",
            "A",
            json!({"answer": {"min": 3}}),
            Reason::Answer,
            "are 2, expected at least 3",
        ),
        ("shop.example", "A", json!({"answer": {"regex": "^10"}}), Reason::Answer, "none matches"),
        (
            "shop.example",
            "A",
            json!({"answer": {"not_regex": "2$"}}),
            Reason::Answer,
            "one matches",
        ),
        (
            "zone.example",
            "SOA",
            json!({"ad": false}),
            Reason::Answer,
            "says that the answer is authentic",
        ),
        (
            "shop.example",
            "A",
            json!({"authority": {"min": 1}}),
            Reason::Answer,
            "the records of authority are 0",
        ),
    ] {
        let seen = ask(&server, json!({"name": name, "type": kind, "expect": expect})).await;
        assert_fails(&seen, Phase::Assert, reason, message);
    }
}

#[tokio::test]
async fn names_and_zones_that_are_not_as_expected() {
    let server = serve(world).await;
    for (name, kind, expect, reason, message) in [
        (
            "shop.example",
            "A",
            json!({"rcode": "NXDOMAIN"}),
            Reason::Answer,
            "exists (NOERROR), expected NXDOMAIN",
        ),
        ("shop.example", "A", json!({"ad": true}), Reason::Answer, "does not say"),
        ("shop.example", "A", json!({"latency": "0s"}), Reason::Latency, "expected at most 0s"),
        ("shop.example", "MX", json!({}), Reason::NoRecords, "has no MX record (NODATA)"),
        ("none.example", "A", json!({}), Reason::NameNotFound, "does not exist (NXDOMAIN)"),
        ("refused.example", "A", json!({}), Reason::DnsFailed, "answered REFUSED for"),
        (
            "zone.example",
            "SOA",
            json!({"serial": 2_026_010_101}),
            Reason::Answer,
            "expected at least 2026010101",
        ),
        (
            "zone.example",
            "SOA",
            json!({"serial": {"max_age": "1d"}}),
            Reason::Answer,
            "old, expected at most 1d",
        ),
    ] {
        let seen = ask(&server, json!({"name": name, "type": kind, "expect": expect})).await;
        assert_fails(&seen, Phase::Assert, reason, message);
    }
}

#[tokio::test]
async fn names_that_lead_to_what_is_gone() {
    let server = serve(world).await;
    let seen = ask(&server, json!({"name": "old.example"})).await;
    assert_fails(
        &seen,
        Phase::Assert,
        Reason::Dangling,
        "leads to app.gone.test, which does not exist (NXDOMAIN); its domain gone.test is not registered",
    );
    // Asked for the CNAME itself, the server says nothing about its target, so that is asked for.
    let seen = ask(&server, json!({"name": "www.example", "type": "CNAME"})).await;
    assert_fails(
        &seen,
        Phase::Assert,
        Reason::Dangling,
        "leads to gone.example, which does not exist",
    );
    let off = json!({"name": "www.example", "type": "CNAME", "dangling": false});
    assert_ok(&ask(&server, off).await);
    let seen = ask(&server, json!({"name": "old.example", "dangling": false})).await;
    assert_fails(&seen, Phase::Assert, Reason::NameNotFound, "does not exist");
    assert_ok(&ask(&server, json!({"name": "old.example", "expect": {"rcode": "NXDOMAIN"}})).await);
}

/// A hosting service at an address of its own, which says this of every name; `None` where nobody
/// lets us have port 80.
async fn hosting(address: [u8; 4], page: &'static str) -> Option<tokio::task::JoinSet<()>> {
    let listener = match tokio::net::TcpListener::bind((std::net::IpAddr::from(address), 80)).await
    {
        Ok(listener) => listener,
        Err(error) => {
            println!("SKIPPED: pages of hosting services: no port 80 on loopback: {error}");
            return None;
        }
    };
    let mut task = tokio::task::JoinSet::new();
    task.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let head = server::read_head(&mut stream).await;
            let known = head.contains("Host: www.example\r\n");
            let page = if known { page } else { "400" };
            let answer = format!("HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n{page}");
            drop(tokio::io::AsyncWriteExt::write_all(&mut stream, answer.as_bytes()).await);
        }
    });
    Some(task)
}

#[tokio::test]
async fn names_that_a_hosting_service_has_nobody_for() {
    let unclaimed = hosting([127, 80, 0, 1], "<p>There isn't a GitHub Pages site here.</p>").await;
    let claimed =
        hosting([127, 80, 0, 2], "<p>no page of this name, but the site is ours</p>").await;
    if unclaimed.is_none() || claimed.is_none() {
        return;
    }
    for (last, target, dangling, is_found) in [
        (1, "shop.github.io", json!(true), true),
        (2, "shop.github.io", json!(true), false),
        // Nothing is asked where nobody answers, of a service that is not known, or unless told to.
        (3, "shop.github.io", json!(true), false),
        (1, "shop.example.net", json!(true), false),
        (1, "shop.github.io", json!(null), false),
    ] {
        let server = serve(move |_| {
            Reply::with([alias("www.example", target), a(target, [127, 80, 0, last])])
        })
        .await;
        let mut options = json!({"name": "www.example"});
        if !dangling.is_null() {
            options["dangling"] = dangling;
        }
        let seen = ask(&server, options).await;
        if is_found {
            let message = "leads to GitHub Pages (github.io), which answers";
            assert_fails(&seen, Phase::Assert, Reason::Dangling, message);
        } else {
            assert_ok(&seen);
        }
        let evidence = &seen.evidence;
        assert_eq!(evidence.address, Some(server.address.ip()), "the server's, not the page's");
    }
}

#[tokio::test]
async fn what_is_cut_short_is_asked_for_over_tcp_once() {
    let server = serve(|query| Reply { truncated: query.over_udp, ..world(query) }).await;
    let seen = ask(&server, json!({"name": "shop.example"})).await;
    assert_ok(&seen);
    assert_eq!(seen.evidence.protocol.as_deref(), Some("TCP"));
    let server = serve(|query| Reply { truncated: true, ..world(query) }).await;
    let seen = ask(&server, json!({"name": "shop.example"})).await;
    assert_fails(
        &seen,
        Phase::Ttfb,
        Reason::Protocol,
        "cut short (TC), although not sent over UDP",
    );
}

#[tokio::test]
async fn answers_to_other_questions_are_ignored() {
    let server = names::raw(|query| {
        let right = world(query).message(query);
        let other = Query { id: [query.id[0] ^ 1, query.id[1]], ..query.clone() };
        let wrong_id = Reply::with([a("shop.example", [10, 0, 0, 1])]).message(&other);
        let mut wrong_name = Reply::with([a("shop.example", [10, 0, 0, 2])]).message(query);
        wrong_name[13] ^= 1;
        vec![wrong_id, wrong_name, b"junk".to_vec(), right]
    })
    .await;
    let expect = json!({"answer": {"cidr": "192.0.2.0/24"}});
    assert_ok(&ask(&server, json!({"name": "shop.example", "expect": expect})).await);
}

#[tokio::test]
async fn hostile_answers_end_as_failures() {
    let circle = |query: &Query| {
        let mut message = Reply { code: 0, ..Reply::with([vec![]]) }.message(query);
        let at = u8::try_from(message.len()).expect("short");
        message.extend([0xc0, at, 0, 1, 0, 1, 0, 0, 0, 60, 0, 0]);
        vec![message]
    };
    let seen = ask(&names::raw(circle).await, json!({"name": "shop.example"})).await;
    assert_fails(&seen, Phase::Ttfb, Reason::Protocol, "a record cannot be read");

    let aliases =
        serve(|_| Reply::with([alias("a.example", "b.example"), alias("b.example", "A.example")]))
            .await;
    let seen = ask(&aliases, json!({"name": "a.example"})).await;
    assert_fails(&seen, Phase::Assert, Reason::Answer, "goes in a circle");

    let long = serve(|query| {
        let link = |index| alias(&format!("c{index}.example"), &format!("c{}.example", index + 1));
        Reply { truncated: query.over_udp, ..Reply::with((0..50).map(link)) }
    })
    .await;
    let seen = ask(&long, json!({"name": "c0.example"})).await;
    assert_fails(&seen, Phase::Assert, Reason::Answer, "has more than 8 links");
}

#[tokio::test]
async fn of_a_thousand_records_256_are_read() {
    let server = serve(|query| Reply {
        truncated: query.over_udp,
        ..Reply::with((0..1_000_u16).map(|index| {
            let [high, low] = index.to_be_bytes();
            a("many.example", [198, 51, high, low])
        }))
    })
    .await;
    let seen =
        ask(&server, json!({"name": "many.example", "expect": {"answer": {"min": 256}}})).await;
    assert_ok(&seen);
    let facts = seen.evidence.dns.expect("facts");
    assert_eq!((facts.answer_count, facts.answers.len()), (1_000, 16));
}

#[tokio::test]
async fn a_lost_question_is_asked_again_and_silence_ends_in_time() {
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let server = names::raw(move |query| {
        let first = asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0;
        if first { Vec::new() } else { vec![world(query).message(query)] }
    })
    .await;
    let environment = Environment::new(Egress::Direct, loopback()).expect("an environment");
    let timeout = Duration::from_secs(2);
    let context = ProbeContext::new(environment, timeout, timeout);
    let options = json!({"name": "shop.example", "resolver": server.address.to_string()});
    assert_ok(&probe_in(&context, "dns", options).await);

    let silent = names::raw(|_| Vec::new()).await;
    let options = json!({"name": "shop.example", "resolver": silent.address.to_string()});
    let seen = probe_in(&context, "dns", options).await;
    assert_fails(&seen, Phase::Ttfb, Reason::Timeout, "no answer within 2s");
    assert!(seen.total < timeout + Duration::from_millis(250), "{:?}", seen.total);
}

#[tokio::test]
async fn a_port_where_nothing_listens_refuses() {
    let server = serve(world).await;
    let address = server.address;
    drop(server);
    let options = json!({"name": "shop.example", "resolver": address.to_string()});
    let seen = probe("dns", options).await;
    assert_fails(&seen, Phase::Ttfb, Reason::Refused, "nothing listens there");
    let options = json!({"name": "shop.example", "resolver": format!("tcp://{address}")});
    assert_fails(&probe("dns", options).await, Phase::Connect, Reason::Refused, "refused");
}

#[tokio::test]
async fn over_tls_and_https() {
    let authority = Authority::new();
    let acceptor = |alpn: &[u8]| {
        let mut config = authority.server("localhost", (2020, 2090));
        config.alpn_protocols = vec![alpn.to_vec()];
        config
    };
    let tls = tokio_rustls::TlsAcceptor::from(Arc::new(acceptor(b"dot")));
    let server = server::serve(move |stream| {
        let tls = tls.clone();
        async move {
            if let Ok(stream) = tls.accept(stream).await {
                names::talk(stream, &|query| vec![world(query).message(query)]).await;
            }
        }
    })
    .await;
    let trusted = json!({"ca": authority.pem});
    let resolver = format!("tls://localhost:{}", server.address.port());
    let options = json!({"name": "shop.example", "resolver": resolver, "tls": trusted});
    let seen = probe("dns", options).await;
    assert_ok(&seen);
    assert_eq!(seen.evidence.protocol.as_deref(), Some("TLSv1.3"));
    let untrusted = json!({"name": "shop.example", "resolver": resolver});
    let refused = probe("dns", untrusted).await;
    assert_fails(&refused, Phase::Tls, Reason::CertIncompleteChain, "tls.ca");

    for alpn in ["h2", "http/1.1"] {
        let server = server::https(acceptor(alpn.as_bytes()), |parts, body| {
            assert_eq!(parts.headers["content-type"], "application/dns-message");
            if parts.uri.path() != "/dns-query" {
                return server::reply(404, &[], "");
            }
            let query = Query::read(&body, false);
            assert_eq!(query.id, [0, 0]);
            let message = world(&query).message(&query);
            http::Response::new(http_body_util::Full::new(message.into()))
        })
        .await;
        let options =
            |path| json!({"name": "shop.example", "resolver": server.https(path), "tls": trusted});
        assert_ok(&probe("dns", options("/dns-query")).await);
        let lost = probe("dns", options("/")).await;
        assert_fails(&lost, Phase::Ttfb, Reason::Status, "status 404, expected 200");
    }
}

#[tokio::test]
async fn a_chosen_resolver_is_judged_and_a_proxy_is_not_gone_round() {
    let strict = context(Egress::Direct, quorate_checks::Policy::default());
    let proxied = context(Egress::Socks5(([127, 0, 0, 1], 9).into()), loopback());
    for resolver in ["10.0.0.1", "169.254.169.254", "tcp://127.0.0.1", "::ffff:10.0.0.1"] {
        let options = json!({"name": "shop.example", "resolver": resolver});
        let early = quorate_checks::kind("dns").expect("dns").parse(&options).expect("valid");
        assert!(early.refused_by(strict.environment.policy()).is_some(), "{resolver}");
        assert_denied(&probe_in(&strict, "dns", options).await, "forbids");
    }
    let options = json!({"name": "shop.example", "resolver": "127.0.0.1"});
    assert_denied(&probe_in(&proxied, "dns", options).await, "carries no UDP");
}
