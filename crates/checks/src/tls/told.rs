//! Why a handshake failed: a reason and a sentence.

use std::error::Error as _;
use std::io;

use quorate_model::{Reason, TlsFacts};
use rustls::pki_types::{ServerName, UnixTime};
use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};

use super::certificate::Links;
use crate::phase::cut;

/// The longest list of names in a message, in bytes.
const NAMES_SHOWN_MAX: usize = 200;

/// What is known of a handshake that failed.
pub(super) struct Failed<'a> {
    pub(super) name: &'a ServerName<'a>,
    pub(super) links: Option<Links>,
    /// The server asked for a certificate, and whether the check has one.
    pub(super) asked: bool,
    pub(super) has_own: bool,
    /// The versions that the check allows, in words.
    pub(super) versions: &'a str,
}

impl Failed<'_> {
    /// The reason and the sentence for `error`.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the kinds of errors grow; what is unknown is told in its own words"
    )]
    pub(super) fn told(&self, error: &io::Error) -> (Reason, String) {
        let Some(error) = of_tls(error) else {
            return match error.kind() {
                _ if self.asked && !self.has_own => client_certificate(false, ""),
                io::ErrorKind::UnexpectedEof => {
                    (Reason::Reset, "connection closed in the TLS handshake".to_owned())
                }
                _ => (Reason::Reset, format!("TLS handshake: {error}")),
            };
        };
        match error {
            Error::InvalidCertificate(wrong) => self.certificate(wrong),
            Error::AlertReceived(AlertDescription::ProtocolVersion)
            | Error::PeerIncompatible(
                PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
            ) => (Reason::TlsVersion, format!("the server speaks {}", self.versions)),
            Error::AlertReceived(alert) if self.asked && is_about_client(*alert) => {
                client_certificate(self.has_own, &format!(" (alert {alert:?})"))
            }
            Error::InvalidMessage(rustls::InvalidMessage::HandshakePayloadTooLarge) => (
                Reason::TlsHandshake,
                "the server sends more than 64 KiB in one message of the TLS handshake".to_owned(),
            ),
            Error::InvalidMessage(_) => {
                (Reason::TlsHandshake, format!("the answer is not TLS ({error})"))
            }
            _ => (Reason::TlsHandshake, format!("TLS handshake: {error}")),
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the kinds of errors grow; what is unknown is told in its own words"
    )]
    fn certificate(&self, wrong: &CertificateError) -> (Reason, String) {
        let name = self.name.to_str();
        match wrong {
            CertificateError::Expired => {
                (Reason::CertExpired, "certificate has expired".to_owned())
            }
            CertificateError::ExpiredContext { not_after, .. } => {
                (Reason::CertExpired, format!("certificate expired on {}", day(*not_after)))
            }
            CertificateError::NotValidYet => {
                (Reason::CertNotYetValid, "certificate is not valid yet".to_owned())
            }
            CertificateError::NotValidYetContext { not_before, .. } => (
                Reason::CertNotYetValid,
                format!("certificate is not valid before {}", day(*not_before)),
            ),
            CertificateError::Revoked => {
                (Reason::CertRevoked, "certificate has been revoked".to_owned())
            }
            CertificateError::NotValidForName => {
                (Reason::CertHostMismatch, format!("certificate is not for {name}"))
            }
            CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => {
                let message = format!("certificate names no host at all, so it is not for {name}");
                (Reason::CertHostMismatch, message)
            }
            CertificateError::NotValidForNameContext { presented, .. } => {
                // They come as `DnsName("a.example")` and the like.
                let names = presented.iter().map(|name| name.split('"').nth(1).unwrap_or(name));
                let names = cut(names.collect::<Vec<_>>().join(", "), NAMES_SHOWN_MAX);
                let message = format!("certificate is for {names}, not for {name}");
                (Reason::CertHostMismatch, message)
            }
            CertificateError::UnknownIssuer | CertificateError::Other(_) => self.issuer(wrong),
            _ => (Reason::CertUntrusted, format!("certificate is not acceptable: {wrong}")),
        }
    }

    /// The trusted roots do not lead to the certificate.
    fn issuer(&self, wrong: &CertificateError) -> (Reason, String) {
        match &self.links {
            Some(Links::SelfSigned) => {
                (Reason::CertSelfSigned, "certificate is self-signed".to_owned())
            }
            Some(Links::Missing(issuer)) if *wrong == CertificateError::UnknownIssuer => (
                Reason::CertIncompleteChain,
                format!(
                    "the server does not send the certificate of its issuer {issuer:?}: let it send \
                     the intermediate certificates, or trust a root of your own with tls.ca"
                ),
            ),
            _ if *wrong == CertificateError::UnknownIssuer => {
                (Reason::CertUntrusted, "certificate's issuer is not trusted".to_owned())
            }
            _ => (Reason::CertUntrusted, format!("certificate is not acceptable: {wrong}")),
        }
    }
}

/// Why a connection broke off after its handshake, if it was for want of a certificate: with TLS
/// 1.3 a server judges the client's only after the handshake is over for the client.
///
/// Source: RFC 8446, sections 4.4.2.4 and 6.2.
pub(crate) fn refused_client(
    error: &io::Error,
    facts: Option<&TlsFacts>,
    has_own: bool,
) -> Option<(Reason, String)> {
    if !facts.is_some_and(|facts| facts.client_certificate_asked) {
        return None;
    }
    match of_tls(error) {
        Some(Error::AlertReceived(alert)) if is_about_client(*alert) => {
            Some(client_certificate(has_own, &format!(" (alert {alert:?})")))
        }
        _ if !has_own => Some(client_certificate(false, "")),
        _ => None,
    }
}

/// What TLS itself says, if it is the cause of an error.
fn of_tls(error: &io::Error) -> Option<&Error> {
    let mut cause = error.get_ref().map(|inner| inner as &(dyn std::error::Error + 'static));
    while let Some(inner) = cause {
        if let Some(error) = inner.downcast_ref::<Error>() {
            return Some(error);
        }
        cause = inner.source();
    }
    error.source()?.downcast_ref()
}

fn client_certificate(has_own: bool, detail: &str) -> (Reason, String) {
    let message = if has_own {
        format!("the server refuses the client certificate of tls.client{detail}")
    } else {
        format!("the server wants a client certificate{detail}: set tls.client")
    };
    (Reason::TlsClientCert, message)
}

/// Alerts with which servers turn down a client's certificate or its absence.
fn is_about_client(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::CertificateRequired
            | AlertDescription::HandshakeFailure
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::DecryptError
    )
}

fn day(time: UnixTime) -> String {
    jiff::Timestamp::from_second(i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
        .map_or_else(|_| "an unknown day".to_owned(), |at| at.strftime("%F").to_string())
}
