//! Strategies that turn a schedule into choices.
