//! Data on stdout under `--json`: one object per line, each with its type and the version of its shape.

use serde::Serialize;
use serde_json::{Value, json};

/// The fields of `record` after `"type"` and `"version"`, as one line without its end.
pub fn json_line(kind: &str, record: &impl Serialize) -> String {
    let mut line = json!({"type": kind, "version": 1});
    if let (Some(fields), Ok(Value::Object(more))) = (line.as_object_mut(), serde_json::to_value(record)) {
        fields.extend(more);
    }
    line.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_and_version_come_first() {
        let line = json_line("ids", &json!({"input": "красный", "ids": [7, 8]}));
        assert_eq!(line, r#"{"type":"ids","version":1,"input":"красный","ids":[7,8]}"#);
    }
}
