//! Which addresses a request may go to: public ones, and those that the configuration names.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use pointsman_config::PrivatePlace;

/// Addresses of a name that are tried.
const ADDRESSES_MAX: usize = 4;

/// Those of the addresses that a name has which may be connected to, or why there are none. What is connected to is one of
/// these and not the name, so that a name which means something else a moment later changes nothing.
pub(super) fn permitted(
    host: &str,
    found: impl IntoIterator<Item = SocketAddr>,
    private: &[PrivatePlace],
) -> Result<Vec<SocketAddr>, String> {
    let mut permitted = Vec::new();
    let mut refused = None;
    for address in found {
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        if is_public(address.ip()) || private.iter().any(|place| place.contains(address)) {
            permitted.push(address);
        } else {
            refused = Some(address);
        }
    }
    permitted.truncate(ADDRESSES_MAX);
    match (permitted.is_empty(), refused) {
        (false, _) => Ok(permitted),
        (true, Some(address)) => Err(format!(
            "{host} is at {address}, which is no public address: add \"{address}\" to rules.webhooks.allow_private if \
             that is meant"
        )),
        (true, None) => Err(format!("{host} has no address")),
    }
}

/// Whether an address is one of the internet, and not of this machine, this network, a test, or nobody.
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !matches!(
        (a, b, c),
        // This network, private, this machine, multicast and what comes after it.
        (0 | 10 | 127 | 224.., ..)
            // Shared by customers of a carrier.
            | (100, 64..=127, _)
            // The link; metadata of cloud machines.
            | (169, 254, _)
            // Private.
            | (172, 16..=31, _)
            | (192, 168, _)
            // Assignments of protocols, documentation, relays of 6to4.
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            // Measurements.
            | (198, 18 | 19, _)
            // Documentation.
            | (198, 51, 100)
            | (203, 0, 113)
    )
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let [.., high, low] = address.segments();
    let embedded = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match (a, b) {
        // An IPv4 address behind a translator is as public as that address is.
        (0x64, 0xff9b) if address.segments()[2..6] == [0; 4] => is_public_v4(embedded(high, low)),
        (0x2002, _) => is_public_v4(embedded(b, address.segments()[2])),
        // Assignments of protocols, Teredo among them; documentation.
        (0x2001, 0..=0x1ff | 0xdb8) | (0x3fff, 0..=0xfff) => false,
        // Nothing else is given out on the internet so far.
        (0x2000..=0x3fff, _) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_internet_are_public() {
        for (address, public) in [
            ("1.1.1.1", true),
            ("172.15.0.1", true),
            ("172.32.0.1", true),
            ("100.63.0.1", true),
            ("192.0.1.1", true),
            ("223.255.255.255", true),
            ("0.0.0.0", false),
            ("10.0.0.1", false),
            ("100.64.0.1", false),
            ("127.0.0.1", false),
            ("127.255.255.255", false),
            ("169.254.169.254", false),
            ("172.16.0.1", false),
            ("172.31.255.255", false),
            ("192.0.0.192", false),
            ("192.168.1.1", false),
            ("198.19.0.1", false),
            ("224.0.0.1", false),
            ("239.255.255.255", false),
            ("255.255.255.255", false),
            ("2606:4700::1111", true),
            ("2a00::1", true),
            ("::", false),
            ("::1", false),
            ("::7f00:1", false),
            ("::ffff:127.0.0.1", false),
            ("::ffff:8.8.8.8", true),
            ("64:ff9b::7f00:1", false),
            ("64:ff9b::808:808", true),
            ("64:ff9b:1::808:808", false),
            ("2002:7f00:1::1", false),
            ("2002:808:808::1", true),
            ("2001::1", false),
            ("2001:db8::1", false),
            ("fc00::1", false),
            ("fd00:ec2::254", false),
            ("fe80::1", false),
            ("fec0::1", false),
            ("ff02::1", false),
        ] {
            assert_eq!(is_public(address.parse().unwrap()), public, "{address}");
        }
    }

    #[test]
    fn a_name_is_connected_to_at_its_permitted_addresses_alone() {
        let found =
            |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let mixed = found(&["10.0.0.1:443", "1.1.1.1:443", "[::1]:443"]);
        assert_eq!(permitted("a.org", mixed, &[]), Ok(found(&["1.1.1.1:443"])));
        let error = permitted("a.org", found(&["[::ffff:127.0.0.1]:443"]), &[]).unwrap_err();
        assert!(error.contains("a.org is at 127.0.0.1:443") && error.contains("allow_private"), "{error}");
        let place = [PrivatePlace::try_from("127.0.0.1:9000".to_owned()).unwrap()];
        assert!(permitted("a", found(&["127.0.0.1:9000"]), &place).is_ok());
        assert!(permitted("a", found(&["127.0.0.1:9001"]), &place).is_err());
        assert_eq!(permitted("a", [], &[]).unwrap_err(), "a has no address");
    }
}
