//! What MQTT 5 sends along with a message that the server itself publishes (MQTT 5 section 3.3.2.3).

use pointsman_rules::PublishProperties;
use thiserror::Error;

use super::properties::{
    CONTENT_TYPE, CORRELATION_DATA, MESSAGE_EXPIRY, PAYLOAD_FORMAT, RESPONSE_TOPIC, USER_PROPERTY,
};

/// Why properties cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AlongError {
    /// Text holds what MQTT does not allow in text. [MQTT5-1.5.4-2]
    #[error("{0} holds the null character")]
    Null(&'static str),
    /// It is too long.
    #[error("{what} has {bytes} bytes: at most {} are allowed", u16::MAX)]
    TooLong {
        /// What it is.
        what: &'static str,
        /// How long it is.
        bytes: usize,
    },
}

/// The properties as they are in a PUBLISH packet, without their length.
pub fn encode_along(properties: &PublishProperties) -> Result<Vec<u8>, AlongError> {
    let mut out = Vec::new();
    if properties.is_text {
        out.extend([PAYLOAD_FORMAT, 1]);
    }
    if let Some(seconds) = properties.expiry_seconds {
        out.push(MESSAGE_EXPIRY);
        out.extend(seconds.to_be_bytes());
    }
    if let Some(content_type) = &properties.content_type {
        out.push(CONTENT_TYPE);
        put_text(&mut out, "the content type", content_type)?;
    }
    if let Some(topic) = &properties.response_topic {
        out.push(RESPONSE_TOPIC);
        put_text(&mut out, "the response topic", topic)?;
    }
    if let Some(data) = &properties.correlation_data {
        out.push(CORRELATION_DATA);
        put_bytes(&mut out, "the correlation data", data)?;
    }
    for (name, value) in &properties.user {
        out.push(USER_PROPERTY);
        put_text(&mut out, "the name of a user property", name)?;
        put_text(&mut out, "the value of a user property", value)?;
    }
    Ok(out)
}

fn put_text(out: &mut Vec<u8>, what: &'static str, text: &str) -> Result<(), AlongError> {
    if text.contains('\0') {
        return Err(AlongError::Null(what));
    }
    put_bytes(out, what, text.as_bytes())
}

fn put_bytes(out: &mut Vec<u8>, what: &'static str, bytes: &[u8]) -> Result<(), AlongError> {
    let len = u16::try_from(bytes.len()).map_err(|_| AlongError::TooLong { what, bytes: bytes.len() })?;
    out.extend(len.to_be_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_property_is_as_in_a_packet() {
        let text = |text: &str| Some(text.to_owned());
        let none = PublishProperties::default();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        for (properties, expected) in [
            (none.clone(), b"".as_slice()),
            (PublishProperties { is_text: true, ..none.clone() }, b"\x01\x01"),
            (PublishProperties { content_type: text("a/b"), ..none.clone() }, b"\x03\x00\x03a/b"),
            (
                PublishProperties { expiry_seconds: Some(258), response_topic: text("r"), ..none.clone() },
                b"\x02\x00\x00\x01\x02\x08\x00\x01r",
            ),
            (
                PublishProperties { correlation_data: Some(vec![0, 1].into()), ..none.clone() },
                b"\x09\x00\x02\x00\x01",
            ),
            (
                PublishProperties { user: vec![pair("k", "v"), pair("k", "w")], ..none.clone() },
                b"\x26\x00\x01k\x00\x01v\x26\x00\x01k\x00\x01w",
            ),
        ] {
            assert_eq!(encode_along(&properties).unwrap(), expected, "{properties:?}");
        }
        let refused = |properties| encode_along(&properties).unwrap_err().to_string();
        let null = PublishProperties { content_type: text("\0"), ..none.clone() };
        assert_eq!(refused(null), "the content type holds the null character");
        let long = PublishProperties { correlation_data: Some(vec![0; 65_536].into()), ..none };
        assert_eq!(refused(long), "the correlation data has 65536 bytes: at most 65535 are allowed");
    }
}
