//! The sessions under a script: a real hub with its store and its spine, and clients that know what they must be sent.

mod client;
mod naive;
mod run;
mod script;
#[cfg(test)]
mod tests;
mod wire;
mod world;
