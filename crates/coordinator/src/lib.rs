//! Owns the engine, assigns checks to agents, performs effects, serves the API.
