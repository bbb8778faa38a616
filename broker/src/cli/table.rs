//! Lists for people: columns that are as wide as what is in them.

use serde_json::Value;

use crate::clock::Clock;

/// Prints rows under their titles.
pub(super) fn print<const N: usize>(titles: [&str; N], rows: Vec<[String; N]>) {
    let titles = titles.map(str::to_owned);
    let all: Vec<[String; N]> = std::iter::once(titles).chain(rows).collect();
    let mut widths = [0; N];
    for row in &all {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    for row in &all {
        let cells: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        println!("{}", cells.join("  ").trim_end());
    }
}

/// How long ago a time in milliseconds since 1970 was.
pub(super) fn age(time_ms: &Value) -> String {
    let Some(time_ms) = time_ms.as_u64() else { return String::new() };
    let seconds = Clock::system().now_ms().saturating_sub(time_ms) / 1_000;
    match seconds {
        0..120 => format!("{seconds} s ago"),
        120..7_200 => format!("{} min ago", seconds / 60),
        7_200..172_800 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}
