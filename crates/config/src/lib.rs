//! Text in, validated configuration or the full list of located problems out.
