//! What a leaderboard costs: `cargo run --release -p pointsman-rules --example leaderboard_cost [members]`.
//!
//! Times are those of the processor, as Linux counts them, so that a busy machine adds little to them.
//! `docs/LEADERBOARDS.md` says how the same is measured with Redis.

use std::hint::black_box;
use std::time::Duration;

use pointsman_rules::EventId;
use pointsman_rules::leaderboard::{Kind, Order, Standing, Standings};

const MEMBERS: u64 = 1_000_000;
const ROUNDS: u32 = 1_000_000;
const START_MS: u64 = 1_700_000_000_000;

type Fault = Box<dyn std::error::Error>;
type Step = fn(&mut Standings, &str, Standing) -> usize;

const STEPS: [(&str, Step); 6] = [
    ("submit the latest, and rank", |standings, name, new| {
        standings.set(name, &new, 2);
        standings.rank(name).unwrap_or(0)
    }),
    ("submit the latest", |standings, name, new| usize::from(standings.set(name, &new, 3))),
    // As a handler does it: read, compute, write, ask for the rank.
    ("submit the best, and rank", |standings, name, new| {
        let old = standings.get(name);
        let stands = Kind::Best.submit(Order::Descending, old.as_ref(), new.score, new.since, 0);
        if let Ok(Some(new)) = stands {
            standings.set(name, &new, 4);
        }
        standings.rank(name).unwrap_or(0)
    }),
    ("rank", |standings, name, _| standings.rank(name).unwrap_or(0)),
    ("top 10", |standings, _, _| standings.iter_from(0).take(10).map(|ranked| ranked.rank).sum()),
    ("5 around", |standings, name, _| standings.around(name, 2).map(|ranked| ranked.rank).sum()),
];

/// Numbers that are random enough for an access pattern.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

fn main() -> Result<(), Fault> {
    let members = std::env::args().nth(1).map_or(Ok(MEMBERS), |members| members.parse())?;
    println!("{members} members");
    for (name, score_end) in [("scores of 0 to 999,999", 1_000_000), ("scores of 0 to 99, so most tie", 100)]
    {
        println!("{name}:");
        measure(members, score_end)?;
    }
    Ok(())
}

fn measure(members: u64, score_end: u64) -> Result<(), Fault> {
    let mut numbers = Numbers(7);
    let mut event = 0_u64;
    let mut standing = || {
        event += 1;
        let score = i64::try_from(numbers.below(score_end)).unwrap_or(0);
        // Fifty events a millisecond.
        Standing { score: score.into(), since: EventId::new(START_MS + event / 50, event.into()), nth: 0 }
    };
    let before = resident_bytes()?;
    let mut standings = Standings::new(Order::Descending, 5);
    let begun = processor_time()?;
    for member in 0..members {
        standings.set(&name_of(member), &standing(), 1);
    }
    let nanos = processor_time()?.saturating_sub(begun).as_nanos() / u128::from(members);
    let bytes = resident_bytes()?.saturating_sub(before) / members;
    println!("  first submit of each: {nanos} ns, {bytes} bytes a member");

    for (what, step) in STEPS {
        let mut chosen = Numbers(11);
        let names: Vec<String> = (0..ROUNDS).map(|_| name_of(chosen.below(members))).collect();
        let new: Vec<Standing> = (0..ROUNDS).map(|_| standing()).collect();
        let begun = processor_time()?;
        for (name, new) in names.iter().zip(new) {
            black_box(step(&mut standings, name, new));
        }
        println!("  {what}: {} ns", processor_time()?.saturating_sub(begun).as_nanos() / u128::from(ROUNDS));
    }
    Ok(())
}

fn name_of(member: u64) -> String {
    format!("member:{member:012}")
}

/// How long this process has used a processor.
fn processor_time() -> Result<Duration, Fault> {
    let times = std::fs::read_to_string("/proc/self/schedstat")?;
    let nanos = times.split_whitespace().next().ok_or("no time")?;
    Ok(Duration::from_nanos(nanos.parse()?))
}

/// The memory of this process, as Linux tells it.
fn resident_bytes() -> Result<u64, Fault> {
    const PAGE_BYTES: u64 = 4_096;
    let pages = std::fs::read_to_string("/proc/self/statm")?;
    let resident = pages.split_whitespace().nth(1).ok_or("no resident size")?;
    Ok(resident.parse::<u64>()? * PAGE_BYTES)
}
