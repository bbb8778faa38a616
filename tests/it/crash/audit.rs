//! Reads the whole history back, page by page as the chat's page does, and compares it with the books.

use std::collections::{BTreeMap, BTreeSet};

use pointsman_tests::{Client, Endpoints, QoS, eventually};
use serde_json::{Value, json};

use super::ledger::{Books, Ledger, Said};
use super::load::ROOM;

/// A message as it is kept.
struct Kept {
    id: String,
    said: Said,
}

/// Waits until the history holds all that was acknowledged, and checks that it holds nothing it should not.
pub(super) async fn complete(server: &Endpoints, ledger: &Ledger, when: &str) {
    let books = ledger.books();
    let mut client = server.mqtt("auditor").await;
    // Without acknowledgements of the answers, which would hold each next question back (Nagle, delayed ACK).
    client.subscribe("chat/in/auditor", QoS::AtMostOnce).await;
    // What was acknowledged just before the kill is handled after the start, behind nobody's back but not at once.
    let kept = eventually(&format!("the history is complete, {when}"), async || {
        let kept = history(&mut client).await;
        let lost = lost(&books, &kept);
        if lost.is_empty() { Ok(kept) } else { Err(format!("{} are missing: {}", lost.len(), list(&lost))) }
    })
    .await;
    client.disconnect().await;
    check(&books, &kept, when);
}

fn lost(books: &Books, kept: &[Kept]) -> Vec<Said> {
    let there: BTreeSet<Said> = kept.iter().map(|kept| kept.said).collect();
    let ids: BTreeMap<&str, Said> = kept.iter().map(|kept| (kept.id.as_str(), kept.said)).collect();
    let acknowledged = books.acknowledged.iter().filter(|said| !there.contains(said));
    // What others were shown is kept as well, under the same id.
    let heard =
        books.heard.iter().filter(|(id, said)| ids.get(id.as_str()) != Some(said)).map(|(_, said)| said);
    acknowledged.chain(heard).copied().collect()
}

fn check(books: &Books, kept: &[Kept], when: &str) {
    for pair in kept.windows(2) {
        assert!(pair[0].id < pair[1].id, "{} stands before {}, {when}", pair[0].id, pair[1].id);
    }
    let mut newest: BTreeMap<u32, u32> = BTreeMap::new();
    for Kept { id, said } in kept {
        let sent = books.sent.get(said.publisher as usize).copied().unwrap_or(0);
        assert!((1..=sent).contains(&said.number), "nobody sent {said}, which is kept as {id}, {when}");
        // Both twice and out of order show here.
        let before = newest.insert(said.publisher, said.number).unwrap_or(0);
        assert!(before < said.number, "{said} is kept behind {}-{before}, {when}", said.publisher);
    }
}

/// Everything that was said in the room, oldest first.
async fn history(client: &mut Client) -> Vec<Kept> {
    let mut pages: Vec<Vec<Kept>> = Vec::new();
    loop {
        let before = pages.last().and_then(|page| page.first()).map(|oldest| oldest.id.clone());
        client.publish_json("chat/out", &json!({ "sendroom": ROOM, "before": before })).await;
        let answer = client.recv_on("chat/in/auditor").await.json();
        assert_eq!(answer["cmd"], "history", "{answer}");
        let page: Vec<Kept> = answer["messages"].as_array().expect("a list").iter().map(kept).collect();
        if page.is_empty() {
            return pages.into_iter().rev().flatten().collect();
        }
        pages.push(page);
    }
}

fn kept(message: &Value) -> Kept {
    let text = message["text"].as_str().unwrap_or_default();
    let said = Said::parse(text).unwrap_or_else(|| panic!("nobody said {message}"));
    Kept { id: message["id"].as_str().expect("a message has an id").to_owned(), said }
}

fn list(said: &[Said]) -> String {
    const SHOWN_MAX: usize = 20;
    said.iter().take(SHOWN_MAX).map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
