//! The sessions under a script: a real hub with its store and its spine, and clients that know what they must be sent.

mod acts;
mod client;
#[cfg(test)]
mod faults;
mod naive;
mod run;
mod script;
mod settle;
#[cfg(test)]
mod tests;
mod wire;
pub(crate) mod world;

use std::sync::OnceLock;

use tokio::runtime::{Builder, Runtime};

/// Has a script happen to a server; panics where that does something it must not. See `script.rs` for the bytes.
pub fn session(bytes: &[u8]) {
    let steps = script::read(bytes);
    if let Err(error) = runtime().block_on(run::run(&steps)) {
        panic!("{error}, after {steps:#?}");
    }
}

/// One for all runs.
fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let built = Builder::new_multi_thread().worker_threads(2).enable_all().build();
        built.expect("the system has threads for a runtime")
    })
}
