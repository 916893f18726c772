//! Who an agent is: its name, its region, and the key and certificate that prove it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use quorate_model::{AgentId, RegionId, Secret};
use serde::{Deserialize, Serialize};

use crate::files;

const KEY: &str = "agent.key";
const CERTIFICATE: &str = "agent.crt";
const CA: &str = "ca.crt";
const NAMES: &str = "identity.json";

/// An agent's name, region, key and certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its name, as in the certificate.
    pub agent: AgentId,
    /// Its region, as in the certificate.
    pub region: RegionId,
    /// Its certificate and those that lead to the authority's, PEM.
    pub certificate_pem: String,
    /// Its private key, PEM (PKCS #8).
    pub key_pem: Secret,
    /// The certificate of the authority that it trusts, PEM.
    pub ca_pem: String,
}

/// What joining gave an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// Who it is.
    pub identity: Identity,
    /// `host:port` of the coordinator's listeners for agents, at least one.
    pub coordinators: Vec<String>,
}

/// The identity of an agent cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// There is none in the folder.
    #[error(
        "{} holds no identity: make a join bundle with `quorate agent token`, then run \
         `quorate-agent join --state {}` and paste it", folder.display(), folder.display()
    )]
    NotJoined {
        /// The state folder.
        folder: PathBuf,
    },
    /// Others than the owner may read it.
    #[error(
        "{} is open to others (mode bits {bits:03o}): run `chmod go-rwx {}` and start again; \
         if others could have read the key, join anew", path.display(), path.display()
    )]
    OpenToOthers {
        /// The folder or file.
        path: PathBuf,
        /// The bits that are too many.
        bits: u32,
    },
    /// A file cannot be read or written.
    #[error("cannot {what} {}", path.display())]
    File {
        /// `read` or `write`.
        what: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file holds something else.
    #[error("{} is damaged: join anew", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
}

#[derive(Serialize, Deserialize)]
struct Names {
    agent: AgentId,
    region: RegionId,
    coordinators: Vec<String>,
}

impl Joined {
    /// Reads what [`Joined::save`] wrote. Refuses a folder or a key that others can read.
    pub fn load(folder: &Path) -> Result<Self, IdentityError> {
        let names = folder.join(NAMES);
        if !names.exists() {
            return Err(IdentityError::NotJoined { folder: folder.to_owned() });
        }
        refuse_open(folder)?;
        refuse_open(&folder.join(KEY))?;
        let document: Names = serde_json::from_str(&read(&names)?)
            .map_err(|source| IdentityError::Damaged { path: names, source })?;
        Ok(Self {
            identity: Identity {
                agent: document.agent,
                region: document.region,
                certificate_pem: read(&folder.join(CERTIFICATE))?,
                key_pem: Secret::new(read(&folder.join(KEY))?),
                ca_pem: read(&folder.join(CA))?,
            },
            coordinators: document.coordinators,
        })
    }

    /// Makes the folder if need be, and refuses one that others can read or that nothing can be
    /// written to.
    pub(crate) fn probe_folder(folder: &Path) -> Result<(), IdentityError> {
        let made = files::make_folder(folder)
            .and_then(|()| files::write(folder, ".writable", b""))
            .and_then(|()| fs::remove_file(folder.join(".writable")));
        made.map_err(|source| IdentityError::File {
            what: "write",
            path: folder.to_owned(),
            source,
        })?;
        refuse_open(folder)
    }

    /// Keeps it in a folder, made if need be: mode 0700, its files 0600.
    pub fn save(&self, folder: &Path) -> Result<(), IdentityError> {
        let failed =
            |path: PathBuf| move |source| IdentityError::File { what: "write", path, source };
        files::make_folder(folder).map_err(failed(folder.to_owned()))?;
        refuse_open(folder)?;
        let identity = &self.identity;
        let names = Names {
            agent: identity.agent.clone(),
            region: identity.region.clone(),
            coordinators: self.coordinators.clone(),
        };
        // Names and text always have a JSON form.
        let names = serde_json::to_string_pretty(&names).unwrap_or_default();
        // The names last: without them the folder holds no identity.
        for (name, content) in [
            (KEY, identity.key_pem.reveal()),
            (CERTIFICATE, identity.certificate_pem.as_str()),
            (CA, identity.ca_pem.as_str()),
            (NAMES, names.as_str()),
        ] {
            files::write(folder, name, content.as_bytes()).map_err(failed(folder.join(name)))?;
        }
        Ok(())
    }
}

fn refuse_open(path: &Path) -> Result<(), IdentityError> {
    let bits = files::open_to_others(path).map_err(|source| IdentityError::File {
        what: "read",
        path: path.to_owned(),
        source,
    })?;
    if bits == 0 {
        Ok(())
    } else {
        Err(IdentityError::OpenToOthers { path: path.to_owned(), bits })
    }
}

fn read(path: &Path) -> Result<String, IdentityError> {
    fs::read_to_string(path).map_err(|source| IdentityError::File {
        what: "read",
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn joined() -> Joined {
        Joined {
            identity: Identity {
                agent: "fra-1".parse().unwrap(),
                region: "fra".parse().unwrap(),
                certificate_pem: "certificate".into(),
                key_pem: Secret::new("key"),
                ca_pem: "authority".into(),
            },
            coordinators: vec!["coordinator.example.com:7441".into()],
        }
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn is_kept_for_its_owner_only_and_comes_back() {
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("new").join("state");
        joined().save(&folder).unwrap();
        assert_eq!(Joined::load(&folder).unwrap(), joined());
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(mode(&folder.join(KEY)), 0o600);
        joined().save(&folder).unwrap();
    }

    #[test]
    fn is_refused_when_others_can_read_it() {
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("state");
        joined().save(&folder).unwrap();
        let key = folder.join(KEY);
        fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
        let error = Joined::load(&folder).unwrap_err().to_string();
        assert!(error.contains("chmod go-rwx"), "{error}");
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(Joined::load(&folder).is_err());
        assert!(joined().save(&folder).is_err());
    }

    #[test]
    fn an_empty_folder_says_how_to_join() {
        let base = tempfile::tempdir().unwrap();
        let error = Joined::load(base.path()).unwrap_err().to_string();
        assert!(error.contains("quorate-agent join"), "{error}");
    }
}
