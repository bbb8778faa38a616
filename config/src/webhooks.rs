//! What leaves the server for the web: where it may go, how often it is tried, and who is told of notifications.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;

use crate::sections::Rules;
use crate::web_address::{PrivatePlace, WebAddress};

/// Requests that rules send to web servers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Webhooks {
    /// Where they may go, with all that lies below; nowhere if it is empty.
    pub allow: Vec<WebAddress>,
    /// Addresses that are not public and may be sent to all the same.
    pub allow_private: Vec<PrivatePlace>,
    /// PEM: authorities that are trusted besides those of the system.
    pub authority: Option<PathBuf>,
    /// Finding and reaching a server, TLS included.
    pub connect_timeout_ms: u64,
    /// One attempt as a whole, unless the rule says less or more.
    pub timeout_ms: u64,
    /// Bytes of one request's body.
    pub body_bytes_max: usize,
    /// Bytes of an answer's body that are read; what comes after is left.
    pub response_bytes_max: usize,
    /// Attempts that a server answers with an error, or not in time.
    pub attempts_max: u32,
    /// How long it is tried from the moment that the rule asked for it.
    pub retry_hours_max: u64,
    /// Requests that are under way to one server; with more than 1 they may overtake each other.
    pub in_flight_max: usize,
    /// Requests that may wait for one server.
    pub outbox_rows_max: usize,
    /// Bytes that may wait for one server.
    pub outbox_bytes_max: usize,
    /// Secrets that sign requests, by the name that rules know.
    pub secrets: BTreeMap<String, Secret>,
}

impl Default for Webhooks {
    fn default() -> Self {
        Webhooks {
            allow: Vec::new(),
            allow_private: Vec::new(),
            authority: None,
            connect_timeout_ms: 5_000,
            timeout_ms: 15_000,
            body_bytes_max: 256 * 1024,
            response_bytes_max: 64 * 1024,
            attempts_max: 20,
            retry_hours_max: 24,
            in_flight_max: 1,
            outbox_rows_max: 100_000,
            outbox_bytes_max: 64 * 1024 * 1024,
            secrets: BTreeMap::new(),
        }
    }
}

/// The most requests under way to one server.
const IN_FLIGHT_CEILING: usize = 1_000;
/// The largest body of a request: a page of requests that wait must fit what one query of the store gives.
const BODY_BYTES_CEILING: usize = 1024 * 1024;

impl Webhooks {
    /// The files that it names.
    pub(crate) fn files(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let secrets = self.secrets.values_mut().filter_map(|secret| match secret {
            Secret::File(from) => Some(&mut from.file),
            Secret::Environment(_) | Secret::Text(_) => None,
        });
        self.authority.iter_mut().chain(secrets)
    }
}

impl Rules {
    /// The first setting of what leaves for the web that makes no sense, and why.
    pub(crate) fn wrong_for_the_web(&self) -> Option<(&'static str, &'static str)> {
        let webhooks = &self.webhooks;
        let zero = [
            ("rules.webhooks.connect_timeout_ms", webhooks.connect_timeout_ms == 0),
            ("rules.webhooks.timeout_ms", webhooks.timeout_ms == 0),
            ("rules.webhooks.body_bytes_max", webhooks.body_bytes_max == 0),
            ("rules.webhooks.attempts_max", webhooks.attempts_max == 0),
            ("rules.webhooks.in_flight_max", webhooks.in_flight_max == 0),
            ("rules.webhooks.outbox_rows_max", webhooks.outbox_rows_max == 0),
            ("rules.webhooks.outbox_bytes_max", webhooks.outbox_bytes_max == 0),
        ];
        if let Some((key, _)) = zero.into_iter().find(|(_, zero)| *zero) {
            return Some((key, "must be at least 1"));
        }
        if webhooks.body_bytes_max > BODY_BYTES_CEILING {
            return Some(("rules.webhooks.body_bytes_max", "must be at most 1048576"));
        }
        if webhooks.in_flight_max > IN_FLIGHT_CEILING {
            return Some(("rules.webhooks.in_flight_max", "must be at most 1000"));
        }
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        let is_level = |level: &str| !level.is_empty() && level.bytes().all(is_allowed);
        for subscriber in &self.notify {
            if subscriber.topic.len() > 256 || !subscriber.topic.split('/').all(is_level) {
                return Some((
                    "rules.notify.topic",
                    "must be 1 to 256 of A-Z, a-z, 0-9, _, - and ., with / between levels",
                ));
            }
            if subscriber.secret.as_ref().is_some_and(|name| !webhooks.secrets.contains_key(name)) {
                return Some(("rules.notify.secret", "is not a name under [rules.webhooks.secrets]"));
            }
        }
        None
    }
}

/// Where a secret is found. What is written into the file itself is not shown in logs.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Secret {
    /// In a variable of the environment.
    Environment(EnvironmentSecret),
    /// In a file, which may end with a line break.
    File(FileSecret),
    /// Here.
    Text(String),
}

/// `{ env = "NAME" }`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvironmentSecret {
    /// The variable.
    pub env: String,
}

/// `{ file = "PATH" }`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSecret {
    /// The file.
    pub file: PathBuf,
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Secret::Environment(from) => from.fmt(formatter),
            Secret::File(from) => from.fmt(formatter),
            Secret::Text(_) => formatter.write_str("Text(…)"),
        }
    }
}

/// A web server that is told of notifications.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotifySubscriber {
    /// The topic.
    pub topic: String,
    /// Where to; it needs no entry in `allow`.
    pub url: WebAddress,
    /// The message alone as the body, rather than all that belongs to it as JSON.
    #[serde(default)]
    pub raw: bool,
    /// The name of the secret that signs the requests.
    #[serde(default)]
    pub secret: Option<String>,
    /// An event pattern that the message must match, which is then JSON; without it all are sent.
    #[serde(default)]
    pub filter: Option<toml::Table>,
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::Config;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("p.toml")).map_err(|error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            format!("{error}: {cause}")
        })
    }

    #[test]
    fn secrets_come_from_three_places_and_are_not_shown() {
        let config = parse(
            "[rules.webhooks.secrets]\na = \"hush\"\nb = { env = \"B\" }\nc = { file = \"c\" }\n\
             [[rules.notify]]\ntopic = \"alarms\"\nurl = \"https://a.org/\"\nsecret = \"a\"\n",
        );
        let config = config.unwrap();
        assert_eq!(config.rules.webhooks.secrets["a"], Secret::Text("hush".to_owned()));
        let shown = format!("{config:?}");
        assert!(!shown.contains("hush") && shown.contains("env: \"B\""), "{shown}");
        let folder = config.relative_to(Path::new("/etc/p"));
        let file = FileSecret { file: "/etc/p/c".into() };
        assert_eq!(folder.rules.webhooks.secrets["c"], Secret::File(file));
        assert!(!folder.rules.notify[0].raw);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, part) in [
            ("[rules.webhooks]\nallow = [\"a.org\"]\n", "begins neither"),
            ("[rules.webhooks]\nallow_private = [\"localhost\"]\n", "private place"),
            ("[rules.webhooks]\ntimeout_ms = 0\n", "rules.webhooks.timeout_ms"),
            ("[rules.webhooks]\nin_flight_max = 0\n", "rules.webhooks.in_flight_max"),
            ("[rules.webhooks]\nbody_bytes_max = 2000000\n", "rules.webhooks.body_bytes_max"),
            ("[[rules.notify]]\ntopic = \"a+\"\nurl = \"https://a.org/\"\n", "rules.notify"),
            ("[[rules.notify]]\ntopic = \"a\"\nurl = \"https://a.org/\"\nsecret = \"x\"\n", "secret"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
