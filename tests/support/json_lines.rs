//! What programs make of log lines: JSON in which no key stands twice, at any depth. Most parsers take the last one silently, and pipelines drop the line.

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use std::{collections::BTreeSet, fmt};

/// What is wrong with a line, if anything is.
pub fn problem(line: &str) -> Option<String> {
    let is_object = line.starts_with('{') && line.ends_with('}');
    let parsed = serde_json::from_str::<Strict>(line).map_err(|error| error.to_string());
    parsed.err().or_else(|| (!is_object).then(|| "no object".to_owned())).map(|error| format!("{error}: {line}"))
}

/// Any JSON value without a key that stands twice in an object.
struct Strict;

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor)
    }
}

struct StrictVisitor;

/// Values without parts are as they are.
macro_rules! plain {
    ($($visit:ident: $type:ty),*) => { $(fn $visit<E: Error>(self, _: $type) -> Result<Strict, E> { Ok(Strict) })* };
}

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Strict;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    plain!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);

    fn visit_unit<E: Error>(self) -> Result<Strict, E> {
        Ok(Strict)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Strict, A::Error> {
        while items.next_element::<Strict>()?.is_some() {}
        Ok(Strict)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Strict, A::Error> {
        let mut keys = BTreeSet::new();
        while let Some(key) = entries.next_key::<String>()? {
            if keys.contains(&key) {
                entries.next_value::<IgnoredAny>()?;
                return Err(A::Error::custom(format!("the key {key} stands twice")));
            }
            entries.next_value::<Strict>()?;
            keys.insert(key);
        }
        Ok(Strict)
    }
}
