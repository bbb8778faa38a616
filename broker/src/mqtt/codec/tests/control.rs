//! SUBSCRIBE, UNSUBSCRIBE, DISCONNECT, AUTH and PINGREQ: what is taken and what is refused.

use super::super::{Control, QoS, Reason, RetainHandling, Version, decode_control};
use super::{MALFORMED, PROTOCOL, packet, reason_of};

use Version::{V5, V31, V311};

fn control(version: Version, first: u8, body: &[u8]) -> Control {
    decode_control(&packet(first, body), version).expect("a good packet")
}

#[test]
fn subscribe_is_read_with_all_its_options() {
    let Control::Subscribe { packet_id, subscription_id, filters } =
        control(V5, 0x82, b"\x00\x07\x02\x0b\x05\x00\x03a/#\x1e\x00\x0a$share/g/a\x29")
    else {
        panic!("a SUBSCRIBE")
    };
    assert_eq!((packet_id, subscription_id, filters.len()), (7, Some(5), 2));
    assert_eq!((&*filters[0].filter, filters[0].qos), ("a/#", QoS::ExactlyOnce));
    assert!(filters[0].no_local && filters[0].retain_as_published);
    assert_eq!(filters[0].retain_handling, RetainHandling::IfNew);
    assert_eq!((&*filters[1].filter, filters[1].no_local), ("$share/g/a", false));
    assert_eq!(filters[1].retain_handling, RetainHandling::Never);
    for version in [V31, V311] {
        let subscribe = control(version, 0x82, b"\x00\x07\x00\x03a/#\x01");
        assert!(matches!(subscribe, Control::Subscribe { packet_id: 7, subscription_id: None, .. }));
    }
    assert_eq!(
        control(V311, 0xa2, b"\x00\x07\x00\x01a\x00\x01b"),
        Control::Unsubscribe { packet_id: 7, filters: vec!["a".to_owned(), "b".to_owned()] }
    );
}

#[test]
fn mqtt_3_1_may_send_again_and_leaves_bits_unused() {
    assert!(decode_control(&packet(0x8a, b"\x00\x07\x00\x01a\x01"), V31).is_ok());
    assert!(decode_control(&packet(0x82, b"\x00\x07\x00\x01a\xfd"), V31).is_ok());
    assert!(decode_control(&packet(0xc1, b""), V31).is_ok());
    assert_eq!(reason_of(decode_control(&packet(0x80, b"\x00\x07\x00\x01a\x01"), V31)), MALFORMED);
}

#[test]
fn bad_subscribes_are_refused() {
    let cases: &[(&str, Version, u8, &[u8], Reason)] = &[
        ("flags 0", V311, 0x80, b"\x00\x07\x00\x01a\x01", MALFORMED),
        ("flags with RETAIN", V311, 0x83, b"\x00\x07\x00\x01a\x01", MALFORMED),
        ("flags with DUP", V5, 0x8a, b"\x00\x07\x00\x00\x01a\x01", MALFORMED),
        ("nothing", V311, 0x82, b"", MALFORMED),
        ("half an id", V311, 0x82, b"\x00", MALFORMED),
        ("packet id 0", V311, 0x82, b"\x00\x00\x00\x01a\x01", PROTOCOL),
        ("no filter in 3.1", V31, 0x82, b"\x00\x07", PROTOCOL),
        ("no filter in 3.1.1", V311, 0x82, b"\x00\x07", PROTOCOL),
        ("no filter in 5", V5, 0x82, b"\x00\x07\x00", PROTOCOL),
        ("no properties", V5, 0x82, b"\x00\x07", MALFORMED),
        ("half a filter", V311, 0x82, b"\x00\x07\x00\x09a", MALFORMED),
        ("no options", V311, 0x82, b"\x00\x07\x00\x01a", MALFORMED),
        ("no options for the second", V311, 0x82, b"\x00\x07\x00\x01a\x00\x00\x01b", MALFORMED),
        ("a byte too many", V311, 0x82, b"\x00\x07\x00\x01a\x00\x00", MALFORMED),
        ("an empty filter", V311, 0x82, b"\x00\x07\x00\x00\x00", MALFORMED),
        ("an empty filter second", V5, 0x82, b"\x00\x07\x00\x00\x01a\x00\x00\x00\x00", MALFORMED),
        ("the null character", V5, 0x82, b"\x00\x07\x00\x00\x02a\x00\x00", MALFORMED),
        ("a control character", V5, 0x82, b"\x00\x07\x00\x00\x02a\x1f\x00", MALFORMED),
        ("a surrogate", V311, 0x82, b"\x00\x07\x00\x03\xed\xa0\x80\x00", MALFORMED),
        ("QoS 3 in 3.1", V31, 0x82, b"\x00\x07\x00\x01a\x03", PROTOCOL),
        ("QoS 3 in 3.1.1", V311, 0x82, b"\x00\x07\x00\x01a\x03", PROTOCOL),
        ("QoS 3 in 5", V5, 0x82, b"\x00\x07\x00\x00\x01a\x03", PROTOCOL),
        ("no local in 3.1.1", V311, 0x82, b"\x00\x07\x00\x01a\x04", MALFORMED),
        ("bit 7 in 3.1.1", V311, 0x82, b"\x00\x07\x00\x01a\x80", MALFORMED),
        ("bit 6 in 5", V5, 0x82, b"\x00\x07\x00\x00\x01a\x40", MALFORMED),
        ("bit 7 in 5", V5, 0x82, b"\x00\x07\x00\x00\x01a\x80", MALFORMED),
        ("retain handling 3", V5, 0x82, b"\x00\x07\x00\x00\x01a\x30", PROTOCOL),
        ("no local, shared", V5, 0x82, b"\x00\x07\x00\x00\x0a$share/g/a\x04", PROTOCOL),
        ("shared without a filter", V5, 0x82, b"\x00\x07\x00\x00\x09$share/g/\x00", PROTOCOL),
        ("shared without a second slash", V5, 0x82, b"\x00\x07\x00\x00\x08$share/g\x00", PROTOCOL),
        ("shared without a name", V5, 0x82, b"\x00\x07\x00\x00\x09$share//a\x00", PROTOCOL),
        ("shared by a wildcard", V5, 0x82, b"\x00\x07\x00\x00\x0a$share/+/a\x00", PROTOCOL),
        ("subscription id 0", V5, 0x82, b"\x00\x07\x02\x0b\x00\x00\x01a\x00", PROTOCOL),
        ("two subscription ids", V5, 0x82, b"\x00\x07\x04\x0b\x01\x0b\x02\x00\x01a\x00", PROTOCOL),
        ("a padded subscription id", V5, 0x82, b"\x00\x07\x03\x0b\x81\x00\x00\x01a\x00", MALFORMED),
        (
            "an endless subscription id",
            V5,
            0x82,
            b"\x00\x07\x06\x0b\xff\xff\xff\xff\x01\x00\x01a\x00",
            MALFORMED,
        ),
    ];
    for (name, version, first, body, reason) in cases {
        assert_eq!(reason_of(decode_control(&packet(*first, body), *version)), *reason, "{name}");
    }
}

#[test]
fn bad_unsubscribes_are_refused() {
    let cases: &[(&str, Version, u8, &[u8], Reason)] = &[
        ("flags", V311, 0xa0, b"\x00\x07\x00\x01a", MALFORMED),
        ("packet id 0", V5, 0xa2, b"\x00\x00\x00\x00\x01a", PROTOCOL),
        ("no filter in 3.1.1", V311, 0xa2, b"\x00\x07", PROTOCOL),
        ("no filter in 5", V5, 0xa2, b"\x00\x07\x00", PROTOCOL),
        ("an empty filter", V5, 0xa2, b"\x00\x07\x00\x00\x01a\x00\x00", MALFORMED),
        ("half a filter", V311, 0xa2, b"\x00\x07\x00\x02a", MALFORMED),
        ("the null character", V311, 0xa2, b"\x00\x07\x00\x02a\x00", MALFORMED),
    ];
    for (name, version, first, body, reason) in cases {
        assert_eq!(reason_of(decode_control(&packet(*first, body), *version)), *reason, "{name}");
    }
}

#[test]
fn disconnect_says_whether_the_will_is_wanted() {
    let goodbye =
        |with_will, session_expiry_seconds| Control::Disconnect { with_will, session_expiry_seconds };
    for version in [V31, V311, V5] {
        assert_eq!(control(version, 0xe0, b""), goodbye(false, None));
    }
    assert_eq!(control(V5, 0xe0, b"\x00"), goodbye(false, None));
    assert_eq!(control(V5, 0xe0, b"\x00\x00"), goodbye(false, None));
    assert_eq!(control(V5, 0xe0, b"\x00\x05\x11\x00\x00\x00\x09"), goodbye(false, Some(9)));
    // Every reason but success, and be it one that a client should not send.
    for reason in [0x04, 0x80, 0x81, 0x93, 0x98, 0x01, 0x8e, 0xff] {
        assert_eq!(control(V5, 0xe0, &[reason]), goodbye(true, None), "{reason:#04x}");
    }
}

#[test]
fn bad_packets_of_other_kinds_are_refused() {
    let cases: &[(&str, Version, u8, &[u8], Reason)] = &[
        ("DISCONNECT with flags", V5, 0xe1, b"", MALFORMED),
        ("DISCONNECT with a body in 3.1.1", V311, 0xe0, b"\x00", MALFORMED),
        ("DISCONNECT with half a property", V5, 0xe0, b"\x00\x03\x11\x00\x00", MALFORMED),
        ("DISCONNECT with too long properties", V5, 0xe0, b"\x00\x01", MALFORMED),
        ("DISCONNECT with a byte too many", V5, 0xe0, b"\x00\x00\x00", MALFORMED),
        ("DISCONNECT with two expiries", V5, 0xe0, b"\x00\x0a\x11\0\0\0\x01\x11\0\0\0\x01", PROTOCOL),
        ("PINGREQ with a body", V311, 0xc0, b"\x00", MALFORMED),
        ("PINGREQ with flags", V5, 0xc1, b"", MALFORMED),
        ("AUTH with flags", V5, 0xf1, b"\x18\x04\x15\x00\x01m", MALFORMED),
        ("AUTH in 3.1.1", V311, 0xf0, b"", PROTOCOL),
        ("AUTH without a body", V5, 0xf0, b"", PROTOCOL),
        ("AUTH with success", V5, 0xf0, b"\x00\x04\x15\x00\x01m", PROTOCOL),
        ("AUTH with an error", V5, 0xf0, b"\x87\x04\x15\x00\x01m", PROTOCOL),
        ("AUTH without properties", V5, 0xf0, b"\x18", MALFORMED),
        ("AUTH without a method", V5, 0xf0, b"\x18\x04\x16\x00\x01d", PROTOCOL),
        ("AUTH with two methods", V5, 0xf0, b"\x18\x08\x15\x00\x01m\x15\x00\x01m", PROTOCOL),
        ("AUTH with a byte too many", V5, 0xf0, b"\x18\x04\x15\x00\x01m\x00", MALFORMED),
        ("type 0", V311, 0x00, b"", PROTOCOL),
        ("CONNACK", V311, 0x20, b"\x00\x00", PROTOCOL),
        ("SUBACK", V5, 0x90, b"\x00\x07\x00\x00", PROTOCOL),
        ("UNSUBACK", V5, 0xb0, b"\x00\x07\x00\x00", PROTOCOL),
        ("SUBACK with flags", V5, 0x92, b"\x00\x07\x00\x00", MALFORMED),
        ("UNSUBACK with flags", V5, 0xb1, b"\x00\x07\x00\x00", MALFORMED),
        ("PINGRESP", V311, 0xd0, b"", PROTOCOL),
        ("a second CONNECT", V311, 0x10, b"", PROTOCOL),
    ];
    for (name, version, first, body, reason) in cases {
        assert_eq!(reason_of(decode_control(&packet(*first, body), *version)), *reason, "{name}");
    }
    assert_eq!(reason_of(decode_control(b"\xc0\x80\x00", V5)), MALFORMED, "a padded length");
    assert_eq!(reason_of(decode_control(b"\xc0\x01", V5)), MALFORMED, "not all of it");
    assert_eq!(reason_of(decode_control(b"", V5)), MALFORMED, "nothing");
}

#[test]
fn auth_carries_its_method_and_data() {
    let auth = control(V5, 0xf0, b"\x19\x08\x15\x00\x01m\x16\x00\x01d");
    let Control::Auth { reason, method, data } = auth else { panic!("an AUTH") };
    assert_eq!((reason, method.as_deref(), data.as_deref()), (0x19, Some("m"), Some(&b"d"[..])));
}
