//! Differences of texts, line by line.

use std::fmt;

/// Pairs of lines that are compared at most; longer texts are shown one after the other.
const CELLS_MAX: usize = 4_000_000;

/// One line of a difference.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DiffLine {
    /// Only the first text has it.
    Removed(String),
    /// Only the second text has it.
    Added(String),
    /// Both have it.
    Same(String),
}

impl fmt::Display for DiffLine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Removed(line) => write!(formatter, "- {line}"),
            Self::Added(line) => write!(formatter, "+ {line}"),
            Self::Same(line) => write!(formatter, "  {line}"),
        }
    }
}

/// What makes one text of another, with as many lines kept as can be.
pub fn diff_lines(from: &str, to: &str) -> Vec<DiffLine> {
    let (from, to): (Vec<&str>, Vec<&str>) = (from.lines().collect(), to.lines().collect());
    let head = from.iter().zip(&to).take_while(|(left, right)| left == right).count();
    let rest = from.len().min(to.len()) - head;
    let tail =
        from.iter().rev().zip(to.iter().rev()).take(rest).take_while(|(left, right)| left == right).count();
    let same =
        |lines: &[&str]| lines.iter().map(|line| DiffLine::Same((*line).to_owned())).collect::<Vec<_>>();
    let mut lines = same(&from[..head]);
    lines.extend(middle(&from[head..from.len() - tail], &to[head..to.len() - tail]));
    lines.extend(same(&from[from.len() - tail..]));
    lines
}

/// The part between the lines with which both begin and end.
fn middle(from: &[&str], to: &[&str]) -> Vec<DiffLine> {
    let removed = |line: &&str| DiffLine::Removed((*line).to_owned());
    let added = |line: &&str| DiffLine::Added((*line).to_owned());
    let width = to.len() + 1;
    if (from.len() + 1).saturating_mul(width) > CELLS_MAX {
        return from.iter().map(removed).chain(to.iter().map(added)).collect();
    }
    // `common[i * width + j]`: how many lines the texts have in common from these on.
    let mut common = vec![0_u32; (from.len() + 1) * width];
    for left in (0..from.len()).rev() {
        for right in (0..to.len()).rev() {
            common[left * width + right] = if from[left] == to[right] {
                common[(left + 1) * width + right + 1] + 1
            } else {
                common[(left + 1) * width + right].max(common[left * width + right + 1])
            };
        }
    }
    let (mut left, mut right) = (0, 0);
    let mut lines = Vec::with_capacity(from.len() + to.len());
    while left < from.len() && right < to.len() {
        if from[left] == to[right] {
            lines.push(DiffLine::Same(from[left].to_owned()));
            (left, right) = (left + 1, right + 1);
        } else if common[(left + 1) * width + right] >= common[left * width + right + 1] {
            lines.push(removed(&from[left]));
            left += 1;
        } else {
            lines.push(added(&to[right]));
            right += 1;
        }
    }
    lines.extend(from[left..].iter().map(removed));
    lines.extend(to[right..].iter().map(added));
    lines
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(from: &str, to: &str) -> Vec<String> {
        diff_lines(from, to).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn lines_that_stay_are_kept() {
        assert_eq!(shown("a\nb\nc", "a\nx\nc"), ["  a", "- b", "+ x", "  c"]);
        assert_eq!(shown("", "a"), ["+ a"]);
        assert_eq!(shown("a\na", "a"), ["  a", "- a"]);
        assert!(shown("", "").is_empty());
    }

    proptest! {
        #[test]
        fn both_texts_are_in_a_difference(from in "([abc]\n){0,12}", to in "([abc]\n){0,12}") {
            let lines = diff_lines(&from, &to);
            let (mut left, mut right) = (String::new(), String::new());
            for line in &lines {
                let (in_left, in_right, text) = match line {
                    DiffLine::Added(text) => (false, true, text),
                    DiffLine::Removed(text) => (true, false, text),
                    DiffLine::Same(text) => (true, true, text),
                };
                for (side, is_in) in [(&mut left, in_left), (&mut right, in_right)] {
                    if is_in {
                        side.push_str(text);
                        side.push('\n');
                    }
                }
            }
            prop_assert_eq!((left, right), (from, to));
        }
    }
}
