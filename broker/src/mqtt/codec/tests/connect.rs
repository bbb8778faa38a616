//! CONNECT: what is taken and what is refused, in every version.

use super::super::{Connect, QoS, Reason, Version, decode_connect, version_of_connect};
use super::{MALFORMED, PROTOCOL, packet, with_len};

fn head_len(packet: &[u8]) -> usize {
    2 + packet[1..].iter().take_while(|byte| **byte & 0x80 != 0).count()
}

fn decode(packet: &[u8]) -> Result<Connect, Reason> {
    decode_connect(packet, head_len(packet)).map_err(|error| error.reason)
}

/// CONNECT of 3.1 with the connect flags and what follows the keep-alive.
fn v31(flags: u8, payload: &[u8]) -> Vec<u8> {
    packet(0x10, &[b"\x00\x06MQIsdp\x03", &[flags, 0, 60][..], payload].concat())
}

fn v311(flags: u8, payload: &[u8]) -> Vec<u8> {
    packet(0x10, &[b"\x00\x04MQTT\x04", &[flags, 0, 60][..], payload].concat())
}

fn v5(flags: u8, properties: &[u8], payload: &[u8]) -> Vec<u8> {
    packet(0x10, &[b"\x00\x04MQTT\x05", &[flags, 0, 60][..], &with_len(properties), payload].concat())
}

const ID: &[u8] = b"\x00\x02c1";

#[test]
fn it_is_read_in_every_version() {
    assert_eq!(decode(&v31(2, ID)).unwrap().version, Version::V31);
    let connect = decode(&v311(0xc0, b"\x00\x02c1\x00\x01u\x00\x02\xff\x00")).unwrap();
    assert_eq!((&*connect.client_id, connect.keep_alive_seconds, connect.clean_start), ("c1", 60, false));
    assert_eq!(connect.username.as_deref(), Some("u"));
    assert_eq!(connect.password.as_deref(), Some(&b"\xff\x00"[..]), "passwords are binary");
    assert_eq!((connect.session_expiry_seconds, connect.receive_max), (u32::MAX, u16::MAX));
    let connect = decode(&v5(0, &[], ID)).unwrap();
    assert_eq!((connect.session_expiry_seconds, connect.packet_bytes_max), (0, u32::MAX));
    assert!(connect.request_problem_info && !connect.request_response_info);
}

#[test]
fn every_property_of_mqtt_5_is_understood() {
    let properties =
        b"\x11\0\0\0\x07\x21\0\x05\x27\0\0\0\x64\x22\0\x03\x19\x01\x17\0\x15\0\x01m\x16\0\x01d\x26\0\x01k\0\x01v";
    let will = b"\x0f\x18\0\0\0\x09\x01\x01\x26\0\x01k\0\x02vv\x00\x01w\x00\x02ok";
    let connect = decode(&v5(0x2e, properties, &[ID, will].concat())).unwrap();
    assert_eq!((connect.session_expiry_seconds, connect.receive_max, connect.packet_bytes_max), (7, 5, 100));
    assert_eq!((connect.topic_alias_max, connect.auth_method.as_deref()), (3, Some("m")));
    assert_eq!(connect.auth_data.as_deref(), Some(&b"d"[..]));
    assert!(connect.request_response_info && !connect.request_problem_info);
    let will = connect.will.unwrap();
    assert_eq!((&*will.topic, &will.payload[..], will.delay_seconds), ("w", &b"ok"[..], 9));
    assert_eq!((will.qos, will.retain), (QoS::AtLeastOnce, true));
    assert_eq!(will.properties, b"\x01\x01\x26\0\x01k\0\x02vv", "as they go into a PUBLISH");
}

#[test]
fn what_the_standards_leave_free_is_taken() {
    for (name, bytes) in [
        ("3.1.1 without a client id", v311(2, b"\0\0")),
        ("5 without a client id or Clean Start", v5(0, &[], b"\0\0")),
        ("5 with a password alone", v5(0x42, &[], b"\x00\x02c1\x00\x01p")),
        ("3.1 with a long client id", v31(2, &[&[0, 200], &[b'x'; 200][..]].concat())),
        ("3.1 with the unused bit set", v31(3, ID)),
        ("3.1 with flags of a will that is not there", v31(0x3a, ID)),
        ("3.1 without the user name it announces", v31(0xc2, ID)),
        ("3.1 without the password it announces", v31(0xc2, b"\x00\x02c1\x00\x01u")),
        ("an empty user name", v311(0x82, b"\x00\x02c1\0\0")),
        ("an empty will payload", v311(0x06, b"\x00\x02c1\x00\x01w\0\0")),
        ("a null character in a password", v311(0xc2, b"\x00\x02c1\x00\x01u\x00\x01\0")),
    ] {
        assert!(decode(&bytes).is_ok(), "{name}: {:?}", decode(&bytes));
    }
    let mut flagged = v31(2, ID);
    flagged[0] = 0x14;
    assert!(decode(&flagged).is_ok(), "3.1 does not use the flags of the fixed header");
    let padded = [&[0x10, 0x8e, 0x00], &v311(2, ID)[2..]].concat();
    assert!(decode(&padded).is_ok(), "3.1.1 does not forbid a padded length");
}

#[test]
fn flags_that_contradict_themselves_are_malformed() {
    let will = b"\x00\x02c1\x00\x01w\x00\x01p";
    for (name, bytes) in [
        ("3.1.1, the reserved flag", v311(3, ID)),
        ("5, the reserved flag", v5(3, &[], ID)),
        ("3.1.1, QoS of no will", v311(0x0a, ID)),
        ("5, QoS of no will", v5(0x0a, &[], ID)),
        ("3.1.1, RETAIN of no will", v311(0x22, ID)),
        ("5, RETAIN of no will", v5(0x22, &[], ID)),
        ("3.1, a will of QoS 3", v31(0x1e, will)),
        ("3.1.1, a will of QoS 3", v311(0x1e, will)),
        ("5, a will of QoS 3", v5(0x1e, &[], b"\x00\x02c1\0\x00\x01w\x00\x01p")),
        ("3.1, a password alone", v31(0x42, b"\x00\x02c1\x00\x01p")),
        ("3.1.1, a password alone", v311(0x42, b"\x00\x02c1\x00\x01p")),
    ] {
        assert_eq!(decode(&bytes), Err(MALFORMED), "{name}");
    }
}

#[test]
fn what_is_missing_too_much_or_no_text_is_malformed() {
    let padded = [&[0x10, 0x8f, 0x00], &v5(2, &[], ID)[2..]].concat();
    let mut flagged = v311(2, ID);
    flagged[0] = 0x11;
    for (name, bytes) in [
        ("nothing", packet(0x10, b"")),
        ("half a name", packet(0x10, b"\x00\x04MQ")),
        ("no level", packet(0x10, b"\x00\x04MQTT")),
        ("no flags", packet(0x10, b"\x00\x04MQTT\x04")),
        ("no keep-alive", packet(0x10, b"\x00\x04MQTT\x04\x02\x00")),
        ("no client id", v311(2, b"")),
        ("half a client id", v311(2, b"\x00\x05c1")),
        ("no will", v311(6, ID)),
        ("no will payload", v311(6, b"\x00\x02c1\x00\x01w")),
        ("no user name", v311(0x82, ID)),
        ("no password", v311(0xc2, b"\x00\x02c1\x00\x01u")),
        ("a user name not announced", v311(2, b"\x00\x02c1\x00\x01u")),
        ("a password not announced", v311(0x82, b"\x00\x02c1\x00\x01u\x00\x01p")),
        ("a byte too many in 3.1", v31(2, b"\x00\x02c1\0")),
        ("a byte too many in 5", v5(2, &[], b"\x00\x02c1\0")),
        ("no properties", packet(0x10, b"\x00\x04MQTT\x05\x02\0\x3c")),
        ("properties longer than the packet", packet(0x10, b"\x00\x04MQTT\x05\x02\0\x3c\x09\x00\x02c1")),
        ("a padded length of properties", packet(0x10, b"\x00\x04MQTT\x05\x02\0\x3c\x80\x00\x00\x02c1")),
        ("a padded length in 5", padded),
        ("flags of the fixed header", flagged),
        ("the null character in a client id", v311(2, b"\x00\x02c\0")),
        ("a control character in a client id", v311(2, b"\x00\x02c\x01")),
        ("a surrogate in a client id", v311(2, b"\x00\x03\xed\xa0\x80")),
        ("the null character in a user name", v311(0x82, b"\x00\x02c1\x00\x01\0")),
        ("the null character in a will topic", v311(6, b"\x00\x02c1\x00\x01\0\0\0")),
        ("an empty will topic", v311(6, b"\x00\x02c1\0\0\0\0")),
        ("a wildcard in a will topic", v5(6, &[], b"\x00\x02c1\0\x00\x03a/#\0\0")),
        ("an overlong form in a will topic", v311(6, b"\x00\x02c1\x00\x02\xc0\xaf\0\0")),
    ] {
        assert_eq!(decode(&bytes), Err(MALFORMED), "{name}");
    }
    let whole = v5(2, &[], ID);
    assert_eq!(decode(&whole[..whole.len() - 1]), Err(MALFORMED), "not all of it");
}

#[test]
fn values_that_are_not_allowed_are_protocol_errors() {
    for (name, properties) in [
        ("receive maximum 0", &b"\x21\0\0"[..]),
        ("packet size 0", b"\x27\0\0\0\0"),
        ("response information 2", b"\x19\x02"),
        ("problem information 2", b"\x17\x02"),
        ("data without a method", b"\x16\0\x01d"),
        ("expiry twice", b"\x11\0\0\0\x01\x11\0\0\0\x01"),
        ("method twice", b"\x15\0\x01m\x15\0\x01m"),
    ] {
        assert_eq!(decode(&v5(2, properties, ID)), Err(PROTOCOL), "{name}");
    }
    for (name, properties) in [
        ("delay twice", &b"\x18\0\0\0\x01\x18\0\0\0\x01"[..]),
        ("payload format 2", b"\x01\x02"),
        ("a wildcard in the response topic", b"\x08\0\x03a/#"),
    ] {
        let payload = [ID, &with_len(properties), b"\x00\x01w\0\0"].concat();
        assert_eq!(decode(&v5(6, &[], &payload)), Err(PROTOCOL), "{name}");
    }
}

#[test]
fn a_name_or_level_that_is_not_mqtt_is_told_apart() {
    for (name, bytes, reason) in [
        (
            "level 6",
            packet(0x10, b"\x00\x04MQTT\x06\x02\x00\x3c\x00\x00\x02c1"),
            Reason::UnsupportedProtocolVersion,
        ),
        (
            "level 3 of MQTT",
            packet(0x10, b"\x00\x04MQTT\x03\x02\0\x3c\x00\x02c1"),
            Reason::UnsupportedProtocolVersion,
        ),
        (
            "MQIsdp 4",
            packet(0x10, b"\x00\x06MQIsdp\x04\x02\0\x3c\x00\x02c1"),
            Reason::UnsupportedProtocolVersion,
        ),
        ("HTTP", packet(0x10, b"\x00\x04HTTP\x04\x02\0\x3c\x00\x02c1"), PROTOCOL),
        ("no name", packet(0x10, b"\0\0\x04\x02\0\x3c\x00\x02c1"), PROTOCOL),
        ("PINGREQ", packet(0xc0, b""), PROTOCOL),
    ] {
        assert_eq!(decode(&bytes), Err(reason), "{name}");
    }
    assert_eq!(version_of_connect(&v5(2, &[], ID)), Some(Version::V5));
    assert_eq!(version_of_connect(b"\x10\xff\xff\xff\x7f\x00\x04MQTT\x04"), Some(Version::V311));
    assert_eq!(version_of_connect(b"\x10\x0c\x00"), None);
}
