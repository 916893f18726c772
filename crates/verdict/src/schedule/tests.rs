use super::*;
use quorate_model::{AlertPolicy, CertificatePolicy, PartialPolicy, Quorum, Revision};

fn check_of(regions: &str) -> Check {
    Check {
        id: "shop".parse().unwrap(),
        revision: Revision(1),
        kind: "http".parse().unwrap(),
        options: serde_json::json!({}),
        target: "shop".to_owned(),
        interval: Duration::from_secs(60),
        timeout: Duration::from_secs(10),
        slow_after: Duration::from_secs(5),
        regions: regions.split(' ').map(|id| id.parse().unwrap()).collect(),
        quorum: Quorum::Majority,
        distinct: Vec::new(),
        alert: AlertPolicy::default(),
        partial: PartialPolicy::default(),
        certificate: CertificatePolicy::default(),
        labels: BTreeMap::new(),
        depends_on: Vec::new(),
        origin: None,
        runbook: None,
    }
}

fn agents(list: &str) -> BTreeMap<RegionId, Vec<AgentId>> {
    let mut agents: BTreeMap<RegionId, Vec<AgentId>> = BTreeMap::new();
    for agent in list.split(' ') {
        let region = agent[..1].parse().unwrap();
        agents.entry(region).or_default().push(agent.parse().unwrap());
    }
    agents
}

fn gaps(slots: &BTreeMap<AgentId, Duration>) -> Vec<u128> {
    let mut at: Vec<u128> = slots.values().map(Duration::as_micros).collect();
    at.sort_unstable();
    let mut gaps: Vec<u128> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    gaps.push(60_000_000 - at[at.len() - 1] + at[0]);
    gaps.sort_unstable();
    gaps
}

#[test]
fn five_regions_look_every_twelve_seconds() {
    let slots = slots(&check_of("a b c d e"), &agents("a1 b1 c1 d1 e1"));
    assert_eq!(gaps(&slots), vec![12_000_000; 5]);
}

#[test]
fn regions_without_agents_leave_no_hole() {
    let slots = slots(&check_of("a b c d e"), &agents("a1 b1 e1"));
    assert_eq!(gaps(&slots), vec![20_000_000; 3]);
}

#[test]
fn agents_of_a_region_share_its_slot() {
    let slots = slots(&check_of("a b"), &agents("a1 b1 b2 b3"));
    assert_eq!(gaps(&slots), vec![10_000_000, 10_000_000, 10_000_000, 30_000_000]);
}

#[test]
fn nobody_probes_a_check_without_agents() {
    assert!(slots(&check_of("a b"), &BTreeMap::new()).is_empty());
    assert!(slots(&check_of("a b"), &agents("c1")).is_empty());
}

#[test]
fn neighbours_have_different_providers() {
    let check = check_of("a b c d e");
    let regions: BTreeMap<RegionId, Region> =
        [("a", "aws"), ("b", "aws"), ("c", "gcp"), ("d", "gcp"), ("e", "ovh")]
            .into_iter()
            .map(|(id, provider)| {
                let id: RegionId = id.parse().unwrap();
                let labels = [("provider".to_owned(), provider.to_owned())].into();
                (id.clone(), Region { id, labels })
            })
            .collect();
    let slots = slots_apart(&check, &agents("a1 b1 c1 d1 e1"), &regions);
    assert_eq!(gaps(&slots), vec![12_000_000; 5]);
    let mut order: Vec<(Duration, &str)> =
        slots.iter().map(|(agent, phase)| (*phase, &agent.as_str()[..1])).collect();
    order.sort_unstable();
    let provider = |id: &str| &regions[&id.parse::<RegionId>().unwrap()].labels["provider"];
    for place in 0..order.len() {
        let next = order[(place + 1) % order.len()].1;
        assert_ne!(provider(order[place].1), provider(next), "{order:?}");
    }
}
