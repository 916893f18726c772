//! One file for each kind of check; runs one probe and returns what it saw.
