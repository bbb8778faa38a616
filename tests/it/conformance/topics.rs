//! Topic names and filters: what is one, and what matches.

use pointsman_tests::wire::kind;

use super::case::{BOTH, Case, MALFORMED, PROTOCOL_ERROR, each};

/// Filters with topics that match and topics that do not; all stand below a level of the case's own.
const FILTERS: [(&str, &[&str], &[&str]); 10] = [
    ("a/b", &["a/b"], &["a", "a/b/c", "A/b", "/a/b", "a/b/"]),
    ("a/+", &["a/b", "a/"], &["a", "a/b/c"]),
    ("+/b", &["a/b", "/b"], &["b", "a/b/c"]),
    ("+", &["a", ""], &["/a", "a/b"]),
    ("/+", &["/a", "/"], &["a", "a/b"]),
    ("a/#", &["a", "a/b", "a/b/c", "a/"], &["ab", "b/a"]),
    ("#", &["a", "/", "a/b/c", "$a", ""], &[]),
    ("+/+", &["a/b", "/", "$a/b"], &["a", "a/b/c"]),
    ("a/+/c", &["a/b/c", "a//c"], &["a/c", "a/b/b/c"]),
    ("+/+/#", &["a/b", "a/b/c", "//"], &["a"]),
];

#[tokio::test]
pub(super) async fn filters_match_what_they_say() {
    each(BOTH, async |case| {
        let mut publisher = case.join("publisher").await;
        for (filter, matching, others) in FILTERS {
            let mut subscriber = case.subscriber("subscriber", &case.topic(filter), 0).await;
            for topic in others.iter().chain(matching) {
                publisher.publish(&case.topic(topic), "x").await;
            }
            for topic in matching {
                assert_eq!(subscriber.published().await.topic, case.topic(topic), "{filter}");
            }
            publisher.ping().await;
            case.quiet(&mut subscriber).await;
            subscriber.leave().await;
        }
    })
    .await;
}

#[tokio::test]
pub(super) async fn wildcards_are_where_they_may_be() {
    each(BOTH, async |case| {
        let mut client = case.join("client").await;
        let refused = if case.is_v5() { 0x8F } else { 0x80 };
        for filter in ["a#", "#/a", "a/#/b", "##", "a/b#", "+a", "a+", "a/+b", "++", "a/b+/c"] {
            assert_eq!(client.subscribe(&[(filter, 0)]).await, [refused], "{filter}");
        }
        for filter in ["#", "+", "+/#", "/#", "/+", "+/+", "a/+/#", "+/a/+", "/", "//"] {
            assert_eq!(client.subscribe(&[(filter, 0)]).await, [0], "{filter}");
            client.unsubscribe(&[filter]).await;
        }
    })
    .await;
}

#[tokio::test]
pub(super) async fn wildcards_do_not_reach_topics_of_the_server() {
    each(BOTH, async |case| {
        // The server itself publishes under `$`: that a client has connected, for one.
        let mut wild = case.join("wild").await;
        assert_eq!(wild.subscribe(&[("#", 0), ("+/#", 0), ("+/+/presence/#", 0)]).await, [0, 0, 0]);
        let mut named = case.subscriber("named", "$aws/events/#", 0).await;
        let newcomer = case.id("newcomer");
        let connected = format!("$aws/events/presence/connected/{newcomer}");
        let mut publisher = case.join("newcomer").await;
        while named.published().await.topic != connected {}
        let topic = case.topic("end");
        publisher.publish(&topic, "x").await;
        loop {
            let found = wild.published().await.topic;
            assert!(!found.starts_with('$'), "{found}");
            if found == topic {
                break;
            }
        }
    })
    .await;
}

async fn filter_is_refused(case: &Case, filter: &str) {
    let mut client = case.join("client").await;
    client.send(&case.subscribe(7, &[(filter, 0)], &[])).await;
    let packet = client.next().await;
    // A code for the filter or the end of the connection: the standard allows both.
    match packet {
        Some(packet) if packet.kind() == kind::SUBACK => {
            assert!(packet.body.last().is_some_and(|code| *code >= 0x80));
        }
        Some(packet) => assert!([MALFORMED, PROTOCOL_ERROR, 0x8F].contains(&packet.reason()), "{packet:?}"),
        None => assert!(!case.is_v5(), "the end comes with a reason"),
    }
}

#[tokio::test]
pub(super) async fn topics_and_filters_are_not_empty() {
    each(BOTH, async |case| {
        filter_is_refused(&case, "").await;
        case.refuses("no topic", &case.publish(2, "", &[]), &[MALFORMED, PROTOCOL_ERROR, 0x90]).await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn topics_may_be_as_long_as_a_text() {
    each(BOTH, async |case| {
        let topic = case.topic(&"x".repeat(65_535 - case.topic("").len()));
        assert_eq!(topic.len(), 65_535);
        let mut client = case.subscriber("client", &topic, 1).await;
        case.join("publisher").await.deliver(1, &topic, "x", &[]).await;
        assert_eq!(client.receive().await.topic, topic);
        client.unsubscribe(&[&topic]).await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn topics_are_compared_byte_for_byte() {
    each(BOTH, async |case| {
        // The same letters composed and decomposed, of other case, with spaces, with characters of no meaning.
        let names =
            ["Å", "A\u{30A}", "å", "Å ", " Å", "\u{A0}", "\u{200B}", "ACCOUNTS", "Accounts", "/x", "x/", "x"];
        for name in names {
            let mut subscriber = case.subscriber("subscriber", &case.topic(name), 0).await;
            let mut publisher = case.join("publisher").await;
            for topic in names {
                publisher.publish(&case.topic(topic), "x").await;
            }
            assert_eq!(subscriber.published().await.topic, case.topic(name));
            publisher.ping().await;
            case.quiet(&mut subscriber).await;
        }
    })
    .await;
}
