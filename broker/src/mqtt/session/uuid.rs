//! UUIDs: by them lifecycle events name sessions, and clients without an id are told apart.

use std::fmt;

/// A UUID of version 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Uuid([u8; 16]);

/// How many digits there are between its hyphens.
const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];

impl Uuid {
    /// One that there has not been.
    pub(crate) fn random() -> Uuid {
        let mut bytes = [0; 16];
        crate::random::fill(&mut bytes);
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Uuid(bytes)
    }

    /// Reads what `to_string` has written; `None` if the text is something else.
    pub(crate) fn parse(text: &str) -> Option<Uuid> {
        let groups = || text.split('-');
        if !groups().map(str::len).eq(GROUPS) || text.contains('+') {
            return None;
        }
        let digits: String = groups().collect();
        u128::from_str_radix(&digits, 16).ok().map(|value| Uuid(value.to_be_bytes()))
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:032x}", u128::from_be_bytes(self.0));
        let mut rest = digits.as_str();
        for (index, len) in GROUPS.into_iter().enumerate() {
            let (group, behind) = rest.split_at(len);
            f.write_str(if index == 0 { "" } else { "-" })?;
            f.write_str(group)?;
            rest = behind;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_of_version_4_and_each_another() {
        let uuid = Uuid::random();
        let text = uuid.to_string();
        assert_eq!((text.len(), &text[14..15]), (36, "4"));
        assert!(matches!(&text[19..20], "8" | "9" | "a" | "b"), "{text}");
        assert_ne!(uuid, Uuid::random());
    }

    #[test]
    fn what_was_written_is_read_and_nothing_else() {
        let uuid = Uuid::random();
        assert_eq!(Uuid::parse(&uuid.to_string()), Some(uuid));
        for text in
            ["", "a uuid", "00000000-0000-0000-0000-00000000000", "+0000000-0000-0000-0000-000000000000"]
        {
            assert_eq!(Uuid::parse(text), None, "{text:?}");
        }
        assert_eq!(Uuid::parse("00000000-0000-4000-8000-00000000000g"), None);
    }
}
