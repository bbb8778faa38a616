//! From a script's value to JSON text.

use bytes::Bytes;
use rhai::{Array, Blob, Dynamic, ImmutableString, Map};

use super::DEPTH_MAX;

/// Bytes that a script passes on without looking into them: a stored value or a payload.
#[derive(Clone, Debug)]
pub(crate) struct Raw {
    pub(crate) bytes: Bytes,
    /// Whether they are known to be a JSON text.
    pub(crate) is_json: bool,
}

/// Writes `value` as JSON: maps in the order of their keys, so equal values give equal texts.
pub(crate) fn write(value: &Dynamic, bytes_max: usize) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(128);
    write_value(value, &mut out, bytes_max, 0)?;
    Ok(out)
}

fn write_value(value: &Dynamic, out: &mut Vec<u8>, bytes_max: usize, depth: usize) -> Result<(), String> {
    if depth > DEPTH_MAX {
        return Err(format!("arrays and maps lie more than {DEPTH_MAX} deep"));
    }
    if let Some(text) = value.read_lock::<ImmutableString>() {
        write_text(&text, out)?;
    } else if let Ok(number) = value.as_int() {
        write_plain(&number, out)?;
    } else if let Some(map) = value.read_lock::<Map>() {
        write_map(&map, out, bytes_max, depth)?;
    } else if let Some(array) = value.read_lock::<Array>() {
        write_array(&array, out, bytes_max, depth)?;
    } else if value.is_unit() {
        out.extend_from_slice(b"null");
    } else if let Ok(truth) = value.as_bool() {
        out.extend_from_slice(if truth { b"true" } else { b"false" });
    } else if let Ok(number) = value.as_float() {
        if !number.is_finite() {
            return Err(format!("the number {number} has no JSON form"));
        }
        write_plain(&number, out)?;
    } else if let Ok(character) = value.as_char() {
        write_text(character.encode_utf8(&mut [0; 4]), out)?;
    } else if let Some(raw) = value.read_lock::<Raw>() {
        if !raw.is_json {
            return Err(
                "these raw bytes are not known to be JSON: use `msg.json` or `msg.payload`".to_owned()
            );
        }
        out.extend_from_slice(&raw.bytes);
    } else if value.is::<Blob>() {
        return Err("a blob has no JSON form: make it a string first".to_owned());
    } else {
        return Err(format!("a value of type {} has no JSON form", value.type_name()));
    }
    if out.len() > bytes_max {
        return Err(format!("the JSON text has more than {bytes_max} bytes"));
    }
    Ok(())
}

fn write_array(array: &Array, out: &mut Vec<u8>, bytes_max: usize, depth: usize) -> Result<(), String> {
    out.push(b'[');
    for (index, element) in array.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_value(element, out, bytes_max, depth + 1)?;
    }
    out.push(b']');
    Ok(())
}

fn write_map(map: &Map, out: &mut Vec<u8>, bytes_max: usize, depth: usize) -> Result<(), String> {
    out.push(b'{');
    for (index, (key, member)) in map.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_text(key, out)?;
        out.push(b':');
        write_value(member, out, bytes_max, depth + 1)?;
    }
    out.push(b'}');
    Ok(())
}

fn write_text(text: &str, out: &mut Vec<u8>) -> Result<(), String> {
    write_plain(text, out)
}

fn write_plain<T: serde::Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), String> {
    serde_json::to_writer(out, value).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::read;
    use super::*;
    use crate::limits::Limits;

    fn round_trip(text: &str) -> Result<String, String> {
        let value = read(text.as_bytes(), &Limits::default())?;
        Ok(String::from_utf8(write(&value, 1 << 20)?).unwrap())
    }

    #[test]
    fn json_goes_in_and_out() {
        for text in [
            "null",
            "true",
            "-9223372036854775808",
            "1.5",
            "\"é\\\"\\n\\u0000🚂\"",
            "[]",
            "{}",
            "[1,[2,{\"a\":null}]]",
            "{\"a\":1,\"b\":{\"c\":\"d\"}}",
        ] {
            assert_eq!(round_trip(text).as_deref(), Ok(text));
        }
        assert_eq!(round_trip("{\"b\":1, \"a\":2}").as_deref(), Ok("{\"a\":2,\"b\":1}"), "keys are in order");
        assert_eq!(round_trip("18446744073709551615").as_deref(), Ok("1.8446744073709552e+19"));
    }

    #[test]
    fn errors_say_where() {
        let check = |text: &str, expected: &str| assert_eq!(round_trip(text).unwrap_err(), expected);
        check("", "EOF while parsing a value at line 1 column 0");
        check("{\"a\":}", "expected value at line 1 column 6");
        check("1 2", "trailing characters at line 1 column 3");
        check(&"[".repeat(100_000), "arrays and objects lie more than 64 deep at line 1 column 65");
        check(&" ".repeat(300_000), "300000 bytes are more than payload_bytes_max = 262144");
        for (text, limit) in [
            (format!("[{}1]", "1,".repeat(2_000)), "array_len_max = 2000"),
            (format!("[{}[]]", "[1,1,1],".repeat(600)), "array_len_max = 2000"),
            (format!("[{}{{}}]", "{\"a\":1,\"b\":1},".repeat(1_001)), "map_len_max = 2000"),
            (format!("[{}1]", "\"0123456789\",".repeat(1_700)), "string_bytes_max = 16384"),
        ] {
            assert!(round_trip(&text).unwrap_err().contains(limit), "{limit}");
        }
    }

    proptest! {
        #[test]
        fn any_text_survives(text in any::<String>()) {
            let json = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(round_trip(&json), Ok(json));
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = read(&bytes, &Limits::default());
        }
    }
}
