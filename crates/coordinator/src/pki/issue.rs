//! Making certificates. Every field is set here; nothing is left to a default or to a request.

use std::time::Duration;

use quorate_model::{AgentId, RegionId, Timestamp};
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateSigningRequestParams,
    DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PublicKey, PublicKeyData as _, SanType, SerialNumber, date_time_ymd,
};
use rustls::pki_types::{CertificateSigningRequestDer, ServerName};
use x509_parser::extensions::GeneralName;

use super::identity::{self, Identity};
use super::{LISTENER_NAME, PkiError};

const DAY: Duration = Duration::from_secs(86_400);
/// How long an authority lives.
const AUTHORITY_VALID: Duration = Duration::from_secs(3_650 * DAY.as_secs());
/// How long a listener's certificate lives.
const LISTENER_VALID: Duration = Duration::from_secs(365 * DAY.as_secs());
/// How long an agent's certificate lives.
pub const AGENT_VALID: Duration = Duration::from_secs(365 * DAY.as_secs());
/// How far certificates reach back, for clocks that are behind ours.
const BACKDATED: Duration = Duration::from_secs(60);
/// The longest certificate signing request, in bytes: one for a P-256 key has some 300.
const CSR_BYTES_MAX: usize = 8 * 1_024;
/// The names that every listener certificate bears.
const ALWAYS: [&str; 4] = [LISTENER_NAME, "localhost", "127.0.0.1", "::1"];

/// A certificate made for an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// The certificate, PEM.
    pub certificate_pem: String,
    /// When it stops being valid.
    pub not_after: Timestamp,
}

/// A certificate and its key, PEM.
pub(super) struct Pair {
    pub(super) certificate_pem: String,
    pub(super) key_pem: String,
}

impl Pair {
    /// A text that holds both, as [`Pair::join`] makes it.
    pub(super) fn split(text: String) -> Self {
        Self { certificate_pem: text.clone(), key_pem: text }
    }

    /// Both in one text.
    pub(super) fn join(&self) -> String {
        format!("{}{}", self.key_pem, self.certificate_pem)
    }

    pub(super) fn issuer(&self) -> Result<Issuer<'static, KeyPair>, PkiError> {
        let failed = |source| failure("the authority", source);
        let key = KeyPair::from_pem(&self.key_pem).map_err(failed)?;
        Issuer::from_ca_cert_pem(&self.certificate_pem, key).map_err(failed)
    }
}

fn failure(subject: &str, source: rcgen::Error) -> PkiError {
    PkiError::Issue { subject: subject.to_owned(), source }
}

/// Parameters with our dates, serial number and name, and otherwise nothing.
fn params(common_name: &str, now: Timestamp, valid: Duration) -> CertificateParams {
    let mut params = CertificateParams::default();
    let epoch = date_time_ymd(1970, 1, 1);
    let seconds = |at: Timestamp| Duration::from_secs(at.since(Timestamp::EPOCH).as_secs());
    params.not_before = epoch + seconds(now.before(BACKDATED));
    params.not_after = epoch + seconds(now + valid);
    // Positive and without a leading zero. Source: RFC 5280, section 4.1.2.2.
    let mut serial: [u8; 16] = quorate_runtime::random::bytes();
    serial[0] = serial[0] & 0x7f | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.use_authority_key_identifier_extension = true;
    params
}

/// A new authority: P-256, signs end certificates only.
pub(super) fn authority(now: Timestamp) -> Result<Pair, PkiError> {
    let failed = |source| failure("the authority", source);
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
    let mut params = params("Quorate authority", now, AUTHORITY_VALID);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = params.self_signed(&key).map_err(failed)?;
    Ok(Pair { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() })
}

/// The names for a listener: those given and those that it always has, each once.
pub(super) fn listener_names(names: &[String]) -> Result<Vec<String>, PkiError> {
    let mut all: Vec<String> = Vec::new();
    for name in names.iter().map(String::as_str).chain(ALWAYS) {
        if ServerName::try_from(name).is_err() {
            return Err(PkiError::Name { name: name.chars().take(200).collect() });
        }
        if !all.iter().any(|known| known == name) {
            all.push(name.to_owned());
        }
    }
    Ok(all)
}

/// A certificate for the coordinator's listeners.
pub(super) fn listener(
    issuer: &Issuer<'_, KeyPair>,
    names: &[String],
    now: Timestamp,
) -> Result<Pair, PkiError> {
    let failed = |source| failure("the listener", source);
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
    let mut params = params("Quorate coordinator", now, LISTENER_VALID);
    for name in names {
        let name = match name.parse() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(Ia5String::try_from(name.as_str()).map_err(failed)?),
        };
        params.subject_alt_names.push(name);
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = params.signed_by(&key, issuer).map_err(failed)?;
    Ok(Pair { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() })
}

/// The public key of a certificate signing request, after its proof of possession was verified.
pub(super) fn public_key(csr_der: &[u8]) -> Result<PublicKey, PkiError> {
    let refused = |detail: &str| PkiError::Csr { detail: detail.to_owned() };
    if csr_der.len() > CSR_BYTES_MAX {
        return Err(refused("it is longer than 8 KiB"));
    }
    let csr =
        CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(csr_der))
            .map_err(|error| refused(&error.to_string()))?;
    let key = csr.public_key;
    // An uncompressed point of P-256 has 65 bytes. Source: SEC 1, section 2.3.3.
    if key.algorithm() != &PKCS_ECDSA_P256_SHA256 || key.der_bytes().len() != 65 {
        return Err(refused("its key must be ECDSA on P-256, signed with SHA-256"));
    }
    Ok(key)
}

/// A certificate for an agent.
pub(super) fn agent(
    issuer: &Issuer<'_, KeyPair>,
    key: &PublicKey,
    region: &RegionId,
    agent: &AgentId,
    now: Timestamp,
) -> Result<Issued, PkiError> {
    let uri = Identity::uri(region, agent);
    let failed = |source| failure(&uri, source);
    let mut params = params(agent.as_str(), now, AGENT_VALID);
    params.is_ca = IsCa::ExplicitNoCa;
    params.subject_alt_names =
        vec![SanType::URI(Ia5String::try_from(uri.as_str()).map_err(failed)?)];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let certificate: Certificate = params.signed_by(key, issuer).map_err(failed)?;
    let seconds = i64::try_from((now + AGENT_VALID).since(Timestamp::EPOCH).as_secs());
    Ok(Issued {
        certificate_pem: certificate.pem(),
        not_after: Timestamp::from_micros(seconds.unwrap_or(i64::MAX).saturating_mul(1_000_000)),
    })
}

/// The names that a listener's certificate bears.
pub(super) fn names_of(certificate: &[u8]) -> Result<Vec<String>, String> {
    let parsed = identity::parse(certificate)?;
    let extension = parsed
        .subject_alternative_name()
        .map_err(|error| error.to_string())?
        .ok_or("it has no names")?;
    let names = extension.value.general_names.iter();
    Ok(names.filter_map(name_text).collect())
}

#[expect(clippy::wildcard_enum_match_arm, reason = "we make certificates with these two only")]
fn name_text(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes)
                .ok()
                .map(|bytes| std::net::IpAddr::from(bytes).to_string()),
            _ => <[u8; 16]>::try_from(*bytes)
                .ok()
                .map(|bytes| std::net::IpAddr::from(bytes).to_string()),
        },
        _ => None,
    }
}
