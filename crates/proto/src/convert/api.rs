//! The operators' messages.
