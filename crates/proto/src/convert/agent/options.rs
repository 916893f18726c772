//! The options of a check kind: JSON and `google.protobuf.Struct`.

use prost_types::value::Kind;
use prost_types::{ListValue, Struct};
use serde_json::{Map, Number, Value};

use super::WireError;

/// How deep options may be nested; the kinds' own shapes stay far below it.
const DEPTH_MAX: usize = 32;
/// The largest number below which each whole number has a `f64` of its own: 2^53.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// The wire's form of a JSON object; anything else has no fields.
///
/// Numbers become `f64`, so whole ones beyond 2^53 lose their last digits.
pub fn options_to_wire(options: &Value) -> Struct {
    let fields = match options {
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), value_to_wire(value))).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            std::collections::BTreeMap::new()
        }
    };
    Struct { fields }
}

fn value_to_wire(value: &Value) -> prost_types::Value {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(value) => Kind::BoolValue(*value),
        Value::Number(value) => Kind::NumberValue(value.as_f64().unwrap_or(0.0)),
        Value::String(value) => Kind::StringValue(value.clone()),
        Value::Array(values) => {
            Kind::ListValue(ListValue { values: values.iter().map(value_to_wire).collect() })
        }
        Value::Object(_) => Kind::StructValue(options_to_wire(value)),
    };
    prost_types::Value { kind: Some(kind) }
}

/// A JSON object, nested at most 32 deep. Whole numbers come back as integers.
pub fn options_from_wire(options: Struct) -> Result<Value, WireError> {
    object(options, DEPTH_MAX)
}

fn object(options: Struct, depth: usize) -> Result<Value, WireError> {
    let mut fields = Map::new();
    for (name, value) in options.fields {
        fields.insert(name, value_from_wire(value, depth)?);
    }
    Ok(Value::Object(fields))
}

fn value_from_wire(value: prost_types::Value, depth: usize) -> Result<Value, WireError> {
    let invalid = |problem| WireError::Invalid { field: "options", problem };
    let below = || depth.checked_sub(1).ok_or_else(|| invalid("is nested more than 32 deep"));
    Ok(match value.kind {
        None => return Err(invalid("has a value without a kind")),
        Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(value)) => Value::Bool(value),
        Some(Kind::NumberValue(value)) => {
            Value::Number(number(value).ok_or_else(|| invalid("has a number that is not finite"))?)
        }
        Some(Kind::StringValue(value)) => Value::String(value),
        Some(Kind::ListValue(list)) => {
            let depth = below()?;
            let values = list.values.into_iter();
            Value::Array(
                values.map(|value| value_from_wire(value, depth)).collect::<Result<_, _>>()?,
            )
        }
        Some(Kind::StructValue(value)) => object(value, below()?)?,
    })
}

fn number(value: f64) -> Option<Number> {
    if value.fract() == 0.0 && value.abs() <= WHOLE_MAX {
        #[expect(clippy::cast_possible_truncation, reason = "whole and within 2^53, as just seen")]
        let whole = value as i64;
        return Some(Number::from(whole));
    }
    Number::from_f64(value)
}
