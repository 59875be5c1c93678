//! What errors mean, and what of them is shown.

use super::*;
use crate::cloud::engine::Engine;

fn refusal(service: &'static str, status: u16, body: &str) -> Error {
    Error::refusal(service, Operation::Create, status, Hints { request_id: Some("req-1".into()), retry_after: None }, body.as_bytes())
}

#[test]
fn every_known_code_has_one_class_for_its_service() {
    for engine in Engine::ALL {
        let mut seen = std::collections::HashSet::new();
        for row in engine.service().codes() {
            for code in row.codes {
                assert!(seen.insert(*code), "{} lists {code} twice", engine.as_str());
                let error = refusal(engine.service_name(), 400, &format!(r#"{{"error_code":"{code}","error_msg":"m"}}"#));
                assert_eq!((error.class, error.known), (row.class, true), "{code}");
            }
        }
        assert!(seen.len() > 30, "{}", engine.as_str());
    }
}

#[test]
fn the_code_decides_before_the_status() {
    let busy = refusal("geminidb", 403, r#"{"error_code":"DBS.200019","error_msg":"another operation"}"#);
    assert_eq!(busy.class, Class::Busy);
    let missing = refusal("geminidb", 403, r#"{"error_code":"DBS.201028","error_msg":"no instance"}"#);
    assert_eq!(missing.class, Class::InstanceNotFound);
    let differs = refusal("taurusdb", 400, r#"{"error_code":"DBS.201204","error_msg":"wrong type"}"#);
    assert_ne!(differs.class, refusal("geminidb", 400, r#"{"error_code":"DBS.201204"}"#).class, "one code, two services, two meanings");
}

#[test]
fn a_gateway_code_means_the_same_from_every_service_and_an_old_gateway_too() {
    for prefix in ["APIGW", "APIG"] {
        let error = refusal("dcs", 429, &format!(r#"{{"error_code":"{prefix}.0308","error_msg":"throttled","request_id":"g"}}"#));
        assert_eq!((error.class, error.known), (Class::Throttled, true));
    }
    assert_eq!(refusal("dcs", 400, r#"{"error_code":"APIGW.0201"}"#).class, Class::Invalid);
    assert_eq!(refusal("dcs", 504, r#"{"error_code":"APIGW.0201"}"#).class, Class::Unavailable);
}

#[test]
fn only_a_refusal_that_is_sure_of_itself_is_definite() {
    let known = r#"{"error_code":"DBS.280277","error_msg":"name"}"#;
    assert!(refusal("taurusdb", 400, known).is_definite_rejection());
    assert!(!refusal("taurusdb", 500, known).is_definite_rejection(), "any 5xx may have done the work");
    assert!(!refusal("taurusdb", 400, r#"{"error_code":"DBS.999999"}"#).is_definite_rejection());
    assert!(!refusal("taurusdb", 400, "<html>proxy</html>").is_definite_rejection());
    assert!(refusal("taurusdb", 401, "").is_definite_rejection());
    assert!(refusal("taurusdb", 429, "").is_definite_rejection());
    let lost = Error::without_answer("taurusdb", Operation::Create, Class::Unavailable, Delivery::Unknown, "cut");
    assert!(!lost.is_definite_rejection());
    let refused = Error::without_answer("taurusdb", Operation::Create, Class::NotSent, Delivery::NotSent, "refused");
    assert!(refused.is_definite_rejection());
    assert!(!Error::unreadable("taurusdb", Operation::Create, 201, None, "no id", b"{}").is_definite_rejection());
}

#[test]
fn a_message_is_one_line_with_the_code_and_the_request_id() {
    let error = refusal("taurusdb", 400, "{\"error_code\":\"DBS.280277\",\"error_msg\":\"Invalid\\nname\"}");
    assert_eq!(error.to_string(), "TaurusDB answered the create with DBS.280277 \"Invalid name\" (HTTP 400, request req-1)");
    let html = refusal("taurusdb", 502, "<html>\n<b>Bad Gateway</b></html>");
    assert_eq!(html.to_string(), "TaurusDB answered the create with HTTP 502 \"<html> <b>Bad Gateway</b></html>\" (request req-1)");
    assert!(refusal("dcs", 400, &format!(r#"{{"error_code":"{}","error_msg":"{}"}}"#, "c".repeat(900), "m".repeat(900))).to_string().len() < 256);
}

#[test]
fn labels_are_bounded_whatever_the_cloud_says() {
    assert_eq!(refusal("dcs", 400, r#"{"error_code":"DCS.4096"}"#).label(), "DCS.4096");
    assert_eq!(refusal("dcs", 418, r#"{"error_code":"surprise-1234"}"#).label(), "http_4xx");
}
