//! Agents and tokens.

use super::Case;
use super::sample::{at, id};
use crate::{AgentRecord, ApiToken, JoinToken, Role, Store, Write};

pub(super) const CASES: &[Case] = &[
    Case { name: "a join token works once and registers its agent", run: redeemed_once },
    Case { name: "a join token does not work from its end on", run: expired },
    Case { name: "a new join token takes the place of an unused one", run: replaced },
    Case { name: "an agent that joins again keeps one record", run: joins_again },
    Case { name: "agents are listed by name, with what they last ran", run: agents },
    Case { name: "an API token is found by its hash alone", run: api_tokens },
];

fn token(hash: u8, agent: &str, region: &str) -> JoinToken {
    JoinToken { hash: [hash; 32], agent: id(agent), region: id(region), expires: at(100) }
}

fn joined(store: &mut dyn Store, token: &JoinToken, millis: i64) {
    store.commit(&[Write::JoinToken(token.clone())]).expect("commit a token");
    let redeemed = store.redeem(&token.hash, at(millis)).expect("redeem");
    assert_eq!(redeemed.as_ref(), Some(token));
}

fn redeemed_once(store: &mut dyn Store) {
    let token = token(1, "fra-1", "fra");
    assert_eq!(store.redeem(&token.hash, at(0)).expect("redeem"), None);
    assert_eq!(store.agents().expect("agents"), []);
    joined(store, &token, 50);
    assert_eq!(store.redeem(&token.hash, at(51)).expect("redeem again"), None);
    store.commit(&[Write::JoinToken(token.clone())]).expect("commit the same token");
    assert_eq!(store.redeem(&token.hash, at(52)).expect("redeem again"), None);
    let expected = AgentRecord {
        agent: id("fra-1"),
        region: id("fra"),
        joined: at(50),
        seen: None,
        version: None,
    };
    assert_eq!(store.agent(&id("fra-1")).expect("agent"), Some(expected));
}

fn expired(store: &mut dyn Store) {
    let token = token(1, "fra-1", "fra");
    store.commit(&[Write::JoinToken(token.clone())]).expect("commit");
    assert_eq!(store.redeem(&token.hash, at(100)).expect("redeem"), None);
    assert_eq!(store.agent(&id("fra-1")).expect("agent"), None);
    assert_eq!(store.redeem(&token.hash, at(99)).expect("redeem"), Some(token));
}

fn replaced(store: &mut dyn Store) {
    let (old, new) = (token(1, "fra-1", "fra"), token(2, "fra-1", "iad"));
    let other = token(3, "iad-1", "iad");
    for token in [&old, &other, &new] {
        store.commit(&[Write::JoinToken(token.clone())]).expect("commit");
    }
    assert_eq!(store.redeem(&old.hash, at(1)).expect("redeem"), None);
    assert_eq!(store.redeem(&new.hash, at(2)).expect("redeem"), Some(new));
    assert_eq!(store.redeem(&other.hash, at(3)).expect("redeem"), Some(other));
}

fn joins_again(store: &mut dyn Store) {
    joined(store, &token(1, "fra-1", "fra"), 1);
    joined(store, &token(2, "fra-1", "iad"), 2);
    let agents = store.agents().expect("agents");
    assert_eq!(agents.len(), 1);
    assert_eq!((&agents[0].region, agents[0].joined), (&id("iad"), at(2)));
}

fn agents(store: &mut dyn Store) {
    joined(store, &token(1, "nrt-1", "nrt"), 1);
    joined(store, &token(2, "fra-1", "fra"), 2);
    let seen = |agent: &str, millis| Write::AgentSeen {
        agent: id(agent),
        at: at(millis),
        version: "0.1.0".to_owned(),
    };
    store.commit(&[seen("fra-1", 5), seen("nobody", 6)]).expect("commit");
    let found = store.agents().expect("agents");
    let names: Vec<_> = found.iter().map(|record| record.agent.as_str()).collect();
    assert_eq!(names, ["fra-1", "nrt-1"]);
    assert_eq!(found[0].seen, Some(at(5)));
    assert_eq!(found[0].version.as_deref(), Some("0.1.0"));
    assert_eq!(found[1].seen, None);
}

fn api_tokens(store: &mut dyn Store) {
    let token = |hash, role| ApiToken { hash: [hash; 32], name: "laptop".to_owned(), role };
    let (first, second) = (token(1, Role::Viewer), token(2, Role::Admin));
    let writes = [first.clone(), second.clone()].map(Write::ApiToken);
    store.commit(&writes).expect("commit");
    assert_eq!(store.api_token(&[1; 32]).expect("token"), Some(first));
    assert_eq!(store.api_token(&[2; 32]).expect("token"), Some(second));
    assert_eq!(store.api_token(&[3; 32]).expect("token"), None);
    let raised = token(1, Role::Operator);
    store.commit(&[Write::ApiToken(raised.clone())]).expect("commit");
    assert_eq!(store.api_token(&[1; 32]).expect("token"), Some(raised));
}
