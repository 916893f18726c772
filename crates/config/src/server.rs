//! The `server`, `policy` and `anchors` blocks.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use quorate_model::{AnchorSet, FleetPolicy, HumanDuration};

use crate::gather::Gather;
use crate::raw::{RawListener, RawPolicy, RawServer};
use crate::text::{Span, host_port};
use crate::{ApiListener, Listener, Server};

const DATA: &str = "/var/lib/quorate";
const RETENTION: Duration = Duration::from_secs(7 * 86_400);
const RETENTION_MIN: Duration = Duration::from_secs(3_600);
/// The shortest timer: below it an agent would do little else.
const TIMER_MIN: Duration = Duration::from_millis(100);

/// The longest that messages may wait for each other: a page is not to come late.
const GROUP_WAIT_MAX: Duration = Duration::from_secs(300);
/// Five hosts in five networks that answer everywhere.
const ANCHORS: [&str; 5] = [
    "1.1.1.1:443",
    "8.8.8.8:443",
    "www.wikipedia.org:443",
    "www.amazon.com:443",
    "www.apple.com:443",
];

pub(crate) fn server(gather: &mut Gather<'_>, raw: RawServer) -> Server {
    let data = raw.data.unwrap_or_else(|| DATA.into());
    if data.is_empty() {
        gather.error(&["server", "data"], "the data folder has no name");
    }
    let store = raw.store.unwrap_or_else(|| {
        let folder = data.trim_end_matches('/');
        format!("sqlite:{folder}/quorate.db")
    });
    let scheme = store.split_once(':').map_or("", |(scheme, _)| scheme);
    if scheme.is_empty() {
        let hint = "write a URL such as `sqlite:/var/lib/quorate/quorate.db`";
        gather.error_with(&["server", "store"], "the store is not a URL", hint);
    }
    let agents = listener(gather, "agents", raw.agents.unwrap_or_default(), 7444, None);
    let join = raw.join.unwrap_or_default();
    let join = listener(gather, "join", join, 7445, Some(&agents));
    let api = raw.api.unwrap_or_default();
    let listen = api.listen.map_or_else(|| (Ipv4Addr::LOCALHOST, 7443).into(), |address| address.0);
    let tls = api.tls.unwrap_or(!listen.ip().is_loopback());
    if !tls && !listen.ip().is_loopback() {
        let message = "without TLS, the tokens of operators travel readably";
        gather.warn(&["server", "api", "tls"], message);
    }
    for (name, address, other) in [
        ("join", join.listen, agents.listen),
        ("api", listen, agents.listen),
        ("api", listen, join.listen),
    ] {
        if address == other && address.port() != 0 {
            let message = format!("two listeners cannot share {address}");
            gather.error(&["server", name, "listen"], message);
        }
    }
    let retention = raw.retention.map_or(RETENTION, Span::get);
    if retention < RETENTION_MIN {
        gather.error(&["server", "retention"], "raw results are kept for at least 1h");
    }
    Server {
        data: PathBuf::from(data),
        store,
        agents,
        join,
        api: ApiListener { listen, tls },
        retention,
    }
}

/// A listener that agents dial. One that listens on every address of the machine is dialled at the
/// host of `other`, if that is known. Without anything to dial no agent can join, but those that
/// have joined already know where to go: a warning.
fn listener(
    gather: &mut Gather<'_>,
    name: &str,
    raw: RawListener,
    port: u16,
    other: Option<&Listener>,
) -> Listener {
    let listen: SocketAddr =
        raw.listen.map_or_else(|| (Ipv4Addr::UNSPECIFIED, port).into(), |address| address.0);
    if let Some(advertise) = raw.advertise {
        let path = ["server", name, "advertise"];
        match host_port(&advertise) {
            Ok((_, 0)) => gather.error(&path, "agents cannot dial port 0"),
            Ok(_) => {}
            Err(message) => gather.error(&path, message),
        }
        return Listener { listen, advertise: Some(advertise) };
    }
    if !listen.ip().is_unspecified() {
        return Listener { listen, advertise: Some(listen.to_string()) };
    }
    let Some(other) = other else {
        let message = format!("no agent can join: agents cannot dial {listen}");
        let problem = gather.document.problem(&["server", name], message).as_warning();
        let hint = format!(
            "add `server: {{ {name}: {{ advertise: \"quorate.example.com:{}\" }} }}` with the \
             name or address of this machine",
            listen.port()
        );
        gather.problems.push(problem.with_hint(hint));
        return Listener { listen, advertise: None };
    };
    // Without an address the other listener has its warning already.
    let host = other.advertise.as_deref().and_then(|address| host_port(address).ok());
    let advertise = host.map(|(host, _)| format!("{host}:{}", listen.port()));
    Listener { listen, advertise }
}

pub(crate) fn anchors(gather: &mut Gather<'_>, raw: Option<Vec<String>>) -> Vec<String> {
    let Some(anchors) = raw else {
        return ANCHORS.map(str::to_owned).to_vec();
    };
    for (index, anchor) in anchors.iter().enumerate().take(AnchorSet::MAX) {
        let place = index.to_string();
        let path = ["anchors", place.as_str()];
        match host_port(anchor) {
            Ok((_, 0)) => gather.error(&path, "no anchor listens on port 0"),
            Ok(_) if anchors.iter().take(index).any(|other| other == anchor) => {
                gather.error(&path, format!("anchor `{anchor}` is named twice"));
            }
            Ok(_) => {}
            Err(message) => gather.error(&path, message),
        }
    }
    if anchors.len() > AnchorSet::MAX {
        let message = format!("there are at most {} anchors", AnchorSet::MAX);
        gather.error(&["anchors"], message);
    }
    if anchors.len() == 1 {
        let message = "if the only anchor fails, every region takes itself to be cut off";
        gather.warn(&["anchors"], message);
    }
    anchors
}

/// The timers; `whole` says whether all of them could be read.
pub(crate) fn policy(gather: &mut Gather<'_>, raw: &RawPolicy, whole: bool) -> FleetPolicy {
    let default = FleetPolicy::default();
    let get = |span: Option<Span>, default| span.map_or(default, Span::get);
    let policy = FleetPolicy {
        heartbeat: get(raw.heartbeat, default.heartbeat),
        absent_after: get(raw.absent_after, default.absent_after),
        lost_after: get(raw.lost_after, default.lost_after),
        isolated_after: get(raw.isolated_after, default.isolated_after),
        anchor_interval: get(raw.anchor_interval, default.anchor_interval),
        anchor_timeout: get(raw.anchor_timeout, default.anchor_timeout),
        recovery: get(raw.recovery, default.recovery),
        recovery_max: get(raw.recovery_max, default.recovery_max),
        recovery_interval: get(raw.recovery_interval, default.recovery_interval),
        reopen_within: get(raw.reopen_within, default.reopen_within),
        round_gap: get(raw.round_gap, default.round_gap),
        suspect_min: get(raw.suspect_min, default.suspect_min),
        remember_every: get(raw.remember_every, default.remember_every),
        clock_tolerance: get(raw.clock_tolerance, default.clock_tolerance),
        merge_places: raw.merge_places.unwrap_or(default.merge_places),
        group_after: raw.group_after.unwrap_or(default.group_after),
        group_wait: get(raw.group_wait, default.group_wait),
    };
    for (name, timer) in [
        ("heartbeat", policy.heartbeat),
        ("anchor_interval", policy.anchor_interval),
        ("anchor_timeout", policy.anchor_timeout),
        ("recovery", policy.recovery),
        ("recovery_interval", policy.recovery_interval),
        ("suspect_min", policy.suspect_min),
        ("remember_every", policy.remember_every),
        ("clock_tolerance", policy.clock_tolerance),
    ] {
        if timer < TIMER_MIN {
            gather.error(&["policy", name], format!("{name} is at least 100ms"));
        }
    }
    if policy.group_wait > GROUP_WAIT_MAX {
        gather.error(&["policy", "group_wait"], "group_wait is at most 5m".to_owned());
    }
    if whole {
        relations(gather, &policy);
    }
    policy
}

fn relations(gather: &mut Gather<'_>, policy: &FleetPolicy) {
    for (longer, time, at_least, least) in [
        ("absent_after", policy.absent_after, "two heartbeats", policy.heartbeat * 2),
        ("lost_after", policy.lost_after, "absent_after", policy.absent_after),
        ("anchor_interval", policy.anchor_interval, "anchor_timeout", policy.anchor_timeout),
        ("recovery_max", policy.recovery_max, "recovery", policy.recovery),
    ] {
        if time < least {
            let message = format!(
                "{longer} ({}) must be at least {at_least} ({})",
                HumanDuration(time),
                HumanDuration(least)
            );
            let shorter = if longer == "absent_after" { "heartbeat" } else { at_least };
            // The user has written at least one of the two.
            let written = gather.document.contains(&["policy", longer]);
            gather.error(&["policy", if written { longer } else { shorter }], message);
        }
    }
}
