//! The task that drives a connection: it hands out what comes, and connects again.

use std::sync::Arc;
use std::time::Duration;

use rumqttc::Outgoing;
use rumqttc::v5::mqttbytes::v5::Packet;
use rumqttc::v5::{ConnectionError, Event, EventLoop};
use tokio::sync::oneshot;

use crate::client::Shared;

/// The wait before the first attempt to connect again; it doubles up to the longest.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_LONGEST: Duration = Duration::from_secs(5);

/// Tells the first outcome: connected, or why not.
pub(crate) type Connected = oneshot::Sender<Result<(), Box<ConnectionError>>>;

/// Ends what waits when the task ends, however it does.
struct Ending(Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.state().end();
    }
}

/// Drives a connection until its task is aborted, or until the first attempt has failed.
pub(crate) async fn drive(mut events: EventLoop, shared: Arc<Shared>, connected: Connected) {
    let ending = Ending(shared);
    let mut connected = Some(connected);
    let mut retry = RETRY_FIRST;
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                retry = RETRY_FIRST;
                let (connection, filters) = ending.0.state().connected();
                if let Some(connected) = connected.take() {
                    let _ = connected.send(Ok(()));
                }
                if !filters.is_empty() {
                    // It waits for answers that only this loop reads.
                    let shared = Arc::clone(&ending.0);
                    tokio::spawn(async move { shared.resubscribe(connection, filters).await });
                }
            }
            Ok(event) => handle(&ending.0, event),
            Err(error) => {
                // What was sent before the end is to be noted before the next beginning.
                for event in std::mem::take(&mut events.state.events) {
                    handle(&ending.0, event);
                }
                ending.0.state().disconnected();
                if let Some(connected) = connected.take() {
                    let _ = connected.send(Err(Box::new(error)));
                    return;
                }
                tokio::time::sleep(retry).await;
                retry = (retry * 2).min(RETRY_LONGEST);
            }
        }
    }
}

fn handle(shared: &Shared, event: Event) {
    let mut state = shared.state();
    match event {
        Event::Incoming(Packet::Publish(publish)) => state.deliver(&publish),
        Event::Incoming(Packet::PubAck(ack)) => state.published(ack.pkid, ack.reason),
        Event::Incoming(Packet::SubAck(ack)) => state.subscribed(ack.pkid, ack.return_codes.first()),
        Event::Outgoing(Outgoing::Publish(packet_id)) => state.publish_sent(packet_id),
        Event::Outgoing(Outgoing::Subscribe(packet_id)) => state.subscribe_sent(packet_id),
        _ => {}
    }
}
