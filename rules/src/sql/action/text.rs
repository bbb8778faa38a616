//! An action as it is written, however it was spaced: that is its name where it is told which actions were done.

use std::fmt;

use super::{Action, Row, Template, What};

/// A text in quotes.
struct Quoted<'a>(&'a str);

/// A word with a text in quotes behind it, where there is one.
struct Clause<'a>(&'static str, Option<&'a str>);

impl fmt::Display for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            What::Delete(row) => write!(formatter, "DELETE FROM {row}"),
            What::Event { source, detail_type, bus } => {
                let (source, detail_type) = (Quoted(source.source()), Quoted(detail_type.source()));
                write!(formatter, "EVENT SOURCE {source} TYPE {detail_type}")?;
                Clause("BUS", bus.as_deref()).fmt(formatter)
            }
            What::Notify { topic, subject } => {
                write!(formatter, "NOTIFY {}", Quoted(topic.source()))?;
                Clause("SUBJECT", subject.as_ref().map(Template::source)).fmt(formatter)
            }
            What::Republish { topic, is_reserved, qos, retain } => {
                let escape = if *is_reserved { "$" } else { "" };
                let topic = format!("{escape}{}", topic.source());
                write!(formatter, "REPUBLISH {} QOS {qos}", Quoted(&topic))?;
                formatter.write_str(if *retain { " RETAIN" } else { "" })
            }
            What::Table { row, ttl_ms } => {
                write!(formatter, "TABLE {row}")?;
                ttl_ms.map_or(Ok(()), |ttl_ms| write!(formatter, " TTL '{ttl_ms}ms'"))
            }
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} KEY {}", Quoted(&self.table), Quoted(self.key.source()))?;
        Clause("SORT", self.sort.as_ref().map(Template::source)).fmt(formatter)
    }
}

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "'{}'", self.0.replace('\'', "''"))
    }
}

impl fmt::Display for Clause<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(word, text) = self;
        text.map_or(Ok(()), |text| write!(formatter, " {word} {}", Quoted(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::statement::begin;

    #[test]
    fn an_action_reads_back_as_it_is_shown() {
        for text in [
            "DELETE FROM 't' KEY '${k}' SORT 'a''b'",
            "EVENT SOURCE 's' TYPE '${t}' BUS 'orders'",
            "EVENT SOURCE 's' TYPE 't'",
            "NOTIFY 'n' SUBJECT 'it''s'",
            "REPUBLISH '$$aws/${x}' QOS 1 RETAIN",
            "REPUBLISH 'a' QOS 0",
            "TABLE 't' KEY 'k' SORT 's' TTL '86400000ms'",
        ] {
            let action = Action::parse(&mut begin(text).expect("it is short")).expect(text);
            assert_eq!(action.to_string(), text);
        }
        let spaced = "republish  \"a'b\" -- whatever\n";
        let action = Action::parse(&mut begin(spaced).expect("it is short")).expect(spaced);
        assert_eq!(action.to_string(), "REPUBLISH 'a''b' QOS 0");
    }
}
