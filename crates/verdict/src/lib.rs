//! The decision core: events and the time go in, effects come out.
