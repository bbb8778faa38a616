//! Lanes under threads: order within a key, nothing lost, a bound, and slow keys that hold up nobody.

use std::collections::HashMap;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;

use proptest::prelude::*;

use super::*;

/// Numbered events of one key.
struct Numbers(Key, std::ops::Range<u32>);

impl Work for Numbers {
    fn events(&self) -> usize {
        self.1.len()
    }
}

fn one(key: Key, number: u32) -> Numbers {
    Numbers(key, number..number + 1)
}

/// Runs up to `events` of a lane, and tells which.
fn run(held: &mut Held<Numbers>, events: usize, mut ran: impl FnMut(Key, u32)) {
    for _ in 0..events {
        let Some(front) = held.work.front_mut() else { return };
        if let Some(number) = front.1.next() {
            ran(front.0, number);
        }
        if front.1.is_empty() {
            held.work.pop_front();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn each_key_is_in_order_and_nothing_is_lost(
        work in prop::collection::vec((0..5_u64, 1..7_u32), 1..200),
        workers in 1..5_usize,
        turn in 1..9_usize,
    ) {
        let lanes = Arc::new(Lanes::new(workers, 20));
        let seen: Arc<Mutex<HashMap<Key, Vec<u32>>>> = Arc::default();
        let threads: Vec<_> = (0..workers).map(|_| {
            let (lanes, seen) = (Arc::clone(&lanes), Arc::clone(&seen));
            thread::spawn(move || while let Some(first) = lanes.take() {
                let mut all = vec![first];
                all.extend(lanes.take_more());
                for held in &mut all {
                    run(held, turn, |key, number| seen.lock().unwrap().entry(key).or_default().push(number));
                    held.is_slow = held.key == 3;
                    lanes.ran(held);
                }
                lanes.give_back(all);
            })
        }).collect();
        let mut numbers: HashMap<Key, u32> = HashMap::new();
        for (key, count) in work {
            let next = numbers.entry(key).or_default();
            lanes.submit(key, Numbers(key, *next..*next + count));
            *next += count;
        }
        lanes.close();
        for thread in threads {
            thread.join().unwrap();
        }
        let seen = seen.lock().unwrap();
        for (key, count) in numbers {
            prop_assert_eq!(&seen[&key], &(0..count).collect::<Vec<_>>());
        }
        prop_assert_eq!(lanes.stats(), LaneStats::default());
    }
}

#[test]
fn what_is_left_of_a_lane_comes_before_what_was_added() {
    let lanes = Lanes::new(1, 100);
    lanes.submit(1, Numbers(1, 0..3));
    let mut held = lanes.take().unwrap();
    lanes.submit(1, one(1, 3));
    assert!(lanes.take_more().is_none(), "the lane is held");
    run(&mut held, 1, |_, _| {});
    lanes.give_back([held]);
    let mut numbers = Vec::new();
    run(&mut lanes.take().unwrap(), 9, |_, number| numbers.push(number));
    assert_eq!(numbers, [1, 2, 3]);
}

#[test]
fn a_slow_lane_is_run_alone_and_leaves_a_worker_to_the_others() {
    // Keys are hashes: their highest bits differ.
    let [first, second, third, fourth] = [1, 2, 3, 4].map(|number: Key| number << 60);
    let lanes = Lanes::new(2, 100);
    for key in [first, second] {
        lanes.submit(key, one(key, 0));
    }
    let mut both = [lanes.take().unwrap(), lanes.take().unwrap()];
    for held in &mut both {
        lanes.submit(held.key, one(held.key, 1));
        run(held, 1, |_, _| {});
        held.is_slow = true;
    }
    lanes.give_back(both);
    lanes.submit(third, one(third, 0));
    lanes.submit(fourth, one(fourth, 0));
    let mut slow = lanes.take().unwrap();
    assert_eq!((slow.key, slow.is_slow), (first, true));
    // The other slow one has to wait, as one worker is for the rest.
    let fast = lanes.take().unwrap();
    assert_eq!(fast.key, third);
    assert_eq!(lanes.take_more().map(|more| more.key), Some(fourth));
    assert!(lanes.take_more().is_none());
    // That it waits for the disk keeps no worker.
    lanes.ran(&mut slow);
    let mut other = lanes.take().unwrap();
    assert_eq!((other.key, lanes.stats().events), (second, 4));
    run(&mut other, 1, |_, _| {});
    other.is_slow = false;
    lanes.submit(second, one(second, 2));
    lanes.give_back([slow, other]);
    assert_eq!(lanes.take_more().map(|more| more.key), Some(second), "it is as fast as others now");
}

#[test]
fn who_submits_waits_for_room() {
    let lanes = Arc::new(Lanes::new(1, 2));
    lanes.submit(1, Numbers(1, 0..2));
    let (done, is_done) = channel();
    let submitter = Arc::clone(&lanes);
    let thread = thread::spawn(move || {
        submitter.submit(2, one(2, 0));
        done.send(()).unwrap();
    });
    let mut held = lanes.take().unwrap();
    assert!(is_done.try_recv().is_err());
    run(&mut held, 1, |_, _| {});
    lanes.give_back([held]);
    is_done.recv().unwrap();
    thread.join().unwrap();
    assert_eq!(lanes.stats(), LaneStats { lanes: 2, ready: 2, events: 2 });
}

#[test]
fn closing_drops_what_comes_later_and_lets_workers_finish() {
    let lanes = Lanes::new(1, 9);
    lanes.submit(1, one(1, 0));
    lanes.close();
    lanes.submit(1, one(1, 1));
    let mut held = lanes.take().unwrap();
    run(&mut held, 9, |_, number| assert_eq!(number, 0));
    lanes.give_back([held]);
    assert!(lanes.take().is_none());
    lanes.abandon();
    assert!(lanes.take().is_none());
}
