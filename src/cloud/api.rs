//! What is fixed of a service: its names, its codes, and how its backups are listed. Requests and errors carry it along.

use super::codes::{self, Class, Codes};
use std::borrow::Cow;

/// The description of a service. There is one for each, in the service's file, and it does not change.
#[derive(Debug)]
pub struct Api {
    /// The service in metric labels, and its field in `endpoints`: `geminidb`, `iam`.
    pub label: &'static str,
    /// The service as people write it, and the value of `engine` in manifests: `GeminiDB`.
    pub name: &'static str,
    /// `Content-Type` of its requests; the services differ in whether they want a charset.
    pub content_type: &'static str,
    /// What its own error codes mean.
    pub codes: &'static [Codes],
    /// A code as `codes` has it, for services that spell one code in several ways; else [`as_it_is`].
    pub spelling: fn(&str) -> Cow<'_, str>,
    /// How listings are asked for.
    pub lists: Lists,
    /// Whether a listing can be asked for one backup by its id.
    pub finds_by_id: bool,
    /// Whether the cloud deletes an instance's backups with the instance. Only then does "no such instance" say anything about backups.
    pub backups_go_with_instance: bool,
    /// Records on a full page of a listing.
    pub page_size: usize,
    /// Calls a minute that the service allows each user, where it has a limit of its own beside the account's request rate.
    pub calls_per_minute: Option<u32>,
}

/// JSON as GeminiDB wants it.
pub const JSON: &str = "application/json";
/// JSON as TaurusDB and DCS want it.
pub const JSON_UTF8: &str = "application/json;charset=UTF-8";

/// How the listings of a service are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lists {
    /// All backups of a project at once.
    Project,
    /// Those of one instance.
    Instance,
}

impl Api {
    /// The class of one of its codes that came with an HTTP status; absent where no table has the code.
    pub fn class_of(&self, code: &str, status: u16) -> Option<Class> {
        codes::by_code(self.codes, &(self.spelling)(code), status)
    }
}

/// Every service has one label, and no other has it.
impl PartialEq for Api {
    fn eq(&self, other: &Self) -> bool {
        self.label == other.label
    }
}

impl Eq for Api {}

/// The spelling of a code where a service has only one.
pub fn as_it_is(code: &str) -> Cow<'_, str> {
    Cow::Borrowed(code)
}
