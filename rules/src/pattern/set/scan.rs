//! From an event to the values that patterns name, in one pass.

use super::super::arrays::{ROOT, Tree};
use super::super::error::JsonError;
use super::super::json::{self, Cursor, RawText};
use super::super::{EVENT_DEPTH_MAX, EVENT_VALUES_MAX};
use super::paths::{self, Paths};

type Result<T> = std::result::Result<T, JsonError>;

/// The path of values that a later member of the same name has replaced.
const REPLACED: u32 = u32::MAX;

/// A value that patterns name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) path: u32,
    /// The innermost element of an array it lies in.
    pub(super) element: u32,
    kind: Kind,
    start: u32,
    end: u32,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Bool(bool),
    /// A string whose text is among the decoded ones.
    Decoded,
    Null,
    Number,
    /// A string whose text is in the event.
    Text,
}

/// What a value is, read as far as its kind.
#[derive(Clone, Copy, Debug)]
pub(super) enum Token<'event> {
    Bool(bool),
    Null,
    /// A number, not parsed yet.
    Number(&'event str),
    Text(&'event str),
}

/// An event's values, and working memory to find them.
#[derive(Debug)]
pub(super) struct Values {
    list: Vec<Found>,
    pub(super) tree: Tree,
    decoded: String,
    name: String,
    /// By path: which object last had a member there, and which values came from it.
    members: Vec<Member>,
    objects: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Member {
    object: u64,
    start: usize,
    end: usize,
}

impl Values {
    pub(super) fn new() -> Self {
        Self {
            list: Vec::new(),
            tree: Tree::new(),
            decoded: String::new(),
            name: String::new(),
            members: Vec::new(),
            objects: 0,
        }
    }

    /// Finds the values of `event`, which replace those of the event before.
    pub(super) fn read(&mut self, event: &str, paths: &Paths) -> Result<()> {
        self.list.clear();
        self.tree.clear();
        self.decoded.clear();
        if self.members.len() < paths.len() {
            self.members.resize(paths.len(), Member::default());
        }
        let mut scanner = Scanner { cursor: Cursor::new(event), paths, values: self, depth: 0 };
        scanner.cursor.peek();
        scanner.object(paths::ROOT, ROOT)?;
        match scanner.cursor.peek() {
            0 if scanner.cursor.at() == event.len() => Ok(()),
            _ => scanner.cursor.error("nothing behind the event's `}`"),
        }
    }

    /// The values, those of one path in their order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Found, u32)> {
        self.list.iter().zip(0..).filter(|(found, _)| found.path != REPLACED)
    }

    /// What a value is.
    #[inline]
    pub(super) fn token<'event>(&'event self, found: &Found, event: &'event str) -> Token<'event> {
        let span = found.start as usize..found.end as usize;
        match found.kind {
            Kind::Bool(truth) => Token::Bool(truth),
            Kind::Decoded => Token::Text(&self.decoded[span]),
            Kind::Null => Token::Null,
            Kind::Number => Token::Number(&event[span]),
            Kind::Text => Token::Text(&event[span]),
        }
    }

    fn push(&mut self, path: u32, element: u32, kind: Kind, span: (usize, usize)) -> Result<()> {
        if self.list.len() == EVENT_VALUES_MAX {
            return Err(JsonError::TooManyValues { max: EVENT_VALUES_MAX });
        }
        let bound = |at| u32::try_from(at).expect("an event has fewer bytes than 2^32");
        self.list.push(Found { path, element, kind, start: bound(span.0), end: bound(span.1) });
        Ok(())
    }
}

struct Scanner<'scan> {
    cursor: Cursor<'scan>,
    paths: &'scan Paths,
    values: &'scan mut Values,
    depth: usize,
}

impl Scanner<'_> {
    fn enter(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > EVENT_DEPTH_MAX {
            return Err(JsonError::TooDeep { at: self.cursor.at(), max: EVENT_DEPTH_MAX });
        }
        Ok(())
    }

    fn object(&mut self, path: u32, element: u32) -> Result<()> {
        self.cursor.expect(b'{', "an object, so a `{`")?;
        self.enter()?;
        self.values.objects += 1;
        let object = self.values.objects;
        if self.cursor.peek() != b'}' {
            loop {
                self.member(path, element, object)?;
                match self.cursor.peek() {
                    b',' => self.cursor.step(),
                    b'}' => break,
                    _ => return self.cursor.error("`,` or `}`"),
                }
            }
        }
        self.cursor.step();
        self.depth -= 1;
        Ok(())
    }

    #[inline]
    fn member(&mut self, path: u32, element: u32, object: u64) -> Result<()> {
        if self.cursor.peek() != b'"' {
            return self.cursor.error("a member's name, so a `\"`");
        }
        let name = self.cursor.string()?;
        self.cursor.expect(b':', "`:`")?;
        let to = if name.has_escapes {
            self.values.name.clear();
            json::decode(name, &mut self.values.name)?;
            self.paths.member(path, self.values.name.as_bytes())
        } else {
            self.paths.member(path, name.text.as_bytes())
        };
        let Some(to) = to else { return self.cursor.skip_value(self.depth) };
        // Another member of this object that leads here has the same name, and the last one counts.
        let before = self.values.members[to as usize];
        if before.object == object {
            self.values.list[before.start..before.end].iter_mut().for_each(|found| found.path = REPLACED);
        }
        let start = self.values.list.len();
        self.value(to, element)?;
        self.values.members[to as usize] = Member { object, start, end: self.values.list.len() };
        Ok(())
    }

    fn value(&mut self, path: u32, element: u32) -> Result<()> {
        match self.cursor.peek() {
            b'{' if self.paths.has_children(path) => self.object(path, element),
            b'[' => self.array(path, element),
            b'"' if self.paths.is_wanted(path) => {
                let text = self.cursor.string()?;
                self.text(path, element, text)
            }
            b'{' | b'"' => self.cursor.skip_value(self.depth),
            _ => self.word(path, element),
        }
    }

    fn text(&mut self, path: u32, element: u32, raw: RawText) -> Result<()> {
        if !raw.has_escapes {
            return self.values.push(path, element, Kind::Text, (raw.start, raw.start + raw.text.len()));
        }
        let start = self.values.decoded.len();
        json::decode(raw, &mut self.values.decoded)?;
        self.values.push(path, element, Kind::Decoded, (start, self.values.decoded.len()))
    }

    fn word(&mut self, path: u32, element: u32) -> Result<()> {
        let start = self.cursor.at();
        let kind = match self.cursor.word() {
            "null" => Kind::Null,
            "true" => Kind::Bool(true),
            "false" => Kind::Bool(false),
            number if json::is_number(number) => Kind::Number,
            _ => return Err(JsonError::Syntax { at: start, expected: "a value" }),
        };
        if self.paths.is_wanted(path) {
            self.values.push(path, element, kind, (start, self.cursor.at()))?;
        }
        Ok(())
    }

    /// The elements' values all have the path of the array.
    fn array(&mut self, path: u32, element: u32) -> Result<()> {
        self.cursor.step();
        self.enter()?;
        // Where no path leads further, it does not matter which element a value lies in.
        let mut array = None;
        if self.cursor.peek() != b']' {
            loop {
                let has_own = matches!(self.cursor.peek(), b'{' | b'[') && self.paths.has_children(path);
                let mut within = element;
                if has_own {
                    let tree = &mut self.values.tree;
                    if tree.len() > EVENT_VALUES_MAX {
                        return Err(JsonError::TooManyValues { max: EVENT_VALUES_MAX });
                    }
                    let array = *array.get_or_insert_with(|| tree.add_array(element));
                    within = tree.add_element(array);
                }
                self.value(path, within)?;
                match self.cursor.peek() {
                    b',' => self.cursor.step(),
                    b']' => break,
                    _ => return self.cursor.error("`,` or `]`"),
                }
            }
        }
        self.cursor.step();
        self.depth -= 1;
        Ok(())
    }
}
