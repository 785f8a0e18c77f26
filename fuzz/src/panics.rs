//! Panics of lanes are verdicts: they are kept, not printed.

use std::cell::{Cell, RefCell};
use std::panic;

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
    static WHERE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// From now on a panic inside `quietly` prints nothing. Called once, at the start of the process.
pub fn install_hook() {
    let default = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if QUIET.get() {
            WHERE.set(info.location().map(|at| at.to_string()));
        } else {
            default(info);
        }
    }));
}

/// Runs `f`; gives its result, and where the last panic inside it was raised, if the hook is installed.
pub(crate) fn quietly<R>(f: impl FnOnce() -> R) -> (R, Option<String>) {
    let before = QUIET.replace(true);
    let result = f();
    QUIET.set(before);
    (result, WHERE.take())
}
