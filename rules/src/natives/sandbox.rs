//! Own versions of library functions that would let a script leave its limits.

use rhai::{Engine, FLOAT, INT, ImmutableString};

use crate::limits::Limits;
use crate::state::{NativeResult, Stop, refuse};

pub(super) fn register(engine: &mut Engine, limits: Limits) {
    let max = limits.string_bytes_max;
    engine.register_fn("replace", move |text: &mut ImmutableString, find: &str, with: &str| {
        replace(text, find, with, max)
    });
    engine.register_fn("replace", move |text: &mut ImmutableString, find: &str, with: char| {
        replace(text, find, with.encode_utf8(&mut [0; 4]), max)
    });
    engine.register_fn("replace", move |text: &mut ImmutableString, find: char, with: &str| {
        replace(text, find.encode_utf8(&mut [0; 4]), with, max)
    });
    engine.register_fn("replace", move |text: &mut ImmutableString, find: char, with: char| {
        replace(text, find.encode_utf8(&mut [0; 4]), with.encode_utf8(&mut [0; 4]), max)
    });
    // Waiting would hold up every other event of this worker.
    engine.register_fn("sleep", |_: INT| no_sleep());
    engine.register_fn("sleep", |_: FLOAT| no_sleep());
}

/// The library's own builds the whole result before anybody looks at its size.
fn replace(text: &mut ImmutableString, find: &str, with: &str, bytes_max: usize) -> NativeResult<()> {
    if find.is_empty() {
        return Err(refuse("replace cannot look for an empty string: name what is to be replaced"));
    }
    let count = text.matches(find).count();
    // Underflow is impossible: each match is there to be taken away.
    let bytes = text.len() - count * find.len() + count * with.len();
    if bytes > bytes_max {
        return Err(Stop::limit("string_bytes_max", bytes_max).into_error());
    }
    if count > 0 {
        *text = text.replace(find, with).into();
    }
    Ok(())
}

fn no_sleep() -> NativeResult<()> {
    Err(refuse("a handler cannot sleep: it holds up other events"))
}
