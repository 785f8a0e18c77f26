//! Tests of the crate from outside, in one binary because they share the toy programs.

mod anchors;
mod ends;
mod keyed;
mod replay;
mod strategies;
mod threads;
mod toy;
