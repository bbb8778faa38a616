//! The load topics: how much a minute, as an average that forgets with time, over 1, 5 and 15 minutes.

use std::time::Duration;

/// The names of what is averaged, each over all spans.
const NAMES: [[&str; 3]; 9] = [
    ["load/messages/received/1min", "load/messages/received/5min", "load/messages/received/15min"],
    ["load/messages/sent/1min", "load/messages/sent/5min", "load/messages/sent/15min"],
    ["load/publish/received/1min", "load/publish/received/5min", "load/publish/received/15min"],
    ["load/publish/sent/1min", "load/publish/sent/5min", "load/publish/sent/15min"],
    ["load/publish/dropped/1min", "load/publish/dropped/5min", "load/publish/dropped/15min"],
    ["load/bytes/received/1min", "load/bytes/received/5min", "load/bytes/received/15min"],
    ["load/bytes/sent/1min", "load/bytes/sent/5min", "load/bytes/sent/15min"],
    ["load/sockets/1min", "load/sockets/5min", "load/sockets/15min"],
    ["load/connections/1min", "load/connections/5min", "load/connections/15min"],
];

const SPANS_MINUTES: [f64; 3] = [1.0, 5.0, 15.0];

/// The averages, and what they were made from last.
#[derive(Debug, Default)]
pub(super) struct Loads {
    totals: [u64; NAMES.len()],
    averages: [[f64; SPANS_MINUTES.len()]; NAMES.len()],
}

impl Loads {
    /// Takes the totals of now into the averages, and gives these with their names.
    pub(super) fn pass(
        &mut self,
        totals: [u64; NAMES.len()],
        passed: Duration,
    ) -> impl Iterator<Item = (&'static str, String)> {
        let minutes = passed.as_secs_f64() / 60.0;
        for ((total, before), averages) in totals.iter().zip(&mut self.totals).zip(&mut self.averages) {
            #[expect(clippy::cast_precision_loss, reason = "a rate is shown with two digits")]
            let more = total.saturating_sub(*before) as f64;
            *before = *total;
            if minutes <= 0.0 {
                continue;
            }
            for (average, span) in averages.iter_mut().zip(SPANS_MINUTES) {
                let rate = more / minutes;
                *average = rate + (-minutes / span).exp() * (*average - rate);
            }
        }
        let averages = self.averages;
        NAMES.into_iter().zip(averages).flat_map(|(names, averages)| {
            names.into_iter().zip(averages).map(|(name, average)| (name, format!("{average:.2}")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_rate_is_approached_and_forgotten() {
        let mut loads = Loads::default();
        let read = |loads: &mut Loads, total| {
            let mut totals = [0; NAMES.len()];
            totals[2] = total;
            let found: Vec<_> = loads.pass(totals, Duration::from_secs(10)).collect();
            let of = |name| found.iter().find(|(it, _)| *it == name).unwrap().1.parse::<f64>().unwrap();
            assert!(of("load/bytes/sent/1min").abs() < f64::EPSILON);
            (of("load/publish/received/1min"), of("load/publish/received/15min"))
        };
        let mut total = 0;
        let mut reached = (0.0, 0.0);
        for _ in 0..60 {
            total += 100;
            reached = read(&mut loads, total);
        }
        assert!((reached.0 - 600.0).abs() < 1.0, "{reached:?}");
        assert!(reached.1 > 250.0 && reached.1 < 350.0, "ten minutes of fifteen: {reached:?}");
        for _ in 0..60 {
            reached = read(&mut loads, total);
        }
        assert!(reached.0 < 1.0 && reached.1 > 100.0, "{reached:?}");
    }

    #[test]
    fn no_time_has_passed_at_first() {
        let mut loads = Loads::default();
        assert!(loads.pass([7; NAMES.len()], Duration::ZERO).all(|(_, value)| value == "0.00"));
    }
}
