//! Acknowledgements: what is taken and what is refused.

use super::super::{Ack, Reason, Version, parse_ack};
use super::{MALFORMED, PROTOCOL, reason_of};

use Version::{V5, V31, V311};

#[test]
fn acknowledgements_are_read_in_place() {
    for first in [0x40, 0x50, 0x62, 0x70] {
        for version in [V31, V311, V5] {
            assert_eq!(parse_ack(first, b"\x01\x02", version), Ok(Ack { packet_id: 258, reason: 0 }));
        }
        let full = b"\x00\x07\x00\x0b\x1f\x00\x01w\x26\x00\x01k\x00\x01v";
        assert_eq!(parse_ack(first, full, V5), Ok(Ack { packet_id: 7, reason: 0 }));
    }
    assert_eq!(parse_ack(0x50, b"\x00\x07\x97", V5), Ok(Ack { packet_id: 7, reason: 0x97 }));
    assert_eq!(parse_ack(0x62, b"\x00\x07\x92\x00", V5), Ok(Ack { packet_id: 7, reason: 0x92 }));
    assert!(parse_ack(0x6a, b"\x00\x07", V31).is_ok(), "3.1 sends PUBREL again with DUP");
}

#[test]
fn bad_acknowledgements_are_refused() {
    let cases: &[(&str, Version, u8, &[u8], Reason)] = &[
        ("flags of PUBACK", V311, 0x42, b"\x00\x07", MALFORMED),
        ("flags of PUBREC", V5, 0x51, b"\x00\x07", MALFORMED),
        ("PUBREL without its flag", V311, 0x60, b"\x00\x07", MALFORMED),
        ("PUBREL with DUP", V311, 0x6a, b"\x00\x07", MALFORMED),
        ("PUBREL without its flag in 3.1", V31, 0x60, b"\x00\x07", MALFORMED),
        ("flags of PUBCOMP", V5, 0x78, b"\x00\x07", MALFORMED),
        ("nothing", V311, 0x40, b"", MALFORMED),
        ("half an id", V5, 0x40, b"\x07", MALFORMED),
        ("packet id 0", V311, 0x40, b"\x00\x00", PROTOCOL),
        ("a reason in 3.1.1", V311, 0x40, b"\x00\x07\x00", MALFORMED),
        ("an unknown reason", V5, 0x40, b"\x00\x07\xff", PROTOCOL),
        ("PUBREL's reason in PUBACK", V5, 0x40, b"\x00\x07\x92", PROTOCOL),
        ("PUBREC's reason in PUBREL", V5, 0x62, b"\x00\x07\x80", PROTOCOL),
        ("PUBREC's reason in PUBCOMP", V5, 0x70, b"\x00\x07\x10", PROTOCOL),
        ("properties too long", V5, 0x40, b"\x00\x07\x00\x01", MALFORMED),
        ("a byte too many", V5, 0x40, b"\x00\x07\x00\x00\x00", MALFORMED),
        ("two reason strings", V5, 0x40, b"\x00\x07\x00\x08\x1f\0\x01w\x1f\0\x01w", PROTOCOL),
        ("a property of PUBLISH", V5, 0x40, b"\x00\x07\x00\x02\x01\x00", MALFORMED),
        ("no acknowledgement", V5, 0x30, b"\x00\x07", PROTOCOL),
    ];
    for (name, version, first, body, reason) in cases {
        assert_eq!(reason_of(parse_ack(*first, body, *version)), *reason, "{name}");
    }
}
