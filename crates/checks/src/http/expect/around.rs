//! Expectations of what is around an answer: its URL, its address, its certificate, its times.

use std::collections::BTreeMap;
use std::time::Duration;

use quorate_model::{Evidence, Phase, PhaseTiming, Reason, Timestamp};
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::{OneOrMany, shown};
use crate::Network;
use crate::options::{Findings, byte_size};
use crate::phase::{Stop, rounded};

/// What must have been agreed on by TLS.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TlsExpectOptions {
    /// The version, such as `TLSv1.3`, or a list of which one must be.
    version: Option<OneOrMany<String>>,
    /// The cipher suite by its IANA name, such as `TLS13_AES_256_GCM_SHA384`, or a list.
    cipher: Option<OneOrMany<String>>,
    /// How long the server's own certificate must still be valid, such as `14d`.
    #[schemars(extend("x-unit" = "duration"))]
    cert_expires_in: Option<String>,
    /// How long every certificate that the server sends must still be valid.
    #[schemars(extend("x-unit" = "duration"))]
    chain_expires_in: Option<String>,
}

/// Bounds of the body's size.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SizeOptions {
    /// The least, such as `1B`.
    #[schemars(extend("x-unit" = "size"))]
    min: Option<String>,
    /// The most. A body that is longer than `max_body` is longer than any bound.
    #[schemars(extend("x-unit" = "size"))]
    max: Option<String>,
}

/// Expectations after validation.
#[derive(Debug, Default)]
pub(super) struct Around {
    pub(super) url: Option<String>,
    pub(super) address: Vec<Network>,
    pub(super) versions: Vec<String>,
    pub(super) ciphers: Vec<String>,
    pub(super) cert_expires_in: Option<Duration>,
    pub(super) chain_expires_in: Option<Duration>,
    pub(super) size_min: Option<usize>,
    pub(super) size_max: Option<usize>,
    pub(super) phases: Vec<(Phase, Duration)>,
}

impl Around {
    pub(super) fn read_tls(&mut self, options: TlsExpectOptions, at: &mut Findings<'_>) {
        let list = |option: Option<OneOrMany<String>>| match option {
            None => Vec::new(),
            Some(OneOrMany::One(one)) => vec![one],
            Some(OneOrMany::Many(many)) => many,
        };
        self.versions = list(options.version);
        for version in &self.versions {
            if !["TLSv1.2", "TLSv1.3"].contains(&version.as_str()) {
                at.at("version").note(format!("{version:?} is neither TLSv1.2 nor TLSv1.3"));
            }
        }
        self.ciphers = list(options.cipher);
        let mut duration =
            |name: &str, text: Option<String>| text.and_then(|text| at.at(name).duration(&text));
        self.cert_expires_in = duration("cert_expires_in", options.cert_expires_in);
        self.chain_expires_in = duration("chain_expires_in", options.chain_expires_in);
    }

    pub(super) fn read_size(&mut self, options: &SizeOptions, at: &mut Findings<'_>) {
        let mut size = |name: &str, text: &Option<String>| {
            let mut at = at.at(name);
            text.as_deref().and_then(|text| at.keep(byte_size(text)))
        };
        self.size_min = size("min", &options.min);
        self.size_max = size("max", &options.max);
        if let (Some(min), Some(max)) = (self.size_min, self.size_max)
            && min > max
        {
            at.at("min").note("is more than max");
        }
    }

    pub(super) fn read_phases(&mut self, options: BTreeMap<String, String>, at: &mut Findings<'_>) {
        for (name, text) in options {
            let mut at = at.at(name.as_str());
            let phase = Phase::from_word(&name).filter(|phase| *phase != Phase::Assert);
            let phase = phase.ok_or_else(|| {
                format!("{name:?} is not one of dns, connect, tls, send, ttfb, transfer")
            });
            if let (Some(phase), Some(most)) = (at.keep(phase), at.duration(&text)) {
                self.phases.push((phase, most));
            }
        }
    }

    pub(super) fn read_address(
        &mut self,
        options: Option<OneOrMany<String>>,
        at: &mut Findings<'_>,
    ) {
        let networks = match options {
            None => Vec::new(),
            Some(OneOrMany::One(one)) => vec![one],
            Some(OneOrMany::Many(many)) => many,
        };
        self.address = networks.iter().filter_map(|text| at.keep(text.parse())).collect();
    }

    /// Judges where an answer came from, before its body is waited for.
    pub(super) fn before_body(
        &self,
        url: &Url,
        evidence: &Evidence,
        now: Timestamp,
    ) -> Result<(), Stop> {
        let fails = |reason, message| Err(Stop::fail(Phase::Assert, reason, message));
        if let Some(wanted) = self.url.as_ref().filter(|wanted| *wanted != url.as_str()) {
            let message = format!("the answer is from {}, expected {wanted}", shown(url.as_str()));
            return fails(Reason::Url, message);
        }
        if let Some(address) = evidence.address
            && !self.address.is_empty()
            && !self.address.iter().any(|network| network.contains(address))
        {
            let wanted: Vec<_> = self.address.iter().map(ToString::to_string).collect();
            let message = format!("{address} answered, expected one in {}", wanted.join(", "));
            return fails(Reason::Address, message);
        }
        self.certificate(evidence, now).or_else(|(reason, message)| fails(reason, message))
    }

    fn certificate(&self, evidence: &Evidence, now: Timestamp) -> Result<(), (Reason, String)> {
        let wants = !self.versions.is_empty()
            || !self.ciphers.is_empty()
            || self.cert_expires_in.is_some()
            || self.chain_expires_in.is_some();
        let Some(tls) = evidence.tls.as_deref().filter(|_| evidence_is_of_tls(evidence)) else {
            let missing = "the answer came without TLS, of which something is expected";
            return if wants { Err((Reason::Certificate, missing.to_owned())) } else { Ok(()) };
        };
        for (what, wanted, found) in [
            ("TLS version", &self.versions, &tls.version),
            ("cipher suite", &self.ciphers, &tls.cipher),
        ] {
            let found = found.as_deref().unwrap_or("unknown");
            if !wanted.is_empty() && !wanted.iter().any(|one| one == found) {
                let message = format!("{what} is {found}, expected {}", wanted.join(", "));
                return Err((Reason::Certificate, message));
            }
        }
        for (what, least, end) in [
            ("the certificate", self.cert_expires_in, evidence.cert_not_after),
            ("a certificate of the chain", self.chain_expires_in, tls.chain_not_after()),
        ] {
            let (Some(least), Some(end)) = (least, end) else {
                continue;
            };
            if now + least > end {
                let least = quorate_model::HumanDuration(least);
                let message = format!("{what} ends on {end}, expected it to last {least}");
                return Err((Reason::CertExpiresSoon, message));
            }
        }
        Ok(())
    }

    /// Judges the size of a body, of which `all` says whether it is all of it.
    pub(super) fn size(&self, bytes: usize, all: bool) -> Result<(), Stop> {
        let fails = |message| Err(Stop::fail(Phase::Assert, Reason::Size, message));
        match (self.size_min, self.size_max) {
            (_, Some(max)) if bytes > max || !all => {
                let more = if all { "" } else { "more than " };
                fails(format!("the body has {more}{bytes} bytes, expected at most {max}"))
            }
            (Some(min), _) if bytes < min && all => {
                fails(format!("the body has {bytes} bytes, expected at least {min}"))
            }
            _ => Ok(()),
        }
    }

    /// Judges the phases of the whole probe.
    pub(super) fn phases(&self, phases: &[PhaseTiming]) -> Result<(), Stop> {
        for (phase, most) in &self.phases {
            let took = phases.iter().find(|timing| timing.phase == *phase);
            if let Some(took) = took.map(|timing| timing.elapsed).filter(|took| took > most) {
                let (took, most) = (rounded(took), rounded(*most));
                let message = format!("{phase} took {took}, expected at most {most}");
                return Err(Stop::fail(Phase::Assert, Reason::Latency, message));
            }
        }
        Ok(())
    }
}

/// Whether the final answer came over TLS, not only one on the way to it.
fn evidence_is_of_tls(evidence: &Evidence) -> bool {
    evidence.hops.last().is_none_or(|hop| hop.url.starts_with("https:"))
}
