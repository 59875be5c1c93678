//! What is published as an Event, of any kind of object.

use crate::api::conditions::types;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// An Event about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// CamelCase reason.
    pub reason: &'static str,
    /// What was done, CamelCase.
    pub action: &'static str,
    /// Something is wrong.
    pub is_warning: bool,
    /// One line for people.
    pub note: String,
}

/// Reason and message of the condition `Ready`; empty where there is none.
pub fn ready(conditions: &[Condition]) -> (&str, &str) {
    let ready = conditions.iter().find(|condition| condition.type_ == types::READY);
    ready.map(|ready| (ready.reason.as_str(), ready.message.as_str())).unwrap_or_default()
}
