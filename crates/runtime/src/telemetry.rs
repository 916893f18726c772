//! Logs.

use tracing_subscriber::EnvFilter;

/// How logs are written. Always to standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Installs the subscriber of the process. `filter` is a directive such as `info` or
/// `quorate_agent=debug,warn`; one that cannot be read counts as `info`. A second call does nothing.
pub fn install(format: Format, filter: &str) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let installed = match format {
        Format::Text => builder.try_init(),
        Format::Json => builder.json().try_init(),
    };
    drop(installed);
}
