//! Schedules probes, runs them within limits, streams their results, spools when cut off.
