//! Checks and their verdicts.

use std::ops::Bound;

use quorate_model::{CheckId, State};
use quorate_proto::convert::api::{
    agent_name, check_from_name, check_to_wire, incident_name, state_from_wire, verdict_to_wire,
};
use quorate_proto::v1 as wire;
use quorate_proto::v1::check_service_server::CheckService;
use tonic::{Request, Response, Status};

use super::{Api, errors, watch};
use crate::CheckView;

#[tonic::async_trait]
impl CheckService for Api {
    async fn list_checks(
        &self,
        request: Request<wire::ListChecksRequest>,
    ) -> Result<Response<wire::ListChecksResponse>, Status> {
        let request = request.into_inner();
        let full = full(request.view, false)?;
        let state = state(request.state)?;
        let question = format!("checks\n{}", request.state);
        let page = self.pager.page(request.page_size, &request.page_token, &question)?;
        let after: Option<CheckId> = page.after.as_ref().and_then(|key| key.parse().ok());
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut found: Vec<CheckView> = self.parts.mirror.read(|view| {
            view.checks
                .range((start, Bound::Unbounded))
                .map(|(_, check)| check)
                .filter(|check| state.is_none_or(|state| check.verdict.state == state))
                .take(page.size + 1)
                .cloned()
                .collect()
        });
        let next_page_token = self.pager.cut(&page, &mut found, |check| check.check.id.to_string());
        Ok(Response::new(wire::ListChecksResponse {
            checks: found.iter().map(|check| to_wire(check, full)).collect(),
            next_page_token,
        }))
    }

    async fn get_check(
        &self,
        request: Request<wire::GetCheckRequest>,
    ) -> Result<Response<wire::Check>, Status> {
        let request = request.into_inner();
        let full = full(request.view, true)?;
        let id = id("name", &request.name)?;
        let check = self.parts.mirror.read(|view| view.checks.get(&id).cloned());
        let check = check.ok_or_else(|| errors::not_found(&errors::CHECK, &request.name))?;
        Ok(Response::new(to_wire(&check, full)))
    }

    type WatchChecksStream = watch::Changes;

    async fn watch_checks(
        &self,
        request: Request<wire::WatchChecksRequest>,
    ) -> Result<Response<watch::Changes>, Status> {
        self.watch(&request.into_inner()).map(Response::new)
    }
}

/// Whether the ballot is wanted.
pub(super) fn full(view: i32, default: bool) -> Result<bool, Status> {
    match wire::CheckView::try_from(view) {
        Ok(wire::CheckView::Unspecified) => Ok(default),
        Ok(wire::CheckView::Basic) => Ok(false),
        Ok(wire::CheckView::Full) => Ok(true),
        Err(_) => Err(errors::field_invalid("view", "must be one of the values of CheckView")),
    }
}

fn state(state: i32) -> Result<Option<State>, Status> {
    if state == i32::from(wire::State::Unspecified) {
        return Ok(None);
    }
    state_from_wire(state)
        .map(Some)
        .map_err(|_| errors::field_invalid("state", "must be one of the values of State"))
}

/// The check of this name.
pub(super) fn id(field: &str, name: &str) -> Result<CheckId, Status> {
    check_from_name(name).ok_or_else(|| errors::name_invalid(field, &errors::CHECK, name))
}

pub(super) fn to_wire(view: &CheckView, full: bool) -> wire::Check {
    wire::Check {
        verdict: Some(verdict_to_wire(&view.verdict, full)),
        open_incident: view.open_incident.map(incident_name).unwrap_or_default(),
        rejected_by: view.rejected_by.iter().map(agent_name).collect(),
        ..check_to_wire(&view.check)
    }
}
