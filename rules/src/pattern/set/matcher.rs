//! All that patterns ask of the values at one path, merged: which tests a value passes.

use super::super::address::{self, AddressKey};
use super::super::fold::fold_into;
use super::super::number::{Number, NumberKey};
use super::super::test::Test;
use super::super::wildcard::Wildcard;
use super::affixes::{Affixes, Side};
use super::intervals::Intervals;
use super::scan::Token;
use super::texts::Texts;

/// Texts that must be equal, of all paths: each kind in one table.
#[derive(Debug, Default)]
pub(super) struct TextTables {
    exact: Texts,
    folded: Texts,
    /// Numbers that binary64 does not hold.
    numbers: Texts,
}

/// The tests of one path. A test is known by its number.
#[derive(Debug)]
pub(super) struct Matcher {
    path: u32,
    null: Option<u32>,
    truths: [Option<u32>; 2],
    present: Option<u32>,
    numbers: Intervals<NumberKey>,
    addresses: Intervals<AddressKey>,
    has_exact: bool,
    has_folded: bool,
    has_number_texts: bool,
    starts: Affixes<Hit>,
    ends: Affixes<Hit>,
    folded_starts: Affixes<Hit>,
    folded_ends: Affixes<Hit>,
    wildcards: Vec<(Wildcard, u32)>,
    /// Wildcards that say nothing about start and end.
    unanchored: Vec<u32>,
}

/// What it means that a value begins or ends with a text.
#[derive(Clone, Copy, Debug)]
enum Hit {
    /// It passes this test.
    Passes(u32),
    /// It may match this wildcard.
    Suggests(u32),
}

impl Matcher {
    /// The matcher of tests with their numbers. Texts that must be equal go to `tables`.
    pub(super) fn new<'set>(
        path: u32,
        tests: impl Iterator<Item = (&'set Test, u32)>,
        tables: &mut TextTables,
    ) -> Self {
        let mut parts = Parts::default();
        let mut this = Self::empty(path);
        for (test, number) in tests {
            match test {
                Test::Address(first, last) => parts.addresses.push((*first, *last, number)),
                Test::Bool(truth) => this.truths[usize::from(*truth)] = Some(number),
                Test::IgnoreCase(text) => {
                    this.has_folded = true;
                    tables.folded.insert(path, text, number);
                }
                Test::Null => this.null = Some(number),
                Test::Number(first, last) => parts.numbers.push((*first, *last, number)),
                Test::NumberText(text) => {
                    this.has_number_texts = true;
                    tables.numbers.insert(path, text, number);
                }
                Test::Prefix(text) => parts.starts.push((text, Hit::Passes(number))),
                Test::PrefixIgnoreCase(text) => parts.folded_starts.push((text, Hit::Passes(number))),
                Test::Present => this.present = Some(number),
                Test::Suffix(text) => parts.ends.push((text, Hit::Passes(number))),
                Test::SuffixIgnoreCase(text) => parts.folded_ends.push((text, Hit::Passes(number))),
                Test::Text(text) => {
                    this.has_exact = true;
                    tables.exact.insert(path, text, number);
                }
                Test::Wildcard(wildcard) => this.add_wildcard(wildcard, number, &mut parts),
                Test::Absent | Test::AnythingBut(_) => {} // a matter of all values at the path
            }
        }
        Self {
            numbers: Intervals::new(parts.numbers),
            addresses: Intervals::new(parts.addresses),
            starts: Affixes::new(Side::Start, parts.starts),
            ends: Affixes::new(Side::End, parts.ends),
            folded_starts: Affixes::new(Side::Start, parts.folded_starts),
            folded_ends: Affixes::new(Side::End, parts.folded_ends),
            ..this
        }
    }

    fn empty(path: u32) -> Self {
        Self {
            path,
            null: None,
            truths: [None; 2],
            present: None,
            numbers: Intervals::new(Vec::new()),
            addresses: Intervals::new(Vec::new()),
            has_exact: false,
            has_folded: false,
            has_number_texts: false,
            starts: Affixes::new(Side::Start, Vec::new()),
            ends: Affixes::new(Side::End, Vec::new()),
            folded_starts: Affixes::new(Side::Start, Vec::new()),
            folded_ends: Affixes::new(Side::End, Vec::new()),
            wildcards: Vec::new(),
            unanchored: Vec::new(),
        }
    }

    /// A wildcard is tried where its longer end fits.
    fn add_wildcard<'set>(&mut self, wildcard: &'set Wildcard, number: u32, parts: &mut Parts<'set>) {
        let index = u32::try_from(self.wildcards.len()).expect("memory ends long before 2^32 wildcards");
        self.wildcards.push((wildcard.clone(), number));
        let (start, end) = (wildcard.start(), wildcard.end());
        if start.is_empty() && end.is_empty() {
            self.unanchored.push(index);
        } else if start.len() >= end.len() {
            parts.starts.push((start, Hit::Suggests(index)));
        } else {
            parts.ends.push((end, Hit::Suggests(index)));
        }
    }

    /// Calls `passes` with the number of each test that `value` passes. `folded` is working memory.
    #[inline]
    pub(super) fn for_each(
        &self,
        value: Token<'_>,
        tables: &TextTables,
        folded: &mut String,
        mut passes: impl FnMut(u32),
    ) {
        if let Some(number) = self.present {
            passes(number);
        }
        match value {
            Token::Bool(truth) => self.truths[usize::from(truth)].into_iter().for_each(passes),
            Token::Null => self.null.into_iter().for_each(passes),
            Token::Number(text) => {
                if self.numbers.is_empty() && !self.has_number_texts {
                    return;
                }
                match Number::new(text).key {
                    Some(key) => self.numbers.for_each(key, &mut passes),
                    None if self.has_number_texts => {
                        tables.numbers.find(self.path, text).into_iter().for_each(passes);
                    }
                    None => {}
                }
            }
            Token::Text(text) => self.for_each_of_text(text, tables, folded, passes),
        }
    }

    fn for_each_of_text(
        &self,
        text: &str,
        tables: &TextTables,
        folded: &mut String,
        mut passes: impl FnMut(u32),
    ) {
        if self.has_exact {
            tables.exact.find(self.path, text).into_iter().for_each(&mut passes);
        }
        let mut hit = |text: &str, hit| match hit {
            Hit::Passes(number) => passes(number),
            Hit::Suggests(index) => {
                let (wildcard, number) = &self.wildcards[index as usize];
                if wildcard.matches(text) {
                    passes(*number);
                }
            }
        };
        self.starts.for_each(text, |found| hit(text, found));
        self.ends.for_each(text, |found| hit(text, found));
        for &index in &self.unanchored {
            hit(text, Hit::Suggests(index));
        }
        if self.has_folded || !self.folded_starts.is_empty() || !self.folded_ends.is_empty() {
            fold_into(text, folded);
            self.folded_starts.for_each(folded, |found| hit(folded, found));
            self.folded_ends.for_each(folded, |found| hit(folded, found));
            if self.has_folded {
                tables.folded.find(self.path, folded).into_iter().for_each(&mut passes);
            }
        }
        if !self.addresses.is_empty()
            && let Some(key) = address::key(text)
        {
            self.addresses.for_each(key, &mut passes);
        }
    }
}

/// What a matcher is made of, before it is in order.
#[derive(Default)]
struct Parts<'set> {
    numbers: Vec<(NumberKey, NumberKey, u32)>,
    addresses: Vec<(AddressKey, AddressKey, u32)>,
    starts: Vec<(&'set str, Hit)>,
    ends: Vec<(&'set str, Hit)>,
    folded_starts: Vec<(&'set str, Hit)>,
    folded_ends: Vec<(&'set str, Hit)>,
}
