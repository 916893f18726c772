//! JSON Schema: drafts 4, 6, 7, 2019-09 and 2020-12; without `$schema` the last.

use std::error::Error;
use std::fmt;

use boon::{Compiler, Draft, SchemaIndex, Schemas, UrlLoader};
use serde_json::Value;

use super::bounds;
use crate::phase::cut;

/// The longest description of what is wrong, in bytes.
const PROBLEM_BYTES_MAX: usize = 200;
/// The name of the check's own schema. Nothing is ever fetched from there.
const OWN: &str = "https://quorate.invalid/schema.json";

/// A schema that is ready to use.
pub(super) struct JsonSchema {
    schemas: Schemas,
    own: SchemaIndex,
}

impl fmt::Debug for JsonSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonSchema").finish_non_exhaustive()
    }
}

/// References lead nowhere: a schema must not make an agent read files or ask the network.
struct Nowhere;

impl UrlLoader for Nowhere {
    fn load(&self, url: &str) -> Result<Value, Box<dyn Error>> {
        Err(format!("{url} stands outside the schema, and nothing is fetched").into())
    }
}

impl JsonSchema {
    /// Compiles a schema.
    pub(super) fn compile(schema: Value) -> Result<Self, String> {
        bounds::schema(&schema)?;
        let mut schemas = Schemas::new();
        let mut compiler = Compiler::new();
        compiler.use_loader(Box::new(Nowhere));
        compiler.set_default_draft(Draft::V2020_12);
        let told = |error: boon::CompileError| {
            format!("not a JSON Schema: {}", one_line(&format!("{error:#}")))
        };
        compiler.add_resource(OWN, schema).map_err(told)?;
        let own = compiler.compile(OWN, &mut schemas).map_err(told)?;
        Ok(Self { schemas, own })
    }

    /// What of `document` does not fit, in words.
    pub(super) fn judge(&self, document: &Value) -> Result<(), String> {
        self.schemas
            .validate(document, self.own)
            .map_err(|error| format!("the body does not fit the schema: {}", deepest(&error)))
    }
}

/// The first cause that has none itself: where it is and what is wrong.
fn deepest(error: &boon::ValidationError<'_, '_>) -> String {
    let mut cause = error;
    while let Some(first) = cause.causes.first() {
        cause = first;
    }
    let place = cause.instance_location.to_string();
    let place = if place.is_empty() { "the whole".to_owned() } else { place };
    one_line(&format!("{place}: {}", cause.kind))
}

/// Text that may quote the target, bounded and escaped.
fn one_line(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let plain =
        |letter: char| !letter.is_control() && (letter.is_ascii() || letter.is_alphanumeric());
    let escaped = text.chars().map(|letter| {
        if plain(letter) { letter.to_string() } else { letter.escape_unicode().to_string() }
    });
    cut(escaped.collect(), PROBLEM_BYTES_MAX)
}
