//! Texts in the form in which upper and lower case are equal.

/// Writes `text` into `out`, replacing what was there: lower case, upper case and lower case again, character by
/// character, so that `ß` and `ẞ` equal `SS` and all sigmas are one.
pub(super) fn fold_into(text: &str, out: &mut String) {
    out.clear();
    if text.is_ascii() {
        out.push_str(text);
        out.make_ascii_lowercase();
    } else {
        let lower = text.chars().flat_map(char::to_lowercase);
        out.extend(lower.flat_map(char::to_uppercase).flat_map(char::to_lowercase));
    }
}

/// `text` in that form.
pub(super) fn fold(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    fold_into(text, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_are_equal() {
        for (left, right) in [
            ("OnLine", "onLINE"),
            ("straße", "STRASSE"),
            ("STRAẞE", "straße"),
            ("ΣΑΣ", "σας"),
            ("ÉA", "éa"),
            ("ΰ", "\u{3a5}\u{308}\u{301}"),
        ] {
            assert_eq!(fold(left), fold(right));
        }
        assert_ne!(fold("online "), fold("online"));
        assert_ne!(fold("é"), fold("e"));
    }
}
