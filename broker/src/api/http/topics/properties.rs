//! The MQTT 5 properties of a publish over HTTP: from the query and from headers, named as in AWS IoT.

use axum::http::HeaderMap;
use data_encoding::BASE64;
use pointsman_rules::topic::validate_topic;
use serde_json::{Map, Value};

use super::super::query::Query;

const PAYLOAD_FORMAT: u8 = 0x01;
const MESSAGE_EXPIRY: u8 = 0x02;
const CONTENT_TYPE: u8 = 0x03;
const RESPONSE_TOPIC: u8 = 0x08;
const CORRELATION_DATA: u8 = 0x09;
const USER_PROPERTY: u8 = 0x26;

/// The properties as they are in a packet.
pub(super) fn read(query: &Query, headers: &HeaderMap) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    if let Some(format) = header(headers, "x-amz-mqtt5-payload-format-indicator")? {
        out.push(PAYLOAD_FORMAT);
        out.push(match format {
            "UNSPECIFIED_BYTES" => 0,
            "UTF8_DATA" => 1,
            other => {
                return Err(format!(
                    "the payload format {other:?} is neither UNSPECIFIED_BYTES nor UTF8_DATA"
                ));
            }
        });
    }
    if let Some(seconds) = query.get("messageExpiry") {
        let seconds: u32 = seconds
            .parse()
            .map_err(|_| format!("messageExpiry is {seconds:?}: give seconds up to {}", u32::MAX))?;
        out.push(MESSAGE_EXPIRY);
        out.extend(seconds.to_be_bytes());
    }
    if let Some(content_type) = query.get("contentType") {
        out.push(CONTENT_TYPE);
        put_text(&mut out, "contentType", content_type)?;
    }
    if let Some(topic) = query.get("responseTopic") {
        validate_topic(topic).map_err(|error| format!("responseTopic: {error}"))?;
        out.push(RESPONSE_TOPIC);
        put_text(&mut out, "responseTopic", topic)?;
    }
    if let Some(encoded) = header(headers, "x-amz-mqtt5-correlation-data")? {
        out.push(CORRELATION_DATA);
        put_bytes(&mut out, "the correlation data", &decoded("x-amz-mqtt5-correlation-data", encoded)?)?;
    }
    if let Some(encoded) = header(headers, "x-amz-mqtt5-user-properties")? {
        put_user_properties(&mut out, &decoded("x-amz-mqtt5-user-properties", encoded)?)?;
    }
    Ok(out)
}

/// User properties are a JSON array of objects with one text each, so that a name may come again.
fn put_user_properties(out: &mut Vec<u8>, json: &[u8]) -> Result<(), String> {
    const SHAPE: &str =
        "x-amz-mqtt5-user-properties is not base64 of a JSON array such as [{\"name\": \"value\"}]";
    let items: Vec<Map<String, Value>> = serde_json::from_slice(json).map_err(|_| SHAPE.to_owned())?;
    for (name, value) in items.iter().flatten() {
        let value = value.as_str().ok_or_else(|| SHAPE.to_owned())?;
        out.push(USER_PROPERTY);
        put_text(out, "the name of a user property", name)?;
        put_text(out, "the value of a user property", value)?;
    }
    Ok(())
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, String> {
    let value = headers.get(name).map(|value| value.to_str());
    value.transpose().map_err(|_| format!("the header {name} is not plain ASCII"))
}

fn decoded(name: &str, encoded: &str) -> Result<Vec<u8>, String> {
    BASE64.decode(encoded.as_bytes()).map_err(|error| format!("the header {name} is not base64: {error}"))
}

fn put_text(out: &mut Vec<u8>, what: &str, text: &str) -> Result<(), String> {
    if text.contains('\0') {
        return Err(format!("{what} holds the null character"));
    }
    put_bytes(out, what, text.as_bytes())
}

fn put_bytes(out: &mut Vec<u8>, what: &str, bytes: &[u8]) -> Result<(), String> {
    let len = u16::try_from(bytes.len())
        .map_err(|_| format!("{what} has {} bytes: at most {} are allowed", bytes.len(), u16::MAX))?;
    out.extend(len.to_be_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 3] = ["contentType", "messageExpiry", "responseTopic"];

    fn given(uri: &str, headers: &[(&'static str, &str)]) -> Result<Vec<u8>, String> {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        read(&Query::parse(&uri.parse().unwrap(), &NAMES).unwrap(), &headers.collect())
    }

    #[test]
    fn each_property_is_as_in_a_packet() {
        let check = |uri: &str, headers: &[(&'static str, &str)], expected: &[u8]| {
            assert_eq!(given(uri, headers).unwrap(), expected, "{uri} {headers:?}");
        };
        check("/", &[], b"");
        check("/?contentType=a/b", &[], b"\x03\x00\x03a/b");
        check("/?messageExpiry=258&responseTopic=r", &[], b"\x02\x00\x00\x01\x02\x08\x00\x01r");
        check("/", &[("x-amz-mqtt5-payload-format-indicator", "UTF8_DATA")], b"\x01\x01");
        check("/", &[("x-amz-mqtt5-correlation-data", "AAE=")], b"\x09\x00\x02\x00\x01");
        let json = BASE64.encode(br#"[{"k": "v"}, {"k": "w"}]"#);
        let expected = b"\x26\x00\x01k\x00\x01v\x26\x00\x01k\x00\x01w";
        check("/", &[("x-amz-mqtt5-user-properties", &json)], expected);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let check = |uri: &str, headers: &[(&'static str, &str)], part: &str| {
            let error = given(uri, headers).unwrap_err();
            assert!(error.contains(part), "{error}");
        };
        check("/?messageExpiry=-1", &[], "messageExpiry");
        check("/?responseTopic=a/%2B", &[], "responseTopic");
        check("/?contentType=%00", &[], "null character");
        check("/", &[("x-amz-mqtt5-payload-format-indicator", "TEXT")], "UTF8_DATA");
        check("/", &[("x-amz-mqtt5-correlation-data", "?")], "base64");
        check("/", &[("x-amz-mqtt5-user-properties", "e30=")], "JSON array");
        check("/", &[("x-amz-mqtt5-user-properties", &BASE64.encode(b"[{\"a\": 1}]"))], "JSON array");
    }
}
