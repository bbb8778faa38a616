//! Pointsman: an MQTT broker with a rules engine, in one program.
//!
//! [`app::App`] is the whole server; the modules below it are the layers that docs/ARCHITECTURE.md draws.

pub mod api;
pub mod app;
mod aside;
pub mod auth;
pub mod cli;
pub mod clock;
pub mod mqtt;
pub mod pipeline;
mod random;
mod report;
pub mod store;
pub mod telemetry;

/// Counts, so that no rule holds more memory than `rules.run_memory_bytes_max`.
#[global_allocator]
static ALLOCATOR: pointsman_rules::CountingAllocator = pointsman_rules::CountingAllocator;
