//! Packets at random: what is written is read back, and nothing makes the parsers panic.

use bytes::{BufMut, Bytes, BytesMut};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::super::properties::{Place, Properties};
use super::super::{
    Ack, Connect, Control, OutboundPublish, QoS, Reason, RetainHandling, Subscription, Version, Will,
    decode_connect, decode_control, encode_ack_with, encode_publish, frame_head, parse_ack, parse_publish,
    publish_len, version_of_connect,
};
use super::packet;

const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];

fn qos() -> impl Strategy<Value = QoS> {
    prop_oneof![Just(QoS::AtMostOnce), Just(QoS::AtLeastOnce), Just(QoS::ExactlyOnce)]
}

fn name() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9/äß𪛔 ]{0,12}"
}

fn data() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..40).prop_map(Bytes::from)
}

fn will_properties() -> impl Strategy<Value = Vec<u8>> {
    vec((name(), name()), 0..3).prop_map(|pairs| {
        let mut out = vec![0x01, 0x01];
        for (name, value) in pairs {
            out.put_u8(0x26);
            put(&mut out, name.as_bytes());
            put(&mut out, value.as_bytes());
        }
        out
    })
}

prop_compose! {
    fn will()(
        topic in "[a-z/ä𪛔]{1,12}", payload in data(), qos in qos(), retain: bool, delay_seconds: u32,
        properties in will_properties(),
    ) -> Will {
        Will { topic, payload, qos, retain, delay_seconds, properties }
    }
}

prop_compose! {
    fn connect()(
        version in prop_oneof![Just(Version::V31), Just(Version::V311), Just(Version::V5)],
        (client_id, clean_start, keep_alive_seconds) in (name(), any::<bool>(), any::<u16>()),
        (username, password, will) in (option::of(name()), option::of(data()), option::of(will())),
        (receive_max, packet_bytes_max, topic_alias_max) in (1..=u16::MAX, 1..=u32::MAX, any::<u16>()),
        session_expiry_seconds: u32,
        (request_response_info, request_problem_info) in any::<(bool, bool)>(),
        auth in option::of((name(), option::of(data()))),
    ) -> Connect {
        let v5 = version == Version::V5;
        let (auth_method, auth_data) = auth.filter(|_| v5).map_or((None, None), |(name, data)| (Some(name), data));
        Connect {
            version,
            client_id,
            clean_start,
            keep_alive_seconds,
            password: password.filter(|_| v5 || username.is_some()),
            username,
            will: will.map(|will| if v5 { will } else { Will { delay_seconds: 0, properties: Vec::new(), ..will } }),
            receive_max: if v5 { receive_max } else { u16::MAX },
            packet_bytes_max: if v5 { packet_bytes_max } else { u32::MAX },
            session_expiry_seconds: match version {
                Version::V5 => session_expiry_seconds,
                _ if clean_start => 0,
                _ => u32::MAX,
            },
            topic_alias_max: if v5 { topic_alias_max } else { 0 },
            request_response_info: v5 && request_response_info,
            request_problem_info: v5 && request_problem_info,
            auth_method,
            auth_data,
        }
    }
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    out.put_u16(u16::try_from(bytes.len()).expect("short"));
    out.put_slice(bytes);
}

/// Properties with their length.
fn put_properties(out: &mut Vec<u8>, properties: &[u8]) {
    let mut head = BytesMut::new();
    super::super::write_remaining_length(&mut head, properties.len());
    out.put_slice(&head);
    out.put_slice(properties);
}

/// CONNECT as a client writes it.
fn write_connect(connect: &Connect) -> Vec<u8> {
    let mut out = Vec::new();
    let (name, level): (&[u8], u8) = match connect.version {
        Version::V31 => (b"MQIsdp", 3),
        Version::V311 => (b"MQTT", 4),
        Version::V5 => (b"MQTT", 5),
    };
    put(&mut out, name);
    let will = connect.will.as_ref();
    let will_flags = will.map_or(0, |will| 4 | (will.qos as u8) << 3 | u8::from(will.retain) << 5);
    let flags = u8::from(connect.clean_start) << 1
        | will_flags
        | u8::from(connect.password.is_some()) << 6
        | u8::from(connect.username.is_some()) << 7;
    out.put_slice(&[level, flags]);
    out.put_u16(connect.keep_alive_seconds);
    if connect.version == Version::V5 {
        let mut properties = Vec::new();
        properties.put_u8(0x11);
        properties.put_u32(connect.session_expiry_seconds);
        properties.put_u8(0x21);
        properties.put_u16(connect.receive_max);
        properties.put_u8(0x27);
        properties.put_u32(connect.packet_bytes_max);
        properties.put_u8(0x22);
        properties.put_u16(connect.topic_alias_max);
        properties.put_slice(&[0x19, u8::from(connect.request_response_info)]);
        properties.put_slice(&[0x17, u8::from(connect.request_problem_info)]);
        if let Some(method) = &connect.auth_method {
            properties.put_u8(0x15);
            put(&mut properties, method.as_bytes());
        }
        if let Some(data) = &connect.auth_data {
            properties.put_u8(0x16);
            put(&mut properties, data);
        }
        put_properties(&mut out, &properties);
    }
    put(&mut out, connect.client_id.as_bytes());
    if let Some(will) = will {
        if connect.version == Version::V5 {
            let mut properties = will.properties.clone();
            properties.put_u8(0x18);
            properties.put_u32(will.delay_seconds);
            put_properties(&mut out, &properties);
        }
        put(&mut out, will.topic.as_bytes());
        put(&mut out, &will.payload);
    }
    if let Some(username) = &connect.username {
        put(&mut out, username.as_bytes());
    }
    if let Some(password) = &connect.password {
        put(&mut out, password);
    }
    packet(0x10, &out)
}

prop_compose! {
    fn subscription()(
        filter in "[a-z/+#]{1,10}", qos in qos(), no_local: bool, retain_as_published: bool, handling in 0..3_u8,
    ) -> Subscription {
        let retain_handling = match handling {
            0 => RetainHandling::Always,
            1 => RetainHandling::IfNew,
            _ => RetainHandling::Never,
        };
        Subscription { filter, qos, no_local, retain_as_published, retain_handling }
    }
}

fn write_subscribe(packet_id: u16, subscription_id: Option<u32>, filters: &[Subscription]) -> Vec<u8> {
    let mut out = packet_id.to_be_bytes().to_vec();
    let mut properties = BytesMut::new();
    if let Some(id) = subscription_id {
        properties.put_u8(0x0b);
        super::super::write_remaining_length(&mut properties, id as usize);
    }
    put_properties(&mut out, &properties);
    for filter in filters {
        put(&mut out, filter.filter.as_bytes());
        let options = filter.qos as u8
            | u8::from(filter.no_local) << 2
            | u8::from(filter.retain_as_published) << 3
            | (filter.retain_handling as u8) << 4;
        out.put_u8(options);
    }
    packet(0x82, &out)
}

/// Gives bytes to everything that reads.
fn parse_all(bytes: &[u8]) {
    for version in VERSIONS {
        let _ = decode_control(bytes, version);
        let _ = frame_head(bytes, 1000);
        if let Some((&first, body)) = bytes.split_first() {
            let _ = parse_publish(first, body, version);
            let _ = parse_ack(first, body, version);
        }
    }
    for head_len in 0..6 {
        let _ = decode_connect(bytes, head_len);
    }
    let _ = version_of_connect(bytes);
    for place in [Place::Will, Place::Connect, Place::Publish, Place::Subscribe, Place::Auth] {
        let _ = Properties::new(place, bytes).check();
    }
    let _ = super::super::message_expiry(bytes);
    let _ = super::super::without_alias(bytes);
}

/// Every prefix of a packet, and the packet with a byte changed.
fn damage(whole: &[u8], at: usize, byte: u8) {
    for len in 0..whole.len() {
        parse_all(&whole[..len]);
    }
    let mut changed = whole.to_vec();
    let at = at % changed.len();
    changed[at] ^= byte;
    parse_all(&changed);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn connect_is_read_as_it_was_written(connect in connect(), at: usize, byte: u8) {
        let whole = write_connect(&connect);
        let head = frame_head(&whole, usize::MAX).unwrap().unwrap();
        prop_assert_eq!(head.len, whole.len());
        prop_assert_eq!(version_of_connect(&whole), Some(connect.version));
        prop_assert_eq!(decode_connect(&whole, head.head_len).unwrap(), connect);
        damage(&whole, at, byte);
    }

    #[test]
    fn subscribe_is_read_as_it_was_written(
        packet_id in 1..=u16::MAX, subscription_id in option::of(1..=268_435_455_u32),
        filters in vec(subscription(), 1..5), at: usize, byte: u8,
    ) {
        let whole = write_subscribe(packet_id, subscription_id, &filters);
        let read = decode_control(&whole, Version::V5).unwrap();
        prop_assert_eq!(read, Control::Subscribe { packet_id, subscription_id, filters });
        damage(&whole, at, byte);
    }

    #[test]
    fn publish_is_read_as_it_was_written(
        version in 0..3_usize, topic in name(), payload in data(), qos in qos(), packet_id in 1..=u16::MAX,
        (retain, dup) in any::<(bool, bool)>(), properties in will_properties(), topic_alias in option::of(1..=u16::MAX),
        (at, byte) in any::<(usize, u8)>(),
    ) {
        let version = VERSIONS[version];
        let mut body = Vec::new();
        put(&mut body, topic.as_bytes());
        let topic_len = body.len();
        body.put_slice(&payload);
        let mut out = BytesMut::new();
        let publish = OutboundPublish {
            body: &body, topic_len, properties: &properties, subscription_ids: &[], qos, retain,
            dup: dup && qos != QoS::AtMostOnce, packet_id, topic_alias, send_topic: true, expiry_seconds: None,
        };
        encode_publish(&mut out, version, &publish);
        prop_assert_eq!(publish_len(version, &publish), out.len());
        let head = frame_head(&out, usize::MAX).unwrap().unwrap();
        prop_assert_eq!(head.len, out.len());
        let view = parse_publish(out[0], &out[head.head_len..], version).unwrap();
        prop_assert_eq!((view.topic, view.payload), (topic.as_bytes(), &payload[..]));
        prop_assert_eq!((view.qos, view.retain, view.dup), (qos, retain, publish.dup));
        prop_assert_eq!(view.packet_id, if qos == QoS::AtMostOnce { 0 } else { packet_id });
        if version == Version::V5 {
            prop_assert_eq!(view.topic_alias, topic_alias);
            prop_assert_eq!(super::super::without_alias(view.properties), properties);
        }
        damage(&out, at, byte);
    }

    #[test]
    fn acks_are_read_as_they_were_written(packet_id in 1..=u16::MAX, words in option::of("[a-zä]{0,300}"), at: usize, byte: u8) {
        for (first, reason) in [(0x40, Reason::QuotaExceeded), (0x50, Reason::Success), (0x62, Reason::PacketIdNotFound)] {
            let mut out = BytesMut::new();
            encode_ack_with(&mut out, Version::V5, first, packet_id, reason, words.as_deref());
            let head = frame_head(&out, usize::MAX).unwrap().unwrap();
            let ack = parse_ack(first, &out[head.head_len..], Version::V5);
            prop_assert_eq!(ack, Ok(Ack { packet_id, reason: reason as u8 }));
            damage(&out, at, byte);
        }
    }

    #[test]
    fn nothing_makes_the_parsers_panic(mut bytes in vec(any::<u8>(), 0..200), packet_type in 0..16_u8) {
        parse_all(&bytes);
        // And as packets whose length is right.
        bytes.truncate(120);
        for flags in [0, 2] {
            parse_all(&packet(packet_type << 4 | flags, &bytes));
        }
    }
}
