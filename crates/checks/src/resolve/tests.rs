use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::UdpSocket;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::*;

const PATIENT: Duration = Duration::from_secs(60);

/// A name server that gives every name one IPv4 address, except for what a name begins with: `nx`
/// gets NXDOMAIN, `fail` SERVFAIL, `silent` nothing, `late` an answer when told, `empty` no address,
/// `six` an IPv6 address only, and `torn` that and SERVFAIL for IPv4. Source: RFC 1035, section 4.
struct NameServer {
    address: SocketAddr,
    queries: Arc<AtomicUsize>,
    /// Told of each query that is not answered; lets late answers go.
    asked: Arc<Notify>,
    go: Arc<Notify>,
    _task: JoinSet<()>,
}

impl NameServer {
    /// One whose IPv4 addresses end with this. `minds` says of which names it minds the beginning.
    async fn start(last: u8, minds: fn(&str) -> bool) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let (queries, asked, go) = (Arc::<AtomicUsize>::default(), Arc::default(), Arc::default());
        let (seen, silence, late) = (Arc::clone(&queries), Arc::clone(&asked), Arc::clone(&go));
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut buffer = [0; 512];
            while let Ok((length, client)) = socket.recv_from(&mut buffer).await {
                seen.fetch_add(1, Ordering::Relaxed);
                let mut name = name_in(&buffer[..length]);
                if !minds(&name) {
                    name = "well".to_owned();
                }
                if name.starts_with("silent") {
                    Notify::notify_one(&silence);
                    continue;
                }
                if name.starts_with("late") {
                    Notify::notified(&late).await;
                }
                let answer = answer(&buffer[..length], &name, last);
                socket.send_to(&answer, client).await.unwrap();
            }
        });
        Self { address, queries, asked, go, _task: task }
    }

    fn count(&self) -> usize {
        self.queries.load(Ordering::Relaxed)
    }
}

/// A resolver with this name server as its first, and patience with it.
fn resolver_at(server: &NameServer) -> Resolver {
    let mut only = NameServerConfig::udp(server.address.ip());
    only.connections[0].port = server.address.port();
    let config = ResolverConfig::from_parts(None, Vec::new(), vec![only]);
    let mut options = ResolverOpts::default();
    options.timeout = PATIENT;
    options.attempts = 1;
    Resolver { first: Servers::with(&config, &options).unwrap(), servers: Vec::new(), second: None }
}

fn name_in(query: &[u8]) -> String {
    let (mut name, mut at) = (String::new(), 12);
    while query[at] != 0 {
        let end = at + 1 + usize::from(query[at]);
        name.push_str(&String::from_utf8_lossy(&query[at + 1..end]).to_lowercase());
        name.push('.');
        at = end;
    }
    name
}

fn answer(query: &[u8], name: &str, last: u8) -> Vec<u8> {
    // Every label and its length, the root, type and class.
    let end = 12 + query[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
    let question = &query[12..end];
    let is_a = question.ends_with(&[0, 1, 0, 1]);
    let is_six = name.starts_with("six") || name.starts_with("torn");
    let (code, answers) = match name {
        name if name.starts_with("nx") => (3, 0),
        name if name.starts_with("fail") || name.starts_with("torn") && is_a => (2, 0),
        name if name.starts_with("empty") || is_a == is_six => (0, 0),
        _ => (0, 1),
    };
    let mut answer = query[..2].to_vec();
    answer.extend([0x81, 0x80 | code, 0, 1, 0, answers, 0, 0, 0, 0]);
    answer.extend(question);
    if answers == 1 {
        let (kind, length): (u8, u8) = if is_a { (1, 4) } else { (28, 16) };
        answer.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 60, 0, length]);
        let address = if is_a { vec![192, 0, 2, last] } else { vec![last; 16] };
        answer.extend(address);
    }
    answer
}

/// What a lookup gives, and what it took.
async fn look(
    resolver: &Resolver,
    name: &str,
    family: IpFamily,
    second_after: Duration,
) -> (Result<Vec<IpAddr>, Stop>, Option<ResolverUse>) {
    let mut used = None;
    (resolver.addresses(name, family, second_after, &mut used).await, used)
}

fn ending_with(last: u8) -> Vec<IpAddr> {
    vec![IpAddr::from([192, 0, 2, last])]
}

#[tokio::test]
async fn answers_and_their_absence_are_told_apart() {
    let server = NameServer::start(7, |_| true).await;
    let resolver = resolver_at(&server);
    let (found, _) = look(&resolver, "shop.example", IpFamily::Any, PATIENT).await;
    assert_eq!(found.unwrap(), ending_with(7));
    for (name, family, reason, message) in [
        ("nx.example", IpFamily::Any, Reason::NameNotFound, "nx.example does not exist (NXDOMAIN)"),
        ("empty.example", IpFamily::Any, Reason::NoAddress, "empty.example has no address"),
        ("shop.example", IpFamily::V6, Reason::NoAddress, "shop.example has no IPv6 address"),
        (
            "fail.example",
            IpFamily::V4,
            Reason::DnsFailed,
            "the resolver answered Server Failure for fail.example",
        ),
    ] {
        let (found, used) = look(&resolver, name, family, PATIENT).await;
        let stop = found.unwrap_err();
        let phase = Phase::Dns;
        assert_eq!(stop.outcome, Outcome::Fail { phase, reason }, "{stop:?}");
        assert_eq!((stop.message.as_str(), used), (message, None));
    }
}

#[tokio::test]
async fn only_a_name_without_an_ipv4_address_is_reached_by_ipv6() {
    let server = NameServer::start(7, |_| true).await;
    let resolver = resolver_at(&server);
    let (found, _) = look(&resolver, "six.example", IpFamily::Any, PATIENT).await;
    assert_eq!(found.unwrap(), [IpAddr::from([7; 16])]);
    let (found, _) = look(&resolver, "torn.example", IpFamily::Any, PATIENT).await;
    let failed = Outcome::Fail { phase: Phase::Dns, reason: Reason::DnsFailed };
    assert_eq!(found.unwrap_err().outcome, failed);
}

#[tokio::test]
async fn nothing_is_cached() {
    let server = NameServer::start(7, |_| true).await;
    let resolver = resolver_at(&server);
    for _ in 0..2 {
        let (found, _) = look(&resolver, "shop.example", IpFamily::V4, PATIENT).await;
        assert_eq!(found.unwrap().len(), 1);
    }
    assert_eq!(server.count(), 2);
}

/// A first resolver in trouble, and a second that minds only names which are gone for it as well.
async fn pair() -> (NameServer, NameServer, Resolver) {
    let first = NameServer::start(7, |_| true).await;
    let second = NameServer::start(9, |name| name.contains("gone")).await;
    let resolver = resolver_at(&first).with_second(&[second.address]).unwrap();
    (first, second, resolver)
}

#[tokio::test]
async fn the_second_resolver_is_asked_only_when_the_first_is_in_trouble() {
    let (_first, second, resolver) = pair().await;
    let (found, used) = look(&resolver, "shop.example", IpFamily::Any, PATIENT).await;
    assert_eq!((found.unwrap(), used, second.count()), (ending_with(7), None, 0));
    // A failure is trouble at once; silence when it has lasted.
    for (name, second_after) in [
        ("fail.example", PATIENT),
        ("nx.example", PATIENT),
        ("empty.example", PATIENT),
        ("silent.example", Duration::from_millis(50)),
    ] {
        let (found, used) = look(&resolver, name, IpFamily::V4, second_after).await;
        assert_eq!((found.unwrap(), used), (ending_with(9), Some(ResolverUse::Second)), "{name}");
    }
}

#[tokio::test]
async fn the_failure_of_both_is_the_firsts() {
    let (_first, _second, resolver) = pair().await;
    let (found, used) = look(&resolver, "nx.gone.example", IpFamily::V4, PATIENT).await;
    let stop = found.unwrap_err();
    let gone = Outcome::Fail { phase: Phase::Dns, reason: Reason::NameNotFound };
    assert_eq!((stop.outcome, used), (gone, Some(ResolverUse::Neither)));
    assert_eq!(
        stop.message,
        "nx.gone.example does not exist (NXDOMAIN); the second resolver: nx.gone.example does not \
         exist (NXDOMAIN)"
    );
}

#[tokio::test]
async fn a_first_resolver_that_answers_late_is_still_right() {
    let first = NameServer::start(7, |_| true).await;
    let second = NameServer::start(9, |_| true).await;
    let resolver = resolver_at(&first).with_second(&[second.address]).unwrap();
    // The second hears "late", too, and keeps it to itself.
    let mut used = Some(ResolverUse::Second);
    let lookup = resolver.addresses("late.example", IpFamily::V4, Duration::ZERO, &mut used);
    let release = async {
        while second.count() == 0 {
            tokio::task::yield_now().await;
        }
        first.go.notify_one();
    };
    let (found, ()) = tokio::join!(lookup, release);
    assert_eq!(found.unwrap(), ending_with(7));
    assert_eq!(used, Some(ResolverUse::Second), "what an earlier lookup took stays");
}

#[tokio::test]
async fn a_lookup_that_nobody_answers_says_so_while_it_waits() {
    let (_first, second, resolver) = pair().await;
    let mut used = None;
    tokio::select! {
        found = resolver.addresses("silent.gone.example", IpFamily::V4, Duration::ZERO, &mut used) => {
            panic!("{found:?}")
        }
        () = second.asked.notified() => {}
    }
    assert_eq!(used, Some(ResolverUse::Neither));
}
