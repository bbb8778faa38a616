//! The words that MQTT 5 lets go with a reason, where they are a packet's only property.

use bytes::{BufMut, BytesMut};

use super::frame::write_remaining_length;
use super::properties::REASON_STRING;
use super::text::{put_text, reason_text};

/// Bytes of the properties that [`put_reason_string`] writes, without their length. No words are no property.
pub(super) fn reason_string_len(words: Option<&str>) -> usize {
    match words.map(reason_text) {
        None | Some("") => 0,
        Some(text) => 3 + text.len(),
    }
}

/// Writes properties with their length: the words, if there are any.
pub(super) fn put_reason_string(out: &mut BytesMut, words: Option<&str>) {
    let len = reason_string_len(words);
    write_remaining_length(out, len);
    if let Some(text) = words.map(reason_text).filter(|text| !text.is_empty()) {
        out.put_u8(REASON_STRING);
        put_text(out, text);
    }
}
