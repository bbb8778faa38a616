//! Strings of JSON: from their escaped form and into it.

use std::borrow::Cow;

use super::RawText;

impl<'text> RawText<'text> {
    /// The string itself. A lone half of a surrogate pair becomes U+FFFD.
    pub(crate) fn decode(self) -> Cow<'text, str> {
        if self.is_escaped { Cow::Owned(unescape(self.body)) } else { Cow::Borrowed(self.body) }
    }

    /// Whether the string itself is `text`.
    pub(crate) fn is(self, text: &str) -> bool {
        if self.is_escaped { unescape(self.body) == text } else { self.body == text }
    }
}

/// Replaces the escapes of a string that was found to be valid.
fn unescape(body: &str) -> String {
    let mut text = String::with_capacity(body.len());
    let mut rest = body;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        let escape = rest.as_bytes().get(at + 1).copied().unwrap_or(b'\\');
        rest = &rest[(at + 2).min(rest.len())..];
        match escape {
            b'b' => text.push('\u{8}'),
            b'f' => text.push('\u{c}'),
            b'n' => text.push('\n'),
            b'r' => text.push('\r'),
            b't' => text.push('\t'),
            b'u' => {
                let (character, len) = code_point(rest);
                text.push(character);
                rest = &rest[len..];
            }
            other => text.push(char::from(other)),
        }
    }
    text.push_str(rest);
    text
}

/// Reads what follows `\u`: one group of hex digits, or two with `\u` between. Gives how much it has read.
fn code_point(rest: &str) -> (char, usize) {
    let unit = |from: usize| rest.get(from..from + 4).and_then(|hex| u32::from_str_radix(hex, 16).ok());
    let Some(first) = unit(0) else { return (char::REPLACEMENT_CHARACTER, 0) };
    if (0xD800..0xDC00).contains(&first)
        && rest.get(4..6) == Some("\\u")
        && let Some(second @ 0xDC00..0xE000) = unit(6)
    {
        let joined = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
        return (char::from_u32(joined).unwrap_or(char::REPLACEMENT_CHARACTER), 10);
    }
    (char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), 4)
}

/// Appends `text` as a JSON string, with its quotes.
pub(crate) fn write_text(text: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            byte @ (b'"' | b'\\') => out.extend_from_slice(&[b'\\', byte]),
            byte => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}
