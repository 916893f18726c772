//! What certificates say, whoever may have made them.

use std::net::IpAddr;

use aws_lc_rs::digest::{SHA256, digest};
use quorate_model::{CertificateFacts, Timestamp};
use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::{OID_PKIX_ACCESS_DESCRIPTOR_CA_ISSUERS, Oid};
use x509_parser::public_key::PublicKey;
use x509_parser::x509::{AlgorithmIdentifier, SubjectPublicKeyInfo, X509Name};

use crate::phase::cut;

/// The most certificates of a chain that are looked at.
pub(super) const CHAIN_MAX: usize = 10;
/// The most names that are kept of a certificate.
const NAMES_MAX: usize = 100;
/// The most bytes that are kept of all names of a certificate together.
const NAMES_BYTES_MAX: usize = 4 * 1024;
/// The longest name of a subject or an issuer, in bytes.
const SUBJECT_BYTES_MAX: usize = 256;
/// The longest serial number in bytes; 20 are allowed. Source: RFC 5280, section 4.1.2.2.
const SERIAL_BYTES_MAX: usize = 32;

/// How the issuers of a chain hang together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Links {
    /// The server's own certificate is signed by itself.
    SelfSigned,
    /// They lead to a certificate that the server does not send, of the issuer of this name.
    Missing(String),
    /// They end in a certificate that is signed by itself, or whose issuer publishes none.
    Ended,
}

/// What is remembered of the certificates that a server sent.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) chain: Vec<CertificateFacts>,
    pub(super) links: Links,
    pub(super) count: usize,
    pub(super) ocsp_stapled: bool,
}

impl Sent {
    /// Reads what the server sent, its own certificate first.
    pub(super) fn read(
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        ocsp_answer: &[u8],
    ) -> Self {
        let all = std::iter::once(own).chain(others).take(CHAIN_MAX);
        let parsed: Vec<_> = all
            .enumerate()
            .filter_map(|(index, der)| {
                let (_, parsed) = x509_parser::parse_x509_certificate(der).ok()?;
                Some((index, der, parsed))
            })
            .collect();
        let chain =
            parsed.iter().map(|(index, der, parsed)| facts(der, parsed, *index == 0)).collect();
        let certificates: Vec<_> = parsed.iter().map(|(_, _, parsed)| parsed).collect();
        Self {
            chain,
            links: links(&certificates),
            count: others.len() + 1,
            ocsp_stapled: !ocsp_answer.is_empty(),
        }
    }
}

/// Follows the issuers from the server's own certificate, which is the first.
fn links(certificates: &[&X509Certificate<'_>]) -> Links {
    let Some(own) = certificates.first() else {
        return Links::Ended;
    };
    if is_self_issued(own) {
        return Links::SelfSigned;
    }
    let mut last = *own;
    // Cross-signed certificates may lead in a circle.
    for step in 0..certificates.len() {
        let issuer =
            certificates.iter().find(|other| other.subject().as_raw() == last.issuer().as_raw());
        match issuer {
            Some(issuer) if is_self_issued(issuer) => return Links::Ended,
            Some(issuer) => last = issuer,
            None if step == 0 || publishes_issuer(last) => {
                return Links::Missing(name(last.issuer()));
            }
            None => return Links::Ended,
        }
    }
    Links::Ended
}

fn is_self_issued(certificate: &X509Certificate<'_>) -> bool {
    certificate.issuer().as_raw() == certificate.subject().as_raw()
}

/// Whether a certificate says where that of its issuer can be fetched. Source: RFC 5280, section
/// 4.2.2.1.
fn publishes_issuer(certificate: &X509Certificate<'_>) -> bool {
    certificate.extensions().iter().any(|extension| {
        let ParsedExtension::AuthorityInfoAccess(access) = extension.parsed_extension() else {
            return false;
        };
        access.iter().any(|one| one.access_method == OID_PKIX_ACCESS_DESCRIPTOR_CA_ISSUERS)
    })
}

fn facts(
    der: &CertificateDer<'_>,
    parsed: &X509Certificate<'_>,
    with_names: bool,
) -> CertificateFacts {
    let time = |seconds: i64| Timestamp::from_micros(seconds.saturating_mul(1_000_000));
    let (names, names_total) = if with_names { names(parsed) } else { (Vec::new(), 0) };
    let serial = parsed.raw_serial();
    let (key, key_bits) = key(parsed.public_key());
    CertificateFacts {
        subject: name(parsed.subject()),
        issuer: name(parsed.issuer()),
        names,
        names_total,
        serial: hexadecimal(serial.get(..SERIAL_BYTES_MAX).unwrap_or(serial)),
        key,
        key_bits,
        signature: signature(&parsed.signature_algorithm),
        not_before: time(parsed.validity().not_before.timestamp()),
        not_after: time(parsed.validity().not_after.timestamp()),
        sha256: hexadecimal(digest(&SHA256, der).as_ref()),
    }
}

fn name(name: &X509Name<'_>) -> String {
    cut(name.to_string(), SUBJECT_BYTES_MAX)
}

/// The names that a certificate is for, as many as are kept, and how many there are.
fn names(certificate: &X509Certificate<'_>) -> (Vec<String>, u32) {
    let all: Vec<&GeneralName<'_>> = certificate
        .extensions()
        .iter()
        .filter_map(|extension| {
            let ParsedExtension::SubjectAlternativeName(names) = extension.parsed_extension()
            else {
                return None;
            };
            Some(&names.general_names)
        })
        .flatten()
        .collect();
    let mut room = NAMES_BYTES_MAX;
    let kept = all.iter().filter_map(|name| subject_name(name)).take(NAMES_MAX).map_while(|name| {
        room = room.checked_sub(name.len())?;
        Some(name)
    });
    (kept.collect(), u32::try_from(all.len()).unwrap_or(u32::MAX))
}

fn subject_name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(text) | GeneralName::RFC822Name(text) | GeneralName::URI(text) => {
            Some((*text).to_owned())
        }
        GeneralName::IPAddress(octets) => address(octets).map(|address| address.to_string()),
        GeneralName::OtherName(..)
        | GeneralName::X400Address(_)
        | GeneralName::DirectoryName(_)
        | GeneralName::EDIPartyName(_)
        | GeneralName::RegisteredID(_)
        | GeneralName::Invalid(..) => None,
    }
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from)).ok()
}

/// The kind of a key and its size in bits.
///
/// Source: RFC 3279, section 2.3.1; RFC 5480, section 2.1.1; RFC 8410, section 3.
fn key(key: &SubjectPublicKeyInfo<'_>) -> (String, u32) {
    let bits = |parsed: PublicKey<'_>| u32::try_from(parsed.key_size()).unwrap_or(u32::MAX);
    let algorithm = key.algorithm.algorithm.to_id_string();
    match algorithm.as_str() {
        "1.2.840.113549.1.1.1" => ("RSA".to_owned(), key.parsed().map_or(0, bits)),
        "1.2.840.10045.2.1" => match curve(&key.algorithm).as_deref() {
            Some("1.2.840.10045.3.1.7") => ("EC P-256".to_owned(), 256),
            Some("1.3.132.0.34") => ("EC P-384".to_owned(), 384),
            Some("1.3.132.0.35") => ("EC P-521".to_owned(), 521),
            _ => ("EC".to_owned(), key.parsed().map_or(0, bits)),
        },
        "1.3.101.112" => ("Ed25519".to_owned(), 256),
        "1.3.101.113" => ("Ed448".to_owned(), 456),
        _ => (cut(algorithm, SUBJECT_BYTES_MAX), 0),
    }
}

fn curve(algorithm: &AlgorithmIdentifier<'_>) -> Option<String> {
    let parameters = algorithm.parameters.as_ref()?;
    Oid::try_from(parameters).ok().map(|curve| curve.to_id_string())
}

/// The name of a signature's algorithm; its number if it is an odd one.
///
/// Source: RFC 4055, section 5; RFC 5758, section 3.2; RFC 8410, section 3; RFC 3279, section 2.2.
fn signature(algorithm: &AlgorithmIdentifier<'_>) -> String {
    let number = algorithm.algorithm.to_id_string();
    let name = match number.as_str() {
        "1.2.840.113549.1.1.4" => "md5WithRSAEncryption",
        "1.2.840.113549.1.1.5" => "sha1WithRSAEncryption",
        "1.2.840.113549.1.1.10" => "RSASSA-PSS",
        "1.2.840.113549.1.1.11" => "sha256WithRSAEncryption",
        "1.2.840.113549.1.1.12" => "sha384WithRSAEncryption",
        "1.2.840.113549.1.1.13" => "sha512WithRSAEncryption",
        "1.2.840.10045.4.1" => "ecdsa-with-SHA1",
        "1.2.840.10045.4.3.2" => "ecdsa-with-SHA256",
        "1.2.840.10045.4.3.3" => "ecdsa-with-SHA384",
        "1.2.840.10045.4.3.4" => "ecdsa-with-SHA512",
        "1.3.101.112" => "Ed25519",
        "1.3.101.113" => "Ed448",
        _ => return cut(number, SUBJECT_BYTES_MAX),
    };
    name.to_owned()
}

/// Bytes as lower-case hexadecimal digits.
fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    nibbles.filter_map(|nibble| DIGITS.get(usize::from(nibble))).collect()
}
