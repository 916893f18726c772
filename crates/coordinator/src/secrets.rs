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

/// The options with values in the place of references, wherever one stands.
pub(crate) fn resolve(options: &Value) -> Result<Value, SecretError> {
    if let Some(reference) = SecretRef::from_value(options) {
        return Ok(Value::String(read(&reference)?.reveal().to_owned()));
    }
    match options {
        Value::Object(fields) => {
            let fields = fields.iter();
            let resolved = fields.map(|(key, value)| Ok((key.clone(), resolve(value)?)));
            Ok(Value::Object(resolved.collect::<Result<_, _>>()?))
        }
        Value::Array(values) => {
            let resolved = values.iter().map(resolve);
            Ok(Value::Array(resolved.collect::<Result<_, _>>()?))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(options.clone()),
    }
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
    let failed = |source| SecretError::File { path: path.to_owned(), source };
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(SECRET_BYTES_MAX + 1).read_to_string(&mut text))
        .map_err(failed)?;
    let value = text.strip_suffix('\n').unwrap_or(&text);
    let value = value.strip_suffix('\r').unwrap_or(value);
    let fits = u64::try_from(text.len()).is_ok_and(|length| length <= SECRET_BYTES_MAX);
    if value.is_empty() || !fits {
        return Err(SecretError::Size { path: path.to_owned() });
    }
    Ok(Secret::new(value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn references_are_resolved_wherever_they_stand() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "whsec_abc\n").unwrap();
        let options = json!({
            "url": "https://example.com/",
            "secret": [{ "file": path }, { "file": path }],
            "headers": { "authorization": { "file": path } },
            "timeout": 5,
        });
        let resolved = resolve(&options).unwrap();
        assert_eq!(
            resolved,
            json!({
                "url": "https://example.com/",
                "secret": ["whsec_abc", "whsec_abc"],
                "headers": { "authorization": "whsec_abc" },
                "timeout": 5,
            })
        );
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let missing = json!({ "url": { "env": "QUORATE_TEST_SURELY_NOT_SET" } });
        let error = resolve(&missing).unwrap_err();
        assert!(error.to_string().contains("QUORATE_TEST_SURELY_NOT_SET"));
        let outside = json!({ "url": { "credential": "../passwd" } });
        assert!(matches!(resolve(&outside), Err(SecretError::BadCredential { .. })));
    }
}
