//! Some of the messages that went by, kept for a while so that it can be explained what became of them.

use std::collections::VecDeque;
use std::mem::size_of;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pointsman_rules::EventId;
use smallvec::SmallVec;

use super::super::envelope::Envelope;
use super::audience::Audience;
use super::witness::{Members, Witness};

/// Which messages are kept, and how many.
#[derive(Debug, Clone, Copy)]
pub struct SampleLimits {
    /// One message in so many, on average; zero for none.
    pub one_of: u64,
    /// Messages kept; the oldest go first.
    pub count_max: usize,
    /// Bytes of all of them.
    pub bytes_max: usize,
}

/// A message that is kept, with what was noted when it was delivered.
#[derive(Debug, Clone)]
pub struct Sampled {
    /// The message, in an envelope of its own.
    pub envelope: Envelope,
    /// Whom it concerned.
    pub(super) audience: Arc<Audience>,
    /// Those of them that were not connected.
    pub(super) away: Members,
    /// The members of shared subscriptions that were given it.
    pub(super) given: Members,
}

impl Sampled {
    /// Bytes it takes, near enough. Messages may share an audience, which counts for each: how many do is not known when one
    /// goes.
    fn bytes(&self) -> usize {
        let members = self.away.len() + self.given.len();
        size_of::<Sampled>()
            + self.envelope.bytes().len()
            + self.audience.bytes()
            + members * size_of::<u16>()
    }
}

/// The messages that are kept.
#[derive(Debug)]
pub(crate) struct Samples {
    limits: SampleLimits,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    messages: VecDeque<Sampled>,
    bytes: usize,
}

impl Samples {
    pub(crate) fn new(limits: SampleLimits) -> Samples {
        Samples { limits, kept: Mutex::default() }
    }

    /// The message with this id, if it was kept.
    pub(crate) fn find(&self, id: EventId) -> Option<Sampled> {
        self.lock().messages.iter().find(|message| message.envelope.id(0) == id).cloned()
    }

    /// Those kept last, the newest first.
    pub(crate) fn newest(&self, count: usize) -> Vec<Envelope> {
        self.lock().messages.iter().rev().take(count).map(|message| message.envelope.clone()).collect()
    }

    /// Keeps a message.
    pub(super) fn keep(&self, message: Sampled) {
        let mut kept = self.lock();
        kept.bytes += message.bytes();
        kept.messages.push_back(message);
        while kept.messages.len() > self.limits.count_max || kept.bytes > self.limits.bytes_max {
            let Some(oldest) = kept.messages.pop_front() else { break };
            kept.bytes -= oldest.bytes();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Picks messages at random distances, so that no rhythm of publishers hides some of them. Belongs to one dispatcher.
#[derive(Debug)]
pub(crate) struct Sampler {
    one_of: u64,
    /// Messages to come until the next is picked.
    until: u64,
    /// The state of a xorshift generator: what is picked need not be secret.
    state: u64,
}

impl Sampler {
    /// `seed` is any number.
    pub(crate) fn new(samples: &Samples, seed: u64) -> Sampler {
        let mut picker = Sampler { one_of: samples.limits.one_of, until: u64::MAX, state: seed | 1 };
        if picker.one_of > 0 {
            picker.until = picker.distance() - 1;
        }
        picker
    }

    /// What notes the delivery of those of an envelope's messages that are picked, if some are.
    #[inline]
    pub(super) fn witness(&mut self, envelope: &Envelope) -> Option<Witness> {
        let len = envelope.len() as u64;
        if self.until >= len {
            // Without samples this counts down for longer than any server runs.
            self.until -= len;
            None
        } else {
            Some(self.pick(envelope, len))
        }
    }

    #[cold]
    fn pick(&mut self, envelope: &Envelope, len: u64) -> Witness {
        let mut picked = SmallVec::new();
        while self.until < len {
            let index = usize::try_from(self.until).unwrap_or(usize::MAX);
            // The server's own figures would crowd out what somebody asks about.
            if !envelope.message(index).topic().starts_with("$SYS/") {
                picked.push(index);
            }
            self.until += self.distance();
        }
        self.until -= len;
        Witness::new(picked)
    }

    /// From 1 to twice the mean.
    fn distance(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        1 + self.state % (self.one_of.saturating_mul(2) - 1).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::codec::QoS;
    use super::super::super::envelope::{EnvelopeBuilder, Interest, Marks, Origin};
    use super::*;

    fn envelope(first: u64, count: u64) -> Envelope {
        envelope_on("a/b", first, count)
    }

    fn envelope_on(topic: &str, first: u64, count: u64) -> Envelope {
        let mut builder = EnvelopeBuilder::default();
        for number in first..first + count {
            let marks = Marks { qos: QoS::AtMostOnce, retain: false, interest: Interest::default() };
            builder.push(topic, number.to_string().as_bytes(), b"", marks);
        }
        let first_id = EventId::new(1, u128::from(first));
        builder.seal(&Origin { publisher: 1, client_id: "c", user: None, hops: 0, first_id })
    }

    /// A message to nobody.
    fn sampled(envelope: Envelope) -> Sampled {
        let audience = Arc::default();
        Sampled { envelope, audience, away: Members::new(), given: Members::new() }
    }

    fn offer(picker: &mut Sampler, samples: &Samples, envelope: &Envelope) {
        for index in picker.witness(envelope).into_iter().flat_map(|witness| witness.picked) {
            samples.keep(sampled(envelope.single(index)));
        }
    }

    #[test]
    fn one_of_one_is_all_and_the_oldest_go() {
        let samples = Samples::new(SampleLimits { one_of: 1, count_max: 3, bytes_max: 1 << 20 });
        let mut picker = Sampler::new(&samples, 5);
        for first in [0, 2] {
            offer(&mut picker, &samples, &envelope(first, 2));
        }
        let newest: Vec<_> =
            samples.newest(9).iter().map(|kept| kept.message(0).payload().to_vec()).collect();
        assert_eq!(newest, [b"3", b"2", b"1"]);
        offer(&mut picker, &samples, &envelope_on("$SYS/broker/uptime", 4, 9));
        assert_eq!(samples.newest(1)[0].message(0).payload(), b"3", "the server's own figures are not kept");
        assert!(samples.find(EventId::new(1, 0)).is_none());
        let found = samples.find(EventId::new(1, 1)).unwrap().envelope;
        assert_eq!((found.len(), found.message(0).payload()), (1, &b"1"[..]));
    }

    #[test]
    fn bytes_are_bounded() {
        let bytes_max = 3 * sampled(envelope(0, 1)).bytes();
        let samples = Samples::new(SampleLimits { one_of: 1, count_max: 100, bytes_max });
        offer(&mut Sampler::new(&samples, 5), &samples, &envelope(0, 9));
        assert_eq!(samples.newest(100).len(), 3);
        let samples = Samples::new(SampleLimits { one_of: 1, count_max: 100, bytes_max: 1 });
        offer(&mut Sampler::new(&samples, 5), &samples, &envelope(0, 9));
        assert!(samples.newest(100).is_empty(), "what alone is too large is not kept");
    }

    #[test]
    fn about_as_many_are_picked_as_was_asked() {
        for (one_of, expected) in [(0, 0..=0), (10, 900..=1_100), (1_000, 1..=30)] {
            let samples = Samples::new(SampleLimits { one_of, count_max: 10_000, bytes_max: 1 << 30 });
            let mut picker = Sampler::new(&samples, 77);
            let mut first = 0;
            while first < 10_000 {
                offer(&mut picker, &samples, &envelope(first, 1 + first % 7));
                first += 1 + first % 7;
            }
            let count = samples.newest(20_000).len();
            assert!(expected.contains(&count), "one of {one_of}: {count}");
        }
    }
}
