//! PUBLISH: what is refused, and what of MQTT 5 goes into one that is sent.

use bytes::BytesMut;

use super::super::{
    OutboundPublish, QoS, Reason, Version, encode_publish, message_expiry, parse_publish, publish_len,
    without_alias,
};
use super::{MALFORMED, PROTOCOL, reason_of};

use Version::{V5, V311};

#[test]
fn a_publish_is_read_and_written_alike() {
    let mut out = BytesMut::new();
    let publish = OutboundPublish {
        body: b"\x00\x03a/bhello",
        topic_len: 5,
        properties: b"\x01\x01",
        subscription_ids: &[],
        qos: QoS::AtLeastOnce,
        retain: true,
        dup: true,
        packet_id: 513,
        topic_alias: None,
        send_topic: true,
        expiry_seconds: None,
    };
    encode_publish(&mut out, V5, &publish);
    let view = parse_publish(out[0], &out[2..], V5).unwrap();
    assert_eq!((view.topic, view.payload, view.packet_id), (&b"a/b"[..], &b"hello"[..], 513));
    assert_eq!((view.qos, view.dup, view.retain), (QoS::AtLeastOnce, true, true));
    assert_eq!(view.properties, b"\x01\x01");
}

#[test]
fn bad_publishes_are_refused() {
    let cases: &[(&str, Version, u8, &[u8], Reason)] = &[
        ("QoS 3", V311, 0x36, b"\x00\x01a\x00\x01", MALFORMED),
        ("DUP at QoS 0", V311, 0x38, b"\x00\x01a", MALFORMED),
        ("nothing", V311, 0x30, b"", MALFORMED),
        ("half a topic", V311, 0x30, b"\x00\x09a", MALFORMED),
        ("no packet id", V311, 0x32, b"\x00\x01a", MALFORMED),
        ("packet id 0", V311, 0x34, b"\x00\x01a\x00\x00", PROTOCOL),
        ("no properties", V5, 0x30, b"\x00\x01a", MALFORMED),
        ("a padded length of properties", V5, 0x30, b"\x00\x01a\x80\x00", MALFORMED),
        ("alias 0", V5, 0x30, b"\x00\x00\x03\x23\x00\x00", Reason::TopicAliasInvalid),
        ("alias twice", V5, 0x30, b"\x00\x00\x06\x23\x00\x01\x23\x00\x01", PROTOCOL),
        ("a subscription id", V5, 0x30, b"\x00\x01a\x02\x0b\x01", PROTOCOL),
        ("payload format 2", V5, 0x30, b"\x00\x01a\x02\x01\x02", PROTOCOL),
        ("a wildcard in the response topic", V5, 0x30, b"\x00\x01a\x04\x08\x00\x01+", PROTOCOL),
        ("the null character in a content type", V5, 0x30, b"\x00\x01a\x04\x03\x00\x01\x00", MALFORMED),
        ("expiry twice", V5, 0x30, b"\x00\x01a\x0a\x02\0\0\0\x01\x02\0\0\0\x01", PROTOCOL),
        ("an unknown property", V5, 0x30, b"\x00\x01a\x02\x7f\x01", MALFORMED),
        ("a user property without a value", V5, 0x30, b"\x00\x01a\x04\x26\x00\x01k", MALFORMED),
    ];
    for (name, version, first, body, reason) in cases {
        assert_eq!(reason_of(parse_publish(*first, body, *version)), *reason, "{name}");
    }
}

#[test]
fn alias_expiry_and_subscription_ids_go_to_mqtt_5_alone() {
    let publish = OutboundPublish {
        body: b"\x00\x03a/bhello",
        topic_len: 5,
        properties: b"\x01\x01\x02\x00\x00\x01\x00\x26\x00\x01k\x00\x01v",
        subscription_ids: &[300],
        qos: QoS::AtMostOnce,
        retain: false,
        dup: false,
        packet_id: 0,
        topic_alias: Some(9),
        send_topic: false,
        expiry_seconds: Some(5),
    };
    let mut out = BytesMut::new();
    encode_publish(&mut out, V5, &publish);
    let properties = b"\x01\x01\x02\x00\x00\x00\x05\x26\x00\x01k\x00\x01v\x0b\xac\x02\x23\x00\x09";
    assert_eq!(publish_len(V5, &publish), out.len());
    assert_eq!(out, [b"\x30\x1c\x00\x00\x14", &properties[..], b"hello"].concat());
    assert_eq!(message_expiry(properties), Some(5));
    out.clear();
    encode_publish(&mut out, V311, &publish);
    assert_eq!(&out[..], b"\x30\x0a\x00\x03a/bhello");
}

#[test]
fn an_expiry_is_only_replaced_where_there_is_one() {
    let publish = OutboundPublish {
        body: b"\x00\x01a",
        topic_len: 3,
        properties: b"\x09\x00\x02\x02\x02",
        subscription_ids: &[],
        qos: QoS::AtMostOnce,
        retain: false,
        dup: false,
        packet_id: 0,
        topic_alias: None,
        send_topic: true,
        expiry_seconds: Some(5),
    };
    let mut out = BytesMut::new();
    encode_publish(&mut out, V5, &publish);
    assert_eq!(&out[..], b"\x30\x09\x00\x01a\x05\x09\x00\x02\x02\x02");
    assert_eq!(message_expiry(publish.properties), None);
    assert_eq!(message_expiry(b"\x02\x00"), None, "what was never checked does no harm");
}

#[test]
fn an_alias_is_cut_out_of_the_properties() {
    let properties = b"\x01\x01\x23\x00\x05\x26\x00\x01k\x00\x01v";
    assert_eq!(without_alias(properties), b"\x01\x01\x26\x00\x01k\x00\x01v");
}
