//! Which settings can change while the server runs.

use crate::sections::{Config, Limits, Listen};

impl Config {
    /// The settings that differ in `new` and take a restart to apply.
    pub fn needs_restart_for(&self, new: &Config) -> Vec<&'static str> {
        let (listen, limits, store, rules) = (&self.listen, &self.limits, &self.store, &self.rules);
        [
            ("listen.mqtt", listen.mqtt != new.listen.mqtt),
            ("listen.mqtts", listen.mqtts != new.listen.mqtts),
            ("listen.http", listen.http != new.listen.http),
            ("listen.https", listen.https != new.listen.https),
            ("listen.mqtt_unix", listen.mqtt_unix != new.listen.mqtt_unix),
            ("data.directory", self.data != new.data),
            ("limits.packet_bytes_max", limits.packet_bytes_max != new.limits.packet_bytes_max),
            ("limits.spine_bytes_max", limits.spine_bytes_max != new.limits.spine_bytes_max),
            (
                "limits.retained_messages_max",
                limits.retained_messages_max != new.limits.retained_messages_max,
            ),
            ("limits.retained_bytes_max", limits.retained_bytes_max != new.limits.retained_bytes_max),
            ("sys", self.sys != new.sys),
            ("metrics", self.metrics != new.metrics),
            ("store", *store != new.store),
            ("rules", *rules != new.rules),
        ]
        .into_iter()
        .filter_map(|(name, differs)| differs.then_some(name))
        .collect()
    }

    /// Takes over from `new` what can change while the server runs, and nothing else.
    pub fn take_live(&mut self, new: &Config) {
        self.tls = new.tls.clone();
        self.auth = new.auth.clone();
        self.log = new.log.clone();
        let mine = self.listen.clone();
        self.listen = Listen {
            mqtt: mine.mqtt,
            mqtts: mine.mqtts,
            http: mine.http,
            https: mine.https,
            mqtt_unix: mine.mqtt_unix,
            ..new.listen.clone()
        };
        self.limits = Limits {
            packet_bytes_max: self.limits.packet_bytes_max,
            spine_bytes_max: self.limits.spine_bytes_max,
            retained_messages_max: self.limits.retained_messages_max,
            retained_bytes_max: self.limits.retained_bytes_max,
            ..new.limits.clone()
        };
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::DEFAULT_TOML;

    /// Every key of the default file with a value that is not its default.
    fn changed() -> Vec<(String, Config)> {
        let mut section = String::new();
        let mut changed = Vec::new();
        for line in DEFAULT_TOML.lines() {
            if let Some(name) = line.strip_prefix('[').and_then(|line| line.split(']').next()) {
                name.clone_into(&mut section);
            }
            let Some((key, value)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) else {
                continue;
            };
            let value = value.split('#').next().unwrap_or_default().trim();
            let other = match (key, value) {
                ("trusted_proxies", _) => "[\"10.0.0.1\"]".to_owned(),
                ("proxy_protocol", _) => "[\"mqtt\"]\ntrusted_proxies = [\"10.0.0.1\"]".to_owned(),
                ("forwarded_header", _) => "\"forwarded\"".to_owned(),
                ("origins" | "mqtt_unix", _) => "[\"https://example.org\"]".to_owned(),
                ("allow", "[]") => "[\"https://example.org/\"]".to_owned(),
                ("allow_private", _) => "[\"127.0.0.1:9000\"]".to_owned(),
                ("allow", _) => "\"admin\"".to_owned(),
                ("durability", _) => "\"interval\"".to_owned(),
                (_, "true") => "false".to_owned(),
                (_, list) if list.starts_with('[') => "[]".to_owned(),
                (_, text) if text.starts_with('"') => "\"other\"".to_owned(),
                (_, number) => (number.parse::<u64>().unwrap() / 2 + 513).to_string(),
            };
            let text = format!("[{section}]\n{key} = {other}\n");
            let text = if key == "segment_mib" { format!("{text}log_mib_max = 4096\n") } else { text };
            let config =
                Config::parse(&text, Path::new("p.toml")).unwrap_or_else(|error| panic!("{text}: {error}"));
            changed.push((format!("{section}.{key}"), config));
        }
        changed
    }

    #[test]
    fn each_setting_either_changes_live_or_is_said_to_need_a_restart() {
        let before = Config::default();
        let changed = changed();
        assert!(changed.len() > 35, "the default file has more settings than {}", changed.len());
        for (key, new) in changed {
            assert_ne!(before, new, "{key}");
            let waiting = before.needs_restart_for(&new);
            let mut after = before.clone();
            after.take_live(&new);
            if waiting.is_empty() {
                assert_eq!(after, new, "{key} is taken over");
            } else {
                assert!(waiting.iter().all(|name| key.starts_with(name)), "{key}: {waiting:?}");
                assert_eq!(after, before, "{key} stays as it was");
            }
        }
    }
}
