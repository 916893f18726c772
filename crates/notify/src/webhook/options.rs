//! The options.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use quorate_model::{HumanDuration, OptionProblem};
use schemars::JsonSchema;
use serde_json::Value;

use super::sign::SigningKey;
use super::{Ready, Webhook};
use crate::option::{self, Fields, OneOrMore, SecretOption};
use crate::send::{Endpoint, Sender};

/// Headers that a user may add.
const HEADERS_MAX: usize = 32;

const TIMEOUT_DEFAULT: HumanDuration = HumanDuration(Duration::from_secs(15));
fn timeout() -> HumanDuration {
    TIMEOUT_DEFAULT
}

const TIMEOUT_RANGE: [HumanDuration; 2] =
    [HumanDuration(Duration::from_secs(1)), HumanDuration(Duration::from_secs(60))];

/// A signed POST to a URL, as Standard Webhooks 1.0.0 describes it.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "read field by field, so that all problems are told at once")]
pub(super) struct Options {
    /// Where to post: an `https` URL. May be a reference, if its path is a secret.
    #[schemars(schema_with = "option::text_or_reference")]
    url: SecretOption,
    /// The secret that signs: `whsec_` and the base64 of 24 to 64 random bytes. A list of two signs
    /// with both, while the receiver changes from one to the other.
    secret: OneOrMore<SecretOption>,
    /// Headers to add, such as `Authorization`. A value may be a reference.
    #[schemars(default, schema_with = "option::texts_or_references")]
    headers: BTreeMap<String, SecretOption>,
    /// How long to wait for the complete answer: 1s to 60s. Default: 15s.
    #[schemars(default = "timeout", schema_with = "option::duration")]
    timeout: HumanDuration,
    /// Allows `http`, which anybody on the way can read. A loopback host needs no permission.
    /// Default: false.
    #[schemars(default)]
    allow_http: bool,
}

/// Reads the options.
pub(super) fn parse(options: &Value) -> Result<Webhook, Vec<OptionProblem>> {
    let mut fields = Fields::of(options);
    let url = fields.required::<SecretOption>("url");
    let secret = fields.required::<OneOrMore<SecretOption>>("secret");
    let headers = fields.optional::<BTreeMap<String, SecretOption>>("headers");
    let timeout = fields.duration("timeout", TIMEOUT_DEFAULT, TIMEOUT_RANGE);
    let allow_http = fields.optional::<bool>("allow_http").unwrap_or(false);

    let mut unresolved = None;
    let endpoint = url.and_then(|url| endpoint(&mut fields, &mut unresolved, &url, allow_http));
    let keys = secret.map(|secret| keys(&mut fields, &mut unresolved, &secret));
    let headers = added(&mut fields, &mut unresolved, headers.unwrap_or_default());
    fields.finish()?;
    if let Some(option) = unresolved {
        return Ok(Webhook::Unresolved(option));
    }
    let (Some(endpoint), Some(keys)) = (endpoint, keys) else {
        // Both are required, so their absence is a problem that was told above.
        return Err(vec![OptionProblem::at(&[], "`url` and `secret` are missing")]);
    };
    Ok(Webhook::Ready(Box::new(Ready {
        endpoint,
        keys,
        headers,
        timeout: timeout.0,
        sender: Sender::new(),
    })))
}

fn endpoint(
    fields: &mut Fields,
    unresolved: &mut Option<String>,
    url: &SecretOption,
    allow_http: bool,
) -> Option<Endpoint> {
    let Some(text) = url.resolved() else {
        unresolved.get_or_insert_with(|| "url".to_owned());
        return None;
    };
    match Endpoint::parse(text, allow_http) {
        Ok(endpoint) => Some(endpoint),
        Err(message) => {
            fields.problem(&["url"], message);
            None
        }
    }
}

fn keys(
    fields: &mut Fields,
    unresolved: &mut Option<String>,
    secret_list: &OneOrMore<SecretOption>,
) -> Vec<SigningKey> {
    let secrets = secret_list.as_slice();
    if !(1..=2).contains(&secrets.len()) {
        fields.problem(&["secret"], "expected one secret, or two while one replaces the other");
    }
    let mut keys = Vec::new();
    for (index, secret) in secrets.iter().enumerate() {
        let index = index.to_string();
        let path: &[&str] = match secret_list {
            OneOrMore::One(_) => &["secret"],
            OneOrMore::More(_) => &["secret", &index],
        };
        match secret.resolved().map(SigningKey::parse) {
            None => {
                unresolved.get_or_insert_with(|| path.join("."));
            }
            Some(Ok(key)) => keys.push(key),
            Some(Err(message)) => fields.problem(path, message),
        }
    }
    keys
}

/// Headers that this notifier or HTTP itself sets.
fn is_reserved(name: &HeaderName) -> bool {
    let name = name.as_str();
    let ours = ["connection", "content-length", "content-type", "host", "transfer-encoding"];
    name.starts_with("webhook-") || ours.contains(&name)
}

fn added(
    fields: &mut Fields,
    unresolved: &mut Option<String>,
    headers: BTreeMap<String, SecretOption>,
) -> HeaderMap {
    if headers.len() > HEADERS_MAX {
        fields.problem(&["headers"], format!("at most {HEADERS_MAX} headers"));
    }
    let mut added = HeaderMap::new();
    for (name, value) in headers {
        let path = ["headers", name.as_str()];
        let parsed = match HeaderName::try_from(name.as_str()) {
            Ok(parsed) if is_reserved(&parsed) => {
                fields.problem(&path, "is set by the notifier itself");
                continue;
            }
            Ok(parsed) => parsed,
            Err(_) => {
                fields.problem(&path, "is not a header name");
                continue;
            }
        };
        let Some(text) = value.resolved() else {
            unresolved.get_or_insert_with(|| path.join("."));
            continue;
        };
        match HeaderValue::try_from(text) {
            Ok(mut value) => {
                value.set_sensitive(true);
                added.insert(parsed, value);
            }
            Err(_) => fields.problem(&path, "holds what no header can: use printable ASCII"),
        }
    }
    added
}
