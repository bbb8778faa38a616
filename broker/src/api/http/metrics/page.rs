//! Which figures there are, by their names (docs/METRICS.md).

use super::super::Api;
use super::process;
use super::text::{Kind, Page};
use crate::mqtt::{Figures, Reason};
use crate::pipeline::TargetStatus;
use crate::store::{COMMIT_MICROS_BOUNDS, Stats};
use crate::telemetry::{Telemetry, Traffic, Transport};

/// The reasons for which a CONNECT is refused, by their names here.
const CONNECT_REASONS: [(Reason, &str); 19] = [
    (Reason::UnspecifiedError, "unspecified"),
    (Reason::MalformedPacket, "malformed_packet"),
    (Reason::ProtocolError, "protocol_error"),
    (Reason::ImplementationSpecificError, "implementation_specific"),
    (Reason::UnsupportedProtocolVersion, "unsupported_version"),
    (Reason::ClientIdNotValid, "client_id_not_valid"),
    (Reason::BadUserNameOrPassword, "bad_credentials"),
    (Reason::NotAuthorized, "not_authorized"),
    (Reason::ServerUnavailable, "server_unavailable"),
    (Reason::ServerBusy, "server_busy"),
    (Reason::ServerShuttingDown, "shutting_down"),
    (Reason::BadAuthenticationMethod, "bad_authentication_method"),
    (Reason::TopicNameInvalid, "topic_name_invalid"),
    (Reason::PacketTooLarge, "packet_too_large"),
    (Reason::MessageRateTooHigh, "rate"),
    (Reason::QuotaExceeded, "quota"),
    (Reason::PayloadFormatInvalid, "payload_format_invalid"),
    (Reason::RetainNotSupported, "retain_not_supported"),
    (Reason::QoSNotSupported, "qos_not_supported"),
];

/// Puts the page together.
pub(super) fn write(api: &Api) -> String {
    let mut page = Page::default();
    let version = env!("CARGO_PKG_VERSION");
    page.family("pointsman_build_info", Kind::Gauge, "Always 1; the version is a label.")
        .sample(&[("version", version)], 1);
    let telemetry = &api.telemetry;
    let figures = api.hub.figures();
    connections(&mut page, telemetry);
    traffic(&mut page, telemetry);
    sessions(&mut page, telemetry, &figures);
    retained(&mut page, &figures);
    spine(&mut page, api);
    let log = api.store.stats();
    self::log(&mut page, &log, api.hub.now_ms());
    tables(&mut page, &log);
    rules(&mut page, api);
    webhooks(&mut page, api);
    process(&mut page);
    page.into_text()
}

fn connections(page: &mut Page, telemetry: &Telemetry) {
    let transports = &telemetry.transports;
    let mut family =
        page.family("pointsman_connections", Kind::Gauge, "MQTT connections that are open, by transport.");
    for transport in Transport::ALL {
        family.sample(&[("transport", transport.name())], transports.open_now(transport));
    }
    let help = "MQTT connections opened, by transport.";
    let mut family = page.family("pointsman_connections_opened_total", Kind::Counter, help);
    for transport in Transport::ALL {
        family.sample(&[("transport", transport.name())], transports.opened(transport));
    }
    page.counter(
        "pointsman_connects_accepted_total",
        "CONNECT packets accepted.",
        telemetry.connections_total.get(),
    );
    let help = "CONNECT packets refused, by reason.";
    let mut family = page.family("pointsman_connects_refused_total", Kind::Counter, help);
    let mut named = 0;
    for (reason, name) in CONNECT_REASONS {
        let refused = telemetry.connects_refused.get(reason as u8);
        family.sample(&[("reason", name)], refused);
        named += refused;
    }
    family.sample(&[("reason", "other")], telemetry.connects_refused.total().saturating_sub(named));
}

fn traffic(page: &mut Page, telemetry: &Telemetry) {
    let (received, sent) = (&telemetry.received, &telemetry.sent);
    let mut by_qos = |name, help, traffic: &Traffic, of: fn(&Traffic, u8) -> u64| {
        let mut family = page.family(name, Kind::Counter, help);
        for (qos, label) in [(0, "0"), (1, "1"), (2, "2")] {
            family.sample(&[("qos", label)], of(traffic, qos));
        }
    };
    let (count, bytes) = (Traffic::messages, Traffic::message_bytes);
    by_qos(
        "pointsman_messages_received_total",
        "PUBLISH packets taken from clients, by QoS.",
        received,
        count,
    );
    by_qos("pointsman_messages_sent_total", "PUBLISH packets written to clients, by QoS.", sent, count);
    let help = "Bytes of PUBLISH packets taken from clients, by QoS.";
    by_qos("pointsman_messages_received_bytes_total", help, received, bytes);
    let help = "Bytes of PUBLISH packets written to clients, by QoS.";
    by_qos("pointsman_messages_sent_bytes_total", help, sent, bytes);
    page.counter(
        "pointsman_packets_received_total",
        "MQTT packets of all kinds received.",
        received.packets(),
    );
    page.counter("pointsman_packets_sent_total", "MQTT packets of all kinds sent.", sent.packets());
    let help = "Bytes of MQTT received, without TLS and WebSocket.";
    page.counter("pointsman_received_bytes_total", help, received.bytes());
    let help = "Bytes of MQTT sent, without TLS and WebSocket.";
    page.counter("pointsman_sent_bytes_total", help, sent.bytes());
    let help = "Messages that were not delivered, by reason.";
    let mut family = page.family("pointsman_messages_dropped_total", Kind::Counter, help);
    for (reason, dropped) in telemetry.drops.by_reason() {
        family.sample(&[("reason", reason)], dropped);
    }
    let help = "Times that a publisher was held up because a subscriber or the spine was crowded.";
    page.counter("pointsman_publishers_throttled_total", help, telemetry.throttles_total.get());
}

fn sessions(page: &mut Page, telemetry: &Telemetry, figures: &Figures) {
    let mut family =
        page.family("pointsman_sessions", Kind::Gauge, "Sessions, by whether their client is there.");
    family.sample(&[("state", "connected")], figures.clients);
    family.sample(&[("state", "offline")], figures.sessions_offline);
    let help = "Sessions given up because their client did not come back in time.";
    page.counter("pointsman_sessions_expired_total", help, figures.sessions_expired);
    let help = "Sessions ended because the log had dropped what they were owed.";
    page.counter("pointsman_sessions_cut_total", help, telemetry.sessions_cut_total.get());
    let mut family = page.family("pointsman_subscriptions", Kind::Gauge, "Subscriptions, by kind.");
    family.sample(&[("kind", "plain")], figures.subscriptions.saturating_sub(figures.subscriptions_shared));
    family.sample(&[("kind", "shared")], figures.subscriptions_shared);
    page.gauge(
        "pointsman_outbox_messages",
        "Messages that wait for clients to read.",
        figures.outbox_messages,
    );
    page.gauge("pointsman_outbox_bytes", "Bytes that wait for clients to read.", figures.outbox_bytes);
    let help = "Messages sent to clients and not yet acknowledged.";
    page.gauge("pointsman_inflight_messages", help, figures.inflight);
    let help = "Connections refused, for whatever reason.";
    page.counter("pointsman_refusals_total", help, telemetry.refusals_total.get());
    let help = "Connections refused before CONNECT, by reason.";
    let mut family = page.family("pointsman_connections_refused_total", Kind::Counter, help);
    for (reason, refused) in telemetry.refusals.by_reason() {
        family.sample(&[("reason", reason)], refused);
    }
    let help = "Connections that are open, whatever they speak and however far they have come.";
    page.gauge("pointsman_connections_open", help, telemetry.connections_open.get());
    let help = "Times that the system would not give a connection.";
    page.counter("pointsman_accept_errors_total", help, telemetry.accept_errors_total.get());
    let help = "Connections ended because of a fault of the server.";
    page.counter("pointsman_connection_faults_total", help, telemetry.connection_faults_total.get());
}

fn retained(page: &mut Page, figures: &Figures) {
    let stats = figures.retained;
    page.gauge("pointsman_retained_messages", "Retained messages.", stats.messages);
    page.gauge("pointsman_retained_bytes", "Bytes that retained messages take.", stats.bytes);
    let help = "Messages that could not be retained because a limit was reached.";
    page.counter("pointsman_retained_refused_total", help, stats.refused);
    let help = "Messages taken and then not retained, because others reached the limit meanwhile.";
    page.counter("pointsman_retained_dropped_total", help, stats.dropped);
    page.counter("pointsman_retained_expired_total", "Retained messages that expired.", stats.expired);
}

fn spine(page: &mut Page, api: &Api) {
    let stats = api.hub.spine_stats();
    let help = "Envelopes published to the spine; each holds what one read of a connection gave.";
    page.counter("pointsman_spine_envelopes_total", help, stats.published);
    page.gauge(
        "pointsman_spine_lag_bytes",
        "Bytes that some reader of the spine has not read.",
        stats.lag_bytes,
    );
    let help = "Envelopes that went through the router, counted for each reader.";
    page.counter("pointsman_spine_routed_total", help, stats.routed);
    let help = "Envelopes that the router had dropped and the spine's own memory gave.";
    page.counter("pointsman_spine_refills_total", help, stats.refilled);
    page.counter("pointsman_spine_restarts_total", "Times the router was started again.", stats.restarts);
}

fn log(page: &mut Page, log: &Stats, now_ms: u64) {
    let bounds = COMMIT_MICROS_BOUNDS.iter().map(|micros| seconds(*micros));
    page.family(
        "pointsman_log_commit_seconds",
        Kind::Histogram,
        "Time to write and sync a group of records.",
    )
    .histogram(bounds, &log.commit_classes, seconds(log.commit_micros_sum));
    page.counter("pointsman_log_records_total", "Records put on disk.", log.commit_records);
    page.counter("pointsman_log_written_bytes_total", "Bytes put on disk.", log.commit_bytes);
    page.counter("pointsman_log_commits_failed_total", "Groups that the disk refused.", log.commits_failed);
    page.gauge("pointsman_log_pending_bytes", "Bytes that wait for the disk.", log.pending_bytes);
    page.gauge("pointsman_log_bytes", "Bytes of the log.", log.log_bytes);
    page.gauge("pointsman_log_segments", "Files of the log.", log.segments);
    let age = log.oldest_segment_ms.map_or(0, |begun| now_ms.saturating_sub(begun));
    page.gauge("pointsman_log_age_seconds", "Age of the log's oldest file.", age / 1000);
    page.gauge("pointsman_log_end_record", "The last record taken.", log.end);
    page.gauge("pointsman_log_durable_record", "The last record on disk.", log.durable_end);
    let needed = log.end.saturating_sub(log.held_from.map_or(log.end, |from| from.saturating_sub(1)));
    page.gauge("pointsman_log_held_records", "Records that some reader still needs.", needed);
    page.counter("pointsman_log_segments_dropped_total", "Files of the log dropped.", log.segments_dropped);
    let help = "Files of the log dropped that a reader still needed.";
    page.counter("pointsman_log_segments_dropped_held_total", help, log.segments_dropped_held);
}

fn tables(page: &mut Page, log: &Stats) {
    page.gauge("pointsman_tables_pending_bytes", "Bytes that wait for the tables.", log.overlay_bytes);
    let lag = log.durable_end.saturating_sub(log.applied);
    page.gauge("pointsman_tables_lag_records", "Records on disk that are not in the tables.", lag);
    let help = "Records refused because a row they depend on had changed.";
    page.counter("pointsman_tables_conflicts_total", help, log.conflicts);
    page.counter("pointsman_tables_expired_rows_total", "Expired rows removed.", log.expired_swept);
    page.counter("pointsman_tables_checkpoints_total", "Checkpoints written.", log.checkpoints);
    page.counter("pointsman_tables_exports_total", "Exports written.", log.exports);
    let help = "Checkpoints, exports, sweeps and removals that failed.";
    page.counter("pointsman_tables_maintenance_failed_total", help, log.maintenance_failed);
    let help = "Times the tables were opened again after an error.";
    page.counter("pointsman_tables_reopened_total", help, log.tables_reopened);
}

fn rules(page: &mut Page, api: &Api) {
    let rules = api.pipeline.rules();
    let suspended = rules.iter().filter(|rule| rule.suspended).count();
    let mut family = page.family("pointsman_rules", Kind::Gauge, "Rules, by how they fare.");
    family.sample(&[("state", "active")], rules.len() - suspended);
    family.sample(&[("state", "suspended")], suspended);
    family.sample(&[("state", "broken")], api.pipeline.broken_rules().len());
    let telemetry = &api.telemetry;
    page.counter(
        "pointsman_rule_runs_total",
        "Runs of rules that ended well.",
        telemetry.rule_runs_total.get(),
    );
    let help = "Runs of rules that failed.";
    page.counter("pointsman_rule_failures_total", help, telemetry.rule_failures_total.get());
    let help = "Turns of the rules' workers: each is one record of the log at most.";
    page.counter("pointsman_rule_turns_total", help, telemetry.rule_turns_total.get());
    let help = "Events that were handled in turns.";
    page.counter("pointsman_rule_turn_events_total", help, telemetry.rule_turn_events_total.get());
    let lanes = api.pipeline.lanes();
    let help = "Keys whose events wait for a worker.";
    page.gauge("pointsman_rule_lanes_ready", help, lanes.ready);
    let help = "Keys that have events which are not handled yet or wait for the disk.";
    page.gauge("pointsman_rule_lanes", help, lanes.lanes);
    page.gauge("pointsman_rule_events_waiting", "Events that are not handled yet.", lanes.events);
    page.gauge(
        "pointsman_rule_batched_messages",
        "Messages that wait for their batch to be complete.",
        api.pipeline.batched(),
    );
    let help = "Events that a suspended rule did not see and nobody was promised.";
    page.counter("pointsman_rule_events_skipped_total", help, telemetry.rule_events_skipped_total.get());
    let help = "Messages put aside for rules: suspended, or to be tried again.";
    page.gauge("pointsman_rule_events_parked", help, api.pipeline.parked());
    let help = "Messages for suspended rules that found no room to be put aside: they are dead letters.";
    page.counter(
        "pointsman_rule_events_turned_away_total",
        help,
        telemetry.rule_events_turned_away_total.get(),
    );
    let help = "Events kept on which rules failed.";
    page.gauge("pointsman_dead_letters", help, api.pipeline.dead_letter_count());
    let help = "Events on which rules failed that are no longer kept, as there were too many.";
    page.counter("pointsman_dead_letters_dropped_total", help, telemetry.dead_letters_dropped_total.get());
}

/// Requests to web servers; how each server fares is at `/api/outbox`.
fn webhooks(page: &mut Page, api: &Api) {
    let servers = api.pipeline.outbox().status();
    let sum = |of: fn(&TargetStatus) -> u64| servers.iter().map(of).sum::<u64>();
    let failing = servers.iter().filter(|server| server.failures_in_a_row > 0).count();
    let mut family = page.family("pointsman_webhook_servers", Kind::Gauge, "Web servers, by how they fare.");
    family.sample(&[("state", "ok")], servers.len() - failing);
    family.sample(&[("state", "failing")], failing);
    page.gauge("pointsman_webhook_waiting", "Requests that wait.", sum(|it| it.waiting));
    page.gauge("pointsman_webhook_waiting_bytes", "Bytes that they take.", sum(|it| it.waiting_bytes));
    let help = "Requests that were given up and are kept to be looked at.";
    page.gauge("pointsman_webhook_undelivered", help, sum(|it| it.undelivered));
    page.counter("pointsman_webhook_attempts_total", "Attempts to deliver a request.", sum(|it| it.attempts));
    page.counter("pointsman_webhook_delivered_total", "Requests delivered.", sum(|it| it.delivered));
    let help = "Attempts that failed and are made again.";
    page.counter("pointsman_webhook_failures_total", help, sum(|it| it.failures));
    page.counter("pointsman_webhook_given_up_total", "Requests given up.", sum(|it| it.given_up));
}

/// The names are those that all exporters use.
fn process(page: &mut Page) {
    let process = process::look();
    if let Some(bytes) = process.resident_bytes {
        page.gauge("process_resident_memory_bytes", "Memory that is resident.", bytes);
    }
    if let Some(seconds) = process.cpu_seconds {
        page.counter("process_cpu_seconds_total", "Time spent on processors.", seconds);
    }
    if let Some(count) = process.open_fds {
        page.gauge("process_open_fds", "Open file descriptors.", count);
    }
    if let Some(max) = process.fds_max {
        page.gauge("process_max_fds", "File descriptors that may be open.", max);
    }
    if let Some(count) = process.threads {
        page.gauge("process_threads", "Threads.", count);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a duration in microseconds is exact for 285 years")]
fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}
