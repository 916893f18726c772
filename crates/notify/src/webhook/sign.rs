//! Signatures.

use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// How a symmetric secret begins. Source: Standard Webhooks 1.0.0, "Symmetric signatures".
const PREFIX: &str = "whsec_";

/// Bytes that a secret may have. Source: Standard Webhooks 1.0.0, "Symmetric signatures".
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// A key that signs. Its `Debug` does not show it.
#[derive(Clone)]
pub(super) struct SigningKey(hmac::Key);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

impl SigningKey {
    /// Reads `whsec_` and the base64 of 24 to 64 bytes; or says what is wrong, not with what.
    pub(super) fn parse(secret: &str) -> Result<Self, String> {
        let help = "make one with: echo whsec_$(openssl rand -base64 32)";
        let encoded = secret
            .strip_prefix(PREFIX)
            .ok_or_else(|| format!("must begin with `{PREFIX}`; {help}"))?;
        let bytes = STANDARD
            .decode(encoded)
            .map_err(|_| format!("must be base64 after `{PREFIX}`; {help}"))?;
        if !SECRET_BYTES.contains(&bytes.len()) {
            let length = bytes.len();
            return Err(format!("must be 24 to 64 bytes in base64, this is {length}; {help}"));
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    fn sign(&self, signed: &[u8]) -> String {
        format!("v1,{}", STANDARD.encode(hmac::sign(&self.0, signed)))
    }
}

/// The `webhook-signature` header: one signature for each key, separated by spaces.
pub(super) fn header(keys: &[SigningKey], id: &str, seconds: i64, body: &str) -> String {
    let signed = format!("{id}.{seconds}.{body}");
    let signatures = keys.iter().map(|key| key.sign(signed.as_bytes()));
    signatures.collect::<Vec<_>>().join(" ")
}
