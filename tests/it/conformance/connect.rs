//! CONNECT: what is well formed, and what is refused how.

use pointsman_tests::wire::{self, Connect, Will, id, kind};

use super::case::{BOTH, Case, MALFORMED, ONLY_V5, ONLY_V311, PROTOCOL_ERROR, WRONG, each};

const WILL_FLAG: u8 = 0x04;
const WILL_QOS_1: u8 = 0x08;
const WILL_QOS_3: u8 = 0x18;
const WILL_RETAIN: u8 = 0x20;
const PASSWORD_FLAG: u8 = 0x40;
const USER_FLAG: u8 = 0x80;

#[tokio::test]
pub(super) async fn the_first_packet_is_connect() {
    each(BOTH, async |case| {
        for (what, packet) in [
            ("PUBLISH", case.publish(0, case.topic("a"), &[])),
            ("SUBSCRIBE", case.subscribe(7, &[("a", 0)], &[])),
            ("PINGREQ", wire::PINGREQ.to_vec()),
            ("DISCONNECT", wire::DISCONNECT.to_vec()),
            ("AUTH", wire::auth(0x18, &[])),
            ("a request of HTTP", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ] {
            let mut raw = case.raw().await;
            raw.send(&packet).await;
            // Nothing comes before CONNACK, not even a reason. [MQTT-3.14.0-1]
            assert_eq!(raw.next().await, None, "{what}");
        }
    })
    .await;
}

#[tokio::test]
pub(super) async fn a_second_connect_is_a_protocol_error() {
    each(BOTH, async |case| {
        case.refuses("another CONNECT", &case.connect("again").packet(), &[PROTOCOL_ERROR]).await;
        let mut twice = case.raw().await;
        let connect = case.connect("twice").packet();
        twice.send(&[connect.clone(), connect].concat()).await;
        assert_eq!(twice.connack().await.code, 0);
        case.ended(&mut twice, "the same CONNECT", &[PROTOCOL_ERROR]).await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn another_protocol_name_ends_the_connection() {
    each(BOTH, async |case| {
        for name in [b"MQTX", b"mqtt", b"\0\0\0\0"] {
            let mut packet = case.connect("name").packet();
            packet[4..8].copy_from_slice(name);
            let mut raw = case.raw().await;
            if let Some(connack) = raw.try_connect(case.level, &packet).await {
                assert!(matches!(connack.code, 1 | 0x84), "{connack:?}");
                raw.expect_end().await;
            }
        }
    })
    .await;
}

#[tokio::test]
pub(super) async fn an_unknown_version_is_told_apart() {
    each(BOTH, async |case| {
        for level in [0, 1, 2, 6, 0x7F, 0x84] {
            let mut packet = case.connect("level").packet();
            packet[8] = level;
            let mut raw = case.raw().await;
            let connack = raw.try_connect(level, &packet).await.expect("CONNACK says why");
            assert!(matches!(connack.code, 1 | 0x84), "level {level}: {connack:?}");
            raw.expect_end().await;
        }
        // 3.1 is served too.
        case.join_with(&Connect::new(3, &case.id("old"))).await.leave().await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn the_reserved_flag_is_0() {
    each(BOTH, async |case| {
        let connect = Connect { flipped_flags: 1, ..case.connect("reserved") };
        case.refuses_connect("the reserved flag", &connect.packet(), WRONG).await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn will_qos_and_retain_need_a_will() {
    each(BOTH, async |case| {
        for flags in [WILL_QOS_1, WILL_QOS_3, WILL_RETAIN, WILL_QOS_1 | WILL_RETAIN] {
            let connect = Connect { flipped_flags: flags, ..case.connect("nowill") };
            case.refuses_connect(&format!("flags {flags:#04x}"), &connect.packet(), WRONG).await;
        }
    })
    .await;
}

#[tokio::test]
pub(super) async fn a_will_is_there_if_its_flag_says_so() {
    each(BOTH, async |case| {
        let without = Connect { flipped_flags: WILL_FLAG, ..case.connect("without") };
        case.refuses_connect("a flag without a will", &without.packet(), WRONG).await;
        let will = Will::new(&case.topic("will"), "gone");
        let unsaid = Connect { flipped_flags: WILL_FLAG, ..case.connect("unsaid").will(will) };
        case.refuses_connect("a will without its flag", &unsaid.packet(), WRONG).await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn a_will_has_qos_0_to_2() {
    each(BOTH, async |case| {
        for qos in 0..=2 {
            let will = Will { qos, ..Will::new(&case.topic("will"), "gone") };
            case.join_with(&case.connect("will").will(will)).await.leave().await;
        }
        let will = Will { qos: 3, ..Will::new(&case.topic("will"), "gone") };
        case.refuses_connect("will QoS 3", &case.connect("will").will(will).packet(), WRONG).await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn user_name_and_password_are_there_if_their_flags_say_so() {
    each(BOTH, async |case| {
        let plain = case.connect("login");
        let login = plain.clone().login("nobody", b"wrong");
        for (what, connect, flags) in [
            ("a user name that is missing", &plain, USER_FLAG),
            ("user name and password that are missing", &plain, USER_FLAG | PASSWORD_FLAG),
            ("a password without its flag", &login, PASSWORD_FLAG),
            ("both without their flags", &login, USER_FLAG | PASSWORD_FLAG),
        ] {
            let connect = Connect { flipped_flags: flags, ..connect.clone() };
            case.refuses_connect(what, &connect.packet(), WRONG).await;
        }
        // What is well formed is refused for what it says. [MQTT-3.1.4-2]
        case.rejects(&login, 4, &[0x86]).await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn a_password_needs_a_user_name_before_version_5() {
    each(BOTH, async |case| {
        let connect = Connect { password: Some(b"\xFF\0".to_vec()), ..case.connect("password") };
        if case.is_v5() {
            // It is well formed: who is a guest may say what it likes there.
            case.join_with(&connect).await.leave().await;
        } else {
            case.refuses_connect("a password alone", &connect.packet(), &[]).await;
        }
    })
    .await;
}

#[tokio::test]
pub(super) async fn the_fields_come_in_their_order() {
    each(BOTH, async |case| {
        let topic = case.topic("will");
        let mut mourner = case.subscriber("mourner", &topic, 0).await;
        let will = Will { payload: b"\0\xFFgone".to_vec(), ..Will::new(&topic, "") };
        // Every field is there; that the login is read where it is shows in the refusal of the wrong one.
        let full = case.connect("full").will(will.clone()).login("nobody", b"\0\xFF");
        case.rejects(&full, 4, &[0x86]).await;
        drop(case.join_with(&case.connect("full").will(will)).await);
        assert_eq!(mourner.published().await.payload, &b"\0\xFFgone"[..]);
    })
    .await;
}

#[tokio::test]
pub(super) async fn every_client_id_of_the_standard_is_taken() {
    each(BOTH, async |case| {
        let all = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
        for client_id in ["x", &all[..23], &all[23..46], &all[39..], &all.repeat(4), "a/b c+#$é"] {
            let connect = Connect::new(case.level, client_id);
            case.join_with(&connect).await.leave().await;
        }
    })
    .await;
}

#[tokio::test]
pub(super) async fn who_brings_no_client_id_is_given_one() {
    each(BOTH, async |case| {
        let mut connect = Connect::new(case.level, "");
        let mut seen = Vec::new();
        let mut clients = Vec::new();
        for clean in [true, true, !case.is_v5()] {
            connect.clean = clean;
            let mut raw = case.raw().await;
            let connack = raw.connect(&connect).await;
            assert_eq!((connack.code, connack.session_present), (0, false), "{connack:?}");
            if case.is_v5() {
                let assigned = wire::property(&connack.properties, id::ASSIGNED_CLIENT_ID);
                let assigned = assigned.expect("an assigned client id");
                assert!(!assigned.is_empty() && !seen.contains(&assigned), "{assigned:?}");
                seen.push(assigned);
            }
            clients.push(raw);
        }
        // They are different clients: none was taken over.
        for client in &mut clients {
            client.ping().await;
        }
        let named = case.raw().await.connect(&case.connect("named")).await;
        assert_eq!(wire::property(&named.properties, id::ASSIGNED_CLIENT_ID), None);
    })
    .await;
}

#[tokio::test]
pub(super) async fn before_version_5_a_session_needs_a_client_id() {
    each(ONLY_V311, async |case| {
        case.rejects(&Connect { clean: false, ..Connect::new(case.level, "") }, 2, &[]).await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn a_client_id_that_is_refused_has_its_code() {
    each(BOTH, async |case| {
        // `client_id_bytes_max`
        case.rejects(&Connect::new(case.level, &"x".repeat(257)), 2, &[0x85]).await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn nothing_that_follows_a_refused_connect_is_handled() {
    each(BOTH, async |case| {
        let topic = case.topic("after");
        let mut subscriber = case.subscriber("subscriber", &topic, 0).await;
        let refused = case.connect("refused").login("nobody", b"wrong");
        let mut raw = case.raw().await;
        raw.send(&[refused.packet(), case.publish(0, &topic, &[])].concat()).await;
        assert_ne!(raw.connack().await.code, 0);
        raw.expect_end().await;
        case.quiet(&mut subscriber).await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn a_client_need_not_wait_for_connack() {
    each(BOTH, async |case| {
        let topic = case.topic("hasty");
        let mut subscriber = case.subscriber("subscriber", &topic, 0).await;
        let mut hasty = case.raw().await;
        let publish = case.publish(2, &topic, &[]);
        hasty.send(&[case.connect("hasty").packet(), publish, wire::PINGREQ.to_vec()].concat()).await;
        assert_eq!(hasty.connack().await.code, 0);
        assert_eq!(hasty.answer(kind::PUBACK).await.packet_id(), 9);
        hasty.expect(kind::PINGRESP).await;
        assert_eq!(subscriber.published().await.topic, topic);
    })
    .await;
}

#[tokio::test]
pub(super) async fn a_newer_connection_of_a_client_id_ends_the_older() {
    each(BOTH, async |case| {
        let mut first = case.join("twin").await;
        let mut second = case.join("twin").await;
        case.ended(&mut first, "the older", &[0x8E]).await;
        second.ping().await;
    })
    .await;
}

async fn refuses_property(case: &Case, property: Vec<u8>, reasons: &[u8]) {
    let what = format!("{property:02x?}");
    let connect = Connect { properties: property, ..case.connect("value") };
    case.refuses_connect(&what, &connect.packet(), reasons).await;
}

#[tokio::test]
pub(super) async fn properties_of_connect_have_the_values_they_may_have() {
    each(ONLY_V5, async |case| {
        refuses_property(&case, wire::property_u16(id::RECEIVE_MAX, 0), &[PROTOCOL_ERROR]).await;
        refuses_property(&case, wire::property_u32(id::PACKET_BYTES_MAX, 0), &[PROTOCOL_ERROR]).await;
        refuses_property(&case, wire::property_u8(id::REQUEST_PROBLEM_INFO, 2), &[PROTOCOL_ERROR]).await;
        refuses_property(&case, wire::property_u8(id::REQUEST_RESPONSE_INFO, 2), &[PROTOCOL_ERROR]).await;
        // Data of a method that is not named.
        refuses_property(&case, wire::property_text(id::AUTH_DATA, "x"), &[PROTOCOL_ERROR]).await;
        let cut = wire::property_u32(id::SESSION_EXPIRY, 60)[..3].to_vec();
        refuses_property(&case, cut, &[MALFORMED]).await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn a_will_that_is_no_message_is_refused() {
    each(BOTH, async |case| {
        for topic in ["", "a/+", "#"] {
            let will = case.connect("will").will(Will::new(topic, "x"));
            case.refuses_connect(topic, &will.packet(), &[MALFORMED, PROTOCOL_ERROR, 0x90]).await;
        }
        if case.is_v5() {
            for properties in [
                wire::property_text(id::RESPONSE_TOPIC, "a/#"),
                wire::property_u8(id::PAYLOAD_FORMAT, 2),
                wire::property_u16(id::TOPIC_ALIAS, 1),
                wire::property_varint(id::SUBSCRIPTION_ID, 1),
            ] {
                let will = Will { properties, ..Will::new(&case.topic("will"), "x") };
                case.refuses_connect("a will's property", &case.connect("will").will(will).packet(), WRONG)
                    .await;
            }
        }
    })
    .await;
}
