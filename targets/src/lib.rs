//! Adapters from operations to what is tested.
//!
//! Each module implements [`oracle::Target`] and can be compiled without the others: with
//! `default-features = false` and one feature, what the other targets need is not even built.

#[cfg(feature = "directory")]
pub mod directory;
#[cfg(feature = "model")]
pub mod model;
