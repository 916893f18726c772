//! The certificate authority of a deployment: it vouches for the coordinator's listeners and for
//! its agents, and for nothing else.

mod files;
mod identity;
mod issue;
mod tls;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use quorate_model::{AgentId, RegionId, Timestamp};
use rcgen::{Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject as _};

pub use identity::{Identity, IdentityError};
pub use issue::{AGENT_VALID, Issued};
pub use tls::{Alpn, LISTENER_NAME};

/// The authority's certificate, in its folder.
pub const CA_FILE: &str = "ca.pem";
const CA_KEY_FILE: &str = "ca.key";
/// Certificate and key in one file, so that one step replaces both.
const LISTENER_FILE: &str = "listener.pem";

/// The listener's certificate is made anew at start when less than this is left of it.
const RENEW_BELOW: Duration = Duration::from_secs(30 * 86_400);

/// The authority could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// There is one already.
    #[error(
        "there is a certificate authority at {} already: agents trust it, so it is never \
         overwritten; choose another folder, or move it away if no agent needs it", path.display()
    )]
    Exists {
        /// What was found.
        path: PathBuf,
    },
    /// There is none.
    #[error(
        "there is no certificate authority at {}: make one with `quorate-coordinator init`",
        path.display()
    )]
    Missing {
        /// What was looked for.
        path: PathBuf,
    },
    /// Others may read what must be secret.
    #[error(
        "{} is open to others (mode {mode:04o}): run `chmod {want:o} {}`",
        path.display(), path.display()
    )]
    Permissions {
        /// What is too open.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// The mode that it should have.
        want: u32,
    },
    /// A secret belongs to somebody else, or is not a plain file.
    #[error("{} {problem}: keys must be plain files of the user who runs this program", path.display())]
    NotOurs {
        /// What is wrong.
        path: PathBuf,
        /// How.
        problem: &'static str,
    },
    /// A file could not be read or written.
    #[error("cannot {what} {}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A file holds something else.
    #[error("{} is damaged: {detail}", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// A name for the listener is neither a host name nor an address.
    #[error("{name:?} is neither a host name nor an IP address")]
    Name {
        /// What was given.
        name: String,
    },
    /// A certificate signing request is refused.
    #[error("the certificate signing request is refused: {detail}")]
    Csr {
        /// Why.
        detail: String,
    },
    /// A certificate could not be made.
    #[error("cannot make a certificate for {subject}")]
    Issue {
        /// For whom.
        subject: String,
        /// Why not.
        #[source]
        source: rcgen::Error,
    },
    /// TLS could not be set up.
    #[error("cannot set up TLS for {listener}")]
    Tls {
        /// Where.
        listener: &'static str,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// The certificate authority, with the listener's certificate that it made.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    ca: CertificateDer<'static>,
    ca_pem: String,
    pin: [u8; 32],
    listener: Vec<CertificateDer<'static>>,
    listener_key: PrivatePkcs8KeyDer<'static>,
    not_after: Timestamp,
}

impl Authority {
    /// Makes an authority and a certificate for a listener that answers to `names` (host names or
    /// addresses), beside those of loopback, and writes both to `folder`.
    pub fn create(folder: &Path, names: &[String], now: Timestamp) -> Result<Self, PkiError> {
        for file in [CA_FILE, CA_KEY_FILE] {
            let path = folder.join(file);
            if path.exists() {
                return Err(PkiError::Exists { path });
            }
        }
        let names = issue::listener_names(names)?;
        let ca = issue::authority(now)?;
        let listener = issue::listener(&ca.issuer()?, &names, now)?;
        files::make_folder(folder)?;
        files::write(&folder.join(CA_KEY_FILE), &ca.key_pem)?;
        files::write(&folder.join(CA_FILE), &ca.certificate_pem)?;
        files::write(&folder.join(LISTENER_FILE), &listener.join())?;
        Self::assemble(&ca, &listener, folder)
    }

    /// Opens the authority in `folder`. Makes a new listener certificate, for the same names, if
    /// the one there has expired or soon will.
    pub fn open(folder: &Path, now: Timestamp) -> Result<Self, PkiError> {
        if !folder.join(CA_FILE).exists() {
            return Err(PkiError::Missing { path: folder.join(CA_FILE) });
        }
        files::check_folder(folder)?;
        let ca = issue::Pair {
            certificate_pem: files::read(&folder.join(CA_FILE))?,
            key_pem: files::read_key(&folder.join(CA_KEY_FILE))?,
        };
        let listener = issue::Pair::split(files::read_key(&folder.join(LISTENER_FILE))?);
        let authority = Self::assemble(&ca, &listener, folder)?;
        if authority.not_after.since(now) >= RENEW_BELOW {
            return Ok(authority);
        }
        let names = issue::names_of(&authority.listener[0])
            .map_err(|detail| PkiError::Damaged { path: folder.join(LISTENER_FILE), detail })?;
        tracing::info!(not_after = %authority.not_after, "renewing the listener's certificate");
        let listener = issue::listener(&authority.issuer, &names, now)?;
        files::replace(&folder.join(LISTENER_FILE), &listener.join())?;
        Self::assemble(&ca, &listener, folder)
    }

    /// An authority that lives in memory only, for a demo or a test.
    pub fn ephemeral(names: &[String], now: Timestamp) -> Result<Self, PkiError> {
        let names = issue::listener_names(names)?;
        let ca = issue::authority(now)?;
        let listener = issue::listener(&ca.issuer()?, &names, now)?;
        Self::assemble(&ca, &listener, Path::new("memory"))
    }

    fn assemble(ca: &issue::Pair, listener: &issue::Pair, folder: &Path) -> Result<Self, PkiError> {
        let damaged = |file: &str, detail: &dyn fmt::Display| PkiError::Damaged {
            path: folder.join(file),
            detail: detail.to_string(),
        };
        let issuer = ca.issuer().map_err(|error| damaged(CA_KEY_FILE, &error))?;
        let certificate = CertificateDer::from_pem_slice(ca.certificate_pem.as_bytes())
            .map_err(|error| damaged(CA_FILE, &error))?;
        let parsed = identity::parse(&certificate).map_err(|detail| damaged(CA_FILE, &detail))?;
        let spki = parsed.tbs_certificate.subject_pki.raw;
        if rcgen::PublicKeyData::subject_public_key_info(issuer.key()) != spki {
            return Err(damaged(CA_KEY_FILE, &"it is not the key of ca.pem"));
        }
        let mut pin = [0; 32];
        pin.copy_from_slice(digest(&SHA256, spki).as_ref());
        let leaf = CertificateDer::from_pem_slice(listener.certificate_pem.as_bytes())
            .map_err(|error| damaged(LISTENER_FILE, &error))?;
        let not_after = identity::not_after(
            &identity::parse(&leaf).map_err(|detail| damaged(LISTENER_FILE, &detail))?,
        );
        let listener_key = PrivatePkcs8KeyDer::from_pem_slice(listener.key_pem.as_bytes())
            .map_err(|error| damaged(LISTENER_FILE, &error))?;
        Ok(Self {
            issuer,
            // The authority goes along: an agent that joins knows only its pin.
            listener: vec![leaf, certificate.clone()],
            ca: certificate,
            ca_pem: ca.certificate_pem.clone(),
            pin,
            listener_key,
            not_after,
        })
    }

    /// SHA-256 of the DER form of the authority's `SubjectPublicKeyInfo`.
    pub fn ca_pin(&self) -> [u8; 32] {
        self.pin
    }

    /// The authority's certificate, PEM.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// When the listener's certificate stops being valid.
    pub fn listener_not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Checks a certificate signing request (DER) without signing it.
    pub fn check_csr(&self, csr_der: &[u8]) -> Result<(), PkiError> {
        issue::public_key(csr_der).map(|_| ())
    }

    /// Signs a certificate for an agent. Of the request (PKCS #10, DER) nothing but its public key
    /// is used, once its proof of possession holds.
    pub fn sign_agent(
        &self,
        csr_der: &[u8],
        region: &RegionId,
        agent: &AgentId,
        now: Timestamp,
    ) -> Result<Issued, PkiError> {
        let key = issue::public_key(csr_der)?;
        issue::agent(&self.issuer, &key, region, agent, now)
    }

    fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(self.listener_key.clone_key())
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority")
            .field("listener_not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}
