//! IP addresses as keys, and the ranges that blocks of them are.

use std::net::IpAddr;

/// An address as a key: addresses of version 4 come before those of version 6, and equal none of them but those
/// that stand for them, as `::ffff:a00:1` does for `10.0.0.1`.
pub(super) type AddressKey = (bool, u128);

/// The key of an address, or `None` for a text that is none.
pub(super) fn key(text: &str) -> Option<AddressKey> {
    // Most texts are no address; this tells without reading them.
    let first = text.as_bytes().first()?;
    if text.len() > 45 || !(first.is_ascii_hexdigit() || *first == b':') {
        return None;
    }
    // Half in one version and half in the other, as `::ffff:10.0.0.1`, is a plain text, as in the cloud.
    if text.contains(':') && text.contains('.') {
        return None;
    }
    match text.parse::<IpAddr>().ok()?.to_canonical() {
        IpAddr::V4(address) => Some((false, u128::from(u32::from(address)))),
        IpAddr::V6(address) => Some((true, u128::from(address))),
    }
}

/// The first and last address of a block as `10.0.0.0/24`. Bits behind the mask do not count.
///
/// # Errors
/// Says what is wrong, to be read behind the text.
pub(super) fn block(text: &str) -> Result<(AddressKey, AddressKey), String> {
    let Some((address, bits)) = text.split_once('/') else {
        return Err("needs an address, `/` and a number of bits, as 10.0.0.0/24".to_owned());
    };
    let Some((is_v6, address)) = key(address) else {
        return Err(format!("{address:?} is not an IPv4 or IPv6 address"));
    };
    let width = if is_v6 { 128 } else { 32 };
    let is_number = !bits.is_empty() && bits.bytes().all(|byte| byte.is_ascii_digit());
    let bits = bits.parse::<u32>().ok().filter(|_| is_number);
    let Some(bits) = bits.filter(|&bits| bits < width) else {
        let max = width - 1;
        return Err(format!(
            "the number of bits must be 0 to {max}; for one address write it as a plain string"
        ));
    };
    let host = u128::MAX >> (128 - (width - bits));
    Ok(((is_v6, address & !host), (is_v6, address | host)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_a_range() {
        let (first, last) = block("10.1.2.3/24").unwrap();
        assert_eq!((Some(first), Some(last)), (key("10.1.2.0"), key("10.1.2.255")));
        assert_eq!(block("1.2.3.4/0").unwrap(), ((false, 0), (false, u128::from(u32::MAX))));
        let (first, last) = block("2001:db8::7/32").unwrap();
        assert_eq!(Some(first), key("2001:db8::"));
        assert_eq!(Some(last), key("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"));
        assert_eq!(block("::/0").unwrap(), ((true, 0), (true, u128::MAX)));
    }

    #[test]
    fn what_is_no_block_says_why() {
        for (text, part) in [
            ("10.0.0.0", "`/`"),
            ("10.0.0/8", "\"10.0.0\" is not"),
            ("10.0.0.0/32", "0 to 31"),
            ("10.0.0.0/+8", "0 to 31"),
            ("10.0.0.0/", "0 to 31"),
            ("10.0.0.0/8/8", "0 to 31"),
            ("::1/128", "0 to 127"),
            ("x::1/8", "\"x::1\" is not"),
            ("::ffff:a00:0/104", "0 to 31"),
        ] {
            assert!(block(text).unwrap_err().contains(part), "{text}");
        }
        for text in ["", "x", "10.0.0.256", "10.0.0.1 ", "1.2.3", "::g", "::ffff:10.0.0.1"] {
            assert_eq!(key(text), None, "{text}");
        }
    }

    #[test]
    fn an_address_has_several_spellings() {
        assert_eq!(key("2001:DB8:0::1"), key("2001:0db8:0000:0:0:0:0:1"));
        assert_eq!(key("::ffff:a00:1"), key("10.0.0.1"));
        assert_ne!(key("::a00:1"), key("10.0.0.1"));
    }
}
