//! Tests of the whole store, on a disk that the tests control; sled alone uses real files.

mod appending;
mod fixture;
mod formats;
mod model;
mod opening;
mod power;
mod progress;
mod refusal;
mod retention;
mod sim;
mod tables;
mod tails;
mod ttl;
