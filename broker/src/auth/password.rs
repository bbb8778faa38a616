//! Passwords: argon2id hashes, and the one made at first start.

use argon2::password_hash::{PasswordHash as Parsed, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};

/// Letters and digits that nobody confuses.
const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz23456789A";
const PASSWORD_CHARS: usize = 20;

/// An argon2id hash in PHC format.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

/// Text that is no password hash.
#[derive(Debug, thiserror::Error)]
#[error("the stored password hash is not in PHC format")]
pub struct NotAHash;

impl PasswordHash {
    /// Hashes a password with 19 MiB, two passes and one lane (OWASP's figures for argon2id).
    pub fn of(password: &str, salt: [u8; 16]) -> PasswordHash {
        let salt = SaltString::encode_b64(&salt).expect("sixteen bytes are a salt");
        let hash = argon2()
            .hash_password(password.as_bytes(), &salt)
            .expect("the parameters are constant and valid");
        PasswordHash(hash.to_string())
    }

    /// Takes what [`PasswordHash::as_str`] gave.
    pub fn parse(text: &str) -> Result<PasswordHash, NotAHash> {
        Parsed::new(text).map_err(|_| NotAHash)?;
        Ok(PasswordHash(text.to_owned()))
    }

    /// The PHC text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the password; the comparison takes the same time either way.
    pub fn verify(&self, password: &[u8]) -> bool {
        Parsed::new(&self.0).is_ok_and(|hash| argon2().verify_password(password, &hash).is_ok())
    }
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(19 * 1024, 2, 1, None).expect("the parameters are constant and valid");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Makes a password of 100 bits out of random bytes.
pub fn random_password(random: [u8; PASSWORD_CHARS]) -> String {
    random.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_password_verifies_and_no_other() {
        let hash = PasswordHash::of("open sesame", [7; 16]);
        let stored = PasswordHash::parse(hash.as_str()).unwrap();
        assert!(stored.verify(b"open sesame"));
        assert!(!stored.verify(b"open sesam"));
        assert!(!stored.verify(b""));
        assert!(PasswordHash::parse("plain").is_err());
        assert_eq!(format!("{stored:?}"), "PasswordHash(..)");
    }
}
