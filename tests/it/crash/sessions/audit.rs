//! Compares the books at the end of a run, and looks at what is retained after each fall.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use pointsman_tests::wire::{self, Connect};
use pointsman_tests::{Endpoints, within};

use super::books::{Books, Heard, Pages, Said, Stream};
use super::subscriber::Kind;

/// What subscribers have not heard of what they should have, by their names.
pub(super) fn missing(books: &Books, kinds: &[Kind]) -> Vec<(&'static str, Said)> {
    let pages = books.pages();
    let mut missing = Vec::new();
    for (name, heard) in readers(&pages, kinds) {
        let due = pages.acknowledged.iter().filter(|said| said.stream != Stream::Kept);
        let lacks = due.filter(|said| heard.iter().all(|heard| !heard.times.contains_key(said)));
        missing.extend(lacks.map(|said| (name, *said)));
    }
    missing
}

/// A line for each subscriber that lacks something.
pub(super) fn summary(books: &Books, missing: &[(&'static str, Said)]) -> String {
    let mut lines = String::new();
    for lacks in missing.chunk_by(|(one, _), (next, _)| one == next) {
        let (Some((name, first)), Some((_, last))) = (lacks.first(), lacks.last()) else { continue };
        let _ = write!(lines, "\n  {name} lacks {} from {first} to {last}", lacks.len());
    }
    let _ = write!(lines, "\n  {:?}", books.pages().doing);
    lines
}

/// Everybody who is owed each message once: subscribers by themselves, and the members of a share together.
fn readers<'a>(pages: &'a Pages, kinds: &[Kind]) -> BTreeMap<&'static str, Vec<&'a Heard>> {
    let mut readers: BTreeMap<&'static str, Vec<&Heard>> = BTreeMap::new();
    for kind in kinds {
        let reader = readers.entry(if kind.is_shared() { kind.filter } else { kind.name }).or_default();
        reader.extend(pages.heard.get(kind.name));
    }
    readers
}

/// Notes as faults what was heard twice and must not be.
pub(super) fn note_duplicates(books: &Books, kinds: &[Kind]) {
    let mut faults = Vec::new();
    let exact: Vec<Kind> = kinds.iter().filter(|kind| kind.qos == 2).copied().collect();
    for (name, heard) in readers(&books.pages(), &exact) {
        let mut times: BTreeMap<Said, u32> = BTreeMap::new();
        for (said, count) in heard.iter().flat_map(|heard| &heard.times) {
            *times.entry(*said).or_default() += count;
        }
        let twice = times.iter().filter(|(said, count)| said.stream == Stream::ExactlyOnce && **count > 1);
        faults.extend(twice.map(|(said, count)| format!("{name} has {said} {count} times")));
    }
    for fault in faults {
        books.faults.note(fault);
    }
}

/// Reads what is retained, which is what was acknowledged last, or newer.
pub(super) async fn retained(server: &Endpoints, books: &Books) {
    let due = books.kept();
    let mut newest: BTreeMap<u32, u32> = BTreeMap::new();
    let mut looker = server.raw().await.join(&Connect::new(wire::V311, "looker")).await;
    looker.subscribe(&[("kept/#", 0)]).await;
    let all = within("what is retained is sent", async {
        while due.keys().any(|publisher| !newest.contains_key(publisher)) {
            let published = looker.published().await;
            let said = Said::of(&published.topic, &published.payload).expect("only retained messages");
            newest.entry(said.publisher).or_insert(said.number);
        }
    });
    all.await;
    for (publisher, (acknowledged, _)) in &due {
        let number = newest[publisher];
        if number < *acknowledged {
            books.faults.note(format!("kept/{publisher} has {number}, and {acknowledged} was acknowledged"));
        }
    }
}
