//! What TLS handshakes show.

use quorate_model::{CertificateFacts, TlsFacts};

use super::scalar::{cut, non_empty};
use super::{WireError, timestamp_from_wire, timestamp_to_wire};
use crate::agent::v1 as wire;

/// The most certificates kept of a chain.
const CHAIN_MAX: usize = 10;
/// The most names kept of a certificate.
const NAMES_MAX: usize = 100;
/// The most bytes kept of all names of a certificate together.
const NAMES_BYTES_MAX: usize = 4 * 1_024;
/// The most bytes kept of the name of a subject or an issuer.
const SUBJECT_MAX: usize = 256;
/// The most bytes kept of a short text, such as a cipher's name.
const SHORT_MAX: usize = 128;

/// The wire's form, cut at the sizes that the other side keeps.
pub(super) fn tls_to_wire(facts: &TlsFacts) -> wire::TlsFacts {
    let optional =
        |value: &Option<String>| cut(value.as_deref().unwrap_or_default().to_owned(), SHORT_MAX);
    wire::TlsFacts {
        version: optional(&facts.version),
        cipher: optional(&facts.cipher),
        alpn: optional(&facts.alpn),
        ocsp_stapled: facts.ocsp_stapled,
        client_certificate_asked: facts.client_certificate_asked,
        sent: facts.sent,
        chain: facts.chain.iter().take(CHAIN_MAX).map(certificate_to_wire).collect(),
    }
}

pub(super) fn tls_from_wire(facts: wire::TlsFacts) -> Result<TlsFacts, WireError> {
    let chain = facts.chain.into_iter().take(CHAIN_MAX);
    Ok(TlsFacts {
        version: non_empty(facts.version, SHORT_MAX),
        cipher: non_empty(facts.cipher, SHORT_MAX),
        alpn: non_empty(facts.alpn, SHORT_MAX),
        ocsp_stapled: facts.ocsp_stapled,
        client_certificate_asked: facts.client_certificate_asked,
        sent: facts.sent,
        chain: chain.map(certificate_from_wire).collect::<Result<_, _>>()?,
    })
}

fn certificate_to_wire(facts: &CertificateFacts) -> wire::CertificateFacts {
    wire::CertificateFacts {
        subject: cut(facts.subject.clone(), SUBJECT_MAX),
        issuer: cut(facts.issuer.clone(), SUBJECT_MAX),
        names: bounded(facts.names.iter().cloned()),
        names_total: facts.names_total,
        serial: cut(facts.serial.clone(), SHORT_MAX),
        key: cut(facts.key.clone(), SHORT_MAX),
        key_bits: facts.key_bits,
        signature: cut(facts.signature.clone(), SHORT_MAX),
        not_before: Some(timestamp_to_wire(facts.not_before)),
        not_after: Some(timestamp_to_wire(facts.not_after)),
        sha256: cut(facts.sha256.clone(), SHORT_MAX),
    }
}

fn certificate_from_wire(facts: wire::CertificateFacts) -> Result<CertificateFacts, WireError> {
    let time = |field, time: Option<prost_types::Timestamp>| {
        timestamp_from_wire(field, time.ok_or(WireError::Missing { field })?)
    };
    Ok(CertificateFacts {
        subject: cut(facts.subject, SUBJECT_MAX),
        issuer: cut(facts.issuer, SUBJECT_MAX),
        names: bounded(facts.names.into_iter()),
        names_total: facts.names_total,
        serial: cut(facts.serial, SHORT_MAX),
        key: cut(facts.key, SHORT_MAX),
        key_bits: facts.key_bits,
        signature: cut(facts.signature, SHORT_MAX),
        not_before: time("evidence.tls.chain.not_before", facts.not_before)?,
        not_after: time("evidence.tls.chain.not_after", facts.not_after)?,
        sha256: cut(facts.sha256, SHORT_MAX),
    })
}

/// As many of the names as are kept.
fn bounded(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut room = NAMES_BYTES_MAX;
    names
        .take(NAMES_MAX)
        .map_while(|name| {
            room = room.checked_sub(name.len())?;
            Some(name)
        })
        .collect()
}
