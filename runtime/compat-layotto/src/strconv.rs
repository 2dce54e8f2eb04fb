//! Numbers as Layotto's clients may write them, with the error texts that they then see.
//!
//! Layotto parses with the `strconv` package of Go's standard library and passes its errors on, so
//! the texts are part of the contract.

use std::num::IntErrorKind;

use crate::errors::shown;

/// An integer of 64 bits: digits with an optional sign.
///
/// # Errors
/// The text that `function` of Go's `strconv` gives.
pub fn integer(function: &str, text: &str) -> Result<i64, String> {
    // Both languages take a leading sign and no blanks, and refuse a sign alone.
    text.parse::<i64>().map_err(|error| {
        let problem = match error.kind() {
            IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
            _ => "invalid syntax",
        };
        format!("strconv.{function}: parsing {:?}: {problem}", shown(text))
    })
}

#[cfg(test)]
mod tests {
    use super::integer;

    #[test]
    fn digits_with_an_optional_sign_are_a_number() {
        for (text, value) in [("0", 0), ("7", 7), ("+7", 7), ("-7", -7), ("007", 7), ("9223372036854775807", i64::MAX)]
        {
            assert_eq!(integer("Atoi", text), Ok(value), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_in_the_words_of_go() {
        for (text, expected) in [
            ("abc", r#"strconv.Atoi: parsing "abc": invalid syntax"#),
            ("", r#"strconv.Atoi: parsing "": invalid syntax"#),
            ("+", r#"strconv.Atoi: parsing "+": invalid syntax"#),
            (" 1", r#"strconv.Atoi: parsing " 1": invalid syntax"#),
            ("1.5", r#"strconv.Atoi: parsing "1.5": invalid syntax"#),
            ("1-x3k9q0", r#"strconv.Atoi: parsing "1-x3k9q0": invalid syntax"#),
            ("9223372036854775808", r#"strconv.Atoi: parsing "9223372036854775808": value out of range"#),
            ("-9223372036854775809", r#"strconv.Atoi: parsing "-9223372036854775809": value out of range"#),
        ] {
            assert_eq!(integer("Atoi", text), Err(expected.to_owned()), "{text}");
        }
    }
}
