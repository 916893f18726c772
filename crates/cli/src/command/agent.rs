//! `quorate agent`: let agents join.

use std::time::Duration;

use quorate_model::{AgentId, HumanDuration, RegionId};
use quorate_proto::v1;

use super::{connect, print_json};
use crate::args::{Agent, Global};
use crate::connection::question;
use crate::exit::{Exit, Failure};
use crate::output::{Console, time};

/// The longest life of a join token.
const TTL_MAX: Duration = Duration::from_secs(24 * 3_600);

/// Does what was asked for. The bundle is the only thing on standard output, so that it can be
/// piped to where the agent is.
///
/// # Cancellation
///
/// Dropping it may leave a token behind that nobody knows.
pub(super) async fn run(
    agent: &Agent,
    global: &Global,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let Agent::Token { region, name, ttl } = agent;
    let usage = |error: &quorate_model::IdError| Failure::new(Exit::Usage, error.to_string());
    let region: RegionId = region.parse().map_err(|error| usage(&error))?;
    let name: AgentId = name.parse().map_err(|error| usage(&error))?;
    if ttl.is_zero() || *ttl > TTL_MAX {
        return Err(Failure::new(Exit::Usage, "--ttl must be more than nothing and at most 24h"));
    }
    let connection = connect(global, console).await?;
    let request = v1::CreateJoinTokenRequest {
        region: format!("regions/{region}"),
        agent: format!("agents/{name}"),
        ttl: prost_types::Duration::try_from(*ttl).ok(),
    };
    let answer = connection.fleet().create_join_token(question(request)).await;
    let answer = answer.map_err(|status| connection.failure(&status))?.into_inner();
    let expires = answer.expire_time.as_ref().map(|wire| time::instant(wire).to_string());
    if global.output.is_json() {
        let document = serde_json::json!({ "bundle": answer.bundle, "expires": expires });
        print_json(&document, global, console)?;
    } else {
        console.out.line(&answer.bundle)?;
    }
    console.note(&format!(
        "This is a secret that works once, within {}. On the machine of {name}: quorate-agent join < bundle",
        HumanDuration(*ttl)
    ));
    Ok(Exit::Ok)
}
