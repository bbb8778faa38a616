//! A request that waits, as a row of the outbox.
//!
//! ```text
//! value = 1 at_ms:varint rule:str method:str url:str count:varint (name:str value:str)* timeout_ms:varint
//!         retries_and_1:varint secret:str body:bytes
//! ```
//! 0 as timeout or retries and an empty secret stand for "not said".

use std::time::Duration;

use bytes::Bytes;

use crate::store::{Reader, put_bytes, put_varint};

const FORMAT: u8 = 1;

/// A request that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Delivery {
    /// When the rule asked for it, in milliseconds since 1970.
    pub(super) at_ms: u64,
    /// The rule.
    pub(super) rule: String,
    pub(super) method: String,
    pub(super) url: String,
    pub(super) headers: Vec<(String, String)>,
    /// How long one attempt may take, if the rule says so.
    pub(super) timeout: Option<Duration>,
    /// How often it is tried again, if the rule says so.
    pub(super) retries: Option<u32>,
    /// The name of the secret that signs it.
    pub(super) secret: Option<String>,
    pub(super) body: Bytes,
}

impl Delivery {
    /// The row's value.
    pub(super) fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(256 + self.body.len());
        out.push(FORMAT);
        put_varint(&mut out, self.at_ms);
        for text in [&self.rule, &self.method, &self.url] {
            put_bytes(&mut out, text.as_bytes());
        }
        put_varint(&mut out, self.headers.len() as u64);
        for text in self.headers.iter().flat_map(|(name, value)| [name, value]) {
            put_bytes(&mut out, text.as_bytes());
        }
        let timeout_ms = self.timeout.map_or(0, |timeout| timeout.as_millis());
        put_varint(&mut out, u64::try_from(timeout_ms).unwrap_or(u64::MAX));
        put_varint(&mut out, self.retries.map_or(0, |retries| u64::from(retries) + 1));
        put_bytes(&mut out, self.secret.as_deref().unwrap_or_default().as_bytes());
        put_bytes(&mut out, &self.body);
        Bytes::from(out)
    }

    /// Reads a row's value; `None` if it is not one.
    pub(super) fn decode(value: Bytes) -> Option<Delivery> {
        let mut reader = Reader(value);
        if reader.byte()? != FORMAT {
            return None;
        }
        let at_ms = reader.varint()?;
        let (rule, method, url) = (reader.string()?, reader.string()?, reader.string()?);
        let count = reader.count()?;
        let header = |reader: &mut Reader| Some((reader.string()?, reader.string()?));
        let headers = (0..count).map(|_| header(&mut reader)).collect::<Option<Vec<_>>>()?;
        let timeout = Some(reader.varint()?).filter(|ms| *ms > 0).map(Duration::from_millis);
        let retries = u32::try_from(reader.varint()?).ok()?.checked_sub(1);
        let secret = Some(reader.string()?).filter(|name| !name.is_empty());
        let body = reader.bytes()?;
        let delivery = Delivery { at_ms, rule, method, url, headers, timeout, retries, secret, body };
        reader.0.is_empty().then_some(delivery)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn delivery() -> Delivery {
        Delivery {
            at_ms: 1_700_000_000_000,
            rule: "shop".to_owned(),
            method: "POST".to_owned(),
            url: "https://example.org/".to_owned(),
            headers: vec![("content-type".to_owned(), "text/plain".to_owned())],
            timeout: Some(Duration::from_secs(3)),
            retries: Some(0),
            secret: None,
            body: Bytes::from_static(b"\0\xff"),
        }
    }

    #[test]
    fn a_row_is_read_back() {
        for delivery in [
            delivery(),
            Delivery { timeout: None, retries: None, secret: Some("s".to_owned()), ..delivery() },
            Delivery { headers: Vec::new(), body: Bytes::new(), ..delivery() },
        ] {
            assert_eq!(Delivery::decode(delivery.encode()), Some(delivery));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, cut in 0..100_usize) {
            let _ = Delivery::decode(Bytes::from(bytes));
            let whole = delivery().encode();
            let cut = cut.min(whole.len() - 1);
            prop_assert_eq!(Delivery::decode(whole.slice(..cut)), None);
        }
    }
}
