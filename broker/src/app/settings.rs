//! Sections of the configuration as the values that the parts go by; nobody else sees the file.

use std::time::Duration;

use pointsman_config::Config;
use pointsman_rules::Limits;

use crate::mqtt::listen::GateSettings;
use crate::mqtt::{OutboxLimits, PublishRate, RetainedLimits, SessionLimits};

/// The limits of rule runs that a configuration sets.
pub fn rule_limits(config: &Config) -> Limits {
    let rules = &config.rules;
    Limits {
        operations_max: rules.operations_max,
        run_time_max: Duration::from_millis(rules.run_time_max_ms),
        string_bytes_max: rules.string_bytes_max,
        array_len_max: rules.array_len_max,
        map_len_max: rules.map_len_max,
        effects_max: rules.effects_max,
        ..Limits::default()
    }
}

/// The bounds of sessions.
pub(super) fn session_limits(config: &Config) -> SessionLimits {
    let limits = &config.limits;
    SessionLimits {
        packet_bytes_max: limits.packet_bytes_max,
        subscriptions_max: limits.subscriptions_max,
        topic_levels_max: limits.topic_levels_max,
        client_id_bytes_max: limits.client_id_bytes_max,
        inflight_max: limits.inflight_max,
        topic_alias_max: limits.topic_alias_max,
        keep_alive_max_seconds: limits.keep_alive_max_seconds,
        receive_max: limits.receive_max.max(1),
        publish_rate: PublishRate {
            messages_per_second: limits.publish_messages_per_second,
            bytes_per_second: limits.publish_bytes_per_second,
        },
        sessions_max: limits.sessions_max,
        session_expiry_max_seconds: limits.session_expiry_max_seconds,
        outbox: OutboxLimits { bytes_max: limits.outbox_bytes_max, messages_max: limits.outbox_messages_max },
        retained: RetainedLimits {
            messages_max: limits.retained_messages_max,
            bytes_max: limits.retained_bytes_max,
        },
    }
}

/// What the listeners go by.
pub(super) fn gate_settings(config: &Config) -> GateSettings {
    let (listen, limits) = (&config.listen, &config.limits);
    GateSettings {
        connections_max: limits.connections_max,
        connects_per_address_per_second: limits.connects_per_address_per_second,
        connect_timeout: Duration::from_secs(limits.connect_timeout_seconds),
        origins: listen.origins.clone(),
        websocket_ping: Duration::from_secs(listen.websocket_ping_seconds),
        trusted_proxies: listen.trusted_proxies.clone(),
        proxy_protocol: listen.proxy_protocol.clone(),
        forwarded_header: listen.forwarded_header,
    }
}
