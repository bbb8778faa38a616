//! JSON as the statements need it: parts of the payload are found and copied, not rebuilt.

mod doc;
mod scan;
mod text;

pub(crate) use doc::{Doc, elements_of, member_of, members_of};
pub(crate) use scan::{RawText, Scanner};
pub(crate) use text::write_text;
