mod history;

use std::time::Duration;

use prost::Message as _;
use quorate_model::{AgentId, Ballot, Cause, CheckId, Scope, State, Timestamp, Verdict};
use quorate_proto::JoinBundle;
use quorate_proto::agent::v1::JoinRequest;
use quorate_proto::agent::v1::join_service_client::JoinServiceClient;
use quorate_proto::v1 as wire;
use quorate_proto::v1::check_service_client::CheckServiceClient;
use quorate_proto::v1::fleet_service_client::FleetServiceClient;
use quorate_proto::v1::incident_service_client::IncidentServiceClient;
use quorate_proto::v1::watch_checks_response::Event;
use quorate_store::{ApiToken, Role, Write};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::sync::DropGuard;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_types::StatusExt as _;

use super::*;
use crate::acceptor::{Door, Limits};
use crate::{CheckView, RegionState, RegionView, store_thread};

const CONFIGURATION: &str = "
version: 1
server:
  agents: { advertise: 'agents.example.com:7444' }
  join: { advertise: 'join.example.com:7445' }
regions: { fra: {}, iad: {}, syd: {} }
checks:
  alpha: { http: { url: 'https://a.example.com/' } }
  bravo: { http: { url: 'https://b.example.com/' } }
  charlie: { http: { url: 'https://c.example.com/' } }
";

struct Site {
    parts: ApiParts,
    channel: Channel,
    address: std::net::SocketAddr,
    clock: Clock,
    stop: DropGuard,
}

fn verdict(state: State) -> Verdict {
    let at = Timestamp::from_micros(1_700_000_000_000_000);
    Verdict {
        state,
        flags: [].into(),
        cause: Cause::None,
        also: Vec::new(),
        summary: String::new(),
        since: at,
        ballot: Ballot {
            taken: at,
            quorum: 2,
            quorum_effective: 2,
            evidence_milli_nats: 0,
            need_milli_nats: 0,
            origin: None,
            scope: Scope { failing: 0, live: 3, configured: 3 },
            rounds: Vec::new(),
            distinct: Vec::new(),
            entries: Vec::new(),
        },
    }
}

async fn site(access: Access) -> Site {
    let clock = Clock::start();
    let (store, _) = store_thread::spawn(quorate_store::open("memory:").unwrap()).unwrap();
    let configuration = quorate_config::parse("test", CONFIGURATION).unwrap();
    let mirror = Mirror::default();
    mirror.update(|view| {
        for (id, check) in &configuration.fleet.checks {
            let check = CheckView {
                check: Arc::clone(check),
                verdict: Arc::new(verdict(State::Up)),
                open_incident: None,
                rejected_by: [].into(),
            };
            view.checks.insert(id.clone(), check);
        }
        for (id, region) in &configuration.fleet.regions {
            let region = RegionView { region: region.clone(), state: RegionState::Live };
            view.regions.insert(id.clone(), region);
        }
    });
    let parts = ApiParts {
        mirror,
        store,
        access,
        authority: Arc::new(Authority::ephemeral(&[], clock.now()).unwrap()),
        configuration: Arc::new(ArcSwap::from_pointee(configuration)),
        draining: CancellationToken::new(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let serving =
        Serving { door: Door::Plain, limits: Limits::default(), clock, stop: stop.clone() };
    let tasks = quorate_runtime::Tasks::new();
    tasks.spawn("api", serve(listener, parts.clone(), serving));
    let channel = Channel::from_shared(format!("http://{address}")).unwrap();
    Site {
        parts,
        channel: channel.connect().await.unwrap(),
        address,
        clock,
        stop: stop.drop_guard(),
    }
}

impl Site {
    fn checks(&self) -> CheckServiceClient<Channel> {
        CheckServiceClient::new(self.channel.clone())
    }

    fn fleet(&self) -> FleetServiceClient<Channel> {
        FleetServiceClient::new(self.channel.clone())
    }

    async fn token(&self, role: Role) -> String {
        let token = new_token();
        let write = Write::ApiToken(ApiToken {
            hash: crate::token::hash(&token),
            name: "test".to_owned(),
            role,
        });
        self.parts.store.commit(vec![write]).await.unwrap();
        token
    }

    /// Answers a plain HTTP/1.1 request: status line and body.
    async fn http(&self, path: &str) -> (String, String) {
        let mut stream = tokio::net::TcpStream::connect(self.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: q\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.lines().next().unwrap().to_owned();
        (status, body.to_owned())
    }
}

fn bearing<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let value: MetadataValue<_> = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", value);
    request
}

/// The reason of an error, which must have one in our domain.
fn refused<T: std::fmt::Debug>(answer: Result<T, Status>, code: Code) -> (String, Status) {
    let status = answer.unwrap_err();
    assert_eq!(status.code(), code, "{status:?}");
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.domain, "quorate");
    (info.reason, status)
}

fn get(name: &str) -> wire::GetCheckRequest {
    wire::GetCheckRequest { name: name.to_owned(), view: 0 }
}

#[test]
fn every_method_has_a_row() {
    let mut known: Vec<String> = Vec::new();
    for set in [quorate_proto::DESCRIPTORS, tonic_health::pb::FILE_DESCRIPTOR_SET] {
        let set = prost_types::FileDescriptorSet::decode(set).unwrap();
        for file in &set.file {
            for service in &file.service {
                let service_name = format!("{}.{}", file.package(), service.name());
                let methods = service.method.iter();
                known.extend(methods.map(|method| format!("/{service_name}/{}", method.name())));
            }
        }
    }
    assert!(known.len() > 10);
    for method in &known {
        let rows = auth::METHODS.iter().filter(|(row, _)| row == method);
        assert_eq!(rows.count(), 1, "{method} needs exactly one row in METHODS");
    }
    for (row, needs) in auth::METHODS {
        let served = known.iter().any(|method| method == row);
        let beside = row.contains("reflection") || !row[1..].contains('/');
        assert!(served || beside, "{row} is no method");
        if row.contains("agent.v1") {
            assert_eq!(*needs, auth::Needs::Elsewhere);
        }
    }
}

#[tokio::test]
async fn a_token_allows_what_its_role_says() {
    let site = site(Access::Tokens).await;
    let anonymous = site.checks().get_check(get("checks/alpha")).await;
    assert_eq!(refused(anonymous, Code::Unauthenticated).0, "TOKEN_INVALID");
    for wrong in ["x", &new_token(), "qat_"] {
        let answer = site.checks().get_check(bearing(wrong, get("checks/alpha"))).await;
        assert_eq!(refused(answer, Code::Unauthenticated).0, "TOKEN_INVALID");
    }
    let viewer = site.token(Role::Viewer).await;
    for _ in 0..2 {
        let check = site.checks().get_check(bearing(&viewer, get("checks/alpha"))).await;
        assert_eq!(check.unwrap().into_inner().name, "checks/alpha");
    }
    let invite = wire::CreateJoinTokenRequest {
        region: "regions/fra".to_owned(),
        agent: "agents/fra-1".to_owned(),
        ttl: None,
    };
    let answer = site.fleet().create_join_token(bearing(&viewer, invite.clone())).await;
    let (reason, status) = refused(answer, Code::PermissionDenied);
    assert_eq!(reason, "ROLE_REQUIRED");
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.metadata["required"], "admin");
    let admin = site.token(Role::Admin).await;
    let made = site.fleet().create_join_token(bearing(&admin, invite)).await;
    made.unwrap();
}

#[tokio::test]
async fn what_has_no_row_is_denied() {
    let site = site(Access::Tokens).await;
    let mut elsewhere = JoinServiceClient::new(site.channel.clone());
    let answer = elsewhere.join(JoinRequest::default()).await;
    assert_eq!(refused(answer, Code::Unauthenticated).0, "TOKEN_INVALID");
    let admin = site.token(Role::Admin).await;
    let answer = elsewhere.join(bearing(&admin, JoinRequest::default())).await;
    assert_eq!(refused(answer, Code::Unimplemented).0, "METHOD_UNKNOWN");
}

#[tokio::test]
async fn errors_say_what_and_where() {
    let site = site(Access::LoopbackOpen).await;
    let missing = site.checks().get_check(get("checks/nothing")).await;
    let (reason, status) = refused(missing, Code::NotFound);
    assert_eq!(reason, "CHECK_NOT_FOUND");
    let resource = status.get_details_resource_info().unwrap();
    assert_eq!(resource.resource_name, "checks/nothing");

    for bad in ["alpha", "checks/", "checks/UPPER", "regions/fra"] {
        let (reason, status) =
            refused(site.checks().get_check(get(bad)).await, Code::InvalidArgument);
        assert_eq!(reason, "FIELD_INVALID");
        let violations = status.get_details_bad_request().unwrap().field_violations;
        assert_eq!(violations[0].field, "name");
        assert!(violations[0].description.contains("checks/NAME"));
    }
    let name = "incidents/00000000-0000-8000-8000-000000000000".to_owned();
    let incident = IncidentServiceClient::new(site.channel.clone())
        .get_incident(wire::GetIncidentRequest { name })
        .await;
    assert_eq!(refused(incident, Code::NotFound).0, "INCIDENT_NOT_FOUND");
    let name = "agents/nobody".to_owned();
    let agent = site.fleet().get_agent(wire::GetAgentRequest { name }).await;
    assert_eq!(refused(agent, Code::NotFound).0, "AGENT_NOT_FOUND");
    let name = "regions/mars".to_owned();
    let region = site.fleet().get_region(wire::GetRegionRequest { name }).await;
    assert_eq!(refused(region, Code::NotFound).0, "REGION_NOT_FOUND");
}

#[tokio::test]
async fn lists_come_in_pages_and_filtered() {
    let site = site(Access::LoopbackOpen).await;
    let list = |page_size, page_token: &str, state: wire::State| {
        let request = wire::ListChecksRequest {
            page_size,
            page_token: page_token.to_owned(),
            view: 0,
            state: state.into(),
        };
        let mut client = site.checks();
        async move { client.list_checks(request).await.map(tonic::Response::into_inner) }
    };
    let first = list(2, "", wire::State::Unspecified).await.unwrap();
    let names: Vec<_> = first.checks.iter().map(|check| check.name.as_str()).collect();
    assert_eq!(names, ["checks/alpha", "checks/bravo"]);
    assert!(first.checks[0].verdict.as_ref().unwrap().ballot.is_none());
    let rest = list(5, &first.next_page_token, wire::State::Unspecified).await.unwrap();
    assert_eq!(rest.checks.len(), 1);
    assert_eq!(rest.next_page_token, "");
    let other = list(5, &first.next_page_token, wire::State::Down).await;
    assert_eq!(refused(other, Code::InvalidArgument).0, "FIELD_INVALID");
    let none = list(5, "", wire::State::Down).await.unwrap();
    assert_eq!(none.checks, []);
    let regions = site
        .fleet()
        .list_regions(wire::ListRegionsRequest { page_size: 2, page_token: String::new() })
        .await;
    let regions = regions.unwrap().into_inner();
    assert_eq!(regions.regions[1].name, "regions/iad");
    assert_eq!(regions.regions[0].state, "live");
    assert_ne!(regions.next_page_token, "");
}

#[tokio::test]
async fn a_watch_begins_with_what_is() {
    let site = site(Access::LoopbackOpen).await;
    let watch = |names: &[&str]| {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let mut client = site.checks();
        async move {
            let request = wire::WatchChecksRequest { names, view: 2 };
            client.watch_checks(request).await.map(tonic::Response::into_inner)
        }
    };
    let missing = watch(&["checks/alpha", "checks/zulu"]).await;
    assert_eq!(refused(missing, Code::NotFound).0, "CHECK_NOT_FOUND");

    let mut stream = watch(&["checks/alpha", "checks/bravo"]).await.unwrap();
    let mut next = async || stream.message().await.unwrap().unwrap().event.unwrap();
    for name in ["checks/alpha", "checks/bravo"] {
        let Event::Snapshot(check) = next().await else {
            panic!("not a snapshot");
        };
        assert_eq!(check.name, name);
        assert!(check.verdict.unwrap().ballot.is_some());
    }
    assert!(matches!(next().await, Event::Synced(_)));
    for id in ["charlie", "bravo"] {
        let id: CheckId = id.parse().unwrap();
        let change = |check: &mut CheckView| check.verdict = Arc::new(verdict(State::Down));
        site.parts.mirror.change_check(&id, change);
    }
    let Event::Change(check) = next().await else {
        panic!("not a change");
    };
    assert_eq!(check.name, "checks/bravo");
    assert_eq!(check.verdict.unwrap().state(), wire::State::Down);
    site.parts.draining.cancel();
    assert_eq!(refused(stream.message().await, Code::Unavailable).0, "DRAINING");
}

#[tokio::test]
async fn a_slow_watcher_is_told_and_cut_off() {
    let site = site(Access::LoopbackOpen).await;
    let api = Api {
        parts: site.parts.clone(),
        clock: site.clock,
        pager: page::Pager::new(),
        watchers: Arc::new(Semaphore::new(1)),
    };
    let request = wire::WatchChecksRequest { names: vec!["checks/alpha".to_owned()], view: 0 };
    let mut changes = api.watch(&request).unwrap();
    let full = api.watch(&request).map(drop);
    assert_eq!(refused(full, Code::ResourceExhausted).0, "WATCHERS_LIMIT");
    let id: CheckId = "alpha".parse().unwrap();
    for _ in 0..10_000 {
        site.parts.mirror.change_check(&id, |_| {});
    }
    let mut next = async || futures_util::StreamExt::next(&mut changes).await;
    assert!(matches!(next().await.unwrap().unwrap().event, Some(Event::Snapshot(_))));
    assert!(matches!(next().await.unwrap().unwrap().event, Some(Event::Synced(_))));
    let lagged = next().await.unwrap();
    assert_eq!(refused(lagged, Code::ResourceExhausted).0, "WATCH_LAGGED");
    assert!(next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_silent_watch_shows_that_it_lives() {
    let mirror = Mirror::default();
    let (_, changes) = mirror.watch();
    let clock = Clock::start();
    let (store, _) = store_thread::spawn(quorate_store::open("memory:").unwrap()).unwrap();
    let configuration = quorate_config::parse("test", CONFIGURATION).unwrap();
    drop(changes);
    let api = Api {
        parts: ApiParts {
            mirror,
            store,
            access: Access::Tokens,
            authority: Arc::new(Authority::ephemeral(&[], clock.now()).unwrap()),
            configuration: Arc::new(ArcSwap::from_pointee(configuration)),
            draining: CancellationToken::new(),
        },
        clock,
        pager: page::Pager::new(),
        watchers: Arc::new(Semaphore::new(1)),
    };
    let mut changes = api.watch(&wire::WatchChecksRequest::default()).unwrap();
    let mut next = async || futures_util::StreamExt::next(&mut changes).await;
    assert!(matches!(next().await.unwrap().unwrap().event, Some(Event::Synced(_))));
    let before = clock.uptime();
    assert!(matches!(next().await.unwrap().unwrap().event, Some(Event::KeepAlive(_))));
    assert_eq!(clock.uptime().saturating_sub(before).as_secs(), 15);
}

#[tokio::test]
async fn invites_an_agent_with_a_bundle() {
    let site = site(Access::LoopbackOpen).await;
    let invite = |region: &str, agent: &str, ttl: Option<i64>| {
        let request = wire::CreateJoinTokenRequest {
            region: region.to_owned(),
            agent: agent.to_owned(),
            ttl: ttl.map(|seconds| prost_types::Duration { seconds, nanos: 0 }),
        };
        let mut client = site.fleet();
        async move {
            let answer = client.create_join_token(request).await;
            answer.map(tonic::Response::into_inner)
        }
    };
    let made = invite("regions/fra", "agents/fra-1", None).await.unwrap();
    let left = made.expire_time.unwrap().seconds - site.clock.now().as_micros() / 1_000_000;
    assert!((598..=601).contains(&left), "{left}");
    let bundle = JoinBundle::decode(&made.bundle).unwrap();
    assert_eq!(bundle.join, ["join.example.com:7445"]);
    assert_eq!(bundle.agents, ["agents.example.com:7444"]);
    assert_eq!(bundle.ca_pin, site.parts.authority.ca_pin());
    assert!(bundle.token.starts_with("qjt_") && bundle.token.len() == 47);

    let elsewhere = invite("regions/mars", "agents/m-1", None).await;
    assert_eq!(refused(elsewhere, Code::FailedPrecondition).0, "REGION_NOT_FOUND");
    for ttl in [0, -5, 86_401] {
        let answer = invite("regions/fra", "agents/fra-2", Some(ttl)).await;
        assert_eq!(refused(answer, Code::InvalidArgument).0, "FIELD_INVALID");
    }
    let (hash, now) = (crate::token::hash(&bundle.token), site.clock.now());
    let redeemed = site.parts.store.read(move |store| store.redeem(&hash, now)).await;
    let agent: AgentId = "fra-1".parse().unwrap();
    assert_eq!(redeemed.unwrap().unwrap().agent, agent);
    let again = invite("regions/fra", "agents/fra-1", None).await;
    assert_eq!(refused(again, Code::AlreadyExists).0, "AGENT_EXISTS");
}

#[tokio::test]
async fn invites_nobody_to_an_address_that_nobody_knows() {
    let site = site(Access::LoopbackOpen).await;
    let request = wire::CreateJoinTokenRequest {
        region: "regions/fra".to_owned(),
        agent: "agents/fra-1".to_owned(),
        ttl: None,
    };
    for (text, key) in [
        ("agents: { advertise: 'agents.example.com:7444' }", "server.agents.advertise"),
        ("join: { advertise: 'join.example.com:7445' }", "server.join.advertise"),
    ] {
        let text = CONFIGURATION.replace(text, "");
        let text = if key.contains("join") {
            // With one of the two named, the other has the same host: leave neither.
            text.replace("advertise: 'agents.example.com:7444'", "listen: '0.0.0.0:7444'")
        } else {
            text
        };
        let configuration = quorate_config::parse("test", &text).unwrap();
        site.parts.configuration.store(Arc::new(configuration));
        let refusal = site.fleet().create_join_token(request.clone()).await.unwrap_err();
        assert!(refusal.message().contains(key), "{refusal}");
        assert_eq!(refused(Err::<(), _>(refusal), Code::FailedPrecondition).0, "ADVERTISE_MISSING");
    }
}

#[tokio::test]
async fn health_needs_no_token_and_reflection_none_on_loopback() {
    let site = site(Access::Tokens).await;
    let health = |service: &str| {
        let service = service.to_owned();
        let mut client = HealthClient::new(site.channel.clone());
        async move {
            let request = tonic_health::pb::HealthCheckRequest { service };
            client.check(request).await.map(|answer| answer.into_inner().status())
        }
    };
    for name in ["", "quorate.v1.CheckService", "readiness", "liveness"] {
        assert_eq!(health(name).await.unwrap(), ServingStatus::Serving, "{name}");
    }
    assert_eq!(health("nonsense").await.unwrap_err().code(), Code::NotFound);

    let mut client =
        tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient::new(
            site.channel.clone(),
        );
    let ask = |message| tonic_reflection::pb::v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(message),
    };
    let symbol = "quorate.v1.CheckService.ListChecks".to_owned();
    let asks = tokio_stream::iter([
        ask(MessageRequest::ListServices(String::new())),
        ask(MessageRequest::FileContainingSymbol(symbol)),
    ]);
    let answers = client.server_reflection_info(asks).await.unwrap();
    let mut answers = answers.into_inner();
    let list = answers.message().await.unwrap().unwrap().message_response;
    let Some(MessageResponse::ListServicesResponse(list)) = list else {
        panic!("not a list: {list:?}");
    };
    let names: Vec<_> = list.service.iter().map(|service| &*service.name).collect();
    assert!(names.contains(&"quorate.v1.CheckService"), "{names:?}");
    assert!(!names.contains(&"quorate.agent.v1.AgentService"), "{names:?}");
    let file = answers.message().await.unwrap().unwrap().message_response;
    assert!(matches!(file, Some(MessageResponse::FileDescriptorResponse(_))), "{file:?}");
}

#[tokio::test]
async fn supervisors_ask_over_plain_http() {
    let site = site(Access::Tokens).await;
    for path in ["/healthz", "/readyz"] {
        let (status, body) = site.http(path).await;
        assert_eq!(status, "HTTP/1.1 200 OK");
        assert_eq!(body, r#"{"status":"ok"}"#);
    }
    assert_eq!(site.http("/anything").await.0, "HTTP/1.1 401 Unauthorized");
    site.parts.draining.cancel();
    assert_eq!(site.http("/healthz").await.0, "HTTP/1.1 200 OK");
    let (status, body) = site.http("/readyz").await;
    assert_eq!(status, "HTTP/1.1 503 Service Unavailable");
    assert_eq!(body, r#"{"status":"draining"}"#);
}

#[tokio::test]
async fn ends_when_told_to() {
    let Site { parts, channel, stop, .. } = site(Access::LoopbackOpen).await;
    let mut client = CheckServiceClient::new(channel);
    let watch = client.watch_checks(wire::WatchChecksRequest::default());
    let mut stream = watch.await.unwrap().into_inner();
    parts.draining.cancel();
    drop(stop);
    let ended = async { while let Ok(Some(_)) = stream.message().await {} };
    tokio::time::timeout(Duration::from_secs(5), ended).await.expect("the stream ends");
}
