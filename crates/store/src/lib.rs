//! One file for each store: results, incidents, verdicts, outbox, registry.
