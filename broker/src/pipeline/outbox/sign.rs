//! The signature of a request, by which its receiver knows that it is ours and new.

use data_encoding::HEXLOWER;
use ring::hmac;

/// The header that holds it.
pub(super) const HEADER: &str = "pointsman-signature";

/// A secret that is never shown.
#[derive(Clone)]
pub struct SigningKey(hmac::Key);

impl SigningKey {
    /// The key of a secret's text.
    pub fn new(secret: &str) -> SigningKey {
        SigningKey(hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()))
    }

    /// `t=<seconds since 1970>,v1=<HMAC-SHA256 of "<seconds>.<body>" in hexadecimal>`
    pub(super) fn sign(&self, seconds: u64, body: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(format!("{seconds}.").as_bytes());
        context.update(body);
        format!("t={seconds},v1={}", HEXLOWER.encode(context.sign().as_ref()))
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SigningKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_can_be_made_by_others() {
        // printf '1700000000.{"n":1}' | openssl dgst -sha256 -hmac secret
        let expected = "t=1700000000,v1=d36d6ce71da26cb3ead69e45b2a02790c45c5d2a1513de8b1c72748922dd8747";
        assert_eq!(SigningKey::new("secret").sign(1_700_000_000, b"{\"n\":1}"), expected);
        assert!(!format!("{:?}", SigningKey::new("secret")).contains("secret"));
    }
}
