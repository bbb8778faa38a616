//! `on_message("filter", "handler")` and its kin, for the top level of a script.

use rhai::{Engine, NativeCallContext};

use crate::rule::On;
use crate::state::{self, NativeResult, Registration, refuse};
use crate::topic::LevelFilter;

/// The functions that register triggers.
pub(crate) const NAMES: [&str; 5] =
    ["on_connect", "on_disconnect", "on_message", "on_subscribe", "on_unsubscribe"];

pub(super) fn register(engine: &mut Engine) {
    engine.register_fn("on_message", |context: NativeCallContext, filter: &str, handler: &str| {
        let filter = LevelFilter::parse(filter).map_err(|error| refuse(error.to_string()))?;
        file(&context, On::Message(filter), handler)
    });
    let mut lifecycle = |name: &str, on: On| {
        let register = move |context: NativeCallContext, handler: &str| file(&context, on.clone(), handler);
        engine.register_fn(name, register);
    };
    lifecycle("on_connect", On::Connect);
    lifecycle("on_disconnect", On::Disconnect);
    lifecycle("on_subscribe", On::Subscribe);
    lifecycle("on_unsubscribe", On::Unsubscribe);
}

fn file(context: &NativeCallContext, on: On, handler: &str) -> NativeResult<()> {
    let (handler, position) = (handler.to_owned(), context.call_position());
    state::register(context.fn_name(), Registration { on, handler, position })
}
