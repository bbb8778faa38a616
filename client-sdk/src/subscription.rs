//! A subscription: messages of one filter, as values of one type.

use std::marker::PhantomData;
use std::sync::Arc;

use rumqttc::v5::mqttbytes::v5::Publish;
use serde::de::DeserializeOwned;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::client::Shared;
use crate::error::ReceiveError;

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message<T> {
    /// Its topic.
    pub topic: String,
    /// What it says.
    pub value: T,
}

/// The messages of one filter. Dropping the last subscription to a filter unsubscribes from it.
#[derive(Debug)]
pub struct Subscription<T> {
    filter: String,
    id: usize,
    messages: Receiver<Publish>,
    shared: Arc<Shared>,
    value: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Subscription<T> {
    pub(crate) fn new(
        filter: &str,
        id: usize,
        messages: Receiver<Publish>,
        shared: Arc<Shared>,
    ) -> Subscription<T> {
        Subscription { filter: filter.to_owned(), id, messages, shared, value: PhantomData }
    }

    /// The filter.
    pub fn filter(&self) -> &str {
        &self.filter
    }

    /// Waits for the next message. An error tells of one or more that cannot be had; the next call goes on.
    ///
    /// Nothing is lost when the future is dropped before it is ready.
    pub async fn next(&mut self) -> Result<Message<T>, ReceiveError> {
        match self.messages.recv().await {
            Ok(publish) => {
                let topic = String::from_utf8_lossy(&publish.topic).into_owned();
                match serde_json::from_slice(&publish.payload) {
                    Ok(value) => Ok(Message { topic, value }),
                    Err(source) => Err(ReceiveError::Unreadable { topic, source }),
                }
            }
            Err(RecvError::Lagged(missed)) => Err(ReceiveError::Lagged { missed }),
            Err(RecvError::Closed) => Err(ReceiveError::Ended),
        }
    }
}

impl<T> Drop for Subscription<T> {
    fn drop(&mut self) {
        self.shared.leave(&self.filter, self.id);
    }
}
