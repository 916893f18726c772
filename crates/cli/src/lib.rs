//! quorate: the operator's command.
