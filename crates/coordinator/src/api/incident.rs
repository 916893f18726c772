//! Incidents, with what was sent about them.

use quorate_proto::convert::agent::timestamp_to_wire;
use quorate_proto::convert::api::{incident_from_name, incident_to_wire};
use quorate_proto::v1 as wire;
use quorate_proto::v1::incident_service_server::IncidentService;
use quorate_store::{DeliveryRecord, DeliveryState, IncidentQuery};
use tonic::{Request, Response, Status};

use super::{Api, check, errors};

#[tonic::async_trait]
impl IncidentService for Api {
    async fn list_incidents(
        &self,
        request: Request<wire::ListIncidentsRequest>,
    ) -> Result<Response<wire::ListIncidentsResponse>, Status> {
        let request = request.into_inner();
        let check = match request.check.as_str() {
            "" => None,
            name => Some(check::id("check", name)?),
        };
        let question = format!("incidents\n{}\n{}", request.check, request.open_only);
        let page = self.pager.page(request.page_size, &request.page_token, &question)?;
        let query = IncidentQuery {
            check,
            open_only: request.open_only,
            after: page.after.as_ref().and_then(|key| key.parse().ok()),
            limit: page.size + 1,
        };
        let found = self.parts.store.read(move |store| store.incidents(&query));
        let mut found = found.await.map_err(|error| errors::store_failed(&error))?;
        let next_page_token = self.pager.cut(&page, &mut found, |incident| incident.id.to_string());
        Ok(Response::new(wire::ListIncidentsResponse {
            incidents: found.iter().map(|incident| incident_to_wire(incident, false)).collect(),
            next_page_token,
        }))
    }

    async fn get_incident(
        &self,
        request: Request<wire::GetIncidentRequest>,
    ) -> Result<Response<wire::Incident>, Status> {
        let name = request.into_inner().name;
        let id = incident_from_name(&name)
            .ok_or_else(|| errors::name_invalid("name", &errors::INCIDENT, &name))?;
        let found =
            self.parts.store.read(move |store| Ok((store.incident(id)?, store.deliveries(id)?)));
        let (incident, deliveries) = found.await.map_err(|error| errors::store_failed(&error))?;
        let incident = incident.ok_or_else(|| errors::not_found(&errors::INCIDENT, &name))?;
        Ok(Response::new(wire::Incident {
            deliveries: deliveries.iter().map(delivery).collect(),
            ..incident_to_wire(&incident, true)
        }))
    }
}

fn delivery(record: &DeliveryRecord) -> wire::Delivery {
    let kind = match &record.entry.delivery {
        quorate_model::Delivery::Alert(alert) => alert.kind.as_str(),
        quorate_model::Delivery::Operator(notice) => notice.kind.as_str(),
    };
    let state = match record.state {
        DeliveryState::Pending => "pending",
        DeliveryState::Sent => "sent",
        DeliveryState::Failed => "failed",
    };
    let decided = match &record.entry.delivery {
        quorate_model::Delivery::Alert(alert) => alert.at,
        quorate_model::Delivery::Operator(notice) => notice.at,
    };
    wire::Delivery {
        decide_time: Some(timestamp_to_wire(decided)),
        receiver: record.entry.receiver.to_string(),
        kind: kind.to_owned(),
        state: state.to_owned(),
        attempt_count: i32::try_from(record.entry.attempts).unwrap_or(i32::MAX),
        last_attempt_time: record.last_attempt.map(timestamp_to_wire),
        error: record.error.clone().unwrap_or_default(),
    }
}
