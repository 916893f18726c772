//! The configuration of the demo, as text: read by the same parser as a user's own file.

use std::net::SocketAddr;
use std::path::Path;

use quorate_checks::Policy;
use url::Url;

use crate::script::VICTIM;

/// The regions: name, provider, country.
pub(crate) const REGIONS: [(&str, &str, &str); 5] = [
    ("fra", "hetzner", "DE"),
    ("iad", "aws", "US"),
    ("gru", "gcp", "BR"),
    ("bom", "azure", "IN"),
    ("syd", "vultr", "AU"),
];

/// The names of the regions.
pub(crate) fn region_names() -> Vec<&'static str> {
    REGIONS.iter().map(|(name, ..)| *name).collect()
}

/// Where the parts of a demo are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Places<'a> {
    /// The temporary folder.
    pub folder: &'a Path,
    /// The receiver of alerts.
    pub receiver: SocketAddr,
    /// The file with its secret.
    pub secret: &'a Path,
    /// The coordinator's listeners: for agents, for joining, for the API.
    pub listeners: [SocketAddr; 3],
}

/// The configuration of the script: three checks of the demo's own targets, and quick timers.
pub(crate) fn script(
    places: &Places<'_>,
    targets: &[SocketAddr; 3],
    anchors: &[SocketAddr],
) -> String {
    let [shop, api, mail] = targets;
    let anchors: Vec<String> = anchors.iter().map(|anchor| quoted(&anchor.to_string())).collect();
    let mut text = head(places, "5s", "2s");
    text += format!(
        r#"policy:
  heartbeat: 500ms
  absent_after: 2s
  anchor_interval: 2s
  anchor_timeout: 500ms
  isolated_after: 2s
  recovery: 4s
  recovery_max: 8s
  recovery_interval: 2s
  reopen_within: 1s
  round_gap: 2s
  suspect_min: 1s
anchors: [{anchors}]
checks:
  {VICTIM}:
    http: {{ url: "http://{shop}/health", expect: {{ status: [200], json: {{ "$.status": ok }} }} }}
    alert: {{ to: [demo] }}
    partial: {{ after: 6s, to: [demo] }}
  api:
    http: {{ url: "http://{api}/" }}
    alert: {{ to: [demo] }}
    partial: {{ after: 6s, to: [demo] }}
  mail:
    tcp: {{ address: "{mail}" }}
    alert: {{ to: [demo] }}
    partial: {{ after: 6s, to: [demo] }}
"#,
        anchors = anchors.join(", ")
    )
    .as_str();
    text
}

/// The configuration for targets of the user's own: real ones, so the timers are gentle.
pub(crate) fn urls(places: &Places<'_>, targets: &[Named]) -> String {
    let mut text = head(places, "10s", "5s");
    text.push_str("anchors: []\nchecks:\n");
    for target in targets {
        let options = match target.url.scheme() {
            "tcp" => format!("tcp: {{ address: {} }}", quoted(&authority(&target.url))),
            _ => format!("http: {{ url: {} }}", quoted(target.url.as_str())),
        };
        text +=
            format!("  {}:\n    {options}\n    alert: {{ to: [demo] }}\n", target.name).as_str();
    }
    text
}

fn head(places: &Places<'_>, interval: &str, timeout: &str) -> String {
    let folder = quoted(&places.folder.display().to_string());
    let [agents, join, api] = places.listeners;
    let mut text = format!(
        r#"version: 1
server:
  data: {folder}
  agents: {{ listen: "{agents}", advertise: "{agents}" }}
  join: {{ listen: "{join}", advertise: "{join}" }}
  api: {{ listen: "{api}" }}
defaults: {{ interval: {interval}, timeout: {timeout}, quorum: majority }}
regions:
"#
    );
    for (region, provider, country) in REGIONS {
        text += format!("  {region}: {{ provider: {provider}, country: {country} }}").as_str();
        text.push('\n');
    }
    text += format!("receivers:\n  demo: {{ webhook: {{ url: {}, secret: {{ file: {} }} }} }}\noperators: [demo]\n",
        quoted(&format!("http://{}/", places.receiver)),
        quoted(&places.secret.display().to_string())).as_str();
    text
}

/// A JSON string is a YAML string in which nothing can mean something else.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A target of the user's own, with a name made from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    /// A valid name of a check, unlike all others.
    pub name: String,
    /// What to contact.
    pub url: Url,
}

/// Reads URLs and gives each a name. An error says which is wrong and what to write.
pub(crate) fn read_urls(texts: &[String]) -> Result<Vec<Named>, String> {
    let mut named: Vec<Named> = Vec::new();
    for text in texts {
        let help = || {
            format!(
                "{text:?} is not a URL that can be watched: write http://…, https://… or tcp://host:port"
            )
        };
        let url = Url::parse(text).map_err(|_| help())?;
        let usable = match url.scheme() {
            "http" | "https" => url.has_host(),
            "tcp" => url.has_host() && url.port().is_some(),
            _ => false,
        };
        if !usable {
            return Err(help());
        }
        if !is_public(&url) {
            return Err(format!(
                "{text:?} is not a public address, and the demo's agents keep to those; probe it from here with `quorate check run FILE#CHECK --allow NETWORK`"
            ));
        }
        let name = name(&url, &named);
        named.push(Named { name, url });
    }
    Ok(named)
}

/// Whether agents with the default policy would contact it, as far as the URL tells.
fn is_public(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    match address.parse() {
        Ok(address) => Policy::default().judge(address).is_ok(),
        Err(_) => host != "localhost" && !host.ends_with(".localhost"),
    }
}

fn authority(url: &Url) -> String {
    format!("{}:{}", url.host_str().unwrap_or_default(), url.port().unwrap_or_default())
}

/// The host in the letters of a name; with a number if another check has it already.
fn name(url: &Url, others: &[Named]) -> String {
    let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
    let letters: String =
        host.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(48).collect();
    let base = match letters.trim_matches('-') {
        "" => "target".to_owned(),
        text if text.starts_with(|c: char| c.is_ascii_digit()) => format!("ip-{text}"),
        text => text.to_owned(),
    };
    let taken = |name: &str| others.iter().any(|other| other.name == name);
    if !taken(&base) {
        return base;
    }
    // One more number than there are others is always enough.
    (2..=others.len() + 2)
        .map(|number| format!("{base}-{number}"))
        .find(|name| !taken(name))
        .unwrap_or(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls_of(texts: &[&str]) -> Result<Vec<Named>, String> {
        read_urls(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
    }

    fn places() -> Places<'static> {
        Places {
            folder: Path::new("/tmp/a \"quoted\" folder"),
            receiver: ([127, 0, 0, 1], 9).into(),
            secret: Path::new("/tmp/secret"),
            listeners: [1, 2, 3].map(|port| ([127, 0, 0, 1], port).into()),
        }
    }

    #[test]
    fn urls_become_checks_with_names() {
        let checks = urls_of(&[
            "https://shop.example.com/a",
            "https://shop.example.com/b",
            "tcp://8.8.8.8:53",
        ])
        .unwrap();
        let names: Vec<&str> = checks.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["shop-example-com", "shop-example-com-2", "ip-8-8-8-8"]);
        for private in
            ["http://localhost:8080", "http://127.0.0.1/", "tcp://[::1]:1", "http://10.0.0.1"]
        {
            let error = urls_of(&[private]).unwrap_err();
            assert!(error.contains("--allow"), "{private}: {error}");
        }
        for bad in ["shop.example.com", "ftp://a", "tcp://host", "http://", ""] {
            let error = urls_of(&[bad]).unwrap_err();
            assert!(error.contains("http://…"), "{bad}: {error}");
        }
    }

    #[test]
    fn the_configurations_are_valid() {
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let script = script(&places(), &[at(1), at(2), at(3)], &[at(4), at(5)]);
        let named = urls_of(&["https://shop.example.com/", "tcp://[2606:4700::1111]:443"]).unwrap();
        for text in [script, urls(&places(), &named)] {
            if let Err(problems) = quorate_config::parse("demo", &text) {
                panic!("{problems:#?}\n{text}");
            }
        }
    }
}
