//! The whole product on one machine: a coordinator, five agents and networks that can be cut.
