//! A typed client for Pointsman: publish and subscribe with your own types, over TCP, TLS or WebSocket.
//!
//! ```no_run
//! use pointsman_client::{Client, Options};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Debug, Serialize, Deserialize)]
//! struct Score {
//!     player: String,
//!     points: u64,
//! }
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let options = Options::new("wss://localhost:8443/mqtt", "scoreboard").authority_file("pointsman-ca.crt");
//! let client = Client::connect(options).await?;
//! let mut scores = client.subscribe::<Score>("scores/+").await?;
//! client.publish("scores/chess", &Score { player: "ana".into(), points: 7 }).await?;
//! let message = scores.next().await?;
//! println!("{} on {}", message.value.points, message.topic);
//! # Ok(())
//! # }
//! ```
//!
//! What [`Client::publish`] has returned from is acknowledged by the server (QoS 1). A connection that breaks is made
//! again, subscriptions included, until the last clone of the client is dropped; what others said in between is not
//! sent again, and what this client published is.

mod client;
mod driver;
mod error;
mod options;
mod state;
mod subscription;

pub use client::Client;
pub use error::{ConnectError, PublishError, ReceiveError, SubscribeError};
pub use options::Options;
pub use subscription::{Message, Subscription};
