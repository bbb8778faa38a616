//! What it costs to match events with patterns, by what the patterns ask and by how many rules there are:
//! `cargo run --release -p pointsman-rules --example pattern_cost`.

use std::hint::black_box;
use std::time::Instant;

use pointsman_rules::pattern::{Pattern, PatternError, PatternSet, Scratch};

/// Events that are matched in turn.
const EVENTS: u32 = 2_000;
/// How often that is timed. The fastest round shows what it costs where nothing else runs on the machine.
const ROUNDS: usize = 400;

type Error = Box<dyn std::error::Error>;

fn main() -> Result<(), Error> {
    let lots: Vec<String> = (0..EVENTS as usize).map(lot).collect();
    let bytes = lots.iter().map(String::len).sum::<usize>() / lots.len();
    println!("5 rules, events of {bytes} bytes, one thread\n");
    println!(
        "| shape | ns an event, fastest | median | events a second, fastest | matches an event |\n|---|---|---|---|---|"
    );
    for (name, patterns) in SHAPES {
        show(name, &measure(&patterns.map(str::to_owned), &lots)?);
    }
    for (name, pattern) in FAMILIES {
        println!(
            "\n| {name}, rules | ns an event, fastest | median | events a second, fastest | matches an event |\n|---|---|---|---|---|"
        );
        for rules in [10, 1_000, 10_000] {
            let patterns: Vec<String> = (0..rules).map(pattern).collect();
            let events: Vec<String> = (0..EVENTS as usize).map(|number| order(number, rules)).collect();
            show(&rules.to_string(), &measure(&patterns, &events)?);
        }
    }
    Ok(())
}

struct Cost {
    /// Nanoseconds an event: of the fastest round, and of the middle one.
    best: f64,
    median: f64,
    matches: f64,
}

fn show(name: &str, Cost { best, median, matches }: &Cost) {
    println!("| {name} | {best:.0} | {median:.0} | {:.0} | {matches:.2} |", 1e9 / best);
}

fn measure(patterns: &[String], events: &[String]) -> Result<Cost, Error> {
    let compiled =
        patterns.iter().map(|text| Pattern::compile(text)).collect::<Result<Vec<_>, PatternError>>()?;
    let set = PatternSet::new((0..).zip(&compiled));
    let mut scratch = Scratch::new();
    let mut matched = 0_u32;
    let mut nanos = Vec::new();
    for _ in 0..ROUNDS {
        matched = 0;
        let begun = Instant::now();
        for event in events {
            set.for_each_match(black_box(event.as_bytes()), &mut scratch, |_| matched += 1)?;
        }
        nanos.push(begun.elapsed().as_secs_f64() * 1e9 / f64::from(EVENTS));
    }
    nanos.sort_by(f64::total_cmp);
    Ok(Cost { best: nanos[0], median: nanos[ROUNDS / 2], matches: f64::from(matched) / f64::from(EVENTS) })
}

/// The rules with which the cloud's own library is measured, of which each asks the same of a land register.
const SHAPES: [(&str, [&str; 5]); 7] = [
    (
        "exact",
        [
            r#"{"properties":{"MAPBLKLOT":["1430022"]}}"#,
            r#"{"properties":{"MAPBLKLOT":["2607117"]}}"#,
            r#"{"properties":{"MAPBLKLOT":["2607218"]}}"#,
            r#"{"properties":{"MAPBLKLOT":["3745012"]}}"#,
            r#"{"properties":{"MAPBLKLOT":["VACSTWIL"]}}"#,
        ],
    ),
    (
        "wildcard",
        [
            r#"{"properties":{"MAPBLKLOT":[{"wildcard":"143*"}]}}"#,
            r#"{"properties":{"MAPBLKLOT":[{"wildcard":"2*0*1*7"}]}}"#,
            r#"{"properties":{"MAPBLKLOT":[{"wildcard":"*218"}]}}"#,
            r#"{"properties":{"MAPBLKLOT":[{"wildcard":"3*5*2"}]}}"#,
            r#"{"properties":{"MAPBLKLOT":[{"wildcard":"VA*IL"}]}}"#,
        ],
    ),
    (
        "anything-but",
        [
            r#"{"properties":{"STREET":[{"anything-but":["FULTON"]}]}}"#,
            r#"{"properties":{"STREET":[{"anything-but":["MASON"]}]}}"#,
            r#"{"properties":{"ST_TYPE":[{"anything-but":["ST"]}]}}"#,
            r#"{"geometry":{"type":[{"anything-but":["Polygon"]}]}}"#,
            r#"{"properties":{"FROM_ST":[{"anything-but":["441"]}]}}"#,
        ],
    ),
    (
        "numeric",
        [
            r#"{"geometry":{"type":["Polygon"],"firstCoordinates":{"x":[{"numeric":["=",-122.42916360922355]}]}}}"#,
            r#"{"geometry":{"type":["MultiPolygon"],"firstCoordinates":{"z":[{"numeric":["=",0]}]}}}"#,
            r#"{"geometry":{"firstCoordinates":{"x":[{"numeric":["<",-122.41600944012424]}]}}}"#,
            r#"{"geometry":{"firstCoordinates":{"x":[{"numeric":[">",-122.41600944012424]}]}}}"#,
            r#"{"geometry":{"firstCoordinates":{"x":[{"numeric":[">",-122.46471267081272,"<",-122.4063085128395]}]}}}"#,
        ],
    ),
    (
        "arrays of objects",
        [
            r#"{"geometry":{"type":["Polygon"],"coordinates":{"x":[{"numeric":["=",-122.42916360922355]}]}}}"#,
            r#"{"geometry":{"type":["MultiPolygon"],"coordinates":{"y":[{"numeric":["=",37.729900216217324]}]}}}"#,
            r#"{"geometry":{"coordinates":{"x":[{"numeric":["<",-122.41600944012424]}]}}}"#,
            r#"{"geometry":{"coordinates":{"x":[{"numeric":[">",-122.41600944012424]}]}}}"#,
            r#"{"geometry":{"coordinates":{"x":[{"numeric":[">",-122.46471267081272,"<",-122.4063085128395]}]}}}"#,
        ],
    ),
    (
        "prefix",
        [
            r#"{"properties":{"STREET":[{"prefix":"AC"}]}}"#,
            r#"{"properties":{"STREET":[{"prefix":"BL"}]}}"#,
            r#"{"properties":{"STREET":[{"prefix":"DR"}]}}"#,
            r#"{"properties":{"STREET":[{"prefix":"FU"}]}}"#,
            r#"{"properties":{"STREET":[{"prefix":"RH"}]}}"#,
        ],
    ),
    (
        "equals-ignore-case",
        [
            r#"{"properties":{"STREET":[{"equals-ignore-case":"jefferson"}]}}"#,
            r#"{"properties":{"STREET":[{"equals-ignore-case":"bEaCh"}]}}"#,
            r#"{"properties":{"STREET":[{"equals-ignore-case":"HyDe"}]}}"#,
            r#"{"properties":{"STREET":[{"equals-ignore-case":"CHESTNUT"}]}}"#,
            r#"{"properties":{"ST_TYPE":[{"equals-ignore-case":"st"}]}}"#,
        ],
    ),
];

/// An entry of the register; most of it is coordinates that few rules ask for.
fn lot(number: usize) -> String {
    const STREETS: [&str; 8] =
        ["FULTON", "MASON", "JEFFERSON", "BEACH", "HYDE", "ACTON", "RHODE ISLAND", "TAYLOR"];
    let street = STREETS[number % STREETS.len()];
    let kind = if number.is_multiple_of(5) { "AVE" } else { "ST" };
    let (block, lot) = (number % 9_000, number % 230);
    let point = |corner: usize| {
        let offset = f64::from(u32::try_from(number * 7 + corner).unwrap_or(0)) * 1.37e-6;
        format!(r#"{{"x":{},"y":{},"z":0}}"#, -122.420_035_282_52 - offset, 37.808_480_096_967 + offset)
    };
    let points: Vec<String> = (0..9).map(point).collect();
    format!(
        concat!(
            r#"{{"type":"Feature","properties":{{"MAPBLKLOT":"{block:04}{lot:03}","BLKLOT":"{block:04}{lot:03}","#,
            r#""BLOCK_NUM":"{block:04}","LOT_NUM":"{lot:03}","FROM_ST":"{from}","TO_ST":"{to}","STREET":"{street}","#,
            r#""ST_TYPE":"{kind}","ODD_EVEN":"E"}},"geometry":{{"type":"Polygon","coordinates":[{points}],"#,
            r#""firstCoordinates":{first}}}}}"#
        ),
        block = block,
        lot = lot,
        from = number % 700,
        to = number % 700 + 8,
        street = street,
        kind = kind,
        points = points.join(","),
        first = points[0],
    )
}

/// The pattern of the rule of a number.
type Family = fn(usize) -> String;

/// Rules that each want something else of the same event.
const FAMILIES: [(&str, Family); 5] = [
    ("exact and a condition that all share", |rule| {
        format!(r#"{{"source":["shop"],"detail":{{"kind":["order"],"room":["room-{rule}"]}}}}"#)
    }),
    ("prefix and numeric", |rule| {
        let pattern = r#""detail":{"total":[{"numeric":[">",0]}],"#;
        format!(r#"{{{pattern}"room":[{{"prefix":"room-{rule}/"}},{{"prefix":"hall-{rule}/"}}]}}}}"#)
    }),
    ("wildcard", |rule| format!(r#"{{"detail":{{"path":[{{"wildcard":"/site-{rule}/*/item/*"}}]}}}}"#)),
    ("numeric ranges", |rule| {
        format!(r#"{{"detail":{{"number":[{{"numeric":[">=",{rule},"<",{}]}}]}}}}"#, rule + 1)
    }),
    ("exact, anything-but and exists", |rule| {
        format!(
            r#"{{"detail":{{"room":["room-{rule}"],"kind":[{{"anything-but":["k{rule}"]}}],"x":[{{"exists":false}}]}}}}"#
        )
    }),
];

fn order(number: usize, rules: usize) -> String {
    let rule = number * 7_919 % rules;
    format!(
        concat!(
            r#"{{"version":"0","id":"5f1d3c52-9d0e-4c0e-8f5a-{number:012}","detail-type":"order.placed","#,
            r#""source":"shop","account":"000000000000","time":"2026-03-01T10:20:30Z","region":"local","#,
            r#""resources":[],"detail":{{"kind":"order","room":"room-{rule}","path":"/site-{rule}/shelf/7/item/4","#,
            r#""number":{rule},"total":12.5,"lines":[{{"item":"a","count":2}},{{"item":"b","count":1}}]}}}}"#
        ),
        number = number,
        rule = rule,
    )
}
