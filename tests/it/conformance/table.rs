//! The table: one row for each numbered statement of both standards, and how this server stands to it.

mod v311_operation;
mod v311_packets;
mod v5_connect;
mod v5_operation;
mod v5_publish;
mod v5_subscribe;

use std::fmt::Write as _;

use pointsman_tests::repository;

/// A statement.
pub(super) struct Row {
    /// Its number, without `MQTT-`.
    id: &'static str,
    /// What it says, in our words.
    says: &'static str,
    proof: Proof,
    /// What we do where the standard leaves it to us.
    choice: Option<&'static str>,
}

/// How a statement is kept.
enum Proof {
    /// It binds the client alone.
    Client,
    /// Cases prove it.
    Tests(&'static [&'static str]),
    /// Why no case does.
    Why(&'static str),
}

const fn row(id: &'static str, says: &'static str, proof: Proof) -> Row {
    Row { id, says, proof, choice: None }
}

const fn client() -> Proof {
    Proof::Client
}

const fn why(reason: &'static str) -> Proof {
    Proof::Why(reason)
}

impl Row {
    const fn choosing(mut self, choice: &'static str) -> Row {
        self.choice = Some(choice);
        self
    }
}

/// The cases that prove a statement: only those that exist have a name here.
macro_rules! tested {
    ($($case:path),+) => {
        $crate::conformance::table::Proof::Tests(&[$({
            const _: fn() = $case;
            stringify!($case)
        }),+])
    };
}
use tested;

/// A standard: its name, its rows, its sections with the number of statements in each.
struct Standard {
    name: &'static str,
    parts: &'static [&'static [Row]],
    sections: &'static [(&'static str, u8)],
    /// Numbers that the standard does not use.
    unused: &'static [&'static str],
}

const V311: Standard = Standard {
    name: "MQTT 3.1.1",
    parts: &[v311_packets::ROWS, v311_operation::ROWS],
    sections: &[
        ("1.5.3", 3),
        ("2.2.2", 2),
        ("2.3.1", 7),
        ("3.1.0", 2),
        ("3.1.2", 24),
        ("3.1.3", 11),
        ("3.1.4", 5),
        ("3.2.0", 1),
        ("3.2.2", 6),
        ("3.3.1", 12),
        ("3.3.2", 3),
        ("3.3.4", 1),
        ("3.3.5", 2),
        ("3.6.1", 1),
        ("3.8.1", 1),
        ("3.8.3", 4),
        ("3.8.4", 6),
        ("3.9.3", 2),
        ("3.10.1", 1),
        ("3.10.3", 2),
        ("3.10.4", 6),
        ("3.12.4", 1),
        ("3.14.1", 1),
        ("3.14.4", 3),
        ("4.1.0", 2),
        ("4.3.1", 1),
        ("4.3.2", 2),
        ("4.3.3", 2),
        ("4.4.0", 1),
        ("4.5.0", 2),
        ("4.6.0", 6),
        ("4.7.1", 3),
        ("4.7.2", 1),
        ("4.7.3", 4),
        ("4.8.0", 2),
        ("6.0.0", 4),
        ("7.0.0", 2),
        ("7.1.1", 1),
        ("7.1.2", 1),
    ],
    unused: &[],
};

const V5: Standard = Standard {
    name: "MQTT 5",
    parts: &[v5_connect::ROWS, v5_publish::ROWS, v5_subscribe::ROWS, v5_operation::ROWS],
    sections: &[
        ("1.5.4", 3),
        ("1.5.5", 1),
        ("1.5.7", 1),
        ("2.1.3", 1),
        ("2.2.1", 6),
        ("2.2.2", 1),
        ("3.1.0", 2),
        ("3.1.2", 30),
        ("3.1.3", 12),
        ("3.1.4", 6),
        ("3.2.0", 2),
        ("3.2.2", 22),
        ("3.3.1", 13),
        ("3.3.2", 20),
        ("3.3.4", 10),
        ("3.4.2", 3),
        ("3.5.2", 3),
        ("3.6.1", 1),
        ("3.6.2", 3),
        ("3.7.2", 3),
        ("3.8.1", 1),
        ("3.8.3", 5),
        ("3.8.4", 8),
        ("3.9.2", 2),
        ("3.9.3", 2),
        ("3.10.1", 1),
        ("3.10.3", 2),
        ("3.10.4", 6),
        ("3.11.2", 2),
        ("3.11.3", 2),
        ("3.12.4", 1),
        ("3.14.0", 1),
        ("3.14.1", 1),
        ("3.14.2", 4),
        ("3.14.4", 3),
        ("3.15.1", 1),
        ("3.15.2", 3),
        ("4.1.0", 2),
        ("4.2.0", 1),
        ("4.3.1", 1),
        ("4.3.2", 5),
        ("4.3.3", 13),
        ("4.4.0", 2),
        ("4.5.0", 2),
        ("4.6.0", 6),
        ("4.7.0", 1),
        ("4.7.1", 2),
        ("4.7.2", 1),
        ("4.7.3", 4),
        ("4.8.2", 6),
        ("4.9.0", 3),
        ("4.12.0", 7),
        ("4.12.1", 2),
        ("4.13.1", 1),
        ("4.13.2", 1),
        ("6.0.0", 4),
    ],
    unused: &["2.2.1-1"],
};

impl Standard {
    fn rows(&self) -> impl Iterator<Item = &'static Row> {
        self.parts.iter().copied().flatten()
    }
}

#[test]
fn every_statement_has_one_row() {
    for standard in [V311, V5] {
        let numbers = |&(section, count): &(&str, u8)| {
            (1..=count).map(|number| format!("{section}-{number}")).collect::<Vec<_>>()
        };
        let used = |id: &String| !standard.unused.contains(&id.as_str());
        let wanted: Vec<String> = standard.sections.iter().flat_map(numbers).filter(used).collect();
        let found: Vec<&str> = standard.rows().map(|row| row.id).collect();
        assert_eq!(found, wanted, "{}: each once, none left out, in order", standard.name);
    }
    assert_eq!(V5.rows().count(), 251, "as many as appendix B of the standard has");
}

const HEAD: &str = "\
# Conformance

Each numbered statement of the two standards, in our words, and how Pointsman stands to it: the cases in
`tests/it/conformance/` that prove it on TCP and on wss, *client* where it binds the client alone, or why there is no
case. What the standard leaves to the server says what this one does.

The numbers are those of the appendices B; the standards are at <https://docs.oasis-open.org/mqtt/mqtt/>. A test makes
this page from the table in `tests/it/conformance/table/` and compares them;
`POINTSMAN_WRITE_DOCS=1 cargo test -p pointsman-tests conformance::table` writes it anew.
";

fn page() -> String {
    let mut out = HEAD.to_owned();
    for standard in [V311, V5] {
        let _ = write!(out, "\n## {}\n\n| MQTT- | says | proof |\n|---|---|---|\n", standard.name);
        for row in standard.rows() {
            let mut proof = match row.proof {
                Proof::Client => "*client*".to_owned(),
                Proof::Why(reason) => reason.to_owned(),
                Proof::Tests(cases) => {
                    cases.iter().map(|case| format!("`{case}`")).collect::<Vec<_>>().join("<br>")
                }
            };
            if let Some(choice) = row.choice {
                let _ = write!(proof, "<br>Here: {choice}.");
            }
            let _ = writeln!(out, "| {} | {} | {proof} |", row.id, row.says);
        }
    }
    out
}

#[test]
fn the_page_is_the_table() {
    let path = repository().join("docs/CONFORMANCE.md");
    let page = page();
    if std::env::var_os("POINTSMAN_WRITE_DOCS").is_some() {
        std::fs::write(&path, &page).expect("the page is written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == page, "docs/CONFORMANCE.md is not what the table says; it says how to write it anew");
}
