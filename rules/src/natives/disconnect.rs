//! `disconnect`: ends a client's connection.

use rhai::{Engine, Map};

use super::options::Options;
use crate::effect::Effect;
use crate::state::{NativeResult, refuse, with_run};

/// Bytes of the reason that a client is told.
const REASON_BYTES_MAX: usize = 256;

pub(super) fn register(engine: &mut Engine) {
    engine.register_fn("disconnect", |client_id: &str| disconnect(client_id, &Options::none("disconnect")));
    engine.register_fn("disconnect", |client_id: &str, options: Map| {
        disconnect(client_id, &Options::new("disconnect", &options, &["reason"])?)
    });
}

fn disconnect(client_id: &str, options: &Options) -> NativeResult<()> {
    if client_id.is_empty() {
        return Err(refuse(
            "disconnect got an empty client id: it is empty where a rule and no client has published",
        ));
    }
    let reason = options.text("reason")?;
    if let Some(reason) = &reason {
        if reason.len() > REASON_BYTES_MAX {
            let bytes = reason.len();
            return Err(refuse(format!("disconnect takes {REASON_BYTES_MAX} bytes of reason, not {bytes}")));
        }
        if reason.chars().any(char::is_control) {
            return Err(refuse("disconnect takes a reason of one line without control characters"));
        }
    }
    with_run("disconnect", |run| {
        run.reserve(client_id.len() + reason.as_ref().map_or(0, String::len))?;
        run.effects.push(Effect::Disconnect { client_id: client_id.to_owned(), reason });
        Ok(())
    })
}
