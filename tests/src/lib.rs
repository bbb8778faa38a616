//! The harness: a real server in this process or in one of its own, and real clients to talk to it.
//!
//! ```no_run
//! # async fn case() {
//! use pointsman_tests::{QoS, TestServer};
//!
//! let server = TestServer::start().await;
//! let mut ana = server.mqtt("ana").await;
//! ana.subscribe("greetings/#", QoS::AtLeastOnce).await;
//! server.mqtt5("bob").await.publish("greetings/ana", "hello").await;
//! assert_eq!(ana.recv().await.text(), "hello");
//! # }
//! ```
//! A harness fails by panicking: each panic says what was expected and what came instead.
#![expect(clippy::missing_panics_doc, reason = "see above: that is what all of it does")]

mod client;
mod endpoints;
mod eventually;
mod frames;
mod http;
mod message;
mod operator;
mod peer;
mod ports;
mod process;
mod proxy;
mod raw;
mod script;
mod server;
mod tools;
mod transport;
mod web_server;
mod websocket;
pub mod wire;

pub use client::{Client, ClientBuilder, Version};
pub use endpoints::Endpoints;
pub use eventually::{PATIENCE, eventually, within};
pub use frames::{Frame, Frames};
pub use http::{Answer, Http, basic};
pub use message::Message;
pub use operator::Operator;
pub use peer::Peer;
pub use process::{DiskFull, Output, ServerProcess, run_server};
pub use proxy::Proxy;
pub use raw::{Connack, Raw};
pub use rumqttc::QoS;
pub use script::Script;
pub use server::{ServerBuilder, TestServer};
pub use tools::{Tool, repository, rust_files};
pub use transport::Transport;
pub use web_server::{Manner, Received, WebServer};
