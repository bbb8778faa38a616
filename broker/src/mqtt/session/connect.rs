//! The beginning and the end of a connection: CONNECT, CONNACK, and what is left to do afterwards.

use std::borrow::Cow;
use std::future::Future;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytes::BytesMut;
use futures_util::FutureExt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;
use tracing::{Instrument, debug, debug_span};

use super::super::codec::{
    ConnackOptions, Connect, ProtocolError, Reason, Version, decode_connect, encode_connack,
    encode_connack_within, encode_disconnect, frame_head, version_of_connect,
};
use super::super::reserved;
use super::client::{Client, ClientParts, Kick};
use super::connection::{Connection, End};
use super::exchange::{Enhanced, NotShown, Shown, exchange};
use super::lifecycle::reason;
use super::sessions::SessionRefused;
use super::uuid::Uuid;
use super::wills::WillOrigin;
use super::{Hub, SessionLimits};
use crate::auth::{Action, Credentials, Denial, Identity};
use pointsman_rules::topic::validate_topic;

/// Where a connection comes from.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// The client's address.
    pub ip: IpAddr,
    /// When its CONNECT must be complete.
    pub connect_by: Instant,
}

/// Why a CONNECT that was read is refused.
pub(super) struct Refusal {
    pub(super) reason: Reason,
    pub(super) detail: String,
}

impl From<Denial> for Refusal {
    fn from(denial: Denial) -> Refusal {
        let reason = match denial {
            Denial::CredentialsMissing | Denial::PolicyForbids { .. } | Denial::ExchangeFailed { .. } => {
                Reason::NotAuthorized
            }
            Denial::CredentialsWrong => Reason::BadUserNameOrPassword,
        };
        Refusal { reason, detail: denial.to_string() }
    }
}

/// Speaks MQTT on a transport until the connection has ended.
pub fn serve<T>(transport: T, peer: Peer, hub: Arc<Hub>) -> impl Future<Output = ()> + Send
where
    T: AsyncRead + AsyncWrite + Unpin + Send,
{
    let beginning = Box::pin(begin(transport, peer, hub));
    async move {
        if let Some(begun) = beginning.await {
            begun.run().await;
        }
    }
}

/// A connection whose CONNECT was answered.
pub struct Begun<T>(Box<Connection<T>>);

/// Reads and answers CONNECT; `None` if the connection is over already.
///
/// To be in a box that goes when this is done: a task is as large as the largest that it ever holds, and connections idle.
pub async fn begin<T>(mut transport: T, peer: Peer, hub: Arc<Hub>) -> Option<Begun<T>>
where
    T: AsyncRead + AsyncWrite + Unpin + Send,
{
    let mut inbound = BytesMut::new();
    let greeting = greet(&mut transport, &mut inbound, peer, &hub);
    let greeted = tokio::time::timeout_at(peer.connect_by, greeting).await;
    let Ok(Some(greeted)) = greeted else {
        let _ = tokio::time::timeout(LINGER, transport.shutdown()).await;
        return None;
    };
    take_up(transport, inbound, greeted, peer, &hub).await
}

/// Takes the session up and answers CONNECT; `None` if the session cannot be had.
async fn take_up<T>(
    mut transport: T,
    inbound: BytesMut,
    greeted: Greeted,
    peer: Peer,
    hub: &Arc<Hub>,
) -> Option<Begun<T>>
where
    T: AsyncRead + AsyncWrite + Unpin + Send,
{
    let Greeted { mut connect, identity, shown, assigned } = greeted;
    let entered = enter(hub, &connect, identity, peer).await;
    let client = Arc::clone(&entered.client);
    let limits = hub.limits();
    let expiry_seconds = connect.session_expiry_seconds.min(limits.session_expiry_max_seconds);
    let taken = hub.take_up(&client.client_id, connect.clean_start, expiry_seconds).await;
    let (session, session_present) = match taken {
        Ok(taken) => taken,
        Err(refused) => {
            turn_away(&mut transport, &connect, hub, &refused).await;
            return None;
        }
    };
    // [MQTT-3.1.3-9]; with the session a will that waits for its delay ends too, and is published.
    hub.wills.connected(hub, &client.client_id, session_present);
    let _ = client.session.set(Arc::clone(&session));
    session.set_identity(Arc::clone(&client.identity));
    if session_present {
        // Its client may receive other things than before.
        hub.subscriptions.changed();
    }
    hub.announce_connected(&client, &session);
    let (said, enhanced) = shown.map(|shown| (shown.data, shown.enhanced)).unzip();
    let will = connect.will.take().map(Box::new);
    let limits_then = Arc::clone(&limits);
    let mut connection = Box::new(Connection::new(
        transport,
        Arc::clone(hub),
        limits_then,
        entered,
        session,
        &connect,
        inbound,
    ));
    (connection.will, connection.enhanced) = (will, enhanced);
    // Before CONNACK: what is published from then on is for it, at QoS 0 too.
    connection.take_up();
    let welcomed = Welcome { session_present, assigned, expiry_seconds, limits: &limits, said };
    match welcome(&mut connection.transport, &client, &connect, welcomed, hub).await {
        Ok(()) => Some(Begun(connection)),
        Err(error) => {
            farewell(*connection, &End::Lost(error.to_string()));
            None
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Begun<T> {
    /// Runs the connection to its end.
    pub async fn run(self) {
        let Begun(mut connection) = self;
        let client = &connection.client;
        let span = debug_span!("connection", client_id = %client.client_id, ip = %client.ip);
        let hub = Arc::clone(&connection.hub);
        // A fault of ours ends the connection that it befell, in order: its place, its session and its will are seen to.
        let run = AssertUnwindSafe(connection.run().instrument(span)).catch_unwind();
        let end = run.await.unwrap_or_else(|_| {
            hub.telemetry.connection_faults_total.add(1);
            End::Kicked(Arc::new(FAULT))
        });
        farewell(*connection, &end);
    }
}

/// Answers a CONNECT whose session cannot be had.
async fn turn_away<T>(transport: &mut T, connect: &Connect, hub: &Hub, refused: &SessionRefused)
where
    T: AsyncRead + AsyncWrite + Unpin + Send,
{
    let reason = match refused {
        SessionRefused::TooMany(_) => Reason::QuotaExceeded,
        SessionRefused::Log(_) | SessionRefused::Commit(_) | SessionRefused::Round(_) => {
            Reason::ServerUnavailable
        }
    };
    refuse(transport, connect, hub, &Refusal { reason, detail: crate::report::chain(refused) }).await;
}

/// What CONNACK has to say besides success.
struct Welcome<'a> {
    session_present: bool,
    /// Whether the server made up the client id.
    assigned: bool,
    expiry_seconds: u32,
    limits: &'a SessionLimits,
    /// What the method of an enhanced authentication says last.
    said: Option<Vec<u8>>,
}

/// What a client that asks for response information is told: its own part of the tree for responses.
const RESPONSE_PREFIX: &str = "response/";

/// How long the last bytes of a refused connection, or the first of an accepted one, may take to go out.
const LINGER: std::time::Duration = std::time::Duration::from_secs(2);

/// A CONNECT that may come in.
struct Greeted {
    connect: Connect,
    identity: Identity,
    shown: Option<Authenticated>,
    /// Whether the server made up the client id.
    assigned: bool,
}

/// What is left of an enhanced authentication.
struct Authenticated {
    data: Vec<u8>,
    enhanced: Box<Enhanced>,
}

/// Reads CONNECT and checks it; `None` if the connection is refused, and told so.
async fn greet<T>(transport: &mut T, inbound: &mut BytesMut, peer: Peer, hub: &Arc<Hub>) -> Option<Greeted>
where
    T: AsyncRead + AsyncWrite + Unpin + Send,
{
    let mut connect = match read_connect(transport, inbound, hub).await {
        Ok(connect) => connect?,
        Err(unreadable) => {
            refuse_unread(transport, hub, &unreadable).await;
            return None;
        }
    };
    let assigned = connect.client_id.is_empty();
    if assigned {
        connect.client_id = format!("auto-{}", Uuid::random());
    }
    match admit(transport, inbound, &connect, assigned, hub).await {
        Ok((identity, shown)) => Some(Greeted { connect, identity, shown, assigned }),
        Err(NotShown::Gone) => None,
        Err(NotShown::Refused(refusal)) => {
            if refusal.reason == Reason::NotAuthorized || refusal.reason == Reason::BadUserNameOrPassword {
                hub.announce_refused(&connect.client_id, peer.ip.to_canonical());
            }
            refuse(transport, &connect, hub, &refusal).await;
            None
        }
    }
}

/// Writes CONNACK.
async fn welcome<T>(
    transport: &mut T,
    client: &Client,
    connect: &Connect,
    welcome: Welcome<'_>,
    hub: &Hub,
) -> std::io::Result<()>
where
    T: AsyncWrite + Unpin,
{
    hub.telemetry.connections_total.add(1);
    let keep_alive = keep_alive_seconds(connect, welcome.limits);
    let response_info = format!("{RESPONSE_PREFIX}{}", client.client_id);
    let options = ConnackOptions {
        session_present: welcome.session_present,
        session_expiry_seconds: (welcome.expiry_seconds != connect.session_expiry_seconds)
            .then_some(welcome.expiry_seconds),
        response_info: connect.request_response_info.then_some(&*response_info),
        assigned_client_id: welcome.assigned.then_some(&*client.client_id),
        reason_string: None,
        auth: connect.auth_method.as_deref().zip(welcome.said.as_deref()),
        server_keep_alive_seconds: (keep_alive != connect.keep_alive_seconds).then_some(keep_alive),
        receive_max: welcome.limits.receive_max,
        packet_bytes_max: u32::try_from(welcome.limits.packet_bytes_max).unwrap_or(u32::MAX),
        topic_alias_max: welcome.limits.topic_alias_max,
    };
    let mut out = BytesMut::new();
    encode_connack(&mut out, connect.version, Reason::Success, &options);
    let written = tokio::time::timeout(LINGER, async {
        transport.write_all(&out).await?;
        transport.flush().await
    });
    written.await.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
}

/// The keep-alive that counts.
pub(crate) fn keep_alive_seconds(connect: &Connect, limits: &SessionLimits) -> u16 {
    let max = limits.keep_alive_max_seconds;
    // Only MQTT 5 can be told another value than it asked for. [MQTT5-3.1.2-21]
    if max == 0 || connect.version != Version::V5 {
        return connect.keep_alive_seconds;
    }
    if connect.keep_alive_seconds == 0 { max } else { connect.keep_alive_seconds.min(max) }
}

/// A first packet that is no good CONNECT.
struct Unreadable {
    /// The version it names, if that much can be read.
    version: Option<Version>,
    error: ProtocolError,
}

/// Reads until CONNECT is complete; `None` if the peer goes away first.
async fn read_connect<T>(
    transport: &mut T,
    inbound: &mut BytesMut,
    hub: &Hub,
) -> Result<Option<Connect>, Unreadable>
where
    T: AsyncRead + Unpin,
{
    let packet_bytes_max = hub.limits().packet_bytes_max;
    loop {
        if inbound.first().is_some_and(|first| first >> 4 != 1) {
            // [MQTT-3.1.0-1]
            let error = ProtocolError::new(Reason::ProtocolError, "the first packet is not CONNECT");
            return Err(Unreadable { version: None, error });
        }
        let head = frame_head(inbound, packet_bytes_max);
        let head = head.map_err(|error| Unreadable { version: version_of_connect(inbound), error })?;
        if let Some(head) = head.filter(|head| inbound.len() >= head.len) {
            let packet = inbound.split_to(head.len);
            let decoded = decode_connect(&packet, head.head_len);
            return decoded
                .map(Some)
                .map_err(|error| Unreadable { version: version_of_connect(&packet), error });
        }
        if !matches!(transport.read_buf(inbound).await, Ok(1..)) {
            return Ok(None);
        }
    }
}

/// Answers what is no good CONNECT in the form of the version it names.
async fn refuse_unread<T>(transport: &mut T, hub: &Hub, unreadable: &Unreadable)
where
    T: AsyncWrite + Unpin,
{
    let Unreadable { version, error } = unreadable;
    hub.telemetry.refusals_total.add(1);
    hub.telemetry.connects_refused.add(error.reason as u8);
    debug!(%error, "refused");
    let mut out = BytesMut::new();
    let options = ConnackOptions { reason_string: Some(&error.detail), ..ConnackOptions::default() };
    match (version, error.reason) {
        (Some(Version::V5), reason) => encode_connack(&mut out, Version::V5, reason, &options),
        // 3.1.1 has a return code for these two; on anything else the connection is just closed. [MQTT-3.1.4-1]
        (_, reason @ (Reason::UnsupportedProtocolVersion | Reason::ClientIdNotValid)) => {
            encode_connack(&mut out, Version::V311, reason, &options);
        }
        _ => return,
    }
    let _ = transport.write_all(&out).await;
    let _ = transport.flush().await;
}

async fn refuse<T>(transport: &mut T, connect: &Connect, hub: &Hub, refusal: &Refusal)
where
    T: AsyncWrite + Unpin,
{
    hub.telemetry.refusals_total.add(1);
    hub.telemetry.connects_refused.add(refusal.reason as u8);
    debug!(client_id = %connect.client_id, refusal = refusal.detail, "refused");
    if connect.version != Version::V5 && refusal.reason.connack_v3().is_none() {
        return; // [MQTT-3.2.2-6]
    }
    let mut out = BytesMut::new();
    let options = ConnackOptions { reason_string: Some(&refusal.detail), ..ConnackOptions::default() };
    encode_connack_within(&mut out, connect.version, refusal.reason, &options, connect.packet_bytes_max);
    let _ = transport.write_all(&out).await;
    let _ = transport.flush().await;
}

/// Everything that may be wrong with a CONNECT that was read, and who sends it.
async fn admit<T>(
    transport: &mut T,
    inbound: &mut BytesMut,
    connect: &Connect,
    assigned: bool,
    hub: &Hub,
) -> Result<(Identity, Option<Authenticated>), NotShown>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    check(connect, assigned, hub).map_err(NotShown::Refused)?;
    let (identity, shown) = if let Some(name) = &connect.auth_method {
        let Shown { identity, data, enhanced } = exchange(transport, inbound, connect, name, hub).await?;
        (identity, Some(Authenticated { data, enhanced }))
    } else {
        let credentials = Credentials {
            client_id: &connect.client_id,
            username: connect.username.as_deref(),
            password: connect.password.as_deref(),
        };
        (hub.auth.authenticate(credentials).await?, None)
    };
    check_will(connect, &identity).map_err(NotShown::Refused)?;
    Ok((identity, shown))
}

fn refusal(reason: Reason, detail: &str) -> Result<(), Refusal> {
    Err(Refusal { reason, detail: detail.to_owned() })
}

/// What may be wrong with a CONNECT, whoever sends it.
fn check(connect: &Connect, assigned: bool, hub: &Hub) -> Result<(), Refusal> {
    if hub.stopping.is_cancelled() {
        return refusal(Reason::ServerShuttingDown, "the server is shutting down");
    }
    // 3.1 has no empty client id.
    if assigned && connect.version == Version::V31 {
        return refusal(Reason::ClientIdNotValid, "MQTT 3.1 needs a client id");
    }
    // A 3.1.1 client without an id must ask for a clean session. [MQTT-3.1.3-8]
    if assigned && !connect.clean_start && connect.version != Version::V5 {
        return refusal(Reason::ClientIdNotValid, "an empty client id needs a clean session");
    }
    if connect.client_id.len() > hub.limits().client_id_bytes_max {
        return refusal(Reason::ClientIdNotValid, "the client id is longer than client_id_bytes_max");
    }
    if connect.client_id.contains(|c: char| c.is_control()) {
        return refusal(Reason::ClientIdNotValid, "the client id has a control character");
    }
    Ok(())
}

fn check_will(connect: &Connect, identity: &Identity) -> Result<(), Refusal> {
    let Some(will) = &connect.will else { return Ok(()) };
    if validate_topic(&will.topic).is_err() {
        return refusal(Reason::TopicNameInvalid, "the will's topic is not one that can be published to");
    }
    if !reserved::is_open(&will.topic) || !identity.may(Action::Publish, &will.topic) {
        return refusal(Reason::NotAuthorized, "the policy does not allow the will's topic");
    }
    Ok(())
}

/// Another connection took this one's place.
const TAKEN_OVER: Kick = Kick {
    reason: Reason::SessionTakenOver,
    detail: Cow::Borrowed("another connection has this client id now"),
    lifecycle: reason::DUPLICATE_CLIENTID,
};

/// Something in the server is not as it should be.
const FAULT: Kick = Kick {
    reason: Reason::ImplementationSpecificError,
    detail: Cow::Borrowed("a fault of the server"),
    lifecycle: reason::SERVER_ERROR,
};

/// Enters the client, and sees the connection whose place it takes out first.
async fn enter(hub: &Arc<Hub>, connect: &Connect, identity: Identity, peer: Peer) -> Entered {
    let parts = ClientParts {
        connection: hub.next_connection(),
        client_id: Arc::from(&*connect.client_id),
        identity: Arc::new(identity),
        ip: peer.ip.to_canonical(),
    };
    let (client, previous) = hub.registry.enter(parts, hub.clock.now_ms());
    let entered = Entered { hub: Arc::clone(hub), client };
    let client = &entered.client;
    // A policy that changed before this one was entered has not reached it.
    hub.auth.refresh(&client.identity, &client.client_id);
    if let Some(previous) = previous {
        // [MQTT-3.1.4-2]
        previous.kick(TAKEN_OVER);
        previous.ended().await;
    }
    entered
}

/// A client that is in the registry until this is dropped, however that comes about: whoever takes its place waits for it.
pub(super) struct Entered {
    hub: Arc<Hub>,
    pub(super) client: Arc<Client>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.hub.registry.leave(&self.client, self.hub.clock.now_ms());
        self.client.set_ended();
    }
}

/// What the end of a connection brings about: the session ends or waits, the will is published, the event is announced.
fn farewell<T>(connection: Connection<T>, end: &End) {
    // The client keeps its place until all of this is done: who takes it waits, and would not find the will otherwise.
    let Connection { hub, client, entered: _entered, session, will, deliveries, .. } = connection;
    debug!(reason = end.lifecycle(), detail = %end.detail(), client_id = %client.client_id, "disconnected");
    let expiry_seconds = match end {
        End::Goodbye { session_expiry_seconds, .. } => {
            session_expiry_seconds.map(|seconds| seconds.min(hub.limits().session_expiry_max_seconds))
        }
        _ => None,
    };
    let outlives = session.durable && expiry_seconds.unwrap_or_else(|| session.state().expiry_seconds) > 0;
    let unsent = session.outbox.detach(deliveries);
    hub.share_leftovers(&session, unsent);
    if session.durable {
        hub.let_go(&session, expiry_seconds);
    } else {
        hub.unsubscribe_all(&session);
    }
    if let Some(will) = will.filter(|_| end.publishes_will()) {
        let origin = WillOrigin::of(&client);
        let delay = if outlives { will.delay_seconds } else { 0 };
        hub.wills.set(&hub, *will, origin, delay);
    }
    hub.announce_disconnected(&client, &session, end.lifecycle());
}

/// The reason to an MQTT 5 client whose connection the server ends.
pub(crate) fn goodbye(out: &mut BytesMut, version: Version, reason: Reason, detail: &str) {
    encode_disconnect(out, version, reason, detail);
}
