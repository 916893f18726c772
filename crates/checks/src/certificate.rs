//! The kind `tls`: a certificate as a check of its own.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::LazyLock;
use std::time::Duration;

use quorate_model::{
    CertificateFacts, Observation, OptionProblem, Phase, Reason, Timestamp, TlsFacts,
};
use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use serde_json::Value;

use crate::connect::{Endpoint, connect};
use crate::options::{Findings, read, schema_of};
use crate::phase::{Stop, Trace, rounded};
use crate::registry::{CheckKind, Families, Probe};
use crate::resolve::IpFamily;
use crate::starttls::StartTls;
use crate::tls::{self, TlsOptions, TlsPlan};
use crate::{Policy, ProbeContext};

/// The bytes of a SHA-256 digest.
const DIGEST_BYTES: usize = 32;

/// The schema of the options.
static SCHEMA: LazyLock<Schema> = LazyLock::new(schema_of::<CertificateOptions>);

/// The row of the registry.
pub(super) const KIND: Tls = Tls;

/// The kind itself.
#[derive(Debug)]
pub(super) struct Tls;

/// Options of the kind `tls`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CertificateOptions {
    /// `host:port`; an IPv6 address in brackets, such as `[2001:db8::1]:443`.
    #[schemars(required)]
    address: Option<String>,
    /// Ask the server in plain text to go on over TLS, in this protocol: `smtp`, `imap`, `pop3`, `ftp`,
    /// `xmpp` or `postgres`.
    #[serde(default)]
    starttls: Option<StartTls>,
    /// How TLS is done: the options below it.
    #[serde(default)]
    tls: TlsOptions,
    /// Protocols to offer (ALPN), such as `h2`.
    #[serde(default)]
    alpn: Vec<String>,
    /// `4`, `6`, `any`: IPv4 if the name has such an address, else IPv6; or `both`: like `any`, and
    /// each time over the other family beside it, which makes the check `degraded` where one fails.
    #[schemars(extend("default" = "any"))]
    #[serde(default)]
    ip_family: IpFamily,
    /// What the handshake must show: the options below it. All of it must hold.
    #[serde(default)]
    expect: ExpectOptions,
}

/// Expectations of a handshake.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct ExpectOptions {
    /// For how long the certificate, and each that the server sends with it, must still be valid. This
    /// makes the check fail, and page; a notice that never pages is the policy `certificate.warn`.
    #[schemars(extend("x-unit" = "duration"))]
    expires_in: Option<String>,
    /// Names or addresses that the certificate must be for, each written in it or covered by a
    /// wildcard, beside the one that is asked for.
    names: Vec<String>,
    /// The kinds of keys that will do, such as `RSA`, `EC P-256` or `Ed25519`, or a beginning of
    /// them, such as `EC`.
    key: Vec<String>,
    /// How long the key must be at least. A key of 256 bits on a curve is about as strong as one of 3072
    /// bits for RSA, so say which `key` you mean.
    #[schemars(extend("x-unit" = "bits"), range(min = 1, max = 16384))]
    key_bits: Option<u32>,
    /// Certificates that will do: the SHA-256 digest in hexadecimal, colons or not, of the server's own
    /// certificate. What it sends beside that is not looked at, since anybody can send a copy of it.
    fingerprint: Vec<String>,
    /// Whether the server must send proof that its certificate is not revoked (OCSP staple). The proof is
    /// not looked into.
    #[schemars(extend("default" = false))]
    ocsp_staple: Option<bool>,
    /// The protocol that must be agreed on (ALPN), one of those in `alpn`.
    alpn: Option<String>,
    /// The whole probe must not take longer.
    #[schemars(extend("x-unit" = "duration"))]
    latency: Option<String>,
}

impl CheckKind for Tls {
    fn name(&self) -> &'static str {
        "tls"
    }

    fn parse(&self, options: &Value) -> Result<Box<dyn Probe>, Vec<OptionProblem>> {
        let (read, mut problems) = read::<CertificateOptions>(&SCHEMA, options);
        let probe = read.and_then(|read| read.plan(&mut problems));
        match probe {
            Some(probe) if problems.is_empty() => Ok(Box::new(probe)),
            _ => Err(problems),
        }
    }

    fn schema(&self) -> Schema {
        SCHEMA.clone()
    }
}

impl CertificateOptions {
    /// Validates; adds what is wrong to `problems`.
    fn plan(self, problems: &mut Vec<OptionProblem>) -> Option<CertificateProbe> {
        let tls = self.tls.plan(problems);
        let mut findings = Findings::new(problems);
        let endpoint = self.address.as_deref().and_then(|text| {
            let mut at = findings.at("address");
            at.keep(Endpoint::parse(text))
        });
        if let Some(name) = self.alpn.iter().find(|name| name.is_empty() || name.len() > 255) {
            findings.at("alpn").note(format!("{name:?} is no protocol: write 1 to 255 bytes"));
        }
        if let Some(wanted) = self.expect.alpn.as_ref().filter(|name| !self.alpn.contains(name)) {
            let message = format!("{wanted:?} is not offered: add it to alpn");
            findings.at("expect").at("alpn").note(message);
        }
        let expect = self.expect.plan(&mut findings.at("expect"));
        Some(CertificateProbe {
            endpoint: endpoint?,
            starttls: self.starttls,
            tls,
            alpn: self.alpn,
            family: self.ip_family,
            expect,
        })
    }
}

impl ExpectOptions {
    fn plan(self, at: &mut Findings<'_>) -> Expect {
        let digest = |text: &String| {
            let digits = text.replace(':', "").to_ascii_lowercase();
            let whole = digits.len() == 2 * DIGEST_BYTES;
            if whole && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                Ok(digits)
            } else {
                Err(format!("{text:?} is no SHA-256 digest: write 64 hexadecimal digits"))
            }
        };
        Expect {
            expires_in: self.expires_in.and_then(|text| at.at("expires_in").duration(&text)),
            names: self.names.iter().map(|name| name.to_ascii_lowercase()).collect(),
            keys: self.key,
            key_bits: self.key_bits,
            digests: self
                .fingerprint
                .iter()
                .filter_map(|text| at.at("fingerprint").keep(digest(text)))
                .collect(),
            ocsp_staple: self.ocsp_staple.unwrap_or(false),
            alpn: self.alpn,
            latency: self.latency.and_then(|text| at.at("latency").duration(&text)),
        }
    }
}

/// Expectations after validation.
#[derive(Debug)]
struct Expect {
    expires_in: Option<Duration>,
    names: Vec<String>,
    keys: Vec<String>,
    key_bits: Option<u32>,
    digests: BTreeSet<String>,
    ocsp_staple: bool,
    alpn: Option<String>,
    latency: Option<Duration>,
}

impl Expect {
    /// The first expectation that the handshake does not meet.
    fn judge(&self, facts: &TlsFacts, now: Timestamp) -> Result<(), Stop> {
        let fail = |reason, message: String| Err(Stop::fail(Phase::Assert, reason, message));
        let Some(own) = facts.chain.first() else {
            return fail(Reason::TlsHandshake, "the certificate cannot be read".to_owned());
        };
        if let Some(least) = self.expires_in {
            let ends_soon = |one: &&CertificateFacts| one.not_after < now + least;
            let soonest = facts.chain.iter().filter(ends_soon).min_by_key(|one| one.not_after);
            if let Some(one) = soonest {
                let whose = if std::ptr::eq(one, own) {
                    "the certificate".to_owned()
                } else {
                    format!("the issuing certificate {:?}", one.subject)
                };
                let (at, least) = (one.not_after, rounded(least));
                let message = format!("{whose} ends at {at}, expected in {least} or later");
                return fail(Reason::CertExpiresSoon, message);
            }
        }
        if let Some(name) = self.names.iter().find(|name| !covers(&own.names, name)) {
            let message = format!("the certificate is not for {name}");
            return fail(Reason::CertHostMismatch, message);
        }
        let fits = |wanted: &String| own.key.starts_with(wanted.as_str());
        if !self.keys.is_empty() && !self.keys.iter().any(fits) {
            let wanted = self.keys.join(" or ");
            return fail(Reason::CertWeak, format!("the key is {:?}, expected {wanted}", own.key));
        }
        if let Some(least) = self.key_bits.filter(|least| own.key_bits < *least) {
            let message = format!("the key has {} bits, expected at least {least}", own.key_bits);
            return fail(Reason::CertWeak, message);
        }
        // What is sent beside it proves nothing: anybody can send a copy of it.
        let is_pinned = self.digests.contains(&own.sha256);
        if !self.digests.is_empty() && !is_pinned {
            let message = format!("the certificate has the SHA-256 digest {}", own.sha256);
            return fail(Reason::CertNotPinned, message);
        }
        if self.ocsp_staple && !facts.ocsp_stapled {
            return fail(Reason::OcspMissing, "the server sends no OCSP staple".to_owned());
        }
        match (&self.alpn, &facts.alpn) {
            (Some(wanted), found) if found.as_ref() != Some(wanted) => {
                let found = found.as_deref().unwrap_or("none");
                let message = format!("the protocol agreed on is {found:?}, expected {wanted:?}");
                fail(Reason::TlsHandshake, message)
            }
            _ => Ok(()),
        }
    }
}

/// Whether one of the names in a certificate is for `wanted`. A wildcard stands for one whole label.
/// Source: RFC 9525, section 6.3.
fn covers(names: &[String], wanted: &str) -> bool {
    names.iter().any(|name| {
        let name = name.to_ascii_lowercase();
        let wild = name.strip_prefix("*.").zip(wanted.split_once('.'));
        name == wanted || wild.is_some_and(|(name, (_, rest))| name == rest)
    })
}

/// A probe that is ready to run.
#[derive(Debug)]
struct CertificateProbe {
    endpoint: Endpoint,
    starttls: Option<StartTls>,
    tls: TlsPlan,
    alpn: Vec<String>,
    family: IpFamily,
    expect: Expect,
}

impl Probe for CertificateProbe {
    fn target(&self) -> String {
        self.endpoint.to_string()
    }

    fn refused_by(&self, policy: &Policy) -> Option<String> {
        self.endpoint.refused_by(policy)
    }

    fn families(&self) -> Families {
        self.family.of(&self.endpoint)
    }

    fn run<'a>(
        &'a self,
        context: &'a ProbeContext,
    ) -> Pin<Box<dyn Future<Output = Observation> + Send + 'a>> {
        Box::pin(async move {
            let mut trace = Trace::start(context);
            let probing = self.probe(&mut trace, context);
            let ended = tokio::time::timeout(context.timeout, probing).await.ok();
            trace.finish(ended, context)
        })
    }
}

impl CertificateProbe {
    async fn probe(&self, trace: &mut Trace, context: &ProbeContext) -> Result<(), Stop> {
        let environment = &context.environment;
        let mut stream = connect(trace, context, &self.endpoint, self.family).await?;
        if let Some(protocol) = self.starttls {
            protocol.ask(trace, &mut stream, &self.endpoint.host).await?;
        }
        let alpn: Vec<&str> = self.alpn.iter().map(String::as_str).collect();
        let name = (self.endpoint.host.as_str(), alpn.as_slice());
        drop(tls::handshake(trace, environment, &self.tls, name, stream).await?);
        trace.watch.enter(Phase::Assert);
        let facts = trace.evidence.tls.as_deref().cloned().unwrap_or_default();
        self.expect.judge(&facts, environment.wall.now())?;
        match self.expect.latency {
            Some(most) if trace.watch.elapsed() > most => {
                let took = rounded(trace.watch.elapsed());
                let message = format!("took {took}, expected at most {}", rounded(most));
                Err(Stop::fail(Phase::Assert, Reason::Latency, message))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_covers_one_label() {
        let names = ["shop.example".to_owned(), "*.Shop.example".to_owned()];
        for (name, is_covered) in [
            ("shop.example", true),
            ("www.shop.example", true),
            ("a.www.shop.example", false),
            ("xshop.example", false),
            ("example", false),
        ] {
            assert_eq!(covers(&names, name), is_covered, "{name}");
        }
    }
}
