//! Looking back over the API.

use quorate_model::{Outcome, ProbeResult};
use quorate_proto::convert::agent::timestamp_to_wire;
use quorate_proto::convert::api::{result_from_wire, verdict_from_wire};
use quorate_proto::v1::history_service_client::HistoryServiceClient;
use quorate_store::Transition;
use quorate_store::conformance::sample::{at, incident, result, transition, verdict};

use super::*;

impl Site {
    fn history(&self) -> HistoryServiceClient<Channel> {
        HistoryServiceClient::new(self.channel.clone())
    }

    /// Stores verdicts of alpha, reached at these milliseconds.
    async fn judged(&self, times: &[i64]) {
        let writes = times.iter().map(|millis| {
            let verdict = verdict(State::Partial, *millis, &[]);
            let change = Transition { verdict, ..transition(&incident("alpha", 0, None), &[]) };
            Write::Transition(Box::new(change))
        });
        self.parts.store.commit(writes.collect()).await.unwrap();
    }

    async fn received(&self, results: &[ProbeResult]) {
        self.parts.store.commit(vec![Write::Results(results.to_vec())]).await.unwrap();
    }
}

fn verdicts(size: i32, token: &str) -> wire::ListVerdictsRequest {
    wire::ListVerdictsRequest {
        page_size: size,
        page_token: token.to_owned(),
        check: "checks/alpha".to_owned(),
        ..Default::default()
    }
}

fn taken(past: &wire::PastVerdict) -> Timestamp {
    verdict_from_wire(past.verdict.clone().unwrap()).unwrap().ballot.taken
}

#[tokio::test]
async fn verdicts_are_listed_from_the_latest_with_their_ballots_if_asked() {
    let site = site(Access::LoopbackOpen).await;
    site.judged(&[0, 1_000, 2_000]).await;
    let full = wire::VerdictView::Full.into();
    let list = async |request: wire::ListVerdictsRequest| {
        site.history().list_verdicts(request).await.map(tonic::Response::into_inner)
    };
    let first = list(wire::ListVerdictsRequest { view: full, ..verdicts(2, "") }).await.unwrap();
    let times: Vec<_> = first.verdicts.iter().map(taken).collect();
    assert_eq!(times, [at(2_000), at(1_000)]);
    assert_eq!(first.verdicts[0].end_time, None, "in force");
    assert_eq!(first.verdicts[1].end_time, Some(timestamp_to_wire(at(2_000))));
    let rest = verdicts(2, &first.next_page_token);
    let rest = list(wire::ListVerdictsRequest { view: full, ..rest }).await.unwrap();
    assert_eq!((taken(&rest.verdicts[0]), rest.next_page_token.as_str()), (at(0), ""));

    let basic = list(verdicts(0, "")).await.unwrap();
    assert!(basic.verdicts.iter().all(|past| past.verdict.as_ref().unwrap().ballot.is_none()));
    let span = wire::ListVerdictsRequest {
        start_time: Some(timestamp_to_wire(at(500))),
        end_time: Some(timestamp_to_wire(at(2_000))),
        ..verdicts(0, "")
    };
    assert_eq!(list(span.clone()).await.unwrap().verdicts.len(), 1);
    let other = wire::ListVerdictsRequest { page_token: first.next_page_token, ..span.clone() };
    assert_eq!(refused(list(other).await, Code::InvalidArgument).0, "FIELD_INVALID");
    let backwards =
        wire::ListVerdictsRequest { start_time: span.end_time, end_time: span.start_time, ..span };
    assert_eq!(refused(list(backwards).await, Code::InvalidArgument).0, "FIELD_INVALID");
    let nameless = wire::ListVerdictsRequest { check: "alpha".to_owned(), ..verdicts(0, "") };
    assert_eq!(refused(list(nameless).await, Code::InvalidArgument).0, "FIELD_INVALID");
}

#[tokio::test]
async fn the_verdict_of_a_time_is_the_one_that_was_in_force() {
    let site = site(Access::LoopbackOpen).await;
    site.judged(&[0, 1_000]).await;
    let of = async |time: Option<i64>| {
        let time = time.map(|millis| timestamp_to_wire(at(millis)));
        let request = wire::GetVerdictRequest { check: "checks/alpha".to_owned(), time };
        site.history().get_verdict(request).await.map(tonic::Response::into_inner)
    };
    let first = of(Some(999)).await.unwrap();
    assert_eq!((taken(&first), first.end_time), (at(0), Some(timestamp_to_wire(at(1_000)))));
    assert!(first.verdict.unwrap().ballot.is_some());
    assert_eq!(taken(&of(Some(1_000)).await.unwrap()), at(1_000));
    let (reason, status) = refused(of(Some(-1)).await, Code::NotFound);
    assert_eq!(reason, "VERDICT_NOT_FOUND");
    assert!(status.message().contains("checks/alpha had no verdict at 2026-"), "{status}");
}

fn of_alpha(region: &str, sequence: u64, millis: i64, outcome: Outcome) -> ProbeResult {
    let mut result = result(&format!("{region}-1"), 1, sequence, millis);
    result.started = at(millis - 100);
    result.check = "alpha".parse().unwrap();
    result.region = region.parse().unwrap();
    result.observation.outcome = outcome;
    result
}

#[tokio::test]
async fn raw_results_are_for_operators_and_come_page_by_page() {
    let site = site(Access::Tokens).await;
    let (viewer, operator) = (site.token(Role::Viewer).await, site.token(Role::Operator).await);
    let results: Vec<_> = (1..=7)
        .map(|n| of_alpha("fra", n, i64::try_from(n).unwrap() * 1_000, Outcome::Ok))
        .collect();
    site.received(&results).await;
    let request = |token: &str| wire::ListResultsRequest {
        page_size: 3,
        page_token: token.to_owned(),
        check: "checks/alpha".to_owned(),
        ..Default::default()
    };
    let denied = site.history().list_results(bearing(&viewer, request(""))).await;
    assert_eq!(refused(denied, Code::PermissionDenied).0, "ROLE_REQUIRED");
    let (mut found, mut token) = (Vec::new(), String::new());
    loop {
        let page = site.history().list_results(bearing(&operator, request(&token))).await;
        let page = page.unwrap().into_inner();
        assert!(page.results.len() <= 3);
        found.extend(page.results.into_iter().map(|sent| result_from_wire(sent).unwrap()));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(found, results);
    let span = wire::ListResultsRequest {
        start_time: Some(timestamp_to_wire(at(3_000))),
        end_time: Some(timestamp_to_wire(at(5_000))),
        check: String::new(),
        ..request("")
    };
    let within = site.history().list_results(bearing(&operator, span)).await.unwrap().into_inner();
    let numbers: Vec<i64> = within.results.iter().map(|result| result.sequence).collect();
    assert_eq!(numbers, [3, 4]);
}

#[tokio::test]
async fn a_suspicion_that_was_refuted_is_voted_anew() {
    let site = site(Access::LoopbackOpen).await;
    let fail = result("fra-1", 1, 1, 0).observation.outcome;
    let mut results: Vec<_> = ["fra", "iad", "syd"]
        .iter()
        .flat_map(|region| (1..=3).map(move |n| (region, n)))
        .map(|(region, n)| of_alpha(region, n, i64::try_from(n).unwrap() * 60_000, Outcome::Ok))
        .collect();
    results.sort_by_key(|result| result.received);
    results.push(of_alpha("fra", 4, 200_000, fail));
    results.push(of_alpha("fra", 5, 201_000, Outcome::Ok));
    site.received(&results).await;
    let of = async |check: &str, millis: i64| {
        let time = Some(timestamp_to_wire(at(millis)));
        let request = wire::RevoteCheckRequest { check: check.to_owned(), time };
        site.history().revote_check(request).await.map(tonic::Response::into_inner)
    };
    let anew = verdict_from_wire(of("checks/alpha", 200_000).await.unwrap()).unwrap();
    assert_eq!(anew.state, State::Up);
    let fra = &anew.ballot.entries[0];
    assert_eq!((fra.outcome, fra.failed_in_a_row), (Some(fail), 1), "{anew:?}");
    let later = verdict_from_wire(of("checks/alpha", 201_000).await.unwrap()).unwrap();
    assert_eq!(later.ballot.entries[0].outcome, Some(Outcome::Ok));
    let forgotten = of("checks/alpha", 100_000_000).await;
    assert_eq!(refused(forgotten, Code::FailedPrecondition).0, "RESULTS_FORGOTTEN");
    assert_eq!(refused(of("checks/none", 0).await, Code::NotFound).0, "CHECK_NOT_FOUND");
}

#[tokio::test]
async fn an_incident_says_when_each_message_was_decided() {
    let site = site(Access::LoopbackOpen).await;
    let open = incident("alpha", 0, None);
    let change = transition(&open, &["oncall"]);
    site.parts.store.commit(vec![Write::Transition(Box::new(change))]).await.unwrap();
    let mut incidents = IncidentServiceClient::new(site.channel.clone());
    let request = wire::GetIncidentRequest { name: format!("incidents/{}", open.id) };
    let shown = incidents.get_incident(request).await.unwrap().into_inner();
    assert_eq!(shown.deliveries[0].decide_time, Some(timestamp_to_wire(open.opened)));
}
