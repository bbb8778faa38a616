//! Whose request a proxy passes on, as `X-Forwarded-For` or `Forwarded` (RFC 7239) say it.
//!
//! Each proxy adds at the right the address that it was asked from. Read from the right, the first address that is not
//! that of a trusted proxy is the client's; what stands left of it is the client's own word, which proves nothing.

use std::net::{IpAddr, SocketAddr};

use hyper::HeaderMap;
use pointsman_config::ForwardedHeader;

use super::gate::GateSettings;

const FORWARDED: &str = "forwarded";
const X_FORWARDED_FOR: &str = "x-forwarded-for";

/// The client of a request that came from `peer`: the peer itself unless that is a trusted proxy that says more.
pub fn client_address(peer: IpAddr, headers: &HeaderMap, settings: &GateSettings) -> IpAddr {
    let name = match settings.forwarded_header {
        ForwardedHeader::Forwarded => FORWARDED,
        ForwardedHeader::XForwardedFor => X_FORWARDED_FOR,
    };
    let mut client = peer;
    for value in headers.get_all(name).into_iter().rev() {
        let Ok(value) = value.to_str() else { return client };
        for element in value.rsplit(',') {
            if !settings.trusts(client) {
                return client;
            }
            let said = match settings.forwarded_header {
                ForwardedHeader::Forwarded => for_of(element),
                ForwardedHeader::XForwardedFor => parse_address(element),
            };
            // What cannot be read hides who is behind the last one that can.
            let Some(address) = said else { return client };
            client = address;
        }
    }
    client
}

/// The `for` of an element of `Forwarded`. A quoted text may hold a comma, but no address does: such a `for` is not one
/// that is read.
fn for_of(element: &str) -> Option<IpAddr> {
    let pair = element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then_some(value)
    });
    parse_address(pair?.trim().trim_matches('"'))
}

/// An address with or without a port, of IPv6 with or without brackets.
fn parse_address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|it| it.ip()))?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn settings(forwarded_header: ForwardedHeader) -> GateSettings {
        GateSettings {
            connections_max: 1,
            connects_per_address_per_second: 1,
            connect_timeout: Duration::ZERO,
            origins: Vec::new(),
            websocket_ping: Duration::ZERO,
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()],
            proxy_protocol: Vec::new(),
            forwarded_header,
        }
    }

    fn client(kind: ForwardedHeader, peer: &str, values: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        let name = if kind == ForwardedHeader::Forwarded { FORWARDED } else { X_FORWARDED_FOR };
        for value in values {
            headers.append(name, value.parse().unwrap());
        }
        client_address(peer.parse().unwrap(), &headers, &settings(kind)).to_string()
    }

    #[test]
    fn the_rightmost_address_that_is_no_trusted_proxy_is_the_clients() {
        for (peer, values, expected) in [
            ("10.0.0.1", &[][..], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            ("::1", &["203.0.113.9:4711"], "203.0.113.9"),
            ("10.0.0.1", &["198.51.100.1, 203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["198.51.100.1, 203.0.113.9, 10.0.0.2"], "203.0.113.9"),
            ("10.0.0.1", &["198.51.100.1", "203.0.113.9", "10.0.0.2,10.0.0.3"], "203.0.113.9"),
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            ("10.0.0.1", &["203.0.113.9, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.9, junk, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &["[2001:db8::7]:80"], "2001:db8::7"),
            ("10.0.0.1", &["::ffff:203.0.113.9"], "203.0.113.9"),
            ("192.0.2.1", &["203.0.113.9"], "192.0.2.1"),
        ] {
            assert_eq!(client(ForwardedHeader::XForwardedFor, peer, values), expected, "{peer} {values:?}");
        }
    }

    #[test]
    fn forwarded_says_it_in_pairs() {
        for (values, expected) in [
            (&["for=203.0.113.9;proto=https;by=10.0.0.1"][..], "203.0.113.9"),
            (&["for=198.51.100.1, For=\"[2001:db8::7]:4711\""], "2001:db8::7"),
            (&["proto=http;for=\"203.0.113.9:80\""], "203.0.113.9"),
            (&["for=203.0.113.9, for=_hidden"], "10.0.0.1"),
            (&["for=203.0.113.9, for=10.0.0.2"], "203.0.113.9"),
            (&["proto=https"], "10.0.0.1"),
            (&[""], "10.0.0.1"),
        ] {
            assert_eq!(client(ForwardedHeader::Forwarded, "10.0.0.1", values), expected, "{values:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_passed_over(text in "[ -~]{0,200}") {
            for kind in [ForwardedHeader::Forwarded, ForwardedHeader::XForwardedFor] {
                let _ = client(kind, "10.0.0.1", &[&text]);
                prop_assert_eq!(client(kind, "192.0.2.1", &[&text]), "192.0.2.1");
            }
        }
    }
}
