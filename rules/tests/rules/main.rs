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
