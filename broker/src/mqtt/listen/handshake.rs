//! The handshake that makes an HTTP connection a WebSocket of MQTT, and which pages may ask for it.

use hyper::HeaderMap;
use hyper::header::{
    CONNECTION, HOST, HeaderName, HeaderValue, ORIGIN, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use pointsman_config::{Origin, normalize_origin};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// The subprotocols of MQTT: that of the standards, and that of clients of 3.1.
const SUBPROTOCOLS: [&str; 2] = ["mqtt", "mqttv3.1"];

/// What to answer a good handshake with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handshake {
    /// The value of `Sec-WebSocket-Accept`.
    pub accept: String,
    /// The value of `Sec-WebSocket-Protocol`; none for a client that offers none.
    pub protocol: Option<HeaderValue>,
}

/// Why a request is no handshake that leads to MQTT.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// It does not ask for a WebSocket.
    #[error("this address speaks MQTT over WebSocket; connect with an MQTT client, or open / in a browser")]
    NotWebSocket,
    /// It asks for another version of the protocol than 13.
    #[error("Sec-WebSocket-Version must be 13")]
    Version,
    /// It has no key of the right form.
    #[error("Sec-WebSocket-Key is missing or is not 16 bytes in base64")]
    Key,
    /// It offers other subprotocols, and not MQTT.
    #[error("Sec-WebSocket-Protocol must offer mqtt")]
    Subprotocol,
    /// It comes from a page that may not.
    #[error(
        "pages of {origin} may not connect to {host}: to let them, add {origin:?} to listen.origins in the server's configuration"
    )]
    Origin {
        /// The page's origin.
        origin: String,
        /// What the page calls this server.
        host: String,
    },
}

/// Whether the request asks for a WebSocket at all.
pub fn asks_for_websocket(headers: &HeaderMap) -> bool {
    tokens(headers, &CONNECTION).any(|token| token.eq_ignore_ascii_case("upgrade"))
        && tokens(headers, &UPGRADE).any(|token| token.eq_ignore_ascii_case("websocket"))
}

/// Checks the headers of a handshake (RFC 6455 §4.2.1) and says what to answer. [MQTT-6.0.0-3]
///
/// Extensions are not taken up: `permessage-deflate` is declined by not being named in the answer. A client that offers no
/// subprotocol is let in, as some libraries do not; one that offers only others is no client of MQTT.
pub fn check_handshake(headers: &HeaderMap, origins: &[Origin]) -> Result<Handshake, HandshakeError> {
    if !asks_for_websocket(headers) {
        return Err(HandshakeError::NotWebSocket);
    }
    if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(HandshakeError::Version);
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).filter(|key| is_key(key)).ok_or(HandshakeError::Key)?;
    check_origin(headers, origins)?;
    let protocol = choose_subprotocol(headers)?;
    Ok(Handshake { accept: derive_accept_key(key.as_bytes()), protocol })
}

/// The first subprotocol of MQTT that is offered, written as it was.
fn choose_subprotocol(headers: &HeaderMap) -> Result<Option<HeaderValue>, HandshakeError> {
    if !headers.contains_key(SEC_WEBSOCKET_PROTOCOL) {
        return Ok(None);
    }
    tokens(headers, &SEC_WEBSOCKET_PROTOCOL)
        .find(|token| SUBPROTOCOLS.iter().any(|known| token.eq_ignore_ascii_case(known)))
        .and_then(|token| HeaderValue::from_str(token).ok())
        .map(Some)
        .ok_or(HandshakeError::Subprotocol)
}

/// Only browsers name an origin, and they do it whatever the page wants: any page may open a WebSocket to any server, and
/// it is the server that has to refuse those that are not its own.
fn check_origin(headers: &HeaderMap, origins: &[Origin]) -> Result<(), HandshakeError> {
    let Some(origin) = headers.get(ORIGIN) else { return Ok(()) };
    let text = |value: Option<&HeaderValue>| {
        String::from_utf8_lossy(value.map(HeaderValue::as_bytes).unwrap_or_default()).into_owned()
    };
    let (origin, host) = (normalize_origin(&text(Some(origin))), text(headers.get(HOST)));
    let own = origin.split_once("://").is_some_and(|(scheme, of_page)| {
        // The page's scheme says which port is meant where the Host has none.
        normalize_origin(&format!("{scheme}://{host}")) == format!("{scheme}://{of_page}")
    });
    if own || origins.iter().any(|listed| listed.is(&origin)) {
        return Ok(());
    }
    Err(HandshakeError::Origin { origin, host })
}

/// Whether it is 16 bytes in base64, as far as its form goes.
fn is_key(key: &HeaderValue) -> bool {
    let digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let key = key.as_bytes();
    key.len() == 24 && key.ends_with(b"==") && key[..22].iter().all(digit)
}

/// The comma-separated tokens of a header.
fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    const GOOD: [(&str, &str); 5] = [
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-protocol", "mqttv3.1, mqtt"),
    ];

    #[test]
    fn the_answer_has_the_key_of_the_standards_example_and_the_subprotocol_as_offered() {
        let answer = check_handshake(&headers(&GOOD), &[]).unwrap();
        assert_eq!(answer.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(answer.protocol.unwrap(), "mqttv3.1");
        let mut bare = headers(&GOOD);
        bare.remove("sec-websocket-protocol");
        assert_eq!(check_handshake(&bare, &[]).unwrap().protocol, None);
    }

    #[test]
    fn a_handshake_needs_every_header_and_mqtt_if_anything() {
        for (name, wrong, error) in [
            ("connection", "close", HandshakeError::NotWebSocket),
            ("upgrade", "h2c", HandshakeError::NotWebSocket),
            ("sec-websocket-version", "8", HandshakeError::Version),
            ("sec-websocket-key", "short", HandshakeError::Key),
            ("sec-websocket-protocol", "chat, wamp", HandshakeError::Subprotocol),
        ] {
            let mut headers = headers(&GOOD);
            headers.insert(name, wrong.parse().unwrap());
            assert_eq!(check_handshake(&headers, &[]), Err(error.clone()), "{name}: {wrong}");
            headers.remove(name);
            if name != "sec-websocket-protocol" {
                assert_eq!(check_handshake(&headers, &[]), Err(error), "no {name}");
            }
        }
    }

    #[test]
    fn pages_of_this_server_and_of_listed_origins_may_connect() {
        let listed = [Origin::One("https://app.example".to_owned())];
        for (origin, host, own, also_listed) in [
            (None, "a.test", true, true),
            (Some("http://a.test"), "a.test", true, true),
            (Some("http://a.test"), "a.test:80", true, true),
            (Some("https://a.test"), "a.test:443", true, true),
            (Some("https://A.test:8443"), "a.TEST:8443", true, true),
            (Some("http://[::1]:8080"), "[::1]:8080", true, true),
            (Some("http://a.test:8080"), "a.test:8081", false, false),
            (Some("http://a.test"), "b.test", false, false),
            (Some("http://evil.test/a.test"), "a.test", false, false),
            (Some("null"), "a.test", false, false),
            (Some(""), "a.test", false, false),
            (Some("https://app.example"), "a.test", false, true),
            (Some("http://app.example"), "a.test", false, false),
        ] {
            let mut asked = headers(&GOOD);
            asked.insert(HOST, host.parse().unwrap());
            if let Some(origin) = origin {
                asked.insert(ORIGIN, origin.parse().unwrap());
            }
            assert_eq!(check_handshake(&asked, &[]).is_ok(), own, "{origin:?} on {host}");
            assert_eq!(check_handshake(&asked, &listed).is_ok(), also_listed, "{origin:?} on {host}");
            assert!(check_handshake(&asked, &[Origin::Any]).is_ok());
        }
    }
}
