//! Secrets: references in, values out. The one place that reads them.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use quorate_config::SecretRef;
use quorate_model::Secret;
use serde_json::Value;

/// The longest secret, in bytes.
const SECRET_BYTES_MAX: u64 = 64 * 1_024;

/// A secret cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretError {
    /// There is no such environment variable, or it is empty.
    #[error("environment variable {name} is not set or empty")]
    NoVariable {
        /// Its name.
        name: String,
    },
    /// The name of a credential is not one file name.
    #[error("{name:?} is not the name of a credential")]
    BadCredential {
        /// What was given.
        name: String,
    },
    /// The process was started without credentials.
    #[error("there are no systemd credentials: $CREDENTIALS_DIRECTORY is not set")]
    NoCredentials,
    /// A file cannot be read.
    #[error("cannot read {}: {source}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is too long or empty.
    #[error("{} holds no secret: it is empty or longer than {SECRET_BYTES_MAX} bytes", .path.display())]
    Size {
        /// Which.
        path: PathBuf,
    },
}

/// The options with the secrets at `paths` (dotted) put in the place of their references.
pub(crate) fn resolve(options: &Value, paths: &[&str]) -> Result<Value, SecretError> {
    let mut options = options.clone();
    for path in paths {
        let place = path
            .split('.')
            .try_fold(&mut options, |value, key| value.get_mut(key));
        if let Some(place) = place
            && let Some(reference) = SecretRef::from_value(place)
        {
            *place = Value::String(read(&reference)?.reveal().to_owned());
        }
    }
    Ok(options)
}

/// The value that a reference stands for.
fn read(reference: &SecretRef) -> Result<Secret, SecretError> {
    match reference {
        SecretRef::Env(name) => {
            let value =
                variable(name).ok_or_else(|| SecretError::NoVariable { name: name.clone() })?;
            Ok(Secret::new(value))
        }
        SecretRef::File(path) => file(path),
        SecretRef::Credential(name) => {
            if name.contains('/') || name == "." || name == ".." {
                return Err(SecretError::BadCredential { name: name.clone() });
            }
            let folder = variable("CREDENTIALS_DIRECTORY").ok_or(SecretError::NoCredentials)?;
            file(&Path::new(&folder).join(name))
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a configuration may name environment variables as the place of its secrets"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The content of a file without a final line break.
fn file(path: &Path) -> Result<Secret, SecretError> {
    let failed = |source| SecretError::File {
        path: path.to_owned(),
        source,
    };
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(SECRET_BYTES_MAX + 1).read_to_string(&mut text))
        .map_err(failed)?;
    let value = text.strip_suffix('\n').unwrap_or(&text);
    let value = value.strip_suffix('\r').unwrap_or(value);
    let fits = u64::try_from(text.len()).is_ok_and(|length| length <= SECRET_BYTES_MAX);
    if value.is_empty() || !fits {
        return Err(SecretError::Size {
            path: path.to_owned(),
        });
    }
    Ok(Secret::new(value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_named_options_are_resolved() {
        let path = std::env::temp_dir().join(format!("quorate-secret-{}", std::process::id()));
        std::fs::write(&path, "whsec_abc\n").unwrap();
        let options = json!({
            "url": { "file": path },
            "nested": { "key": { "file": path } },
            "text": { "file": path },
        });
        let resolved = resolve(&options, &["url", "nested.key", "absent.key"]).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(resolved["url"], "whsec_abc");
        assert_eq!(resolved["nested"]["key"], "whsec_abc");
        assert_eq!(resolved["text"], options["text"]);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let missing = json!({ "url": { "env": "QUORATE_TEST_SURELY_NOT_SET" } });
        let error = resolve(&missing, &["url"]).unwrap_err();
        assert!(error.to_string().contains("QUORATE_TEST_SURELY_NOT_SET"));
        let outside = json!({ "url": { "credential": "../passwd" } });
        assert!(matches!(
            resolve(&outside, &["url"]),
            Err(SecretError::BadCredential { .. })
        ));
    }
}
