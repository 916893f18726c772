//! What was decided in the past, and what it was decided from.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;
use quorate_model::{CheckId, Fleet, FleetPolicy, ProbeResult, Timestamp};
use quorate_proto::convert::agent::timestamp_from_wire;
use quorate_proto::convert::api::{past_verdict_to_wire, result_to_wire, verdict_to_wire};
use quorate_proto::v1 as wire;
use quorate_proto::v1::history_service_server::HistoryService;
use quorate_store::{ResultPage, ResultQuery, VerdictQuery};
use quorate_verdict::replay::Replay;
use tonic::{Request, Response, Status};

use super::{Api, check, errors};
use crate::StoreHandle;

/// Stored results that one look at the store may pass: some milliseconds, because commits wait
/// meanwhile.
const SCAN_MAX: usize = 4_096;

/// Looks at the store for one page of results: a page may be short, but is seldom empty.
const LOOKS_MAX: usize = 32;

/// Bytes after which a page of results ends: half of the longest answer.
const PAGE_BYTES_MAX: usize = super::ANSWER_BYTES_MAX / 2;

/// So many times the freshness of a vote before a moment are voted anew: the votes of that moment,
/// and what came before them.
const REVOTE_SPANS: u32 = 3;

#[tonic::async_trait]
impl HistoryService for Api {
    async fn list_verdicts(
        &self,
        request: Request<wire::ListVerdictsRequest>,
    ) -> Result<Response<wire::ListVerdictsResponse>, Status> {
        let request = request.into_inner();
        let full = full(request.view)?;
        let check = check::id("check", &request.check)?;
        let (from, until) = span(request.start_time, request.end_time)?;
        let question = format!("verdicts\n{check}\n{from:?}\n{until:?}");
        let page = self.pager.page(request.page_size, &request.page_token, &question)?;
        let before = page.after.as_ref().and_then(|key| key.parse().ok());
        let query = VerdictQuery { check, from, until, before, limit: page.size + 1 };
        let found = self.parts.store.read(move |store| store.verdicts(&query));
        let mut found = found.await.map_err(|error| errors::store_failed(&error))?;
        let next_page_token = self.pager.cut(&page, &mut found, |past| past.number.to_string());
        let verdicts =
            found.iter().map(|past| past_verdict_to_wire(&past.verdict, past.ended, full));
        Ok(Response::new(wire::ListVerdictsResponse {
            verdicts: verdicts.collect(),
            next_page_token,
        }))
    }

    async fn get_verdict(
        &self,
        request: Request<wire::GetVerdictRequest>,
    ) -> Result<Response<wire::PastVerdict>, Status> {
        let request = request.into_inner();
        let id = check::id("check", &request.check)?;
        let at = instant("time", request.time)?.unwrap_or_else(|| self.clock.now());
        let found = self.parts.store.read(move |store| store.verdict_at(&id, at));
        let found = found.await.map_err(|error| errors::store_failed(&error))?;
        let past = found.ok_or_else(|| errors::verdict_not_found(&request.check, at))?;
        Ok(Response::new(past_verdict_to_wire(&past.verdict, past.ended, true)))
    }

    async fn list_results(
        &self,
        request: Request<wire::ListResultsRequest>,
    ) -> Result<Response<wire::ListResultsResponse>, Status> {
        let request = request.into_inner();
        let check = match request.check.as_str() {
            "" => None,
            name => Some(check::id("check", name)?),
        };
        let (from, until) = span(request.start_time, request.end_time)?;
        let question = format!("results\n{}\n{from:?}\n{until:?}", request.check);
        let page = self.pager.page(request.page_size, &request.page_token, &question)?;
        let mut query = ResultQuery {
            check,
            from: from.unwrap_or(Timestamp::EPOCH),
            until: until.unwrap_or(Timestamp::from_micros(i64::MAX)),
            after: page.after.as_ref().and_then(|key| key.parse().ok()),
            limit: page.size,
            scan: SCAN_MAX,
        };
        let (mut results, mut bytes, mut next) = (Vec::new(), 0, query.after);
        for _ in 0..LOOKS_MAX {
            query.limit = page.size - results.len();
            let found = look(&self.parts.store, &query).await?;
            next = found.next;
            for (number, result) in found.results {
                let result = result_to_wire(&result);
                bytes += result.encoded_len();
                results.push(result);
                if bytes >= PAGE_BYTES_MAX {
                    next = Some(number);
                    break;
                }
            }
            if bytes >= PAGE_BYTES_MAX || results.len() >= page.size || next.is_none() {
                break;
            }
            query.after = next;
        }
        let next_page_token =
            next.map(|number| self.pager.token(&page, number.to_string())).unwrap_or_default();
        Ok(Response::new(wire::ListResultsResponse { results, next_page_token }))
    }

    async fn revote_check(
        &self,
        request: Request<wire::RevoteCheckRequest>,
    ) -> Result<Response<wire::Verdict>, Status> {
        let request = request.into_inner();
        let id = check::id("check", &request.check)?;
        let missing = || errors::field_invalid("time", "must be set: the moment to look at");
        let at = instant("time", request.time)?.ok_or_else(missing)?;
        let fleet = Arc::clone(&self.parts.configuration.load().fleet);
        let check = fleet.checks.get(&id).cloned();
        let check = check.ok_or_else(|| errors::not_found(&errors::CHECK, &request.check))?;
        let start = at.before(FleetPolicy::freshness(check.interval, check.timeout) * REVOTE_SPANS);
        let results = results(&self.parts.store, &id, (start, at)).await?;
        let forgotten = || errors::results_forgotten(&request.check, at);
        if results.is_empty() {
            return Err(forgotten());
        }
        let fleet = Fleet { checks: BTreeMap::from([(id.clone(), check)]), ..(*fleet).clone() };
        let mut replay = Replay::new(Arc::new(fleet), start);
        for result in results {
            replay.take(result);
        }
        replay.advance(at);
        let verdict = replay.look(&id).ok_or_else(forgotten)?;
        Ok(Response::new(verdict_to_wire(&verdict, true)))
    }
}

async fn look(store: &StoreHandle, query: &ResultQuery) -> Result<ResultPage, Status> {
    let query = query.clone();
    let found = store.read(move |store| store.results(&query)).await;
    found.map_err(|error| errors::store_failed(&error))
}

/// All results of a check that were received in a short span of time, its end included.
async fn results(
    store: &StoreHandle,
    check: &CheckId,
    (from, until): (Timestamp, Timestamp),
) -> Result<Vec<ProbeResult>, Status> {
    let mut query = ResultQuery {
        check: Some(check.clone()),
        from,
        until: until + Duration::from_micros(1),
        after: None,
        limit: SCAN_MAX,
        scan: SCAN_MAX,
    };
    let mut all = Vec::new();
    loop {
        let page = look(store, &query).await?;
        all.extend(page.results.into_iter().map(|(_, result)| result));
        if page.next.is_none() {
            return Ok(all);
        }
        query.after = page.next;
    }
}

/// Whether the ballot is wanted.
fn full(view: i32) -> Result<bool, Status> {
    match wire::VerdictView::try_from(view) {
        Ok(wire::VerdictView::Unspecified | wire::VerdictView::Basic) => Ok(false),
        Ok(wire::VerdictView::Full) => Ok(true),
        Err(_) => Err(errors::field_invalid("view", "must be one of the values of VerdictView")),
    }
}

fn instant(
    field: &'static str,
    at: Option<prost_types::Timestamp>,
) -> Result<Option<Timestamp>, Status> {
    let read = at.map(|at| timestamp_from_wire(field, at)).transpose();
    read.map_err(|error| errors::field_invalid(field, error))
}

/// A span of time that does not end before it begins.
fn span(
    from: Option<prost_types::Timestamp>,
    until: Option<prost_types::Timestamp>,
) -> Result<(Option<Timestamp>, Option<Timestamp>), Status> {
    let (from, until) = (instant("start_time", from)?, instant("end_time", until)?);
    if from.zip(until).is_some_and(|(from, until)| until < from) {
        return Err(errors::field_invalid("end_time", "must not be before start_time"));
    }
    Ok((from, until))
}
