//! Generated wire code and its conversions to and from the model.
//!
//! [`v1`] is for operators and programs, [`agent::v1`] for agents. The code under `generated/`
//! comes from `proto/` by the test `codegen`; only [`convert`] turns its types into those of the
//! model and back.

mod bundle;
pub mod convert;

pub use bundle::{BundleError, JoinBundle};

/// The encoded descriptor set of all services, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!("generated/descriptors.binpb");

/// The operators' API.
#[allow(
    missing_docs,
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::wildcard_enum_match_arm,
    clippy::str_to_string,
    unreachable_pub,
    unused_qualifications,
    elided_lifetimes_in_paths,
    clippy::allow_attributes,
    reason = "generated code"
)]
pub mod v1 {
    include!("generated/quorate.v1.rs");
}

/// The agents' side.
pub mod agent {
    /// The first version of it.
    #[allow(
        missing_docs,
        clippy::all,
        clippy::pedantic,
        clippy::allow_attributes,
        clippy::allow_attributes_without_reason,
        clippy::wildcard_enum_match_arm,
        clippy::str_to_string,
        unreachable_pub,
        unused_qualifications,
        elided_lifetimes_in_paths,
        clippy::allow_attributes,
        reason = "generated code"
    )]
    pub mod v1 {
        include!("generated/quorate.agent.v1.rs");
    }
}
