use std::convert::Infallible;

use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use quorate_model::{AlertKind, Timestamp};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::*;
use crate::Content;
use crate::sample::{about, alert, group, notice, single};

/// 24 bytes. Source: the example of Standard Webhooks 1.0.0.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn message() -> Message {
    Message {
        id: "msg_p5jXN8AQM9LWM0D4loKWxJek".into(),
        attempt_at: Timestamp::from_micros(1_614_265_330_999_999),
        content: about(AlertKind::Page),
    }
}

fn webhook(options: &Value) -> Box<dyn Notifier> {
    KIND.parse(options).expect("good options")
}

/// What is wrong with the options, one problem a line.
fn problems(options: &Value) -> String {
    let problems = KIND.parse(options).expect_err("bad options");
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook/s3cret?token=s3cret", listener.local_addr().unwrap());
    (listener, url)
}

/// A request as the receiver got it.
struct Received {
    head: http::request::Parts,
    body: String,
}

/// Sends to a receiver that gives `answer`. Returns what became of it and what was received.
async fn exchange(
    answer: Response<Full<Bytes>>,
    more: &Value,
) -> (Result<(), SendError>, Received) {
    let (listener, url) = listen().await;
    let mut options = json!({ "url": url, "secret": SECRET });
    options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let (seen, mut requests) = mpsc::channel(4);
    let serve = async {
        let (stream, _) = listener.accept().await.unwrap();
        let service = service_fn(|request: Request<Incoming>| {
            let (seen, answer) = (seen.clone(), answer.clone());
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let body = String::from_utf8(body.into()).unwrap();
                seen.send(Received { head, body }).await.ok();
                Ok::<_, Infallible>(answer)
            }
        });
        let server = hyper::server::conn::http1::Builder::new();
        server.serve_connection(TokioIo::new(stream), service).await.ok();
    };
    let notifier = webhook(&options);
    let message = message();
    let (outcome, ()) = tokio::join!(notifier.send(&message), serve);
    let received = requests.recv().await.expect("a request");
    assert!(requests.try_recv().is_err(), "one request only");
    (outcome, received)
}

/// Headers of an answer.
type Headers<'a> = &'a [(&'a str, &'a str)];

fn answer(status: u16, headers: Headers<'_>) -> Response<Full<Bytes>> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(Full::new(Bytes::from_static(b"s3cret from the receiver"))).unwrap()
}

#[test]
fn signs_the_published_vector() {
    // Source: Standard Webhooks 1.0.0 and its reference libraries.
    let key = SigningKey::parse(SECRET).unwrap();
    let body = r#"{"test": 2432232314}"#;
    assert_eq!(
        sign::header(&[key], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body),
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    );
}

#[tokio::test]
async fn posts_a_signed_message_once() {
    let more = json!({ "headers": { "Authorization": "Bearer abc" } });
    let (outcome, received) = exchange(answer(204, &[]), &more).await;
    assert_eq!(outcome, Ok(()));
    let header = |name: &str| received.head.headers[name].to_str().unwrap();
    assert_eq!(received.head.method, "POST");
    assert_eq!(received.head.uri, "/hook/s3cret?token=s3cret");
    assert_eq!(header("content-type"), "application/json");
    assert_eq!(header("authorization"), "Bearer abc");
    assert_eq!(header("webhook-id"), "msg_p5jXN8AQM9LWM0D4loKWxJek");
    assert_eq!(header("webhook-timestamp"), "1614265330");
    // An independent library signs what arrived in the same way.
    let library = standardwebhooks::Webhook::new(SECRET).unwrap();
    let (id, seconds) = (header("webhook-id"), header("webhook-timestamp").parse().unwrap());
    let expected = library.sign(id, seconds, received.body.as_bytes()).unwrap();
    assert_eq!(header("webhook-signature"), expected);
    let body: Value = serde_json::from_str(&received.body).unwrap();
    assert_eq!(body["type"], "incident.opened");
}

#[tokio::test]
async fn signs_with_both_secrets_during_a_rotation() {
    let (_, both) = exchange(answer(200, &[]), &json!({ "secret": [SECRET, OTHER] })).await;
    let (_, second) = exchange(answer(200, &[]), &json!({ "secret": OTHER })).await;
    let (_, first) = exchange(answer(200, &[]), &json!({ "secret": [SECRET] })).await;
    let signature = |received: &Received| {
        received.head.headers["webhook-signature"].to_str().unwrap().to_owned()
    };
    assert_eq!(signature(&both), format!("{} {}", signature(&first), signature(&second)));
}

#[tokio::test]
async fn only_2xx_is_success_and_each_failure_says_whether_to_try_again() {
    let seconds = |seconds| Retry::After(Duration::from_secs(seconds));
    let late = [("retry-after", "120")];
    // Two minutes and a second after the attempt, as a date.
    let date = [("retry-after", "Thu, 25 Feb 2021 15:04:11 GMT")];
    let cases: [(u16, Headers<'_>, Option<Retry>); 20] = [
        (200, &[], None),
        (201, &[], None),
        (299, &[], None),
        (301, &[("location", "/elsewhere")], Some(Retry::BackOff)),
        (307, &[("location", "/elsewhere")], Some(Retry::BackOff)),
        (400, &[], Some(Retry::Never)),
        (401, &[], Some(Retry::Never)),
        (404, &late, Some(Retry::Never)),
        (408, &[], Some(Retry::BackOff)),
        (410, &[], Some(Retry::Never)),
        (425, &[], Some(Retry::BackOff)),
        (429, &[], Some(Retry::BackOff)),
        (429, &late, Some(seconds(120))),
        (429, &date, Some(Retry::After(Duration::from_micros(120_000_001)))),
        (429, &[("retry-after", "soon")], Some(Retry::BackOff)),
        (429, &[("retry-after", "99999999999999999999999")], Some(seconds(86_400))),
        (500, &[], Some(Retry::BackOff)),
        (502, &late, Some(Retry::BackOff)),
        (503, &late, Some(seconds(120))),
        (504, &[], Some(Retry::BackOff)),
    ];
    for (status, headers, retry) in cases {
        let (outcome, _) = exchange(answer(status, headers), &json!({})).await;
        let failure = outcome.err();
        assert_eq!(failure.as_ref().map(|error| error.retry), retry, "{status} {headers:?}");
        if let Some(failure) = failure {
            let message = failure.message;
            assert!(message.contains(&status.to_string()), "{message}");
            assert!(message.contains("http://127.0.0.1:"), "{message}");
            assert!(!message.contains("s3cret"), "{message}");
        }
    }
}

/// Returns when a part of the request has come.
async fn begun(stream: &mut tokio::net::TcpStream) {
    let mut buffer = vec![0; 65_536];
    assert!(stream.read(&mut buffer).await.unwrap() > 0);
}

/// Sends to a server that does to the connection what `act` does.
async fn broken<F, Act>(act: Act) -> SendError
where
    F: Future<Output = ()>,
    Act: FnOnce(tokio::net::TcpStream) -> F,
{
    let (listener, url) = listen().await;
    let notifier = webhook(&json!({ "url": url, "secret": SECRET, "timeout": "1s" }));
    let serve = async {
        let (stream, _) = listener.accept().await.unwrap();
        act(stream).await;
    };
    let message = message();
    let (outcome, ()) = tokio::join!(notifier.send(&message), serve);
    let error = outcome.expect_err("no success");
    assert!(!error.message.contains("s3cret"), "{error}");
    assert_eq!(error.retry, Retry::BackOff, "{error}");
    error
}

#[tokio::test]
async fn a_connection_that_breaks_off_is_tried_again() {
    let error = broken(|stream| async move { drop(stream) }).await;
    assert!(error.message.contains("the exchange broke off"), "{error}");

    let head = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf";
    let error = broken(|mut stream| async move {
        begun(&mut stream).await;
        stream.write_all(head.as_bytes()).await.unwrap();
    })
    .await;
    assert!(error.message.contains("the exchange broke off"), "{error}");

    let error = broken(|mut stream| async move {
        begun(&mut stream).await;
        stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n\r\n").await.unwrap();
    })
    .await;
    assert!(error.message.contains("the exchange broke off"), "{error}");
}

#[tokio::test]
async fn a_receiver_that_hangs_is_left_when_the_time_is_up() {
    let error = broken(|mut stream| async move {
        // Reads until the sender gives up, and says nothing.
        let mut sink = Vec::new();
        stream.read_to_end(&mut sink).await.ok();
    })
    .await;
    assert!(error.message.contains("no complete answer within 1s"), "{error}");
    let error = broken(|mut stream| async move {
        begun(&mut stream).await;
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nslow";
        stream.write_all(head).await.unwrap();
        let mut sink = Vec::new();
        stream.read_to_end(&mut sink).await.ok();
    })
    .await;
    assert!(error.message.contains("no complete answer within 1s"), "{error}");
}

#[tokio::test]
async fn an_endless_answer_is_enough_after_its_first_kilobyte() {
    let (listener, url) = listen().await;
    let notifier = webhook(&json!({ "url": url, "secret": SECRET }));
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        begun(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        while stream.write_all(&[b'x'; 1_024]).await.is_ok() {}
    };
    let message = message();
    let (outcome, ()) = tokio::join!(notifier.send(&message), serve);
    assert_eq!(outcome, Ok(()));
}

#[tokio::test]
async fn nobody_there_is_tried_again() {
    let (listener, url) = listen().await;
    drop(listener);
    let notifier = webhook(&json!({ "url": url, "secret": SECRET }));
    let error = notifier.send(&message()).await.unwrap_err();
    assert!(error.message.contains("cannot connect to 127.0.0.1:"), "{error}");
    assert_eq!(error.retry, Retry::BackOff);
}

#[tokio::test]
async fn references_parse_but_do_not_send() {
    let url = "https://hooks.example.com/";
    for (options, option) in [
        (json!({ "url": url, "secret": { "env": "HOOK" } }), "secret"),
        (json!({ "url": url, "secret": [SECRET, { "file": "/run/hook" }] }), "secret.1"),
        (json!({ "url": { "credential": "hook" }, "secret": SECRET }), "url"),
        (
            json!({ "url": url, "secret": SECRET, "headers": { "X-Key": { "env": "K" } } }),
            "headers.X-Key",
        ),
    ] {
        let error = webhook(&options).send(&message()).await.unwrap_err();
        assert_eq!(error.retry, Retry::Never);
        assert_eq!(
            error.message,
            format!("the option `{option}` refers to a secret that was not read")
        );
    }
}

#[test]
fn everything_wrong_is_said_at_once() {
    let found = problems(&json!({
        "url": "http://hooks.example.com/s3cret",
        "secret": ["whsec_c2hvcnQ=", "s3cret", "whsec_!"],
        "headers": { "Host": "a", "bad name": "b", "X-Ok": "c", "X-Bad": "line\nbreak" },
        "timeout": "2m",
        "allow_htp": true,
        "retries": 3,
    }));
    let make = "make one with: echo whsec_$(openssl rand -base64 32)";
    let expected = [
        "timeout: must be between 1s and 1m",
        "url: must be https, or set `allow_http: true`",
        "secret: expected one secret, or two while one replaces the other",
        &format!("secret.0: must be 24 to 64 bytes in base64, this is 5; {make}"),
        &format!("secret.1: must begin with `whsec_`; {make}"),
        &format!("secret.2: must be base64 after `whsec_`; {make}"),
        "headers.Host: is set by the notifier itself",
        "headers.X-Bad: holds what no header can: use printable ASCII",
        "headers.bad name: is not a header name",
        "allow_htp: no such option; did you mean `allow_http`?",
        "retries: no such option; there are url, secret, headers, timeout, allow_http",
    ];
    assert_eq!(found.lines().collect::<Vec<_>>(), expected);
    assert_eq!(problems(&json!({})), "`url` is missing\n`secret` is missing");
    assert_eq!(problems(&json!([])).lines().next(), Some("expected a map of options"));
}

#[test]
fn urls_must_be_https_unless_they_stay_on_this_machine() {
    let judge = |url: &str, allow_http: bool| {
        let options = json!({ "url": url, "secret": SECRET, "allow_http": allow_http });
        KIND.parse(&options).map(drop).map_err(|problems| problems[0].to_string())
    };
    for good in ["https://a.example/x", "http://127.0.0.1:1/", "http://[::1]/", "http://localhost/"]
    {
        assert_eq!(judge(good, false), Ok(()), "{good}");
    }
    assert_eq!(judge("http://a.example/", true), Ok(()));
    for (bad, why) in [
        ("http://a.example/", "url: must be https, or set `allow_http: true`"),
        ("ftp://a.example/", "url: must be https, not ftp"),
        ("https://u:p@a.example/", "url: must not hold credentials: send them in a header"),
        ("a.example", "url: not a URL: relative URL without a base"),
    ] {
        assert_eq!(judge(bad, false), Err(why.to_owned()), "{bad}");
    }
}

#[test]
fn secrets_have_24_to_64_bytes() {
    use base64::Engine as _;
    for (length, good) in [(23, false), (24, true), (64, true), (65, false)] {
        let encoded = base64::engine::general_purpose::STANDARD.encode(vec![7; length]);
        let secret = format!("whsec_{encoded}");
        let url = "https://a.example/";
        let options = json!({ "url": url, "secret": secret });
        assert_eq!(KIND.parse(&options).is_ok(), good, "{length}");
    }
}

#[test]
fn debug_shows_no_secret() {
    let shown = format!(
        "{:?}",
        webhook(&json!({
            "url": "https://a.example/s3cret?s3cret",
            "secret": SECRET,
            "headers": { "Authorization": "s3cret" },
        }))
    );
    assert!(shown.contains("https://a.example"), "{shown}");
    assert!(!shown.contains("s3cret") && !shown.contains(&SECRET[6..]), "{shown}");
}

fn pretty(content: &Content) -> String {
    let body = payload::render(content).unwrap();
    let value: Value = serde_json::from_str(&body).unwrap();
    serde_json::to_string_pretty(&value).unwrap()
}

#[test]
fn firing_payload() {
    insta::assert_snapshot!(pretty(&about(AlertKind::Page)));
}

#[test]
fn resolved_payload() {
    insta::assert_snapshot!(pretty(&about(AlertKind::Resolved)));
}

#[test]
fn operator_payload() {
    insta::assert_snapshot!(pretty(&notice(false)));
    let over: Value = serde_json::from_str(&pretty(&notice(true))).unwrap();
    assert_eq!(over["type"], "operator.resolved");
}

#[test]
fn a_body_stays_below_20_kilobytes_and_still_tells_what_happened() {
    let mut huge = alert(AlertKind::Page);
    let long = "\u{1}".repeat(30_000);
    huge.target.clone_from(&long);
    huge.runbook = Some(long.clone());
    huge.labels = (0..500).map(|n| (format!("{n}{long}"), long.clone())).collect();
    let ballot = &mut huge.incident.verdict.ballot;
    ballot.entries = ballot.entries.iter().cycle().take(300).cloned().collect();
    for entry in &mut ballot.entries {
        entry.message.clone_from(&long);
    }
    huge.incident.verdict.summary = long.clone();
    let body = payload::render(&single(huge)).unwrap();
    assert!(body.len() < payload::BODY_BYTES_MAX, "{}", body.len());
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["data"]["check"], "shop");
    let listed = body["data"]["regions"].as_array().unwrap().len();
    assert!(listed > 0);
    assert_eq!(body["data"]["regions_left_out"], 300 - listed);
}

#[test]
fn grouped_payload() {
    insta::assert_snapshot!(pretty(&group(AlertKind::Page, 2)));
    let over: Value = serde_json::from_str(&pretty(&group(AlertKind::Resolved, 2))).unwrap();
    assert_eq!(over["type"], "incidents.resolved");
}

#[test]
fn a_body_about_as_many_checks_as_are_grouped_stays_below_20_kilobytes_and_names_all() {
    let Content::Group(mut alerts) = group(AlertKind::Page, 24) else {
        panic!("no group");
    };
    let long = "\u{1}".repeat(30_000);
    for (number, alert) in alerts.iter_mut().enumerate() {
        alert.incident.check = format!("{}-{number}", "a".repeat(60)).parse().unwrap();
        alert.target.clone_from(&long);
        alert.runbook = Some(long.clone());
        alert.labels = (0..500).map(|n| (format!("{n}{long}"), long.clone())).collect();
        alert.incident.verdict.summary.clone_from(&long);
    }
    let body = payload::render(&Content::Group(alerts)).unwrap();
    assert!(body.len() < payload::BODY_BYTES_MAX, "{}", body.len());
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["data"]["incidents"].as_array().unwrap().len(), 24);
}

#[test]
fn the_page_tells_every_option() {
    let page = include_str!("../../../../docs/notifiers/webhook.md");
    let schema = KIND.schema();
    let options = schema.get("properties").unwrap().as_object().unwrap();
    assert_eq!(options.len(), 5);
    for name in options.keys() {
        assert!(page.contains(&format!("| `{name}` |")), "the page does not tell `{name}`");
        assert!(options[name]["description"].is_string(), "`{name}` has no description");
    }
    // What the schema names is what the parser takes.
    let none = problems(&json!({ "zzzzzzzzzz": 1 }));
    for name in options.keys() {
        assert!(none.contains(name), "the parser does not take `{name}`");
    }
}

#[test]
fn statuses_are_classed_by_number_not_by_name() {
    // 499 and 599 have no registered name.
    for (status, retry) in [(499, Retry::Never), (599, Retry::BackOff)] {
        let endpoint = Endpoint::parse("https://a.example/", false).unwrap();
        let answer = crate::send::Answer {
            status: StatusCode::from_u16(status).unwrap(),
            retry_after: None,
        };
        let error = answer.judge(&endpoint, Timestamp::EPOCH).unwrap_err();
        assert_eq!(error.retry, retry);
    }
}
