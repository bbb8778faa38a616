//! The life of a connection after CONNACK: one task that reads, writes and keeps time.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::super::codec::{Connect, ProtocolError, Reason, Version, Will};
use super::super::envelope::Interest;
use super::client::{Client, Kick};
use super::connect::{Entered, goodbye, keep_alive_seconds};
use super::exchange::Enhanced;
use super::lifecycle::reason;
use super::outbound::Aliases;
use super::outbox::Delivery;
use super::resume::Resume;
use super::session::Session;
use super::throttle::Throttle;
use super::work::Lent;
use super::{Hub, SessionLimits};

/// Bytes read at a time, and encoded ahead of a write.
pub(super) const CHUNK_BYTES: usize = 64 * 1024;

/// While more than this is encoded and not written, the client is not read from.
const OUTBOUND_BYTES_MAX: usize = 4 * CHUNK_BYTES;

thread_local! {
    /// What is read lands here first, so that an idle connection holds no buffer.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; CHUNK_BYTES].into_boxed_slice());
}

/// How a connection ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The client said DISCONNECT.
    Goodbye {
        /// And asked for its will.
        with_will: bool,
        /// And for another session expiry.
        session_expiry_seconds: Option<u32>,
    },
    /// Nothing came for one and a half times the keep-alive.
    KeepAlive,
    /// Somebody else ended it.
    Kicked(Arc<Kick>),
    /// The transport failed or was closed.
    Lost(String),
    /// The client broke the protocol, or the policy.
    Refused(ProtocolError),
}

/// The error with which a transport says that the client ended it in good order, as a Close frame does.
#[derive(Debug, thiserror::Error)]
#[error("the client closed the transport in good order")]
pub(crate) struct ClosedInOrder;

impl End {
    /// What the failure of a transport means. A Close frame is a goodbye (SEMANTICS §2).
    fn of(error: &std::io::Error) -> End {
        match error.get_ref() {
            Some(inner) if inner.is::<ClosedInOrder>() => {
                End::Goodbye { with_will: false, session_expiry_seconds: None }
            }
            _ => End::Lost(error.to_string()),
        }
    }

    /// The `disconnectReason` of the lifecycle event.
    pub(crate) fn lifecycle(&self) -> &'static str {
        match self {
            End::Goodbye { .. } => reason::CLIENT_INITIATED_DISCONNECT,
            End::KeepAlive => reason::MQTT_KEEP_ALIVE_TIMEOUT,
            End::Kicked(kick) => kick.lifecycle,
            End::Lost(_) => reason::CONNECTION_LOST,
            End::Refused(error) => match error.reason {
                Reason::NotAuthorized => reason::AUTH_ERROR,
                Reason::ServerUnavailable | Reason::UnspecifiedError => reason::SERVER_ERROR,
                _ => reason::CLIENT_ERROR,
            },
        }
    }

    /// Whether the will is published. [MQTT-3.1.2-8] [MQTT-3.14.4-3]
    pub(crate) fn publishes_will(&self) -> bool {
        !matches!(self, End::Goodbye { with_will: false, .. })
    }

    /// The words for the log.
    pub(crate) fn detail(&self) -> &str {
        match self {
            End::Goodbye { .. } => "the client said goodbye",
            End::KeepAlive => "nothing came for one and a half times the keep-alive",
            End::Kicked(kick) => &kick.detail,
            End::Lost(error) => error,
            End::Refused(error) => &error.detail,
        }
    }
}

/// A client for which too much waits that may not be lost.
const HOPELESS: Kick = Kick {
    reason: Reason::QuotaExceeded,
    detail: Cow::Borrowed("too many messages wait for this client to read them"),
    lifecycle: "THROTTLED",
};

/// What the connection last published to, so that a run of messages to one topic is checked once.
#[derive(Debug, Default)]
pub(super) struct LastTopic {
    pub(super) topic: String,
    pub(super) interest: Interest,
    pub(super) allowed: bool,
    /// Whether it is one of Basic Ingest.
    pub(super) is_for_rule: bool,
    pub(super) generation: u64,
}

/// A connected client's connection.
#[expect(clippy::struct_excessive_bools, reason = "they are independent of each other")]
pub(crate) struct Connection<T> {
    pub(super) transport: T,
    pub(super) hub: Arc<Hub>,
    /// What it began with, and CONNACK said.
    pub(super) limits: Arc<SessionLimits>,
    pub(super) client: Arc<Client>,
    pub(super) entered: Entered,
    pub(super) session: Arc<Session>,
    pub(super) version: Version,
    pub(super) packet_bytes_max: u32,
    /// Publishes that may be out unacknowledged.
    pub(super) window_max: u16,
    /// Whether the client takes reason strings on any packet.
    pub(super) problem_info: bool,
    /// Whether CONNECT asked for a session that ends with the connection.
    pub(super) expiry_was_zero: bool,
    pub(super) inbound: BytesMut,
    pub(super) outbound: BytesMut,
    /// Written to the transport, which may hold it back until it is flushed.
    unflushed: bool,
    pub(super) deliveries: VecDeque<Delivery>,
    /// As many publishes are out as may be.
    pub(super) window_full: bool,
    /// While something is owed from before.
    pub(super) resume: Option<Box<Resume>>,
    pub(super) work: Lent,
    pub(super) last_topic: LastTopic,
    /// The client's topic aliases, and ours.
    pub(super) aliases: Vec<Option<Box<str>>>,
    pub(super) own_aliases: Aliases,
    pub(super) throttle: Throttle,
    /// The method by which the client authenticated, if it did by one.
    pub(super) enhanced: Option<Box<Enhanced>>,
    pub(super) will: Option<Box<Will>>,
    heard: Instant,
    /// How long nothing may come, in milliseconds; 0 for any time.
    patience_ms: u32,
    timer: Option<Pin<Box<Sleep>>>,
}

/// What woke the connection.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "any of them may be at once")]
struct Woken {
    read: Option<usize>,
    outbox: bool,
    wrote: bool,
    ticked: bool,
    resumed: bool,
    kicked: Option<Arc<Kick>>,
}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Connection<T> {
    pub(crate) fn new(
        transport: T,
        hub: Arc<Hub>,
        limits: Arc<SessionLimits>,
        entered: Entered,
        session: Arc<Session>,
        connect: &Connect,
        inbound: BytesMut,
    ) -> Connection<T> {
        // [MQTT-3.1.2-24]
        let patience_ms = u32::from(keep_alive_seconds(connect, &limits)) * 1500;
        let heard = Instant::now();
        let due = heard + Duration::from_millis(patience_ms.into());
        let timer = (patience_ms > 0).then(|| Box::pin(tokio::time::sleep_until(due)));
        let aliases_max = connect.topic_alias_max.min(limits.topic_alias_max);
        Connection {
            transport,
            window_max: connect.receive_max.min(limits.inflight_max).max(1),
            enhanced: None,
            throttle: Throttle::new(),
            hub,
            limits,
            client: Arc::clone(&entered.client),
            entered,
            session,
            version: connect.version,
            packet_bytes_max: connect.packet_bytes_max,
            problem_info: connect.request_problem_info,
            expiry_was_zero: connect.session_expiry_seconds == 0,
            // An idle connection holds no buffer.
            inbound: if inbound.is_empty() { BytesMut::new() } else { inbound },
            outbound: BytesMut::new(),
            unflushed: false,
            deliveries: VecDeque::new(),
            window_full: false,
            resume: None,
            work: Lent::default(),
            last_topic: LastTopic::default(),
            aliases: Vec::new(),
            own_aliases: Aliases::new(aliases_max),
            will: None,
            heard,
            patience_ms,
            timer,
        }
    }

    /// Runs until the connection has ended, and says how.
    pub(crate) async fn run(&mut self) -> End {
        let end = match self.live().await {
            Ok(never) => match never {},
            Err(end) => end,
        };
        Box::pin(self.say_goodbye(&end)).await;
        end
    }

    async fn live(&mut self) -> Result<std::convert::Infallible, End> {
        if !self.inbound.is_empty() {
            self.process().await?;
        }
        loop {
            self.send().await?;
            self.work.give_back(&self.hub.telemetry.sent);
            let woken = poll_fn(|cx| self.poll_woken(cx)).await.map_err(|error| End::of(&error))?;
            if let Some(kick) = woken.kicked {
                return Err(Box::pin(self.kicked(kick)).await);
            }
            if woken.outbox && self.session.outbox.is_hopeless() {
                return Err(End::Kicked(Arc::new(HOPELESS)));
            }
            // While deliveries are in hand nothing more is taken, so that the outbox sees how far behind this client is.
            if woken.outbox && self.deliveries.is_empty() {
                let source = self.session.outbox.take(&mut self.deliveries);
                self.follow(source);
            }
            if woken.ticked {
                self.tick()?;
            }
            match woken.read {
                Some(0) => return Err(End::Lost("the client closed the connection".to_owned())),
                Some(_) => self.process().await?,
                None => {}
            }
        }
    }

    /// How the connection ends that somebody else ends.
    async fn kicked(&mut self, kick: Arc<Kick>) -> End {
        let taken_over = kick.reason == Reason::SessionTakenOver;
        let goodbye = if taken_over { self.last_words().await } else { None };
        goodbye.unwrap_or(End::Kicked(kick))
    }

    /// Takes what the client had sent before another connection took its place; its goodbye, if that is there.
    ///
    /// A client that says DISCONNECT and connects again at once may be heard on the new connection first, and has its
    /// will published and its session kept although it said otherwise.
    async fn last_words(&mut self) -> Option<End> {
        /// Reads of one who never stops.
        const READS_MAX: usize = 16;
        // What has arrived is known after the runtime has asked the system.
        tokio::task::yield_now().await;
        for _ in 0..READS_MAX {
            let read = poll_fn(|cx| match self.poll_read(cx) {
                Poll::Ready(read) => Poll::Ready(Some(read)),
                Poll::Pending => Poll::Ready(None),
            });
            let end = match read.await? {
                Ok(0) => return None,
                Ok(_) => self.process().await.err(),
                Err(error) => Some(End::of(&error)),
            };
            match end {
                Some(goodbye @ End::Goodbye { .. }) => return Some(goodbye),
                Some(_) => return None,
                None => {}
            }
        }
        None
    }

    /// Makes what progress it can on all sides; ready if there was any.
    fn poll_woken(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<Woken>> {
        let mut woken = Woken { wrote: self.poll_write(cx)?, ..Woken::default() };
        if let Poll::Ready(kick) = self.client.poll_kicked(cx) {
            woken.kicked = Some(kick);
            return Poll::Ready(Ok(woken));
        }
        woken.outbox = self.session.outbox.poll_ready(cx, self.deliveries.is_empty()).is_ready();
        // Who reads no answers is not answered any more.
        if self.outbound.len() < OUTBOUND_BYTES_MAX
            && let Poll::Ready(read) = self.poll_read(cx)
        {
            woken.read = Some(read?);
        }
        woken.resumed = self.poll_resume(cx);
        if let Some(timer) = &mut self.timer {
            woken.ticked = timer.as_mut().poll(cx).is_ready();
        }
        let again = self.resume.as_ref().is_some_and(|resume| resume.has_ready());
        let encodable = woken.wrote && !self.window_full && (again || !self.deliveries.is_empty());
        if encodable || woken.outbox || woken.read.is_some() || woken.ticked || woken.resumed {
            Poll::Ready(Ok(woken))
        } else {
            Poll::Pending
        }
    }

    /// Writes what is encoded; true once all of it is out.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> std::io::Result<bool> {
        while !self.outbound.is_empty() {
            match Pin::new(&mut self.transport).poll_write(cx, &self.outbound) {
                Poll::Ready(Ok(0)) => return Err(std::io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(written)) => {
                    self.outbound.advance(written);
                    self.hub.telemetry.sent.add_bytes(written);
                    self.unflushed = true;
                }
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => return Ok(false),
            }
        }
        if self.unflushed {
            match Pin::new(&mut self.transport).poll_flush(cx) {
                Poll::Ready(result) => result?,
                Poll::Pending => return Ok(false),
            }
            self.unflushed = false;
            // An idle connection holds no buffer.
            self.outbound = BytesMut::new();
        }
        Ok(true)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<usize>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            match Pin::new(&mut self.transport).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) => {
                    let read = buffer.filled();
                    self.inbound.extend_from_slice(read);
                    self.heard = Instant::now();
                    self.hub.telemetry.received.add_bytes(read.len());
                    Poll::Ready(Ok(read.len()))
                }
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                Poll::Pending => Poll::Pending,
            }
        })
    }

    /// Handles what was read, and gives the buffer back when it is empty.
    async fn process(&mut self) -> Result<(), End> {
        self.handle_packets().await?;
        if self.inbound.is_empty() {
            self.inbound = BytesMut::new();
        }
        Ok(())
    }

    fn tick(&mut self) -> Result<(), End> {
        let due = self.heard + Duration::from_millis(self.patience_ms.into());
        if Instant::now() >= due {
            return Err(End::KeepAlive);
        }
        if let Some(timer) = &mut self.timer {
            timer.as_mut().reset(due);
        }
        // What a burst needed is not held for ever.
        self.deliveries.shrink_to_fit();
        self.session.outbox.shrink();
        Ok(())
    }

    /// Tells an MQTT 5 client why, and lets what was encoded before go out, for a moment.
    async fn say_goodbye(&mut self, end: &End) {
        const MOMENT: Duration = Duration::from_millis(500);
        match end {
            End::Goodbye { .. } => self.outbound.clear(),
            End::Lost(_) => return,
            End::KeepAlive => {
                goodbye(&mut self.outbound, self.version, Reason::KeepAliveTimeout, end.detail());
            }
            End::Kicked(kick) => goodbye(&mut self.outbound, self.version, kick.reason, &kick.detail),
            End::Refused(error) => {
                goodbye(&mut self.outbound, self.version, error.reason, &error.detail);
            }
        }
        let rest: Bytes = self.outbound.split().freeze();
        let _ = tokio::time::timeout(MOMENT, async {
            self.transport.write_all(&rest).await?;
            self.transport.flush().await?;
            self.transport.shutdown().await?;
            // What still comes is read, or the system would reset the connection and take the reason along.
            if matches!(end, End::Refused(_)) {
                let mut unread = vec![0; CHUNK_BYTES / 16];
                while self.transport.read(&mut unread).await? > 0 {}
            }
            Ok::<(), std::io::Error>(())
        })
        .await;
    }
}
