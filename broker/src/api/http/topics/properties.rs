//! The MQTT 5 properties of a publish over HTTP: from the query and from headers, named as in AWS IoT.

use axum::http::HeaderMap;
use data_encoding::BASE64;
use pointsman_rules::PublishProperties;
use pointsman_rules::topic::validate_topic;
use serde_json::{Map, Value};

use super::super::query::Query;
use crate::mqtt::encode_along;

/// The properties as they are in a packet.
pub(super) fn read(query: &Query, headers: &HeaderMap) -> Result<Vec<u8>, String> {
    let mut properties = PublishProperties::default();
    if let Some(format) = header(headers, "x-amz-mqtt5-payload-format-indicator")? {
        properties.is_text = match format {
            "UNSPECIFIED_BYTES" => false,
            "UTF8_DATA" => true,
            other => {
                return Err(format!(
                    "the payload format {other:?} is neither UNSPECIFIED_BYTES nor UTF8_DATA"
                ));
            }
        };
    }
    if let Some(seconds) = query.get("messageExpiry") {
        let seconds: u32 = seconds
            .parse()
            .map_err(|_| format!("messageExpiry is {seconds:?}: give seconds up to {}", u32::MAX))?;
        properties.expiry_seconds = Some(seconds);
    }
    properties.content_type = query.get("contentType").map(str::to_owned);
    if let Some(topic) = query.get("responseTopic") {
        validate_topic(topic).map_err(|error| format!("responseTopic: {error}"))?;
        properties.response_topic = Some(topic.to_owned());
    }
    if let Some(encoded) = header(headers, "x-amz-mqtt5-correlation-data")? {
        properties.correlation_data = Some(decoded("x-amz-mqtt5-correlation-data", encoded)?.into());
    }
    if let Some(encoded) = header(headers, "x-amz-mqtt5-user-properties")? {
        properties.user = user_properties(&decoded("x-amz-mqtt5-user-properties", encoded)?)?;
    }
    encode_along(&properties).map_err(|error| error.to_string())
}

/// User properties are a JSON array of objects with one text each, so that a name may come again.
fn user_properties(json: &[u8]) -> Result<Vec<(String, String)>, String> {
    const SHAPE: &str =
        "x-amz-mqtt5-user-properties is not base64 of a JSON array such as [{\"name\": \"value\"}]";
    let items: Vec<Map<String, Value>> = serde_json::from_slice(json).map_err(|_| SHAPE.to_owned())?;
    let pair = |(name, value): (String, Value)| match value {
        Value::String(value) => Ok((name, value)),
        _ => Err(SHAPE.to_owned()),
    };
    items.into_iter().flatten().map(pair).collect()
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, String> {
    let value = headers.get(name).map(|value| value.to_str());
    value.transpose().map_err(|_| format!("the header {name} is not plain ASCII"))
}

fn decoded(name: &str, encoded: &str) -> Result<Vec<u8>, String> {
    BASE64.decode(encoded.as_bytes()).map_err(|error| format!("the header {name} is not base64: {error}"))
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
