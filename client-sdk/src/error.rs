//! What can go wrong: one enum for each operation.

use std::path::PathBuf;

use rumqttc::v5::ConnectionError;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The file of the authority cannot be read, or holds no certificate.
    #[error("cannot use the authority's certificate {}: download it from /ca.crt of the server", path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: rustls_pki_types::pem::Error,
    },
    /// The authority's certificate is none that can be trusted.
    #[error("cannot trust the certificate in {}", path.display())]
    AuthorityUnusable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: rustls::Error,
    },
    /// A secure URL needs to know whom to trust.
    #[error("{url} is secure: name the authority's certificate with authority_file")]
    AuthorityUnknown {
        /// The URL.
        url: String,
    },
    /// The client's task ended before it had connected.
    #[error("the client was dropped while it connected")]
    Dropped,
    /// The server cannot be reached, or refuses.
    #[error("cannot connect to {url}")]
    Unreachable {
        /// The URL.
        url: String,
        /// Why not.
        source: Box<ConnectionError>,
    },
    /// The URL is none of a server.
    #[error(
        "{url:?} is none of mqtt://host:port, mqtts://host:port, ws://host:port/mqtt, wss://host:port/mqtt"
    )]
    Url {
        /// The URL.
        url: String,
    },
}

/// Why a message is not published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The client has ended.
    #[error("the client has ended, and {topic} was not acknowledged")]
    Ended {
        /// The topic.
        topic: String,
    },
    /// The server refuses it.
    #[error("the server refuses a message on {topic}: {reason}")]
    Refused {
        /// The topic.
        topic: String,
        /// The reason, as MQTT 5 names it.
        reason: String,
    },
    /// The value has no form in JSON.
    #[error("the value for {topic} cannot be written as JSON")]
    Unwritable {
        /// The topic.
        topic: String,
        /// Why not.
        source: serde_json::Error,
    },
}

/// Why there is no subscription.
#[derive(Debug, thiserror::Error)]
pub enum SubscribeError {
    /// The client has ended.
    #[error("the client has ended before the subscription to {filter} was granted")]
    Ended {
        /// The filter.
        filter: String,
    },
    /// The server refuses it.
    #[error("the server refuses the subscription to {filter}: {reason}")]
    Refused {
        /// The filter.
        filter: String,
        /// The reason, as MQTT 5 names it.
        reason: String,
    },
}

/// Why the next message cannot be had. The one after it can, unless the client has ended.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// The client has ended; nothing more comes.
    #[error("the client has ended")]
    Ended,
    /// Messages came faster than they were taken, and the oldest were given up.
    #[error("{missed} messages were given up because they were not taken in time")]
    Lagged {
        /// How many.
        missed: u64,
    },
    /// A payload is not JSON of the type that the subscription wants.
    #[error("the payload on {topic} is not what was expected")]
    Unreadable {
        /// The topic.
        topic: String,
        /// Why not.
        source: serde_json::Error,
    },
}
