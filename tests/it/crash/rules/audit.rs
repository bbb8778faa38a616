//! Reads the tables of the stopped server and compares them with the books.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use pointsman::store::{QUERY_ROWS_MAX, RealDisk, Store, StoreOptions};
use serde_json::Value;

use super::books::{Books, Said};

/// The period of the rule that is called by the clock, in milliseconds.
const TICK_MS: u64 = 100;

/// Rows of a hash, by their sort.
type Rows = BTreeMap<String, Value>;

/// What the rule has left.
pub(super) struct Tables {
    /// By publisher; the sort is the id of the entry.
    entries: BTreeMap<u32, Rows>,
    /// The same, as the rule that was told of them has noted them.
    nexts: BTreeMap<u32, Rows>,
    batches: Rows,
    ticks: Rows,
    /// What the rule could not do.
    dead_letters: Rows,
}

impl Tables {
    pub(super) fn read(directory: &Path, publishers: u32) -> Tables {
        // Nothing in these tables ends, so the clock may stand still.
        let options = StoreOptions::new(directory.join("data"));
        let store = Store::open(options, Arc::new(|| 1_700_000_000_000), Arc::new(RealDisk));
        let store = store.expect("the data of a stopped server opens");
        let each = |table: &str| -> BTreeMap<u32, Rows> {
            (0..publishers).map(|from| (from, rows(&store, table, &from.to_string()))).collect()
        };
        Tables {
            entries: each("entries"),
            nexts: each("nexts"),
            batches: rows(&store, "batches", "all"),
            ticks: rows(&store, "ticks", "all"),
            dead_letters: rows(&store, "_dead_letters", "letters"),
        }
    }

    /// Notes every difference as a fault. `told` is what a new server says of counts and scores.
    pub(super) fn check(&self, books: &Books, told: &Value) {
        let mut faults = Vec::new();
        for (table, rows) in self.all() {
            let twice = rows.iter().filter(|(_, row)| row["times"] != 1);
            faults.extend(twice.map(|(sort, row)| format!("{table} has {sort} more than once: {row}")));
        }
        faults.extend(self.dead_letters.values().map(|letter| format!("a dead letter: {letter}")));
        self.check_entries(books, &mut faults);
        self.check_outputs(books, &mut faults);
        self.check_batches(&mut faults);
        self.check_ticks(&mut faults);
        self.check_sums(told, &mut faults);
        for fault in faults {
            books.faults.note(fault);
        }
    }

    fn all(&self) -> impl Iterator<Item = (&'static str, &Rows)> {
        let entries = self.entries.values().map(|rows| ("entries", rows));
        let nexts = self.nexts.values().map(|rows| ("nexts", rows));
        entries.chain(nexts).chain([("batches", &self.batches), ("ticks", &self.ticks)])
    }

    /// Acknowledged ⊆ handled ⊆ sent, nothing more often than it was sent, and in its publisher's order.
    fn check_entries(&self, books: &Books, faults: &mut Vec<String>) {
        let pages = books.pages();
        let mut handled: BTreeMap<Said, u32> = BTreeMap::new();
        for (&from, rows) in &self.entries {
            let mut newest = 0;
            for (place, (id, row)) in (1_u64..).zip(rows) {
                let said = Said { from, number: number(row) };
                if row["place"] != place {
                    faults.push(format!("{said} ({id}) has place {place} by its id, and {row}"));
                }
                // What comes a second time comes late; what comes for the first time comes in order.
                let times = handled.entry(said).or_default();
                *times += 1;
                if *times == 1 && said.number < newest {
                    faults.push(format!("{said} ({id}) comes behind {from}-{newest}"));
                }
                newest = newest.max(said.number);
            }
        }
        for (said, times) in &handled {
            let sent = pages.sent.get(said).copied().unwrap_or(0);
            if *times > sent {
                faults.push(format!("{said} is handled {times} times, and was sent {sent} times"));
            }
        }
        let lost = pages.acknowledged.iter().filter(|said| !handled.contains_key(said));
        faults.extend(lost.map(|said| format!("{said} is acknowledged and not handled")));
    }

    /// What was handled was published, to a rule and to a listener, and nothing else was.
    fn check_outputs(&self, books: &Books, faults: &mut Vec<String>) {
        let pages = books.pages();
        let entries = numbered(&self.entries);
        compare("handled", &entries, "noted by the next rule", &numbered(&self.nexts), faults);
        compare("handled", &entries, "heard", &pages.heard, faults);
    }

    /// Every entry is in one batch, and those of a publisher come in order.
    fn check_batches(&self, faults: &mut Vec<String>) {
        let mut in_order: Vec<(u64, &String, &Value)> =
            self.batches.iter().map(|(id, row)| (row["place"].as_u64().unwrap_or(0), id, row)).collect();
        in_order.sort_by_key(|(place, ..)| *place);
        let (mut batched, mut messages) = (BTreeSet::new(), 0);
        let mut newest: BTreeMap<&str, &str> = BTreeMap::new();
        for (place, batch, row) in in_order {
            for message in row["messages"].as_array().into_iter().flatten() {
                let text = |name: &str| message[name].as_str().unwrap_or_default();
                let (topic, id) = (text("topic"), text("id"));
                messages += 1;
                if !batched.insert(id) {
                    faults.push(format!("{id} is batched once more in {batch}"));
                } else if newest.insert(topic, id).is_some_and(|before| before > id) {
                    faults.push(format!("{id} of {topic} is batched too late, in {batch}"));
                }
            }
            if place != messages {
                faults.push(format!("batch {batch} ends at {place}, and {messages} were batched then"));
            }
        }
        let entries: BTreeSet<&str> =
            self.entries.values().flat_map(BTreeMap::keys).map(String::as_str).collect();
        let skipped = entries.difference(&batched);
        faults.extend(skipped.map(|id| format!("{id} is in no batch")));
        faults.extend(batched.difference(&entries).map(|id| format!("{id} is batched and not handled")));
    }

    /// No time is left out, and each was handled once, which [`Tables::check`] sees.
    fn check_ticks(&self, faults: &mut Vec<String>) {
        let times: Vec<u64> = self.ticks.keys().map(|time| time.parse().unwrap_or(0)).collect();
        let gaps = times.windows(2).filter(|pair| pair[1] != pair[0] + TICK_MS);
        faults.extend(gaps.map(|pair| format!("behind the time {} comes {}", pair[0], pair[1])));
        if times.is_empty() {
            faults.push("the clock has called no rule".to_owned());
        }
    }

    fn check_sums(&self, told: &Value, faults: &mut Vec<String>) {
        let handled: usize = self.entries.values().map(BTreeMap::len).sum();
        for count in ["work", "next", "batch"] {
            if told[count] != handled {
                faults.push(format!("{handled} are handled, and {count} counts {}", told[count]));
            }
        }
        for (from, rows) in &self.entries {
            let sum: u64 = rows.values().map(|row| u64::from(number(row))).sum();
            let score = &told["scores"][from.to_string()];
            if *score != sum {
                faults.push(format!("publisher {from} has score {score}, and its messages sum up to {sum}"));
            }
        }
    }
}

impl fmt::Display for Tables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let handled: usize = self.entries.values().map(BTreeMap::len).sum();
        write!(f, "{handled} handled in {} batches, {} times", self.batches.len(), self.ticks.len())
    }
}

fn compare(
    one: &str,
    left: &BTreeMap<String, Said>,
    other: &str,
    right: &BTreeMap<String, Said>,
    faults: &mut Vec<String>,
) {
    let lacks = left.iter().filter(|(id, said)| right.get(*id) != Some(said));
    faults.extend(lacks.map(|(id, said)| format!("{said} ({id}) is {one} and not {other}")));
    let more = right.iter().filter(|(id, said)| left.get(*id) != Some(said));
    faults.extend(more.map(|(id, said)| format!("{said} ({id}) is {other} and not {one}")));
}

fn numbered(rows: &BTreeMap<u32, Rows>) -> BTreeMap<String, Said> {
    let all = rows.iter().flat_map(|(from, rows)| rows.iter().map(|(id, row)| (*from, id, row)));
    all.map(|(from, id, row)| (id.clone(), Said { from, number: number(row) })).collect()
}

/// The number of a message in a row; 0, which nobody sends, if there is none.
fn number(row: &Value) -> u32 {
    row["number"].as_u64().and_then(|number| number.try_into().ok()).unwrap_or(0)
}

/// All rows of a hash.
fn rows(store: &Store, table: &str, hash: &str) -> Rows {
    let rows = store.scan(table, hash, QUERY_ROWS_MAX).map(|row| row.expect("the tables can be read"));
    rows.map(|row| (row.sort, serde_json::from_slice(&row.value).expect("a row is JSON"))).collect()
}
