//! YAML text in, a typed value or every located problem out.
