//! The named bounds of the SQL language. What grows with a message is bounded per evaluation.

/// Bytes of a statement or rule file.
pub(crate) const SQL_BYTES_MAX: usize = 64 << 10;
/// How deep expressions lie in each other in a statement.
pub(crate) const EXPRESSION_DEPTH_MAX: usize = 48;
/// Actions of one rule, its error action not counted.
pub(crate) const ACTIONS_MAX: usize = 10;
/// Variables of one statement.
pub(crate) const VARIABLES_MAX: usize = 10;
/// Characters of a variable's name.
pub(crate) const VARIABLE_CHARS_MAX: usize = 64;
/// Bytes that one evaluation reads and makes on the way: what bounds its time and memory.
pub(crate) const WORK_BYTES_MAX: usize = 16 << 20;
/// Bytes of what a statement selects.
pub(crate) const OUTPUT_BYTES_MAX: usize = 256 << 10;
/// Bytes of one filled-in template.
pub(crate) const TEMPLATE_BYTES_MAX: usize = 64 << 10;
/// Blanks that `lpad` and `rpad` add.
pub(crate) const PAD_MAX: usize = 1_000;
/// Bytes of a regular expression's text.
pub(crate) const REGEX_BYTES_MAX: usize = 1 << 10;
/// Bytes of memory of a compiled regular expression, and again for its cache.
pub(crate) const REGEX_COMPILED_BYTES_MAX: usize = 256 << 10;
/// Bytes up to which a compiled regular expression counts as small, and searching with it as cheap.
pub(crate) const REGEX_SMALL_BYTES_MAX: usize = 32 << 10;
/// Bytes of a date pattern.
pub(crate) const DATE_PATTERN_BYTES_MAX: usize = 256;
/// Elements that one nested query looks at.
pub(crate) const QUERY_ITEMS_MAX: usize = 2_000;
/// Bytes of a table's key part.
pub(crate) const KEY_BYTES_MAX: usize = 1_024;
/// Bytes of the source of an event, and of its type.
pub(crate) const LABEL_BYTES_MAX: usize = 256;
