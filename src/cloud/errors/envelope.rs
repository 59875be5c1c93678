//! What stands in the body of a refusal, in any of the services' shapes.

use crate::cloud::{json, parse::clean, request::REQUEST_ID_CHARS};
use serde_json::{Map, Value};

/// Longest text of the cloud in a message.
const TEXT_CHARS: usize = 100;

/// What a refusal's body says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Envelope {
    /// The cloud's code, as it came.
    pub code: Option<String>,
    /// The cloud's text, or the first characters of a body that is no JSON object; cleaned and cut.
    pub message: String,
    /// The gateway's id of the request.
    pub request_id: Option<String>,
}

/// Reads the fields under each of their names, from the object itself or from one inside it (`{"error":{…}}`).
pub(super) fn read(body: &[u8]) -> Envelope {
    let Ok(outer) = json::object(body) else {
        return Envelope { message: first_characters(body), ..Envelope::default() };
    };
    let levels: Vec<&Map<String, Value>> = std::iter::once(&outer).chain(outer.values().filter_map(Value::as_object)).collect();
    let field = |names: &[&str]| levels.iter().find_map(|level| names.iter().find_map(|name| level.get(*name).and_then(scalar)));
    Envelope {
        code: field(&["error_code", "errorCode", "errCode", "code"]).filter(|code| !clean(code, 1).is_empty()),
        message: field(&["error_msg", "errorMsg", "errMsg", "externalMessage", "message"])
            .map(|text| clean(&text, TEXT_CHARS))
            .unwrap_or_default(),
        request_id: field(&["request_id"]).map(|id| clean(&id, REQUEST_ID_CHARS)).filter(|id| !id.is_empty()),
    }
}

/// A text that says something, or a number: IAM's codes are numbers.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The beginning of a body that is not what was expected.
pub(super) fn first_characters(body: &[u8]) -> String {
    let head = body.get(..400).unwrap_or(body);
    clean(&String::from_utf8_lossy(head), 80)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_of_an_error_body_is_read() {
        for body in [
            r#"{"error_code":"DCS.4096","error_msg":"busy","error_ext_msg":null,"request_id":"r"}"#,
            r#"{"errorCode":"DCS.4096","errorMsg":"busy","request_id":"r"}"#,
            r#"{"errCode":"DCS.4096","errMsg":"busy","request_id":"r"}"#,
            // As Open Telekom Cloud documents it for RDS.
            r#"{"errCode":"DCS.4096","externalMessage":"busy","request_id":"r"}"#,
            r#"{"code":"DCS.4096","message":"busy","request_id":"r"}"#,
            r#"{"error":{"code":"DCS.4096","message":"busy","title":"Bad Request"},"request_id":"r"}"#,
            r#"{"badRequest":{"code":"DCS.4096","message":"busy","request_id":"r"}}"#,
            r#"{"error_code":null,"error_msg":"","error":{"error_code":"DCS.4096","error_msg":"busy"},"request_id":"r"}"#,
        ] {
            let expected = Envelope { code: Some("DCS.4096".into()), message: "busy".into(), request_id: Some("r".into()) };
            assert_eq!(read(body.as_bytes()), expected, "{body}");
        }
        assert_eq!(read(br#"{"error_code":" \u0001","request_id":"\t"}"#), Envelope::default(), "what shows nothing says nothing");
        assert_eq!(read(br#"{"error":{"code":401}}"#).code.as_deref(), Some("401"), "IAM's codes may be numbers");
    }

    #[test]
    fn what_is_no_json_object_is_quoted_from_its_beginning() {
        assert_eq!(read(b"").message, "");
        assert_eq!(read(b"<html>\n <b>Bad\x07 Gateway</b>").message, "<html> <b>Bad Gateway</b>");
        assert!(read(&[0xff; 5000]).message.chars().count() <= 80);
        assert_eq!(read(b"[1]").message, "[1]");
    }
}
