//! What a TLS handshake shows.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// What a TLS handshake showed, also one that failed.
///
/// Text comes from the target: it is bounded and may hold anything, so escape it where it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TlsFacts {
    /// The version agreed on, such as `TLSv1.3`; `None` if the handshake failed.
    pub version: Option<String>,
    /// The cipher suite agreed on, by its IANA name; `None` if the handshake failed.
    pub cipher: Option<String>,
    /// The protocol agreed on by ALPN, such as `h2`; `None` if none was.
    pub alpn: Option<String>,
    /// Whether the server sent an OCSP answer about its certificate. It is not looked into.
    pub ocsp_stapled: bool,
    /// Whether the server asked for a certificate of the client's.
    pub client_certificate_asked: bool,
    /// How many certificates the server sent.
    pub sent: u32,
    /// The first 10 of them that can be read, the server's own first.
    pub chain: Vec<CertificateFacts>,
}

impl TlsFacts {
    /// The end of validity of whichever certificate of the chain ends first.
    pub fn chain_not_after(&self) -> Option<Timestamp> {
        self.chain.iter().map(|certificate| certificate.not_after).min()
    }
}

/// What a certificate says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateFacts {
    /// Whom it is about, such as `CN=shop.example.com`.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// The names and addresses that it is for, at most 100 of them and 4 KiB; only of the server's
    /// own certificate.
    pub names: Vec<String>,
    /// How many names it holds in all.
    pub names_total: u32,
    /// The serial number in hexadecimal digits.
    pub serial: String,
    /// The kind of its key, such as `RSA` or `EC P-256`.
    pub key: String,
    /// The size of its key in bits; 0 if unknown.
    pub key_bits: u32,
    /// How it is signed, such as `sha256WithRSAEncryption`.
    pub signature: String,
    /// When its validity begins.
    pub not_before: Timestamp,
    /// When its validity ends.
    pub not_after: Timestamp,
    /// The SHA-256 digest of the whole certificate in hexadecimal digits.
    pub sha256: String,
}
