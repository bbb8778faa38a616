//! Rules, from source to effects.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod bus;
mod chat;
mod compile;
mod events;
mod explain;
mod leaderboards;
mod library;
mod outside;
mod rows;
mod rule_set;
mod sandbox;
mod support;
mod tables;
mod testing;
mod triggers;

/// As in the program, so that the limit on a run's memory holds.
#[global_allocator]
static ALLOCATOR: pointsman_rules::CountingAllocator = pointsman_rules::CountingAllocator;
