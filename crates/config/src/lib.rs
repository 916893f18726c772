//! Text in, a validated [`Configuration`] or the full list of located problems out.
//!
//! The text is read into `raw` types in which everything is optional; the rules turn those into
//! types in which every default is filled in and every reference holds. Only the latter leave
//! the crate. Whatever is wrong is reported in one go, each problem at its line and column.
//!
//! Reads no files and no environment: secrets stay references until the coordinator needs them.

mod check;
mod configuration;
mod cycle;
mod distinct;
mod gather;
mod kind;
mod moment;
mod mute;
mod origin;
mod raw;
mod receiver;
mod resolve;
mod schema;
mod server;
mod text;
mod zone;

pub use configuration::{ApiListener, Configuration, Listener, Receiver, SecretRef, Server};
pub use quorate_yaml::{Problem, Severity, decode};
pub use schema::json_schema;

/// Reads a configuration; `file` is its name in problems.
///
/// On failure there is at least one error; warnings are listed with them, all sorted by place.
pub fn parse(file: &str, text: &str) -> Result<Configuration, Vec<Problem>> {
    resolve::resolve(&quorate_yaml::Document::parse(file, text)?)
}

/// Reads a budget of false alerts as a configuration writes it, such as `1 per year`: thousandths of
/// an alert for each year. The error says what to write.
pub fn false_alerts(text: &str) -> Result<u32, String> {
    text::FalseAlerts::try_from(text.to_owned()).map(|budget| budget.per_year_milli)
}

/// The documented example, a complete configuration.
pub fn sample() -> &'static str {
    include_str!("../../../docs/quorate.example.yaml")
}
