//! SUBSCRIBE, UNSUBSCRIBE and the packets without a message: what else a client asks for.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

use super::super::codec::{
    Control, QoS, Reason, RetainHandling, Subscription, Version, encode_pingresp, encode_suback,
    encode_unsuback,
};
use super::super::reserved;
use super::Hub;
use super::connection::{Connection, End};
use super::inbound::refused;
use super::resume::RetainedWanted;
use super::retained::RetainedCursor;
use super::session::Session;
use super::state::Op;
use super::subscriptions::{Subscriber, WantedFilter};
use crate::auth::Action;
use crate::store::Seq;

/// A subscription that may be made.
struct Admitted {
    filter: WantedFilter,
    wanted: Subscription,
    /// Whether the session had none on this filter.
    new: bool,
}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Connection<T> {
    pub(super) async fn handle_control(&mut self, control: Control) -> Result<(), End> {
        match control {
            Control::Subscribe { packet_id, subscription_id, filters } => {
                self.subscribe(packet_id, subscription_id, filters).await
            }
            Control::Unsubscribe { packet_id, filters } => self.unsubscribe(packet_id, &filters).await,
            Control::PingRequest => {
                self.work.sent.others(1);
                encode_pingresp(&mut self.outbound);
                Ok(())
            }
            Control::Disconnect { with_will, session_expiry_seconds } => {
                // [MQTT5-3.14.2-2]
                if session_expiry_seconds.is_some_and(|seconds| seconds > 0) && self.expiry_was_zero {
                    return refused(Reason::ProtocolError, "a session that was to end now is to be kept");
                }
                Err(End::Goodbye { with_will, session_expiry_seconds })
            }
            Control::Auth { reason, method, data } => {
                self.authenticate_again(reason, method.as_deref(), data.as_ref())
            }
        }
    }

    async fn subscribe(
        &mut self,
        packet_id: u16,
        subscription_id: Option<u32>,
        filters: Vec<Subscription>,
    ) -> Result<(), End> {
        let mut codes = Vec::with_capacity(filters.len());
        let mut admitted = Vec::with_capacity(filters.len());
        for wanted in filters {
            match self.admit_filter(wanted, &admitted) {
                Ok(it) => {
                    codes.push(granted(it.wanted.qos));
                    admitted.push(it);
                }
                Err(reason) => codes.push(reason),
            }
        }
        if self.add_subscriptions(subscription_id, &admitted).await.is_err() {
            // Nothing was promised: what could not be kept is not there.
            codes.iter_mut().filter(|code| **code as u8 <= 2).for_each(|code| *code = Reason::QuotaExceeded);
            admitted.clear();
        }
        self.work.sent.others(1);
        encode_suback(&mut self.outbound, self.version, packet_id, &codes);
        let topics: Vec<String> = admitted.iter().map(|it| it.wanted.filter.clone()).collect();
        for it in admitted {
            self.want_retained(it, subscription_id);
        }
        if !topics.is_empty() {
            self.hub.announce_subscriptions(&self.client, &self.session, "subscribed", topics);
        }
        Ok(())
    }

    fn admit_filter(&self, wanted: Subscription, admitted: &[Admitted]) -> Result<Admitted, Reason> {
        let filter = WantedFilter::parse(&wanted.filter).ok_or(Reason::TopicFilterInvalid)?;
        if filter.filter.levels() > self.limits.topic_levels_max {
            return Err(Reason::TopicFilterInvalid);
        }
        let state = self.session.state();
        let here = admitted.iter().any(|it| it.wanted.filter == wanted.filter);
        let new = !here && state.subscription(&wanted.filter).is_none();
        if new && state.subscriptions.len() + admitted.len() >= self.limits.subscriptions_max {
            return Err(Reason::QuotaExceeded);
        }
        drop(state);
        let text = filter.filter.as_str();
        if !reserved::is_open_filter(text) || !self.client.identity.may(Action::Subscribe, text) {
            return Err(Reason::NotAuthorized);
        }
        Ok(Admitted { filter, wanted, new })
    }

    /// Makes subscriptions; those of a durable session are on disk when this resolves.
    async fn add_subscriptions(&mut self, id: Option<u32>, admitted: &[Admitted]) -> Result<(), ()> {
        let ops: Vec<Op> =
            admitted.iter().map(|it| Op::Subscribe { wanted: it.wanted.clone(), id }).collect();
        let (session, hub) = (Arc::clone(&self.session), Arc::clone(&self.hub));
        hub.dispatched_until_now().await;
        change(&session, &hub, &ops, || {
            for it in admitted {
                let subscriber = Subscriber::new(&session, &it.wanted, id);
                hub.subscriptions.subscribe(&it.filter, subscriber);
            }
        })
        .await
    }

    /// Has the retained messages sent that a new subscription asks for. [MQTT5-3.8.4-4] [MQTT5-4.8.2-8]
    fn want_retained(&mut self, it: Admitted, subscription_id: Option<u32>) {
        let wants = match it.wanted.retain_handling {
            RetainHandling::Always => true,
            RetainHandling::IfNew => it.new,
            RetainHandling::Never => false,
        };
        if wants && it.filter.share.is_none() {
            // What was to be sent for the subscription before is sent for this one: there is one for each at most.
            self.forget_retained(it.filter.filter.as_str());
            let cursor = RetainedCursor::new(it.filter.filter);
            let wanted = RetainedWanted { cursor, qos: it.wanted.qos, subscription_id };
            self.resume.get_or_insert_default().retained.push_back(wanted);
        }
    }

    /// Retained messages that were not read yet are not sent any more. [MQTT-3.10.4-2]
    fn forget_retained(&mut self, filter: &str) {
        if let Some(resume) = &mut self.resume {
            resume.retained.retain(|it| it.cursor.filter().as_str() != filter);
        }
    }

    async fn unsubscribe(&mut self, packet_id: u16, filters: &[impl AsRef<str>]) -> Result<(), End> {
        let mut gone: Vec<String> = Vec::new();
        let mut codes = Vec::with_capacity(filters.len());
        for text in filters.iter().map(AsRef::as_ref) {
            let known = self.session.state().subscription(text).is_some();
            codes.push(match WantedFilter::parse(text) {
                None => Reason::TopicFilterInvalid,
                Some(_) if !known || gone.iter().any(|it| it == text) => Reason::NoSubscriptionExisted,
                Some(_) => {
                    gone.push(text.to_owned());
                    Reason::Success
                }
            });
        }
        let ops: Vec<Op> = gone.iter().map(|filter| Op::Unsubscribe { filter: filter.clone() }).collect();
        let (session, hub) = (Arc::clone(&self.session), Arc::clone(&self.hub));
        let changed = change(&session, &hub, &ops, || {
            for filter in gone.iter().filter_map(|text| WantedFilter::parse(text)) {
                hub.subscriptions.unsubscribe(&filter, session.number);
            }
        });
        if changed.await.is_err() {
            if self.version != Version::V5 {
                return refused(Reason::ServerUnavailable, "what was unsubscribed cannot be noted on disk");
            }
            codes
                .iter_mut()
                .filter(|code| **code == Reason::Success)
                .for_each(|code| *code = Reason::UnspecifiedError);
            gone.clear();
        }
        for filter in &gone {
            self.forget_retained(filter);
        }
        self.work.sent.others(1);
        encode_unsuback(&mut self.outbound, self.version, packet_id, &codes);
        if !gone.is_empty() {
            self.hub.announce_subscriptions(&self.client, &self.session, "unsubscribed", gone);
        }
        Ok(())
    }
}

fn granted(qos: QoS) -> Reason {
    match qos {
        QoS::AtMostOnce => Reason::Success,
        QoS::AtLeastOnce => Reason::GrantedQoS1,
        QoS::ExactlyOnce => Reason::GrantedQoS2,
    }
}

/// Applies ops to the session, with what follows from them, and waits until they are on disk if they must survive.
async fn change(session: &Session, hub: &Hub, ops: &[Op], then: impl FnOnce()) -> Result<(), ()> {
    if ops.is_empty() {
        return Ok(());
    }
    let appended = {
        let mut state = session.state();
        let appended = if session.durable {
            Some(hub.append_ops(&session.client_id, ops).map_err(|error| {
                tracing::warn!(%error, "subscriptions cannot be kept");
            })?)
        } else {
            None
        };
        let seq: Seq = appended.as_ref().map_or(0, |appended| appended.seq);
        for op in ops {
            state.apply(op, seq);
        }
        then();
        appended
    };
    session.touch();
    match appended {
        Some(appended) => appended.durable().await.map_err(drop),
        None => Ok(()),
    }
}
