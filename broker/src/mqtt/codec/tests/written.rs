//! What the server writes, byte by byte.

use bytes::BytesMut;

use super::super::{
    ConnackOptions, Reason, Version, encode_ack, encode_ack_with, encode_auth, encode_connack,
    encode_connack_within, encode_disconnect, encode_disconnect_within, encode_pingresp, encode_suback,
    encode_suback_with, encode_unsuback, encode_unsuback_with,
};

use Version::{V5, V31, V311};

fn written(write: impl FnOnce(&mut BytesMut)) -> Vec<u8> {
    let mut out = BytesMut::new();
    write(&mut out);
    out.to_vec()
}

#[test]
fn connack_before_mqtt_5_is_four_bytes() {
    let there = ConnackOptions { session_present: true, ..ConnackOptions::default() };
    let connack = |version, reason| written(|out| encode_connack(out, version, reason, &there));
    assert_eq!(connack(V31, Reason::Success), b"\x20\x02\x00\x00", "3.1 knows no session present");
    assert_eq!(connack(V311, Reason::Success), b"\x20\x02\x01\x00");
    for (reason, code) in [
        (Reason::UnsupportedProtocolVersion, 1),
        (Reason::ClientIdNotValid, 2),
        (Reason::ServerUnavailable, 3),
        (Reason::QuotaExceeded, 3),
        (Reason::BadUserNameOrPassword, 4),
        (Reason::NotAuthorized, 5),
    ] {
        assert_eq!(connack(V311, reason), [0x20, 2, 0, code], "{reason:?}");
    }
}

#[test]
fn connack_of_mqtt_5_tells_the_terms() {
    let options = ConnackOptions {
        session_present: true,
        session_expiry_seconds: Some(1),
        response_info: Some("r"),
        auth: Some(("m", b"d")),
        assigned_client_id: Some("c"),
        reason_string: None,
        server_keep_alive_seconds: Some(9),
        receive_max: 5,
        packet_bytes_max: 6,
        topic_alias_max: 7,
    };
    let connack = written(|out| encode_connack(out, V5, Reason::Success, &options));
    assert_eq!(&connack[..4], [0x20, u8::try_from(connack.len() - 2).unwrap(), 1, 0]);
    for part in [
        &b"\x11\0\0\0\x01"[..],
        b"\x21\0\x05",
        b"\x27\0\0\0\x06",
        b"\x22\0\x07",
        b"\x12\0\x01c",
        b"\x13\0\x09",
        b"\x1a\0\x01r",
        b"\x15\0\x01m",
        b"\x16\0\x01d",
    ] {
        assert!(connack.windows(part.len()).any(|window| window == part), "{part:?} in {connack:?}");
    }
    let options = ConnackOptions { reason_string: Some("no"), ..options };
    let refusal = written(|out| encode_connack(out, V5, Reason::NotAuthorized, &options));
    let small = |max| written(|out| encode_connack_within(out, V5, Reason::NotAuthorized, &options, max));
    assert_eq!(small(10), refusal);
    assert_eq!(small(9), b"\x20\x03\x00\x87\x00", "the words do not fit");
    assert_eq!(refusal, b"\x20\x08\x00\x87\x05\x1f\x00\x02no", "a refusal has no session and no terms");
}

#[test]
fn acknowledgements_say_success_without_words() {
    let ack = |version, first, reason| written(|out| encode_ack(out, version, first, 7, reason));
    assert_eq!(ack(V5, 0x40, Reason::Success), b"\x40\x02\x00\x07");
    assert_eq!(ack(V5, 0x50, Reason::QuotaExceeded), b"\x50\x03\x00\x07\x97");
    assert_eq!(ack(V311, 0x50, Reason::QuotaExceeded), b"\x50\x02\x00\x07");
    let with = |version, reason, words| written(|out| encode_ack_with(out, version, 0x62, 7, reason, words));
    assert_eq!(with(V5, Reason::PacketIdNotFound, Some("no")), b"\x62\x09\x00\x07\x92\x05\x1f\x00\x02no");
    assert_eq!(with(V5, Reason::Success, Some("")), b"\x62\x02\x00\x07");
    assert_eq!(with(V311, Reason::PacketIdNotFound, Some("no")), b"\x62\x02\x00\x07");
    assert_eq!(written(encode_pingresp), b"\xd0\x00");
}

#[test]
fn suback_and_unsuback_have_a_code_for_each_filter() {
    let codes = [Reason::Success, Reason::GrantedQoS2, Reason::NotAuthorized];
    assert_eq!(written(|out| encode_suback(out, V5, 7, &codes)), b"\x90\x06\x00\x07\x00\x00\x02\x87");
    assert_eq!(written(|out| encode_suback(out, V311, 7, &codes)), b"\x90\x05\x00\x07\x00\x02\x80");
    assert_eq!(
        written(|out| encode_suback_with(out, V5, 7, &codes, Some("no"))),
        b"\x90\x0b\x00\x07\x05\x1f\x00\x02no\x00\x02\x87"
    );
    let codes = [Reason::Success, Reason::NoSubscriptionExisted];
    assert_eq!(written(|out| encode_unsuback(out, V5, 7, &codes)), b"\xb0\x05\x00\x07\x00\x00\x11");
    assert_eq!(written(|out| encode_unsuback(out, V31, 7, &codes)), b"\xb0\x02\x00\x07");
    assert_eq!(
        written(|out| encode_unsuback_with(out, V5, 7, &codes, Some("no"))),
        b"\xb0\x0a\x00\x07\x05\x1f\x00\x02no\x00\x11"
    );
}

#[test]
fn disconnect_fits_the_client_and_has_a_reason_of_its_own() {
    let bye = |reason, words| written(|out| encode_disconnect(out, V5, reason, words));
    assert_eq!(bye(Reason::MalformedPacket, ""), b"\xe0\x01\x81");
    assert_eq!(bye(Reason::MalformedPacket, "bad"), b"\xe0\x08\x81\x06\x1f\x00\x03bad");
    assert_eq!(bye(Reason::ServerUnavailable, ""), b"\xe0\x01\x80", "not a reason of DISCONNECT");
    assert_eq!(bye(Reason::QuotaExceeded, &"x".repeat(70_000)).len(), 265, "words are cut");
    let small = |max| written(|out| encode_disconnect_within(out, V5, Reason::MalformedPacket, "bad", max));
    assert_eq!(small(9), b"\xe0\x01\x81");
    assert_eq!(small(10).len(), 10);
    assert!(written(|out| encode_disconnect(out, V311, Reason::MalformedPacket, "bad")).is_empty());
}

#[test]
fn auth_has_its_method_and_data() {
    let auth = |data| written(|out| encode_auth(out, Reason::ContinueAuthentication, "m", data));
    assert_eq!(auth(Some(b"d")), b"\xf0\x0a\x18\x08\x15\x00\x01m\x16\x00\x01d");
    assert_eq!(auth(None), b"\xf0\x06\x18\x04\x15\x00\x01m");
}
