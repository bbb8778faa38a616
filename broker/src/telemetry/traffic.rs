//! What goes in and out, counted where it is cheap: by each connection for itself, then once for all that one read or
//! write gave, in a place that few threads share.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Counter;

/// Places that counts are spread over, so that threads do not wait for each other's cache lines.
const SHARDS: usize = 16;

thread_local! {
    static SHARD: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Messages, packets and bytes of one direction.
#[derive(Debug, Default)]
pub struct Traffic {
    shards: [Shard; SHARDS],
}

/// On cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard {
    messages: [Counter; 3],
    message_bytes: [Counter; 3],
    other_packets: Counter,
    bytes: Counter,
}

/// What one connection has counted and not yet told the others.
#[derive(Debug, Default)]
pub struct Batch {
    messages: [u64; 3],
    message_bytes: [u64; 3],
    other_packets: u64,
}

impl Batch {
    /// Counts PUBLISH packets of a quality of service (0, 1 or 2) and their bytes.
    pub fn publishes(&mut self, qos: u8, count: u64, bytes: usize) {
        let qos = usize::from(qos.min(2));
        self.messages[qos] += count;
        self.message_bytes[qos] += bytes as u64;
    }

    /// Counts packets of other kinds.
    pub fn others(&mut self, count: usize) {
        self.other_packets += count as u64;
    }
}

impl Traffic {
    /// Adds what a connection has counted, which starts again from zero.
    pub fn add(&self, batch: &mut Batch) {
        let Batch { messages, message_bytes, other_packets } = std::mem::take(batch);
        let shard = self.shard();
        for qos in 0..3 {
            if messages[qos] > 0 {
                shard.messages[qos].add(messages[qos]);
                shard.message_bytes[qos].add(message_bytes[qos]);
            }
        }
        if other_packets > 0 {
            shard.other_packets.add(other_packets);
        }
    }

    /// Adds bytes as the transport took or gave them, without what TLS and WebSocket put around them.
    pub fn add_bytes(&self, bytes: usize) {
        self.shard().bytes.add(bytes as u64);
    }

    /// PUBLISH packets of a quality of service.
    pub fn messages(&self, qos: u8) -> u64 {
        self.sum(|shard| &shard.messages[usize::from(qos.min(2))])
    }

    /// PUBLISH packets.
    pub fn messages_total(&self) -> u64 {
        (0..3).map(|qos| self.messages(qos)).sum()
    }

    /// Bytes of the PUBLISH packets of a quality of service.
    pub fn message_bytes(&self, qos: u8) -> u64 {
        self.sum(|shard| &shard.message_bytes[usize::from(qos.min(2))])
    }

    /// Bytes of all PUBLISH packets.
    pub fn message_bytes_total(&self) -> u64 {
        (0..3).map(|qos| self.message_bytes(qos)).sum()
    }

    /// Packets of any kind.
    pub fn packets(&self) -> u64 {
        self.messages_total() + self.sum(|shard| &shard.other_packets)
    }

    /// Bytes.
    pub fn bytes(&self) -> u64 {
        self.sum(|shard| &shard.bytes)
    }

    fn sum(&self, counter: impl Fn(&Shard) -> &Counter) -> u64 {
        self.shards.iter().map(|shard| counter(shard).get()).sum()
    }

    fn shard(&self) -> &Shard {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let mine = SHARD.get();
        if mine < SHARDS {
            return &self.shards[mine];
        }
        let mine = NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS;
        SHARD.set(mine);
        &self.shards[mine]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_threads_count_is_summed() {
        let traffic = Traffic::default();
        std::thread::scope(|scope| {
            for _ in 0..40 {
                scope.spawn(|| {
                    let mut batch = Batch::default();
                    batch.publishes(0, 2, 20);
                    batch.publishes(1, 1, 7);
                    batch.others(3);
                    traffic.add(&mut batch);
                    traffic.add(&mut batch);
                    traffic.add_bytes(5);
                });
            }
        });
        assert_eq!([0, 1, 2].map(|qos| traffic.messages(qos)), [80, 40, 0]);
        assert_eq!([0, 1, 2].map(|qos| traffic.message_bytes(qos)), [800, 280, 0]);
        assert_eq!((traffic.messages_total(), traffic.message_bytes_total()), (120, 1_080));
        assert_eq!((traffic.packets(), traffic.bytes()), (240, 200));
    }
}
