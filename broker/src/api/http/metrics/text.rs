//! The text format of Prometheus, version 0.0.4: families of samples, each with its help and type.

use std::fmt::{Display, Write as _};

/// The content type of the format.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What kind of figure a family is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by classes, with their sum.
    Histogram,
}

/// A page in the making.
#[derive(Debug, Default)]
pub(super) struct Page {
    text: String,
}

impl Page {
    /// Begins a family; its samples follow.
    pub(super) fn family(&mut self, name: &'static str, kind: Kind, help: &'static str) -> Family<'_> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        Family { text: &mut self.text, name }
    }

    /// A counter of one sample.
    pub(super) fn counter(&mut self, name: &'static str, help: &'static str, value: impl Display) {
        self.family(name, Kind::Counter, help).sample(&[], value);
    }

    /// A gauge of one sample.
    pub(super) fn gauge(&mut self, name: &'static str, help: &'static str, value: impl Display) {
        self.family(name, Kind::Gauge, help).sample(&[], value);
    }

    /// The page.
    pub(super) fn into_text(self) -> String {
        self.text
    }
}

/// A family that takes its samples.
pub(super) struct Family<'a> {
    text: &'a mut String,
    name: &'static str,
}

impl Family<'_> {
    /// Adds a sample.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.write("", labels, value);
    }

    /// Adds the samples of a histogram: `classes` has a count for each bound, and one for what is above all of them.
    pub(super) fn histogram(&mut self, bounds: impl Iterator<Item = f64>, classes: &[u64], sum: f64) {
        let mut below = 0;
        for (bound, count) in bounds.zip(classes) {
            below += count;
            self.write("_bucket", &[("le", &bound.to_string())], below);
        }
        let total: u64 = classes.iter().sum();
        self.write("_bucket", &[("le", "+Inf")], total);
        self.write("_sum", &[], sum);
        self.write("_count", &[], total);
    }

    fn write(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) {
        let _ = write!(self.text, "{}{suffix}", self.name);
        for (index, (name, value)) in labels.iter().enumerate() {
            let before = if index == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{before}{name}=\"{}\"", escaped(value));
        }
        let _ = writeln!(self.text, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_as_prometheus_has_it() {
        let mut page = Page::default();
        page.counter("a_total", "What is counted.", 7);
        let mut family = page.family("b", Kind::Gauge, "What is measured.");
        family.sample(&[("x", "1"), ("y", "a\\\"\n")], 0.5);
        page.family("c_seconds", Kind::Histogram, "Times.").histogram(
            [0.001, 1.0].into_iter(),
            &[1, 2, 3],
            1.25,
        );
        let expected = "# HELP a_total What is counted.\n# TYPE a_total counter\na_total 7\n\
            # HELP b What is measured.\n# TYPE b gauge\nb{x=\"1\",y=\"a\\\\\\\"\\n\"} 0.5\n\
            # HELP c_seconds Times.\n# TYPE c_seconds histogram\n\
            c_seconds_bucket{le=\"0.001\"} 1\nc_seconds_bucket{le=\"1\"} 3\nc_seconds_bucket{le=\"+Inf\"} 6\n\
            c_seconds_sum 1.25\nc_seconds_count 6\n";
        assert_eq!(page.into_text(), expected);
    }
}
