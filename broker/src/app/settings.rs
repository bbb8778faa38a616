//! Sections of the configuration as the values that the parts go by; nobody else sees the file.

use std::collections::BTreeMap;
use std::time::Duration;

use pointsman_config::{Config, NotifySubscriber, Secret};
use pointsman_rules::Limits;
use pointsman_rules::pattern::Pattern;

use super::StartError;
use crate::mqtt::listen::GateSettings;
use crate::mqtt::{OutboxLimits, PublishRate, RetainedLimits, SampleLimits, SessionLimits};
use crate::pipeline::{OutboxSettings, SigningKey, Subscriber};

/// The limits of rule runs that a configuration sets.
pub fn rule_limits(config: &Config) -> Limits {
    let rules = &config.rules;
    Limits {
        operations_max: rules.operations_max,
        run_time_max: Duration::from_millis(rules.run_time_max_ms),
        run_memory_bytes_max: rules.run_memory_bytes_max,
        string_bytes_max: rules.string_bytes_max,
        array_len_max: rules.array_len_max,
        map_len_max: rules.map_len_max,
        effects_max: rules.effects_max,
        effect_bytes_max: rules.effect_bytes_max,
        call_depth_max: rules.call_depth_max,
        expression_depth_max: rules.expression_depth_max,
        variables_max: rules.variables_max,
        script_bytes_max: rules.script_bytes_max,
        payload_bytes_max: rules.payload_bytes_max,
        read_bytes_max: rules.read_bytes_max,
        query_rows_max: rules.query_rows_max,
        key_bytes_max: rules.key_bytes_max,
        board_members_max: rules.board_members_max,
        board_member_bytes_max: rules.board_member_bytes_max,
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

/// Which messages are kept to be explained.
pub(super) fn sample_limits(config: &Config) -> SampleLimits {
    let rules = &config.rules;
    SampleLimits {
        one_of: rules.explain_sample,
        count_max: rules.explain_kept_max,
        bytes_max: rules.explain_kept_bytes_max,
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

/// What requests to web servers go by, with the secrets read from where they are.
pub(super) fn outbox_settings(config: &Config) -> Result<OutboxSettings, StartError> {
    let webhooks = &config.rules.webhooks;
    let mut secrets = BTreeMap::new();
    for (name, secret) in &webhooks.secrets {
        let text = secret_text(secret)
            .map_err(|problem| StartError::WebhookSecret { name: name.clone(), problem })?;
        secrets.insert(name.clone(), SigningKey::new(&text));
    }
    let subscribers = config.rules.notify.iter().map(subscriber).collect::<Result<_, _>>()?;
    Ok(OutboxSettings {
        allow: webhooks.allow.clone(),
        private: webhooks.allow_private.clone(),
        authority: webhooks.authority.clone(),
        connect_timeout: Duration::from_millis(webhooks.connect_timeout_ms),
        timeout: Duration::from_millis(webhooks.timeout_ms),
        body_bytes_max: webhooks.body_bytes_max,
        response_bytes_max: webhooks.response_bytes_max,
        attempts_max: webhooks.attempts_max,
        retry_max: Duration::from_secs(webhooks.retry_hours_max.saturating_mul(3_600)),
        in_flight_max: webhooks.in_flight_max,
        rows_max: webhooks.outbox_rows_max as u64,
        bytes_max: webhooks.outbox_bytes_max as u64,
        secrets,
        subscribers,
    })
}

fn subscriber(to: &NotifySubscriber) -> Result<Subscriber, StartError> {
    let wrong = |problem| StartError::NotifyFilter { topic: to.topic.clone(), problem };
    let compile = |filter| {
        let json = serde_json::to_value(filter).map_err(|error| wrong(error.to_string()))?;
        Pattern::from_value(&json).map_err(|error| wrong(error.to_string()))
    };
    Ok(Subscriber { to: to.clone(), filter: to.filter.as_ref().map(compile).transpose()? })
}

fn secret_text(secret: &Secret) -> Result<String, String> {
    let text = match secret {
        Secret::Text(text) => text.clone(),
        Secret::Environment(from) => {
            std::env::var(&from.env).map_err(|error| format!("variable {}: {error}", from.env))?
        }
        Secret::File(from) => std::fs::read_to_string(&from.file)
            .map_err(|error| format!("{}: {error}", from.file.display()))?,
    };
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() { Err("it is empty".to_owned()) } else { Ok(text.to_owned()) }
}
