//! Agents, regions, and letting agents join.

use std::ops::Bound;
use std::time::Duration;

use quorate_config::Listener;
use quorate_model::{AgentId, RegionId};
use quorate_proto::JoinBundle;
use quorate_proto::convert::agent::{
    duration_from_wire, duration_to_wire, micros_to_wire, timestamp_to_wire,
};
use quorate_proto::convert::api::{
    agent_from_name, agent_name, check_name, region_from_name, region_name,
};
use quorate_proto::v1 as wire;
use quorate_proto::v1::fleet_service_server::FleetService;
use quorate_store::{JoinToken, Write};
use tonic::{Request, Response, Status};

use super::{Api, errors};
use crate::join::TOKEN_PREFIX;
use crate::{AgentView, RegionState, RegionView, View};

/// How long a join token works unless the request says otherwise.
const TTL_DEFAULT: Duration = Duration::from_secs(600);
/// The longest that a join token works.
const TTL_MAX: Duration = Duration::from_secs(86_400);

#[tonic::async_trait]
impl FleetService for Api {
    async fn list_agents(
        &self,
        request: Request<wire::ListAgentsRequest>,
    ) -> Result<Response<wire::ListAgentsResponse>, Status> {
        let request = request.into_inner();
        let page = self.pager.page(request.page_size, &request.page_token, "agents")?;
        let after: Option<AgentId> = page.after.as_ref().and_then(|key| key.parse().ok());
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut found: Vec<AgentView> = self.parts.mirror.read(|view| {
            let agents = view.agents.range((start, Bound::Unbounded));
            agents.map(|(_, agent)| agent.clone()).take(page.size + 1).collect()
        });
        let next_page_token = self.pager.cut(&page, &mut found, |agent| agent.agent.to_string());
        Ok(Response::new(wire::ListAgentsResponse {
            agents: found.iter().map(agent_to_wire).collect(),
            next_page_token,
        }))
    }

    async fn get_agent(
        &self,
        request: Request<wire::GetAgentRequest>,
    ) -> Result<Response<wire::Agent>, Status> {
        let name = request.into_inner().name;
        let id = agent("name", &name)?;
        let found = self.parts.mirror.read(|view| view.agents.get(&id).cloned());
        let found = found.ok_or_else(|| errors::not_found(&errors::AGENT, &name))?;
        Ok(Response::new(agent_to_wire(&found)))
    }

    async fn list_regions(
        &self,
        request: Request<wire::ListRegionsRequest>,
    ) -> Result<Response<wire::ListRegionsResponse>, Status> {
        let request = request.into_inner();
        let page = self.pager.page(request.page_size, &request.page_token, "regions")?;
        let after: Option<RegionId> = page.after.as_ref().and_then(|key| key.parse().ok());
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut found: Vec<wire::Region> = self.parts.mirror.read(|view| {
            let regions = view.regions.range((start, Bound::Unbounded));
            regions.map(|(_, region)| region_to_wire(region, view)).take(page.size + 1).collect()
        });
        let next_page_token = self
            .pager
            .cut(&page, &mut found, |region| region.name.trim_start_matches("regions/").to_owned());
        Ok(Response::new(wire::ListRegionsResponse { regions: found, next_page_token }))
    }

    async fn get_region(
        &self,
        request: Request<wire::GetRegionRequest>,
    ) -> Result<Response<wire::Region>, Status> {
        let name = request.into_inner().name;
        let id = region("name", &name)?;
        let found = self.parts.mirror.read(|view| {
            let region = view.regions.get(&id);
            region.map(|region| region_to_wire(region, view))
        });
        found.map(Response::new).ok_or_else(|| errors::not_found(&errors::REGION, &name))
    }

    async fn create_join_token(
        &self,
        request: Request<wire::CreateJoinTokenRequest>,
    ) -> Result<Response<wire::CreateJoinTokenResponse>, Status> {
        let request = request.into_inner();
        let region = region("region", &request.region)?;
        let agent = agent("agent", &request.agent)?;
        let ttl = ttl(request.ttl)?;
        let configuration = self.parts.configuration.load_full();
        if !configuration.fleet.regions.contains_key(&region) {
            return Err(errors::region_missing(&request.region));
        }
        let server = &configuration.server;
        let join = dialled("server.join.advertise", &server.join)?;
        let agents = dialled("server.agents.advertise", &server.agents)?;
        let id = agent.clone();
        let joined = self.parts.store.read(move |store| store.agent(&id));
        let joined = joined.await.map_err(|error| errors::store_failed(&error))?;
        if joined.is_some() {
            return Err(errors::agent_exists(&request.agent));
        }
        let token = crate::token::new(TOKEN_PREFIX);
        let expires = self.clock.now() + ttl;
        let write = Write::JoinToken(JoinToken {
            hash: crate::token::hash(&token),
            agent: agent.clone(),
            region: region.clone(),
            expires,
        });
        let written = self.parts.store.commit(vec![write]).await;
        written.map_err(|error| errors::store_failed(&error))?;
        tracing::info!(%agent, %region, %expires, "join token made");
        let bundle = JoinBundle {
            token,
            ca_pin: self.parts.authority.ca_pin(),
            join: vec![join],
            agents: vec![agents],
        };
        Ok(Response::new(wire::CreateJoinTokenResponse {
            bundle: bundle.encode(),
            expire_time: Some(timestamp_to_wire(expires)),
        }))
    }
}

fn agent(field: &str, name: &str) -> Result<AgentId, Status> {
    agent_from_name(name).ok_or_else(|| errors::name_invalid(field, &errors::AGENT, name))
}

fn region(field: &str, name: &str) -> Result<RegionId, Status> {
    region_from_name(name).ok_or_else(|| errors::name_invalid(field, &errors::REGION, name))
}

/// What agents dial for a listener; `key` is where the configuration says so.
fn dialled(key: &str, listener: &Listener) -> Result<String, Status> {
    listener.advertise.clone().ok_or_else(|| errors::advertise_missing(key))
}

fn ttl(ttl: Option<prost_types::Duration>) -> Result<Duration, Status> {
    if ttl.is_none() {
        return Ok(TTL_DEFAULT);
    }
    duration_from_wire("ttl", ttl)
        .ok()
        .filter(|ttl| *ttl > Duration::ZERO && *ttl <= TTL_MAX)
        .ok_or_else(|| errors::field_invalid("ttl", "must be above zero and at most 24 h"))
}

fn agent_to_wire(agent: &AgentView) -> wire::Agent {
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    wire::Agent {
        name: agent_name(&agent.agent),
        region: region_name(&agent.region),
        connected: agent.connected,
        health: agent.health.map(|health| health.to_string()).unwrap_or_default(),
        version: agent.version.clone().unwrap_or_default(),
        last_seen_time: agent.last_seen.map(timestamp_to_wire),
        join_time: Some(timestamp_to_wire(agent.joined)),
        spooled_result_count: count(agent.spooled),
        dropped_result_count: count(agent.dropped),
        round_trip: agent.round_trip.map(duration_to_wire),
        clock_ahead: agent.clock_ahead_micros.map(micros_to_wire),
        config_errors: agent
            .rejections
            .iter()
            .map(|(check, (reason, message))| wire::ConfigError {
                check: check_name(check),
                reason: reason.clone(),
                message: message.clone(),
            })
            .collect(),
    }
}

fn region_to_wire(region: &RegionView, view: &View) -> wire::Region {
    let id = &region.region.id;
    let agents = || view.agents.values().filter(|agent| agent.region == *id);
    let count = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
    let state = match region.state {
        RegionState::Live => "live",
        RegionState::Suspect => "suspect",
        RegionState::Island => "island",
        RegionState::Absent => "absent",
    };
    wire::Region {
        name: region_name(id),
        labels: region.region.labels.clone(),
        state: state.to_owned(),
        agent_count: count(agents().count()),
        connected_agent_count: count(agents().filter(|agent| agent.connected).count()),
    }
}
