//! Chapter 1: text and numbers on the wire.

use pointsman_tests::wire::{self, Connect, Will, id};

use super::case::{BOTH, Case, MALFORMED, ONLY_V5, WRONG, each};

/// Bytes that are no UTF-8: cut off, overlong, a surrogate, beyond the last code point, a stray byte.
const ILL_FORMED: [&[u8]; 5] = [b"a\xC3", b"\xC1\x81", b"\xED\xA0\x80", b"\xF4\x90\x80\x80", b"a\x80b"];

/// SUBSCRIBE, or UNSUBSCRIBE, with a filter of any bytes.
fn with_filter(case: &Case, first: u8, filter: &[u8]) -> Vec<u8> {
    let mut body = vec![0, 7];
    if case.is_v5() {
        body.push(0);
    }
    wire::put_text(&mut body, filter);
    if first == 0x82 {
        body.push(0);
    }
    wire::packet(first, &body)
}

/// Has a text refused wherever a client may write one.
async fn refused_everywhere(case: &Case, text: &[u8]) {
    let also_topic = [MALFORMED, 0x90];
    let also_filter = [MALFORMED, 0x8F];
    case.refuses("the topic of PUBLISH", &case.publish(0, text, &[]), &also_topic).await;
    case.refuses("the filter of SUBSCRIBE", &with_filter(case, 0x82, text), &also_filter).await;
    case.refuses("the filter of UNSUBSCRIBE", &with_filter(case, 0xA2, text), &also_filter).await;

    let will = Will { topic: text.into(), ..Will::new("", "x") };
    let will = case.connect("will").will(will).packet();
    case.refuses_connect("the topic of a will", &will, &also_topic).await;
    let user = Connect { user: Some(text.into()), ..case.connect("user") };
    case.refuses_connect("a user name", &user.packet(), &[MALFORMED]).await;
    case.refuses_connect("a client id", &with_client_id(case, text), &[MALFORMED, 0x85]).await;
    if case.is_v5() {
        for (what, property) in [
            ("a content type", wire::property_text(id::CONTENT_TYPE, text)),
            ("a response topic", wire::property_text(id::RESPONSE_TOPIC, text)),
            ("the name of a user property", wire::property_pair(text, "value")),
            ("the value of a user property", wire::property_pair("name", text)),
        ] {
            case.refuses(what, &case.publish(0, case.topic("a"), &property), &[MALFORMED]).await;
        }
    }
}

fn with_client_id(case: &Case, client_id: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    wire::put_text(&mut body, b"MQTT");
    body.extend([case.level, 2, 0, 60]);
    if case.is_v5() {
        body.push(0);
    }
    wire::put_text(&mut body, client_id);
    wire::packet(0x10, &body)
}

#[tokio::test]
pub(super) async fn text_that_is_no_utf8_is_malformed() {
    each(BOTH, async |case| {
        for text in ILL_FORMED {
            refused_everywhere(&case, text).await;
        }
    })
    .await;
}

#[tokio::test]
pub(super) async fn the_null_character_is_malformed() {
    each(BOTH, async |case| refused_everywhere(&case, b"a\0b").await).await;
}

#[tokio::test]
pub(super) async fn a_byte_order_mark_is_a_character_like_others() {
    each(BOTH, async |case| {
        let marked = case.topic("\u{FEFF}mark");
        let plain = case.topic("mark");
        let mut subscriber = case.subscriber("\u{FEFF}subscriber", &marked, 0).await;
        subscriber.subscribe(&[(&case.topic("end"), 0)]).await;
        let mut publisher = case.join("publisher").await;
        for topic in [&plain, &marked, &case.topic("end")] {
            publisher.publish(topic, "\u{FEFF}x").await;
        }
        let first = subscriber.published().await;
        assert_eq!((first.topic, &first.payload[..]), (marked, "\u{FEFF}x".as_bytes()));
        assert_eq!(subscriber.published().await.topic, case.topic("end"));
    })
    .await;
}

#[tokio::test]
pub(super) async fn both_strings_of_a_user_property_are_text() {
    each(ONLY_V5, async |case| {
        for (name, value) in [(&b"\xFF"[..], &b"v"[..]), (b"n", b"\xFF"), (b"\0", b"v"), (b"n", b"\0")] {
            let pair = wire::property_pair(name, value);
            let subscribe = case.subscribe(7, &[(&case.topic("a"), 0)], &pair);
            case.refuses("a pair of SUBSCRIBE", &subscribe, WRONG).await;
            let connect = Connect { properties: pair.clone(), ..case.connect("pair") };
            case.refuses_connect("a pair of CONNECT", &connect.packet(), WRONG).await;
            let disconnect = wire::disconnect(0, &pair);
            case.refuses("a pair of DISCONNECT", &disconnect, WRONG).await;
        }
    })
    .await;
}

#[tokio::test]
pub(super) async fn lengths_are_written_with_the_fewest_bytes() {
    each(BOTH, async |case| {
        let topic = case.topic("l");
        let mut subscriber = case.subscriber("subscriber", &topic, 0).await;
        let mut publisher = case.join("publisher").await;
        // What comes before the payload in the length: topic with its length, and the properties' length.
        let head = 2 + topic.len() + usize::from(case.is_v5());
        for length in [head, 127, 128, 16_383, 16_384, 100_000] {
            let payload = "x".repeat(length - head);
            publisher.publish(&topic, &payload).await;
            // The harness refuses a longer form than is needed.
            assert_eq!(subscriber.published().await.payload.len(), payload.len());
        }
    })
    .await;
}

#[tokio::test]
pub(super) async fn a_length_of_five_bytes_is_malformed() {
    each(BOTH, async |case| {
        case.refuses("PUBLISH", &[0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0x01, 0], &[MALFORMED]).await;
        case.refuses("PINGREQ", &[0xC0, 0x80, 0x80, 0x80, 0x80, 0x00], &[MALFORMED]).await;
        case.refuses_connect("CONNECT", &[0x10, 0xFF, 0xFF, 0xFF, 0xFF, 0x01, 0], &[MALFORMED]).await;
    })
    .await;
}
