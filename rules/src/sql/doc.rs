//! A payload that is read once: whether it is JSON, and where its members are.

use crate::json::{RawText, ScanError, Scanner};

/// One member of an object.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Member<'text> {
    pub(crate) name: RawText<'text>,
    pub(crate) value: &'text str,
}

/// Members, the first few without an allocation. (The usual small vectors do not let a lifetime be shortened.)
#[derive(Clone, Debug, Default)]
pub(crate) struct Members<'text> {
    few: [Member<'text>; FEW],
    count: usize,
    /// All of them, once there are too many.
    many: Vec<Member<'text>>,
}

const FEW: usize = 12;

impl<'text> Members<'text> {
    fn push(&mut self, member: Member<'text>) {
        if let Some(place) = self.few.get_mut(self.count) {
            *place = member;
            self.count += 1;
            return;
        }
        if self.many.is_empty() {
            self.many.extend_from_slice(&self.few);
        }
        self.many.push(member);
    }

    /// All of them, in the order of the text.
    pub(crate) fn as_slice(&self) -> &[Member<'text>] {
        if self.many.is_empty() { &self.few[..self.count] } else { &self.many }
    }
}

/// What a payload turned out to be.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "it lies on the stack, where a box would cost an allocation")]
pub(crate) enum Doc<'text> {
    /// No JSON, for this reason.
    NotJson(ScanError),
    /// An object, with its text without blanks around it.
    Object(&'text str, Members<'text>),
    /// An array or a scalar, without blanks around it.
    Other(&'text str),
}

impl<'text> Doc<'text> {
    /// Reads a payload. Bytes that are not UTF-8 are no JSON.
    pub(crate) fn read(payload: &'text [u8]) -> Self {
        match std::str::from_utf8(payload) {
            Ok(text) => Self::read_text(text),
            Err(error) => {
                Self::NotJson(ScanError { expected: "UTF-8 was expected", at: error.valid_up_to() })
            }
        }
    }

    /// Reads a text.
    pub(crate) fn read_text(text: &'text str) -> Self {
        Self::try_read(text).unwrap_or_else(Self::NotJson)
    }

    fn try_read(text: &'text str) -> Result<Self, ScanError> {
        let mut scanner = Scanner::new(text);
        if scanner.peek_token() != b'{' {
            let value = scanner.value(0)?;
            scanner.end()?;
            return Ok(Self::Other(value));
        }
        let mut members = Members::default();
        let start = scanner.at();
        scanner.object(0, |name, value| members.push(Member { name, value }))?;
        let whole = &text[start..scanner.at()];
        scanner.end()?;
        Ok(Self::Object(whole, members))
    }

    /// The text of the member with this name; of several the last.
    pub(crate) fn member(&self, name: &str) -> Option<&'text str> {
        self.members().iter().rev().find(|member| member.name.is(name)).map(|member| member.value)
    }

    /// All members; none if it is no object.
    pub(crate) fn members(&self) -> &[Member<'text>] {
        match self {
            Self::Object(_, members) => members.as_slice(),
            Self::NotJson(_) | Self::Other(_) => &[],
        }
    }
}

/// The member of an object that is given as text; of several the last.
pub(crate) fn member_of<'text>(json: &'text str, name: &str) -> Option<&'text str> {
    let mut found = None;
    let mut scanner = Scanner::new(json);
    if scanner.peek_token() == b'{' {
        let read = |key: RawText<'text>, value| {
            if key.is(name) {
                found = Some(value);
            }
        };
        scanner.object(0, read).ok()?;
    }
    found
}

/// The members of an object that is given as text; none if it is no object.
pub(crate) fn members_of(json: &str) -> Vec<Member<'_>> {
    let mut members = Vec::new();
    let mut scanner = Scanner::new(json);
    if scanner.peek_token() == b'{' {
        // The text was found to be JSON before.
        let _ = scanner.object(0, |name, value| members.push(Member { name, value }));
    }
    members
}

/// The elements of an array that is given as text; `None` if it is no array.
pub(crate) fn elements_of(json: &str) -> Option<Vec<&str>> {
    let mut scanner = Scanner::new(json);
    if scanner.peek_token() != b'[' {
        return None;
    }
    let mut elements = Vec::new();
    scanner.array(0, |element| elements.push(element)).ok()?;
    Some(elements)
}
