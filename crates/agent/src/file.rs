//! The agent's own configuration file: where it goes, how it gets out, and what it may contact.
