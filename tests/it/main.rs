//! The cases: one binary, one module for each feature.

mod chat;
mod chat_limits;
mod cli;
mod client_sdk;
mod conformance;
mod crash;
mod delivery;
mod endings;
mod harness;
mod lifecycle;
mod limits;
mod listeners;
mod metrics;
mod mqtt5;
mod operator_api;
mod policy;
mod promises;
mod reload;
mod rules;
mod sys;
mod tidy;
mod topics;
