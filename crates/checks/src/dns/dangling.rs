//! Names that lead to what is gone, or to what anybody may claim ("subdomain takeover").
//!
//! Whoever registers the domain, or opens an account at the hosting service, that an abandoned CNAME
//! record points at, speaks under the name that points there.

use std::net::IpAddr;

use quorate_model::{Phase, Reason};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::ask::Asker;
use super::chain::Chain;
use super::expect::NX_DOMAIN;
use super::names::Name;
use super::wire::{Answer, Question};
use crate::connect::{Endpoint, connect};
use crate::phase::Stop;
use crate::resolve::IpFamily;

/// How much of a service's page is read, in bytes.
const PAGE_BYTES_MAX: usize = 64 * 1024;
/// The type SOA.
const SOA: u16 = 6;
/// The type A.
const A: u16 = 1;

/// Hosting services that answer for a name which nobody has claimed: what such names point at, and
/// what the page says. Source: the list "Can I take over XYZ?", entries that are marked vulnerable,
/// and the services' own pages.
const SERVICES: [(&str, &str, &str); 10] = [
    ("GitHub Pages", "github.io", "There isn't a GitHub Pages site here."),
    ("Amazon S3", "amazonaws.com", "<Code>NoSuchBucket</Code>"),
    ("Heroku", "herokudns.com", "herokucdn.com/error-pages/no-such-app.html"),
    ("Heroku", "herokuapp.com", "herokucdn.com/error-pages/no-such-app.html"),
    ("Bitbucket", "bitbucket.io", "Repository not found"),
    ("Pantheon", "pantheonsite.io", "404 error unknown site!"),
    (
        "Read the Docs",
        "readthedocs.io",
        "The link you have followed or the URL that you entered does not exist.",
    ),
    ("Surge", "surge.sh", "project not found"),
    ("Ghost", "ghost.io", "Failed to resolve DNS path for this host"),
    ("Fastly", "fastly.net", "Fastly error: unknown domain"),
];

/// How far dangling names are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Search {
    /// Not at all.
    Off,
    /// Whether the chain's end exists.
    Chain,
    /// And whether a hosting service says that nobody has claimed it.
    Services,
}

impl Search {
    /// Looks at where `answer` leads.
    pub(super) async fn look(
        self,
        asker: &mut Asker<'_>,
        question: &Question,
        (answer, chain): (&Answer, &Chain<'_>),
    ) -> Result<(), Stop> {
        let Some(end) = chain.links().last().copied().filter(|_| self != Self::Off) else {
            return Ok(());
        };
        let name = question.name.as_str();
        if answer.rcode == NX_DOMAIN {
            return Err(gone(name, end, answer));
        }
        // A server that does not look further than its own zones, or was asked for the CNAME itself,
        // says nothing about the end.
        let is_open =
            !answer.answers.records.iter().any(|record| record.owner.eq_ignore_ascii_case(end));
        if is_open
            && answer.rcode == 0
            && let Ok(end_name) = Name::parse(end)
        {
            let further = Question { name: end_name, kind: A, recursion: question.recursion };
            // That the end cannot be asked for is no proof, and takes nothing from a good answer.
            let patience = asker.context.timeout / 4;
            if let Ok(Ok(answer)) = tokio::time::timeout(patience, asker.ask(&further)).await
                && answer.rcode == NX_DOMAIN
            {
                return Err(gone(name, end, &answer));
            }
        }
        let address = chain.records().iter().find_map(|record| record.data.address);
        match (service(chain.links()), address) {
            (Some(row), Some(address)) if self == Self::Services => {
                unclaimed(asker, (name, address), row).await
            }
            _ => Ok(()),
        }
    }
}

/// The chain ends at a name that does not exist. If it is the registry of a top-level domain that
/// says so, the domain itself is not registered.
fn gone(name: &str, end: &str, answer: &Answer) -> Stop {
    let zone = answer.authority.records.iter().find(|record| record.kind == SOA);
    let registry = zone.map(|record| record.owner.as_str()).filter(|zone| !zone.contains('.'));
    let domain = registry.and_then(|zone| {
        let below = end.get(..end.len().checked_sub(zone.len() + 1)?)?;
        let label = below.rsplit('.').next()?;
        Some(format!("; its domain {label}.{zone} is not registered, so anybody may claim it"))
    });
    let domain = domain.unwrap_or_default();
    let message = format!("{name} leads to {end}, which does not exist (NXDOMAIN){domain}");
    Stop::fail(Phase::Assert, Reason::Dangling, message)
}

/// The service that one of the names belongs to.
fn service(links: &[&str]) -> Option<&'static (&'static str, &'static str, &'static str)> {
    SERVICES.iter().find(|(_, suffix, _)| {
        links.iter().any(|link| {
            let link = link.to_ascii_lowercase();
            link.strip_suffix(suffix).is_some_and(|rest| rest.ends_with('.'))
        })
    })
}

/// Asks the service for the name's page. Whatever keeps the page from being read is no finding; the
/// evidence stays that of the question.
async fn unclaimed(
    asker: &mut Asker<'_>,
    (name, address): (&str, IpAddr),
    (service, suffix, text): &(&str, &str, &str),
) -> Result<(), Stop> {
    let evidence = asker.trace.evidence.clone();
    let wait = asker.context.timeout / 4;
    let page = tokio::time::timeout(wait, page(asker, (name, address), text)).await;
    asker.trace.evidence = evidence;
    match page {
        Ok(Ok(true)) => {
            let message = format!(
                "{name} leads to {service} ({suffix}), which answers {text:?}: anybody with an \
                 account there may claim the name"
            );
            Err(Stop::fail(Phase::Assert, Reason::Dangling, message))
        }
        Ok(Ok(false) | Err(_)) | Err(_) => Ok(()),
    }
}

/// Whether the page of `name` at `address` has `text` in it.
async fn page(
    asker: &mut Asker<'_>,
    (name, address): (&str, IpAddr),
    text: &str,
) -> Result<bool, Stop> {
    let policy = &asker.context.environment.policy;
    policy.judge_method("GET").map_err(|rule| Stop::denied(&rule))?;
    let endpoint = Endpoint { host: address.to_string(), port: 80 };
    let mut stream = connect(asker.trace, asker.context, &endpoint, IpFamily::Any).await?;
    let request = format!(
        "GET / HTTP/1.1\r\nHost: {name}\r\nUser-Agent: quorate\r\nAccept: */*\r\n\
         Accept-Encoding: identity\r\nConnection: close\r\n\r\n"
    );
    let closed = |_| Stop::fail(Phase::Transfer, Reason::Reset, "connection closed");
    stream.write_all(request.as_bytes()).await.map_err(closed)?;
    let mut page = Vec::new();
    let room = u64::try_from(PAGE_BYTES_MAX).unwrap_or(0);
    stream.take(room).read_to_end(&mut page).await.map_err(closed)?;
    Ok(page.windows(text.len()).any(|window| window == text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_known_by_whole_labels() {
        assert_eq!(service(&["shop.GitHub.io"]).unwrap().0, "GitHub Pages");
        assert_eq!(service(&["a.example", "b.s3.eu-west-1.amazonaws.com"]).unwrap().0, "Amazon S3");
        assert!(service(&["notgithub.io", "github.io.example"]).is_none());
    }
}
