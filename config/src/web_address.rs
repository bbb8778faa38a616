//! Addresses on the web, read in one way only, so that what is allowed is what is asked for.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::Deserialize;

use crate::network::Network;

/// A URL of `http` or `https`. In the list of what is allowed it stands for all that lies below it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct WebAddress {
    secure: bool,
    /// In small letters; an IPv6 address without brackets.
    host: String,
    port: u16,
    /// Path and query; begins with a slash.
    path: String,
}

/// Why a text is no address on the web.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no address that can be used: {problem}; write it as \"https://hooks.example.org/path\"")]
pub struct WebAddressError {
    text: String,
    problem: &'static str,
}

impl WebAddress {
    /// Reads a URL.
    pub fn parse(text: &str) -> Result<WebAddress, WebAddressError> {
        let wrong = |problem| WebAddressError { text: text.to_owned(), problem };
        let (secure, rest) = match text.split_once("://") {
            Some(("https", rest)) => (true, rest),
            Some(("http", rest)) => (false, rest),
            _ => return Err(wrong("it begins neither with https:// nor with http://")),
        };
        if !rest
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'#' | b'"' | b'<' | b'>'))
        {
            return Err(wrong("it has a fragment or a character that must be written as %XX"));
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        if has_dots(&path) {
            return Err(wrong("its path has a segment `.` or `..`"));
        }
        let (host, port) = split_authority(authority).map_err(wrong)?;
        let port = port.unwrap_or(if secure { 443 } else { 80 });
        Ok(WebAddress { secure, host, port, path })
    }

    /// Whether it is `https`.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// The name or address of the server, in small letters; an IPv6 address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Path and query.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The server's address, where it is written as one and is no name.
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// Scheme, host and port: whatever has the same is one server.
    pub fn server(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}:{}", self.bracketed(), self.port)
    }

    /// Host and port as in the header `Host`.
    pub fn authority(&self) -> String {
        let usual = if self.secure { 443 } else { 80 };
        if self.port == usual { self.bracketed() } else { format!("{}:{}", self.bracketed(), self.port) }
    }

    /// Whether `other` is on the same server and at this path or below it.
    pub fn covers(&self, other: &WebAddress) -> bool {
        let same = self.secure == other.secure && self.host == other.host && self.port == other.port;
        let below = other
            .path
            .strip_prefix(&self.path)
            .is_some_and(|rest| rest.is_empty() || self.path.ends_with('/') || rest.starts_with(['/', '?']));
        same && below
    }

    fn bracketed(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() }
    }
}

impl fmt::Display for WebAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        write!(formatter, "{scheme}://{}{}", self.authority(), self.path)
    }
}

impl TryFrom<String> for WebAddress {
    type Error = WebAddressError;

    fn try_from(text: String) -> Result<WebAddress, WebAddressError> {
        WebAddress::parse(&text)
    }
}

/// Host and port, if it says one.
fn split_authority(authority: &str) -> Result<(String, Option<u16>), &'static str> {
    if authority.contains('@') {
        return Err("it has a user name");
    }
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (inside, behind) = rest.split_once(']').ok_or("its `[` is not closed")?;
        let address: std::net::Ipv6Addr = inside.parse().map_err(|_| "it has no IPv6 address in `[ ]`")?;
        (address.to_string(), behind)
    } else {
        let (host, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        if host.is_empty() || host.len() > 253 || !host.bytes().all(is_allowed) {
            return Err("its host is not 1 to 253 letters, digits, `.`, `-` and `_`");
        }
        if host.split('.').any(str::is_empty) {
            return Err("its host has an empty part");
        }
        (host.to_ascii_lowercase(), port)
    };
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => None,
        None => return Err("its host is followed by something else than a port"),
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            let port: u16 = digits.parse().map_err(|_| "its port is not from 1 to 65535")?;
            Some(port).filter(|port| *port != 0).ok_or("its port is not from 1 to 65535").map(Some)?
        }
        Some(_) => return Err("its port is not from 1 to 65535"),
    };
    Ok((host, port))
}

/// Whether some server could take the path for that of another place.
fn has_dots(path: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default().to_ascii_lowercase();
    let decoded = path.replace("%2e", ".").replace("%2f", "/").replace("%5c", "/");
    decoded.split('/').any(|segment| matches!(segment, "." | ".."))
}

/// Addresses that are not public and may be sent to all the same.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PrivatePlace {
    network: Network,
    /// Any, if there is none.
    port: Option<u16>,
}

/// Why a text is no place of a private network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no private place: write 127.0.0.1:9000, [::1]:9000, 10.0.0.7, 10.0.0.0/8 or 10.0.0.0/8:9000"
)]
pub struct PrivatePlaceError {
    text: String,
}

impl PrivatePlace {
    /// Whether an address and port are meant.
    pub fn contains(&self, address: SocketAddr) -> bool {
        self.port.is_none_or(|port| port == address.port()) && self.network.contains(address.ip())
    }
}

impl TryFrom<String> for PrivatePlace {
    type Error = PrivatePlaceError;

    fn try_from(text: String) -> Result<PrivatePlace, PrivatePlaceError> {
        let network = |text: &str| text.parse::<Network>().ok();
        if let Ok(address) = text.parse::<SocketAddr>() {
            let network = network(&address.ip().to_string());
            let place = network.map(|network| PrivatePlace { network, port: Some(address.port()) });
            return place.ok_or(PrivatePlaceError { text });
        }
        if let Some(network) = network(&text) {
            return Ok(PrivatePlace { network, port: None });
        }
        let with_port = text.split_once('/').and_then(|_| text.rsplit_once(':'));
        let place = with_port.and_then(|(before, port)| Some((network(before)?, port.parse().ok()?)));
        let place = place.map(|(network, port)| PrivatePlace { network, port: Some(port) });
        place.ok_or(PrivatePlaceError { text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> WebAddress {
        WebAddress::parse(text).unwrap()
    }

    #[test]
    fn an_address_is_read_in_one_way() {
        for (text, server, authority, path) in [
            ("https://Example.org", "https://example.org:443", "example.org", "/"),
            ("http://example.org:80/a?b=1", "http://example.org:80", "example.org", "/a?b=1"),
            ("https://example.org:8443?x", "https://example.org:8443", "example.org:8443", "/?x"),
            ("http://[::1]:9000/", "http://[::1]:9000", "[::1]:9000", "/"),
            ("http://[0:0::1]/", "http://[::1]:80", "[::1]", "/"),
        ] {
            let address = address(text);
            assert_eq!((address.server().as_str(), address.authority().as_str()), (server, authority));
            assert_eq!(address.path(), path);
        }
        assert_eq!(address("http://[::1]/").ip(), Some("::1".parse().unwrap()));
        assert_eq!(address("http://a/").ip(), None);
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for (text, problem) in [
            ("example.org", "begins neither"),
            ("ftp://example.org/", "begins neither"),
            ("HTTPS://example.org/", "begins neither"),
            ("https://user@example.org/", "user name"),
            ("https://good.org\\@evil.org/", "%XX"),
            ("https://a/#b", "fragment"),
            ("https://a/ b", "%XX"),
            ("https:///a", "host"),
            ("https://é.org/", "%XX"),
            ("https://a..b/", "empty part"),
            ("https://a./", "empty part"),
            ("https://a:0/", "port"),
            ("https://a:+1/", "port"),
            ("https://a:70000/", "port"),
            ("https://[::1/", "not closed"),
            ("https://[::1]x/", "something else"),
            ("https://[1.2.3.4]/", "IPv6"),
            ("https://a/b/../c", "`..`"),
            ("https://a/b/%2E%2e/c", "`..`"),
            ("https://a/b/..%2fc", "`..`"),
            ("https://a/./c", "`..`"),
        ] {
            let error = WebAddress::parse(text).unwrap_err().to_string();
            assert!(
                error.contains(problem) && error.contains("https://hooks.example.org"),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn an_address_covers_what_lies_below_it() {
        for (allowed, asked, covered) in [
            ("https://a.org/", "https://a.org/any/where?x=1", true),
            ("https://a.org/hook", "https://a.org/hook", true),
            ("https://a.org/hook", "https://a.org/hook/7", true),
            ("https://a.org/hook", "https://a.org/hook?x", true),
            ("https://a.org/hook", "https://a.org/hooks", false),
            ("https://a.org/hook/", "https://a.org/hook", false),
            ("https://a.org/", "http://a.org/", false),
            ("https://a.org/", "https://a.org:444/", false),
            ("https://a.org/", "https://a.org.evil.test/", false),
            ("https://a.org/", "https://b.a.org/", false),
        ] {
            assert_eq!(address(allowed).covers(&address(asked)), covered, "{allowed} {asked}");
        }
    }

    #[test]
    fn private_places_are_addresses_networks_and_ports() {
        let contains = |place: &str, address: &str| {
            PrivatePlace::try_from(place.to_owned()).unwrap().contains(address.parse().unwrap())
        };
        assert!(contains("127.0.0.1:9000", "127.0.0.1:9000") && contains("[::1]:9000", "[::1]:9000"));
        assert!(contains("10.0.0.0/8", "10.1.2.3:80") && contains("10.0.0.0/8:81", "10.1.2.3:81"));
        assert!(contains("fd00::/8:81", "[fd00::1]:81") && contains("127.0.0.1:9", "[::ffff:127.0.0.1]:9"));
        assert!(!contains("127.0.0.1:9000", "127.0.0.1:9001") && !contains("10.0.0.0/8:81", "10.1.2.3:80"));
        for text in ["", "localhost:9000", "10.0.0.0/8:x", "127.0.0.1:70000", "10.0.0.0/40"] {
            assert!(PrivatePlace::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
