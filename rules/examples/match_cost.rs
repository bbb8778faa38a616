//! What it costs to find who wants a topic, by how many filters there are:
//! `cargo run --release -p pointsman-rules --example match_cost`.

use std::hint::black_box;
use std::time::Instant;

use pointsman_rules::topic::{FilterError, TopicFilter, TopicTrie};

/// The fastest of so many turns counts: what else the machine does only ever slows one down.
const TURNS: usize = 20;
const ROUNDS: usize = 200_000;
/// Topics that a busy server sees again and again.
const BUSY_TOPICS: usize = 100;

fn main() -> Result<(), FilterError> {
    println!("| filters | ns a topic, 100 topics in turn | ns a topic, all of them in no order | matches |");
    println!("|---|---|---|---|");
    for filters in [10, 1_000, 100_000] {
        let mut trie = TopicTrie::with_hash_seed(0x5eed);
        for number in 0..filters {
            trie.insert(&TopicFilter::parse(&filter(number))?, number);
        }
        let busy: Vec<String> = (0..BUSY_TOPICS).map(|index| topic(index * filters / BUSY_TOPICS)).collect();
        // A step without a common divisor goes through all of them, far from one to the next.
        let all: Vec<String> = (0..filters).map(|index| topic(index * 7_919 % filters)).collect();
        let (busy, _) = cost(&trie, &busy);
        let (all, matches) = cost(&trie, &all);
        println!("| {filters} | {busy} | {all} | {matches} |");
    }
    Ok(())
}

/// Nanoseconds and matches a topic.
fn cost(trie: &TopicTrie<usize>, topics: &[String]) -> (u128, usize) {
    let mut found = 0;
    let mut turn = || {
        let begun = Instant::now();
        for round in 0..ROUNDS {
            trie.for_each_match(black_box(&topics[round % topics.len()]), |_| found += 1);
        }
        begun.elapsed().as_nanos() / ROUNDS as u128
    };
    let fastest = (0..TURNS).map(|_| turn()).min().unwrap_or_default();
    (fastest, found / ROUNDS / TURNS)
}

/// Half of the filters have a wildcard, as subscriptions to one device's topics do.
fn filter(number: usize) -> String {
    if number.is_multiple_of(2) {
        format!("site/{}/device/{number}/temperature", number % 50)
    } else {
        format!("site/{}/device/{number}/#", number % 50)
    }
}

fn topic(number: usize) -> String {
    format!("site/{}/device/{number}/temperature", number % 50)
}
