//! Time, ids and chance, all from the event, so that a run can be repeated.

use rhai::{Engine, FLOAT, INT, ImmutableString};

use crate::bus::{drawn, uuid_from};
use crate::state::{NativeResult, refuse, with_run};

pub(super) fn register(engine: &mut Engine) {
    engine.register_fn("now", || with_run("now", |run| Ok(run.time_ms)));
    engine.register_fn("uuid", || {
        with_run("uuid", |run| {
            run.drawn += 1;
            Ok(ImmutableString::from(uuid_from(run.event_id, &run.rule, run.drawn)))
        })
    });
    engine.register_fn("random", || {
        /// As many bits as a fraction has places for.
        const BITS: u32 = 53;
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let fraction = |number: u64| (number >> (64 - BITS)) as FLOAT / (1_u64 << BITS) as FLOAT;
        draw("random").map(fraction)
    });
    engine.register_fn("random", |from: INT, to: INT| random_between(from, to));
}

fn draw(name: &str) -> NativeResult<u64> {
    with_run(name, |run| {
        run.drawn += 1;
        let bytes = u128::from_le_bytes(drawn(run.event_id, &run.rule, run.drawn));
        #[expect(clippy::cast_possible_truncation, reason = "half of the bits are enough")]
        Ok(bytes as u64)
    })
}

/// A whole number of `from` to `to`, both included.
fn random_between(from: INT, to: INT) -> NativeResult<INT> {
    if from > to {
        return Err(refuse(format!("random needs the smaller number first, not {from} and {to}")));
    }
    let span = from.abs_diff(to);
    let number = draw("random")?;
    let offset = if span == u64::MAX { number } else { number % (span + 1) };
    Ok(from.wrapping_add_unsigned(offset))
}
