//! The anchored schedule: replaying one, recording one.
