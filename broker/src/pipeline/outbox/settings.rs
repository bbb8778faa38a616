//! What the outbox goes by.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use pointsman_config::{NotifySubscriber, PrivatePlace, WebAddress};
use pointsman_rules::pattern::Pattern;

use super::sign::SigningKey;
use super::target::Load;

/// Where requests may go, and how often they are tried; the names are those of the configuration.
#[derive(Debug, Clone)]
pub struct OutboxSettings {
    /// Where rules may send to, with all that lies below.
    pub allow: Vec<WebAddress>,
    /// Addresses that are not public and may be sent to all the same.
    pub private: Vec<PrivatePlace>,
    /// PEM: authorities that are trusted besides those of the system.
    pub authority: Option<PathBuf>,
    /// Finding and reaching a server.
    pub connect_timeout: Duration,
    /// One attempt, unless the rule says otherwise.
    pub timeout: Duration,
    /// Bytes of one request's body.
    pub body_bytes_max: usize,
    /// Bytes of an answer's body that are read.
    pub response_bytes_max: usize,
    /// Attempts that reach the server.
    pub attempts_max: u32,
    /// How long it is tried.
    pub retry_max: Duration,
    /// Requests under way to one server.
    pub in_flight_max: usize,
    /// Requests that may wait for one server; as many that were given up are kept.
    pub rows_max: u64,
    /// Bytes that may wait for one server; as many that were given up are kept.
    pub bytes_max: u64,
    /// What signs requests, by name.
    pub secrets: BTreeMap<String, SigningKey>,
    /// Who is told of notifications.
    pub subscribers: Vec<Subscriber>,
}

/// A web server that is told of notifications.
#[derive(Debug, Clone)]
pub struct Subscriber {
    /// Which, and of what.
    pub to: NotifySubscriber,
    /// What the message must match, which is then JSON.
    pub filter: Option<Pattern>,
}

impl Subscriber {
    /// Whether it wants a message on a topic.
    pub(super) fn wants(&self, topic: &str, message: &str) -> bool {
        let Some(filter) = self.filter.as_ref().filter(|_| self.to.topic == topic) else {
            return self.to.topic == topic;
        };
        filter.matches(message.as_bytes())
    }
}

impl OutboxSettings {
    /// What may wait for one server.
    pub(super) fn load_max(&self) -> Load {
        Load { rows: self.rows_max, bytes: self.bytes_max }
    }

    /// Every server that requests may go to.
    pub(super) fn servers(&self) -> BTreeSet<String> {
        let allowed = self.allow.iter().map(WebAddress::server);
        allowed.chain(self.subscribers.iter().map(|subscriber| subscriber.to.url.server())).collect()
    }

    /// Whether a request may go there at all.
    pub(super) fn allows(&self, url: &WebAddress) -> bool {
        self.allow.iter().any(|allowed| allowed.covers(url))
            || self.subscribers.iter().any(|subscriber| subscriber.to.url == *url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscriber_wants_what_its_filter_matches() {
        let url = WebAddress::parse("https://a.org/").unwrap();
        let to = NotifySubscriber { topic: "alarms".to_owned(), url, raw: false, secret: None, filter: None };
        let all = Subscriber { to: to.clone(), filter: None };
        assert!(all.wants("alarms", "no JSON") && !all.wants("alarm", "no JSON"));
        let filter = Pattern::compile("{\"where\": [\"kitchen\"]}").unwrap();
        let some = Subscriber { to, filter: Some(filter) };
        assert!(some.wants("alarms", "{\"where\":\"kitchen\"}"));
        for (topic, message) in
            [("other", "{\"where\":\"kitchen\"}"), ("alarms", "{\"where\":\"hall\"}"), ("alarms", "kitchen")]
        {
            assert!(!some.wants(topic, message), "{topic} {message}");
        }
    }
}
