//! The values of a Secret, read key by key. No value ever reaches a message: errors name keys.

use std::collections::BTreeMap;

/// The values of a Secret, by key.
pub type Values = BTreeMap<String, Vec<u8>>;

/// What is wrong with a Secret. Names a key, never a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretInvalid {
    /// The key is missing.
    #[error("key {0} is missing: add it")]
    Missing(&'static str),
    /// The key's value is empty.
    #[error("key {0} is empty: set it")]
    Empty(&'static str),
    /// The key's value cannot be sent.
    #[error("key {0} holds more than one line of printable text: set it anew")]
    Unprintable(&'static str),
}

/// One line of text; the newlines that editors leave at the end are cut.
pub(super) fn line(values: &Values, key: &'static str) -> Result<String, SecretInvalid> {
    let bytes = values.get(key).ok_or(SecretInvalid::Missing(key))?;
    let text = std::str::from_utf8(bytes).map_err(|_| SecretInvalid::Unprintable(key))?.trim_end_matches(['\r', '\n']);
    match text {
        "" => Err(SecretInvalid::Empty(key)),
        text if text.chars().any(char::is_control) => Err(SecretInvalid::Unprintable(key)),
        text => Ok(text.to_owned()),
    }
}

/// Which of the keys have a value that begins or ends with white space, newlines at the end aside. It is seldom meant, and nobody sees it.
pub fn blank_edges(values: &Values, keys: &[&'static str]) -> Vec<&'static str> {
    let is_blank = |key: &&'static str| line(values, key).is_ok_and(|text| text.trim() != text);
    keys.iter().copied().filter(is_blank).collect()
}

/// A line that goes into a header.
pub(super) fn header(values: &Values, key: &'static str) -> Result<String, SecretInvalid> {
    line(values, key).and_then(|text| if text.is_ascii() { Ok(text) } else { Err(SecretInvalid::Unprintable(key)) })
}
