//! Conversions between the generated types and those of the model: total over enums, checked where
//! the wire could say something that the model forbids.

pub mod agent;

pub mod api;
