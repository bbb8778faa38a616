//! The operator of a server: asks it over HTTP, with the password of its first start.

use serde_json::Value;

use crate::client::Client;
use crate::eventually::eventually;
use crate::http::Answer;
use crate::server::TestServer;
use rumqttc::QoS;

/// A server, and who operates it.
pub struct Operator {
    /// The server.
    pub server: TestServer,
}

impl Operator {
    /// The operator of a server.
    pub fn of(server: TestServer) -> Operator {
        Operator { server }
    }

    /// The operator of a server with one rule.
    pub async fn with_rule(name: &str, text: &str) -> Operator {
        Operator::of(TestServer::builder().without_bundled_rules().rule(name, text).start().await)
    }

    /// What a path says.
    pub async fn get(&self, path: &str) -> Value {
        let answer = self.server.operator().get(path).await;
        assert_eq!(answer.status.as_u16(), 200, "{path}: {answer:?}");
        answer.json()
    }

    /// Asks for something to be done.
    pub async fn post(&self, path: &str, body: &str) -> Answer {
        self.server.operator().post(path, body.to_owned()).await
    }

    /// Writes something.
    pub async fn put(&self, path: &str, body: &str) -> Answer {
        self.server.operator().put(path, body.to_owned()).await
    }

    /// A client that hears what rules say on `out`.
    pub async fn listener(&self) -> Client {
        let mut client = self.server.mqtt("listener").await;
        client.subscribe("out", QoS::AtLeastOnce).await;
        client
    }

    /// Waits for so many dead letters and gives them.
    pub async fn letters(&self, count: usize) -> Vec<Value> {
        eventually(&format!("there are {count} dead letters"), async || {
            let answer = self.get("/api/dead-letters").await;
            let letters = answer["letters"].as_array().cloned().unwrap_or_default();
            if letters.len() == count { Ok(letters) } else { Err(answer) }
        })
        .await
    }
}
