//! Each of the 256 property identifiers in each place it could stand in, against the table of MQTT 5 §2.2.2.2.

use super::super::properties::{Place, Properties};
use super::super::{ProtocolError, Reason};
use super::{MALFORMED, PROTOCOL};

use Place::{Ack, Auth, Connect, Disconnect, Publish, Subscribe, Unsubscribe, Will};

const PLACES: [Place; 8] = [Will, Connect, Publish, Ack, Subscribe, Unsubscribe, Disconnect, Auth];

/// A good example of each property that a client may send, and where.
const GOOD: [(&[u8], &[Place]); 18] = [
    (b"\x01\x01", &[Publish, Will]),
    (b"\x02\0\0\0\x01", &[Publish, Will]),
    (b"\x03\0\x01t", &[Publish, Will]),
    (b"\x08\0\x01t", &[Publish, Will]),
    (b"\x09\0\x01\0", &[Publish, Will]),
    (b"\x0b\x01", &[Subscribe]),
    (b"\x11\0\0\0\x01", &[Connect, Disconnect]),
    (b"\x15\0\x01m", &[Connect, Auth]),
    (b"\x16\0\x01\0", &[Connect, Auth]),
    (b"\x17\x01", &[Connect]),
    (b"\x18\0\0\0\x01", &[Will]),
    (b"\x19\x01", &[Connect]),
    (b"\x1c\0\x01s", &[Disconnect]),
    (b"\x1f\0\x01r", &[Ack, Disconnect, Auth]),
    (b"\x21\0\x01", &[Connect]),
    (b"\x22\0\x01", &[Connect]),
    (b"\x23\0\x01", &[Publish]),
    (b"\x27\0\0\0\x01", &[Connect]),
];

fn check(place: Place, bytes: &[u8]) -> Result<(), Reason> {
    Properties::new(place, bytes).check().map_err(|error: ProtocolError| error.reason)
}

#[test]
fn each_property_stands_in_its_places_only_once_and_whole() {
    for (bytes, homes) in GOOD {
        for place in PLACES {
            let what = format!("{:#04x} in {place:?}", bytes[0]);
            if !homes.contains(&place) {
                // A subscription identifier in PUBLISH is known, but not from a client.
                let reason = if bytes[0] == 0x0b && place == Publish { PROTOCOL } else { MALFORMED };
                assert_eq!(check(place, bytes), Err(reason), "{what}");
                continue;
            }
            assert_eq!(check(place, bytes), Ok(()), "{what}");
            assert_eq!(check(place, &bytes.repeat(2)), Err(PROTOCOL), "{what}, twice");
            for len in 1..bytes.len() {
                assert_eq!(check(place, &bytes[..len]), Err(MALFORMED), "{what}, {len} bytes of it");
            }
        }
    }
}

#[test]
fn user_properties_stand_everywhere_and_often() {
    let pair = b"\x26\0\x01k\0\x01v";
    for place in PLACES {
        assert_eq!(check(place, &pair.repeat(3)), Ok(()), "{place:?}");
        for len in 1..pair.len() {
            assert_eq!(check(place, &pair[..len]), Err(MALFORMED), "{place:?}, {len} bytes of it");
        }
        assert_eq!(check(place, b"\x26\0\x01\0\0\0"), Err(MALFORMED), "{place:?}, the null character");
        assert_eq!(check(place, b"\x26\0\0\0\x01\xff"), Err(MALFORMED), "{place:?}, no UTF-8");
    }
}

#[test]
fn every_other_identifier_is_malformed() {
    let known: Vec<u8> = GOOD.iter().map(|(bytes, _)| bytes[0]).chain([0x26]).collect();
    for id in (0..=u8::MAX).filter(|id| !known.contains(id)) {
        for place in PLACES {
            assert_eq!(check(place, &[id, 0, 1, b'a', 0, 1, b'b']), Err(MALFORMED), "{id:#04x} in {place:?}");
        }
    }
}
