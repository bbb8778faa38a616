//! UTF-8 strings: what a client may send in them, and how they are written.

use bytes::BufMut;

use super::ProtocolError;

/// Reason strings are cut here, so that what they quote does not swell the packet.
const REASON_STRING_BYTES_MAX: usize = 256;

/// Checks a string that is only passed on: it is UTF-8 without the null character. [MQTT5-1.5.4-1, MQTT5-1.5.4-2]
pub(super) fn check_text<'a>(bytes: &'a [u8], what: &str) -> Result<&'a str, ProtocolError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| ProtocolError::malformed(format!("{what} is not valid UTF-8")))?;
    if bytes.contains(&0) {
        return Err(ProtocolError::malformed(format!("{what} has the null character")));
    }
    Ok(text)
}

/// Checks a string that names something: a client, a user, a topic. Beyond what `check_text` asks it has no control
/// characters and no code points that are none, which the standards let a server refuse (MQTT 5 §1.5.4).
pub fn check_name<'a>(bytes: &'a [u8], what: &str) -> Result<&'a str, ProtocolError> {
    let text = check_text(bytes, what)?;
    let printable = bytes.iter().all(|byte| (0x20..0x7f).contains(byte));
    if !printable && text.contains(|c: char| c.is_control() || is_noncharacter(c)) {
        return Err(ProtocolError::malformed(format!("{what} has a control character or a non-character")));
    }
    Ok(text)
}

fn is_noncharacter(c: char) -> bool {
    let code = u32::from(c);
    (0xFDD0..=0xFDEF).contains(&code) || code & 0xFFFE == 0xFFFE
}

/// Writes a string with its length; what does not fit into 65,535 bytes is cut off.
pub(super) fn put_text(out: &mut impl BufMut, text: &str) {
    put_binary(out, cut(text, usize::from(u16::MAX)).as_bytes());
}

/// Writes binary data with its length; what does not fit into 65,535 bytes is cut off.
pub(super) fn put_binary(out: &mut impl BufMut, bytes: &[u8]) {
    let len = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    out.put_u16(len);
    out.put_slice(&bytes[..usize::from(len)]);
}

/// The words of a reason as they may go out: not too long, and without the null character.
pub(super) fn reason_text(text: &str) -> &str {
    let text = text.split('\0').next().unwrap_or_default();
    cut(text, REASON_STRING_BYTES_MAX)
}

fn cut(text: &str, len_max: usize) -> &str {
    &text[..text.floor_char_boundary(len_max)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_stricter_than_other_text() {
        assert_eq!(check_name("sensor/ä/\u{2A6D4}".as_bytes(), "it").unwrap(), "sensor/ä/\u{2A6D4}");
        for (name, bytes, as_text) in [
            ("a tab", &b"a\tb"[..], true),
            ("delete", b"a\x7f", true),
            ("U+009F", b"a\xc2\x9f", true),
            ("U+FFFF", b"\xef\xbf\xbf", true),
            ("U+FDD0", b"\xef\xb7\x90", true),
            ("U+1FFFE", b"\xf0\x9f\xbf\xbe", true),
            ("null", b"a\0b", false),
            ("a surrogate", b"\xed\xa0\x80", false),
            ("an overlong form", b"\xc0\xaf", false),
        ] {
            assert!(check_name(bytes, "it").is_err(), "{name}");
            assert_eq!(check_text(bytes, "it").is_ok(), as_text, "{name}");
        }
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        let mut out = Vec::new();
        put_text(&mut out, &"ä".repeat(40_000));
        assert_eq!(out.len(), 2 + 65_534);
        assert_eq!(reason_text(&"ä".repeat(200)).len(), 256);
        assert_eq!(reason_text("a\0b"), "a");
    }
}
