//! Tests of the crate from outside, in one binary because they share the toy programs.

mod replay;
mod toy;
