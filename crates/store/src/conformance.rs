//! What any store must do.
