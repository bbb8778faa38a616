//! `GET /api/status`: what listens where and how the server fares; nothing that is secret.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::Api;
use crate::pipeline::{BrokenRule, RuleStatus};

/// A listener, for people and for the pages.
#[derive(Debug, Clone, Serialize)]
pub struct Listener {
    /// `mqtt`, `mqtts`, `http`, `https` or `mqtt+unix`.
    pub kind: &'static str,
    /// Its URL.
    pub url: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Status {
    name: &'static str,
    version: &'static str,
    listeners: Vec<Listener>,
    has_local_authority: bool,
    connections: u64,
    refused: Refused,
    clients: usize,
    subscriptions: usize,
    messages_in: u64,
    messages_out: u64,
    dropped: u64,
    rules: Vec<RuleStatus>,
    broken_rules: Vec<BrokenRule>,
    parked_events: usize,
    dead_letters: usize,
    rule_runs: u64,
    rule_failures: u64,
    spine: Spine,
    log: Log,
}

/// Connections that did not come as far as CONNECT, by reason.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Refused {
    connections_max: u64,
    connect_rate: u64,
    origin: u64,
    proxy_header: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Spine {
    published: u64,
    lag_bytes: u64,
    refilled: u64,
    restarts: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Log {
    end: u64,
    durable_end: u64,
    bytes: u64,
    commits: u64,
}

pub(super) async fn get(State(api): State<Api>) -> Json<Status> {
    let spine = api.hub.spine_stats();
    let log = api.store.stats();
    let refusals = &api.telemetry.refusals;
    Json(Status {
        name: "Pointsman",
        version: env!("CARGO_PKG_VERSION"),
        listeners: api.listeners.to_vec(),
        has_local_authority: api.certificates.authority_pem().is_some(),
        connections: api.telemetry.connections_open.get(),
        refused: Refused {
            connections_max: refusals.connections_max.get(),
            connect_rate: refusals.connect_rate.get(),
            origin: refusals.origin.get(),
            proxy_header: refusals.proxy_header.get(),
        },
        clients: api.hub.connections(),
        subscriptions: api.hub.subscriptions(),
        messages_in: api.telemetry.received.messages_total(),
        messages_out: api.telemetry.sent.messages_total(),
        dropped: api.telemetry.drops.total(),
        rules: api.pipeline.rules(),
        broken_rules: api.pipeline.broken_rules(),
        parked_events: api.pipeline.parked(),
        dead_letters: api.pipeline.dead_letter_count(),
        rule_runs: api.telemetry.rule_runs_total.get(),
        rule_failures: api.telemetry.rule_failures_total.get(),
        spine: Spine {
            published: spine.published,
            lag_bytes: spine.lag_bytes,
            refilled: spine.refilled,
            restarts: spine.restarts,
        },
        log: Log { end: log.end, durable_end: log.durable_end, bytes: log.log_bytes, commits: log.commits },
    })
}
