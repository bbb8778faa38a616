//! Decimals by table, and against arithmetic on whole numbers.

use proptest::prelude::*;

use super::arithmetic::Rounding;
use super::*;

fn decimal(text: &str) -> Decimal {
    Decimal::parse(text).unwrap_or_else(|| panic!("{text} is a number"))
}

#[test]
fn texts_are_read_and_written() {
    for (text, written) in [
        ("0", "0"),
        ("-0.0", "0"),
        ("1.50", "1.5"),
        ("-12.75", "-12.75"),
        ("100", "100"),
        ("6.0", "6"),
        ("1E3", "1000"),
        ("1e+3", "1000"),
        ("25E-1", "2.5"),
        ("0.001", "0.001"),
        ("1E-30", "0.000000000000000000000000000001"),
        ("1E-60", "1E-60"),
        ("12.5E60", "1.25E61"),
        ("1E-7000", "0"),
        ("1E-99999999999999999999", "0"),
        ("0.1234567890123456789012345678901234567", "0.1234567890123456789012345678901235"),
        ("9999999999999999999999999999999999", "9999999999999999999999999999999999"),
        ("99999999999999999999999999999999999", "1E35"),
        ("00012", "12"),
    ] {
        assert_eq!(decimal(text).to_string(), written, "{text}");
    }
    for text in ["", "-", ".5", "5.", "1e", "1e-", "0x1", "1 ", "+1", "1.2.3", "E5", "1E7000", "NaN"] {
        assert_eq!(Decimal::parse(text), None, "{text}");
    }
}

#[test]
fn operations_are_exact_to_34_digits() {
    let third = decimal("1").divide(decimal("3")).unwrap();
    assert_eq!(third.to_string(), "0.3333333333333333333333333333333333");
    let two_thirds = decimal("2").divide(decimal("3")).unwrap();
    assert_eq!(two_thirds.to_string(), "0.6666666666666666666666666666666667");
    assert_eq!(decimal("0.1").add(decimal("0.2")).unwrap(), decimal("0.3"));
    assert_eq!(decimal("1E40").add(decimal("1E-40")).unwrap(), decimal("1E40"));
    assert_eq!(decimal("1").subtract(decimal("1E-60")).unwrap(), decimal("1"));
    let nines = decimal("9999999999999999999999999999999999");
    assert_eq!(nines.multiply(nines).unwrap().to_string(), "9.999999999999999999999999999999998E67");
    assert_eq!(decimal("1").divide(Decimal::default()), None);
    assert_eq!(decimal("1E6000").multiply(decimal("1E6000")), None);
    assert_eq!(decimal("-7.5").remainder(decimal("2")).unwrap(), decimal("-1.5"));
    assert_eq!(decimal("1E-40").remainder(decimal("1E10")).unwrap(), decimal("1E-40"));
    assert_eq!(decimal("2").power(-2).unwrap(), decimal("0.25"));
    assert_eq!(decimal("1.5").power(3).unwrap(), decimal("3.375"));
}

#[test]
fn rounding_has_four_ways() {
    for (text, ceil, floor, half, truncated) in [
        ("1.5", "2", "1", "2", "1"),
        ("-1.5", "-1", "-2", "-2", "-1"),
        ("1.2", "2", "1", "1", "1"),
        ("-1.2", "-1", "-2", "-1", "-1"),
        ("3", "3", "3", "3", "3"),
        ("1E-50", "1", "0", "0", "0"),
        ("-1E-50", "0", "-1", "0", "0"),
        ("1E20", "100000000000000000000", "100000000000000000000", "1E20", "1E20"),
    ] {
        let number = decimal(text);
        for (rounding, expected) in [
            (Rounding::Ceil, ceil),
            (Rounding::Floor, floor),
            (Rounding::HalfAway, half),
            (Rounding::Truncate, truncated),
        ] {
            assert_eq!(number.round(0, rounding), decimal(expected), "{text} {rounding:?}");
        }
    }
    assert_eq!(decimal("2.3163").round(2, Rounding::Truncate), decimal("2.31"));
    assert_eq!(decimal("2.3163").round(2, Rounding::HalfAway), decimal("2.32"));
}

proptest! {
    #[test]
    fn small_numbers_agree_with_whole_ones(left in -1_000_000_i64..1_000_000, right in -1_000_000_i64..1_000_000, places in 0_u32..6) {
        // Both are read as so many thousandths, say.
        let scaled = |number: i64| decimal(&format!("{number}E-{places}"));
        let (a, b) = (scaled(left), scaled(right));
        prop_assert_eq!(a.add(b).unwrap(), scaled(left + right));
        prop_assert_eq!(a.subtract(b).unwrap(), scaled(left - right));
        prop_assert_eq!(a.multiply(b).unwrap(), decimal(&format!("{}E-{}", left * right, 2 * places)));
        prop_assert_eq!(a.cmp(&b), left.cmp(&right));
        if right != 0 {
            prop_assert_eq!(a.remainder(b).unwrap(), scaled(left % right));
            let product = a.divide(b).unwrap().multiply(b).unwrap();
            let error = product.subtract(a).unwrap();
            prop_assert!(error.is_zero() || error.top() < a.top() - 30);
        }
    }

    #[test]
    fn texts_come_back(coefficient in any::<i128>(), exponent in -7_000_i32..7_000) {
        if let Some(number) = Decimal::parse(&format!("{coefficient}E{exponent}")) {
            prop_assert_eq!(Decimal::parse(&number.to_string()), Some(number));
        }
    }

    #[test]
    fn large_numbers_do_not_panic(a in any::<i128>(), b in any::<i128>(), up in -6_100_i32..6_100, down in -6_100_i32..6_100) {
        let (Some(a), Some(b)) = (Decimal::parse(&format!("{a}E{up}")), Decimal::parse(&format!("{b}E{down}"))) else {
            return Ok(());
        };
        let _ = (a.add(b), a.multiply(b), a.divide(b), a.remainder(b), a.power(up), a.to_f64(), a.to_int());
        let _ = a.round(3, Rounding::HalfAway);
        prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
        prop_assert_eq!(a.add(b), b.add(a));
        prop_assert_eq!(a.subtract(a).unwrap(), Decimal::default());
    }
}
