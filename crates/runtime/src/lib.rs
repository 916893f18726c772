//! The process shell: tasks, signals, clock, telemetry, TLS files, back-off.
