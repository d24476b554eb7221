//! JSON as Python's `json.dumps(value, indent=4)` spells it: ASCII alone, floats as `repr` writes them.
//!
//! img2dataset's users compare and parse such files with Python; the same value must be the same text.

use std::fmt::Write as _;

/// A JSON value whose objects keep their order and whose numbers keep their spelling.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    /// A whole number in decimal digits.
    Integer(String),
    Float(f64),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl From<&serde_json::Value> for Json {
    fn from(value: &serde_json::Value) -> Self {
        use serde_json::Value;
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) if number.is_f64() => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            Value::Number(number) => Self::Integer(number.to_string()),
            Value::String(text) => Self::Text(text.clone()),
            Value::Array(items) => Self::List(items.iter().map(Self::from).collect()),
            Value::Object(members) => {
                Self::Object(members.iter().map(|(name, value)| (name.clone(), value.into())).collect())
            }
        }
    }
}

impl Json {
    /// The text, without a newline at its end.
    pub(crate) fn dumps(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, 0);
        out
    }

    fn write(&self, out: &mut String, depth: usize) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Integer(digits) => out.push_str(digits),
            Self::Float(value) => out.push_str(&float(*value)),
            Self::Text(text) => string(out, text),
            Self::List(items) => {
                let each = |out: &mut String, item: &Self| item.write(out, depth + 1);
                lines(out, ['[', ']'], depth, items, each);
            }
            Self::Object(members) => {
                let each = |out: &mut String, (name, value): &(String, Self)| {
                    string(out, name);
                    out.push_str(": ");
                    value.write(out, depth + 1);
                };
                lines(out, ['{', '}'], depth, members, each);
            }
        }
    }
}

/// One item a line, four spaces deeper than the brackets.
fn lines<T>(
    out: &mut String,
    brackets: [char; 2],
    depth: usize,
    items: &[T],
    each: impl Fn(&mut String, &T),
) {
    let indent = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("    ", depth));
    };
    out.push(brackets[0]);
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        indent(out, depth + 1);
        each(out, item);
    }
    if !items.is_empty() {
        indent(out, depth);
    }
    out.push(brackets[1]);
}

fn string(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(character),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    // Writing to a String cannot fail.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
}

/// The shortest digits that read back, with an exponent below 1e-4 and from 1e16 on.
fn float(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    match exponent {
        -4..16 => format!("{value:?}"),
        _ => format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_spelt_as_in_python() {
        for (value, text) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (0.1, "0.1"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1.5e-7, "1.5e-07"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.25e300, "1.25e+300"),
            (f64::from(0.1_f32), "0.10000000149011612"),
            (1_700_000_000.123_456, "1700000000.123456"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(float(value), text);
        }
    }

    #[test]
    fn text_is_ascii_and_lines_are_indented_by_four() {
        let value = serde_json::json!({
            "caption": "рыжий \"кот\"\\\n\u{7f}😀", "none": null, "empty": [[], {}], "boxes": [[1, 2.5]], "yes": true,
        });
        let expected = "{\n    \"caption\": \"\\u0440\\u044b\\u0436\\u0438\\u0439 \\\"\\u043a\\u043e\\u0442\\\"\\\\\\n\
            \\u007f\\ud83d\\ude00\",\n    \"none\": null,\n    \"empty\": [\n        [],\n        {}\n    ],\n    \
            \"boxes\": [\n        [\n            1,\n            2.5\n        ]\n    ],\n    \"yes\": true\n}";
        assert_eq!(Json::from(&value).dumps(), expected);
    }
}
