//! The header of the PROXY protocol, version 2: how a balancer says whose connection it passes on.
//!
//! The format is that of `HAProxy`'s `proxy-protocol.txt`, §2.2: a signature of 12 bytes, version and command, family and
//! transport, the length of the rest, addresses, and extensions that are of no interest here.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio::io::{AsyncRead, AsyncReadExt};

/// What each header begins with.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Bytes of a header up to where its own length is said.
const FIXED_BYTES: usize = 16;
/// The longest header taken, extensions included; balancers send some hundred bytes.
const HEADER_BYTES_MAX: usize = 4096;

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proxied {
    /// The connection is the proxy's own, such as to see whether the server lives; or it passes on one that has no
    /// address.
    Local,
    /// It passes on a connection from this address.
    From(IpAddr),
}

/// Why there is no right header.
#[derive(Debug, thiserror::Error)]
pub enum ProxyHeaderError {
    /// The connection ended, or failed, before the header did.
    #[error("the connection ended within the header")]
    Cut(#[from] io::Error),
    /// It does not begin as a header does.
    #[error("it does not begin with the signature of version 2")]
    Signature,
    /// Another version or command than there are.
    #[error("version and command {0:#04x} are not known")]
    Command(u8),
    /// Another family or transport than there are.
    #[error("family and transport {0:#04x} are not known")]
    Family(u8),
    /// Its length is too small for its addresses, or larger than is taken.
    #[error("a length of {0} bytes is not possible here")]
    Length(usize),
}

/// Reads the header that a connection begins with, and not a byte more.
pub async fn read_header<T: AsyncRead + Unpin>(transport: &mut T) -> Result<Proxied, ProxyHeaderError> {
    let mut fixed = [0; FIXED_BYTES];
    transport.read_exact(&mut fixed).await?;
    let length = rest_bytes(&fixed)?;
    let mut rest = vec![0; length];
    transport.read_exact(&mut rest).await?;
    parse(&fixed, &rest)
}

/// How many bytes follow the fixed part.
fn rest_bytes(fixed: &[u8; FIXED_BYTES]) -> Result<usize, ProxyHeaderError> {
    if fixed[..SIGNATURE.len()] != SIGNATURE {
        return Err(ProxyHeaderError::Signature);
    }
    let length = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if FIXED_BYTES + length > HEADER_BYTES_MAX {
        return Err(ProxyHeaderError::Length(length));
    }
    Ok(length)
}

fn parse(fixed: &[u8; FIXED_BYTES], rest: &[u8]) -> Result<Proxied, ProxyHeaderError> {
    match fixed[12] {
        // What a LOCAL connection says of addresses is not to be looked at.
        0x20 => return Ok(Proxied::Local),
        0x21 => {}
        other => return Err(ProxyHeaderError::Command(other)),
    }
    let too_short = || ProxyHeaderError::Length(rest.len());
    match fixed[13] {
        // TCP or UDP over IPv4: two addresses, two ports. The first is the client's.
        0x11 | 0x12 => {
            let address = rest.get(..12).and_then(|all| all.first_chunk::<4>()).ok_or_else(too_short)?;
            Ok(Proxied::From(IpAddr::V4(Ipv4Addr::from(*address))))
        }
        0x21 | 0x22 => {
            let address = rest.get(..36).and_then(|all| all.first_chunk::<16>()).ok_or_else(too_short)?;
            Ok(Proxied::From(IpAddr::V6(Ipv6Addr::from(*address)).to_canonical()))
        }
        // A unix socket, or nothing that is said.
        0x00 | 0x31 | 0x32 => Ok(Proxied::Local),
        other => Err(ProxyHeaderError::Family(other)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, rest].concat()
    }

    async fn read(mut bytes: &[u8]) -> Result<(Proxied, usize), String> {
        let proxied = read_header(&mut bytes).await.map_err(|error| error.to_string())?;
        Ok((proxied, bytes.len()))
    }

    const V4: [u8; 12] = [203, 0, 113, 9, 10, 0, 0, 1, 0xC0, 0x01, 0x07, 0x5B];

    #[tokio::test]
    async fn the_client_is_the_first_address() {
        let v6: Vec<u8> = [&[0x20, 1, 0xd, 0xb8][..], &[0; 11], &[7], &[0; 16], &[1, 2, 3, 4]].concat();
        let mapped: Vec<u8> = [&[0; 10][..], &[0xff, 0xff, 192, 0, 2, 1], &[0; 20]].concat();
        let with_extension = [&V4[..], &[0x04, 0, 2, 9, 9]].concat();
        for (command, family, rest, expected) in [
            (0x21, 0x11, &V4[..], Proxied::From("203.0.113.9".parse().unwrap())),
            (0x21, 0x12, &V4, Proxied::From("203.0.113.9".parse().unwrap())),
            (0x21, 0x11, &with_extension, Proxied::From("203.0.113.9".parse().unwrap())),
            (0x21, 0x21, &v6, Proxied::From("2001:db8::7".parse().unwrap())),
            (0x21, 0x21, &mapped, Proxied::From("192.0.2.1".parse().unwrap())),
            (0x20, 0x00, &[], Proxied::Local),
            (0x20, 0x11, &V4, Proxied::Local),
            (0x21, 0x00, &[], Proxied::Local),
            (0x21, 0x31, &[0; 216], Proxied::Local),
        ] {
            let mut bytes = header(command, family, rest);
            bytes.extend_from_slice(b"\x10\x0c");
            assert_eq!(read(&bytes).await, Ok((expected, 2)), "{command:#x} {family:#x}: not a byte more");
        }
    }

    #[tokio::test]
    async fn what_is_no_header_is_said_so() {
        let long = header(0x21, 0x11, &[0; HEADER_BYTES_MAX]);
        for (bytes, words) in [
            (&b"PROXY TCP4 203.0.113.9 10.0.0.1 1 2\r\n"[..], "signature"),
            (b"\x10\x0e\0\x04MQTT\x04\x02\0\x3c\0\x02ab", "signature"),
            (&header(0x11, 0x11, &V4), "0x11 are not known"),
            (&header(0x22, 0x11, &V4), "0x22 are not known"),
            (&header(0x21, 0x41, &V4), "0x41 are not known"),
            (&header(0x21, 0x11, &V4[..11]), "11 bytes"),
            (&header(0x21, 0x21, &V4), "12 bytes"),
            (&long, "4096 bytes"),
            (&header(0x21, 0x11, &V4)[..20], "ended within"),
            (&SIGNATURE, "ended within"),
        ] {
            let error = read(bytes).await.unwrap_err();
            assert!(error.contains(words), "{words}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(
            command: u8, family: u8, length: u16, rest in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let mut fixed = [0; FIXED_BYTES];
            fixed[..12].copy_from_slice(&SIGNATURE);
            fixed[12..].copy_from_slice(&[command, family, length.to_be_bytes()[0], length.to_be_bytes()[1]]);
            if let Ok(length) = rest_bytes(&fixed) {
                prop_assert!(length <= HEADER_BYTES_MAX);
            }
            // Whatever it is, it is an answer.
            let _ = parse(&fixed, &rest);
        }
    }
}
