//! JSON from outside, of which only what a reader can want is kept: 8 MB of small objects would take 700 MB as a tree of values.
//!
//! Kept are texts and numbers in objects, three levels deep and a few hundred of them, and the items of one list, one after the other. All else is
//! skipped while it is read, without recursion and without a copy.

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, error::Category};
use std::{cell::Cell, fmt};

/// Levels of objects that are kept: `token.project.id` is on the third.
const LEVELS: u8 = 3;
/// Fields kept of a body, and of each item of its list. The longest real ones have some thirty.
const FIELDS: usize = 256;
/// Items of one list. No service gives more than a thousand on a page.
pub const ITEMS: usize = 2000;
/// Bytes kept of a text: every reader wants less.
const TEXT_BYTES: usize = 1024;

/// Why a body cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// Its form.
    NotJson,
    /// It is JSON, but no object.
    NotAnObject,
    /// What should be the list is something else.
    NotAList,
    /// The reader of items could not use one.
    Item,
    /// More items or fields than any service sends.
    TooMuch,
}

/// Reads an object.
pub fn object(body: &[u8]) -> Result<Map<String, Value>, Wrong> {
    read(body, "", &mut |_| None::<()>).map(|(object, _)| object)
}

/// An object, and the items of its list, if it has that.
pub type ObjectAndItems<T> = (Map<String, Value>, Option<Vec<T>>);

/// Reads an object with a list under the name `list`, and each of its items with `each`. No list: `None`.
pub fn with_items<T>(body: &[u8], list: &str, mut each: impl FnMut(&Map<String, Value>) -> Option<T>) -> Result<ObjectAndItems<T>, Wrong> {
    read(body, list, &mut each)
}

type Each<'a, T> = &'a mut dyn FnMut(&Map<String, Value>) -> Option<T>;

fn read<T>(body: &[u8], list: &str, each: Each<'_, T>) -> Result<ObjectAndItems<T>, Wrong> {
    let wrong = Cell::new(Wrong::NotAnObject);
    let mut json = serde_json::Deserializer::from_slice(body);
    let answer = json.deserialize_map(Body { list, each, wrong: &wrong }).and_then(|answer| json.end().map(|()| answer));
    answer.map_err(|error| if error.classify() == Category::Data { wrong.get() } else { Wrong::NotJson })
}

/// The outermost object.
struct Body<'a, T> {
    list: &'a str,
    each: Each<'a, T>,
    /// What is wrong if the reading stops here.
    wrong: &'a Cell<Wrong>,
}

impl<'de, T> Visitor<'de> for Body<'_, T> {
    type Value = ObjectAndItems<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut kept, mut items, left) = (Map::new(), None, Cell::new(FIELDS));
        while let Some(name) = map.next_key::<String>()? {
            if name == self.list {
                items = Some(map.next_value_seed(Items { each: &mut *self.each, wrong: self.wrong })?);
            } else {
                keep(&mut kept, name, &mut map, Kept { levels: LEVELS - 1, left: &left, wrong: self.wrong })?;
            }
        }
        Ok((kept, items))
    }
}

/// The list.
struct Items<'a, T> {
    each: Each<'a, T>,
    wrong: &'a Cell<Wrong>,
}

impl<'de, T> DeserializeSeed<'de> for Items<'_, T> {
    type Value = Vec<T>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        self.wrong.set(Wrong::NotAList);
        json.deserialize_seq(self)
    }
}

impl<'de, T> Visitor<'de> for Items<'_, T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        loop {
            let left = Cell::new(FIELDS);
            let Some(item) = seq.next_element_seed(Kept { levels: LEVELS - 1, left: &left, wrong: self.wrong })? else { break };
            if items.len() == ITEMS {
                return Err(stop(self.wrong, Wrong::TooMuch));
            }
            match item.as_object().and_then(&mut *self.each) {
                Some(item) => items.push(item),
                None => return Err(stop(self.wrong, Wrong::Item)),
            }
        }
        Ok(items)
    }
}

/// A text, a number, or an object of such; anything else is null.
#[derive(Clone, Copy)]
struct Kept<'a> {
    /// Levels of objects from here on.
    levels: u8,
    /// Fields that may still be kept.
    left: &'a Cell<usize>,
    wrong: &'a Cell<Wrong>,
}

impl<'de> DeserializeSeed<'de> for Kept<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Kept<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::from(head(text)))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_bool<E>(self, _value: bool) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Null)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let Some(levels) = self.levels.checked_sub(1) else {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(Value::Null);
        };
        let mut kept = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            keep(&mut kept, name, &mut map, Kept { levels, ..self })?;
        }
        Ok(kept.into())
    }
}

/// Keeps the next value, if there is anything to keep. Of a name that comes twice the last counts, as with every other reader of JSON.
fn keep<'de, A: MapAccess<'de>>(kept: &mut Map<String, Value>, name: String, map: &mut A, how: Kept<'_>) -> Result<(), A::Error> {
    let (left, wrong) = (how.left, how.wrong);
    let value = map.next_value_seed(how)?;
    if value.is_null() {
        kept.remove(&name);
        return Ok(());
    }
    left.set(left.get().checked_sub(1).ok_or_else(|| stop(wrong, Wrong::TooMuch))?);
    kept.insert(name, value);
    Ok(())
}

fn stop<E: serde::de::Error>(wrong: &Cell<Wrong>, what: Wrong) -> E {
    wrong.set(what);
    E::custom("")
}

fn head(text: &str) -> &str {
    (0..=text.len().min(TEXT_BYTES)).rev().find_map(|end| text.get(..end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn texts_numbers_and_objects_are_kept_and_nothing_else_is() {
        let body = br#"{"a":"x","b":-1,"c":1.5,"d":true,"e":null,"f":[{"g":1}],"h":{"i":{"j":{"k":1},"l":"y"}}}"#;
        assert_eq!(Value::from(object(body).unwrap()), json!({ "a": "x", "b": -1, "c": 1.5, "h": { "i": { "l": "y" } } }));
    }

    #[test]
    fn of_a_name_that_comes_twice_the_last_counts() {
        assert_eq!(Value::from(object(br#"{"a":"x","a":"y","b":"x","b":[]}"#).unwrap()), json!({ "a": "y" }));
    }

    #[test]
    fn what_is_wrong_with_a_body_is_told_apart() {
        for (body, wrong) in [
            (&b""[..], Wrong::NotJson),
            (b"{", Wrong::NotJson),
            (b"{}x", Wrong::NotJson),
            (b"{\"a\":\"\xff\"}", Wrong::NotJson),
            (b"[]", Wrong::NotAnObject),
            (b"null", Wrong::NotAnObject),
        ] {
            assert_eq!(object(body), Err(wrong), "{body:?}");
        }
        let items = |body: &str| with_items(body.as_bytes(), "list", |item| item.get("id").cloned()).map(|(_, items)| items);
        assert_eq!(items("{}"), Ok(None));
        assert_eq!(items(r#"{"list":[{"id":1}]}"#), Ok(Some(vec![json!(1)])));
        assert_eq!(items(r#"{"list":{}}"#), Err(Wrong::NotAList));
        assert_eq!(items(r#"{"list":[{"id":1},7]}"#), Err(Wrong::Item));
        assert_eq!(items(r#"{"list":[{"id":1}"#), Err(Wrong::NotJson));
    }

    #[test]
    fn more_than_any_service_sends_is_refused() {
        let items = |count: usize| format!(r#"{{"list":[{}]}}"#, vec![r#"{"id":1}"#; count].join(","));
        assert!(with_items(items(ITEMS).as_bytes(), "list", |_| Some(())).is_ok());
        assert_eq!(with_items(items(ITEMS + 1).as_bytes(), "list", |_| Some(())), Err(Wrong::TooMuch));
        let fields: Vec<String> = (0..=FIELDS).map(|n| format!(r#""f{n}":{n}"#)).collect();
        assert_eq!(object(format!("{{{}}}", fields.join(",")).as_bytes()), Err(Wrong::TooMuch));
        assert_eq!(object(format!(r#"{{"a":{{{}}}}}"#, fields.join(",")).as_bytes()), Err(Wrong::TooMuch));
    }

    #[test]
    fn deep_nesting_is_skipped_without_recursion() {
        let body = format!(r#"{{"a":{}{},"b":1}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(Value::from(object(body.as_bytes()).unwrap()), json!({ "b": 1 }));
    }

    #[test]
    fn a_long_text_is_cut_between_two_characters() {
        let body = format!(r#"{{"a":"x{}"}}"#, "\u{e4}".repeat(TEXT_BYTES));
        let kept = object(body.as_bytes()).unwrap();
        assert_eq!(kept["a"].as_str().map(str::len), Some(TEXT_BYTES - 1));
    }
}
