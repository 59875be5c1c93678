//! The name that an attempt has in the cloud, by which it is found again when an answer was lost.

use crate::cloud::{digest::sha256, engine::Engine};

/// Longest name that every service takes (vendor pages 000, 001, 002).
const MAX_CHARS: usize = 64;
/// Hex digits of the hash: 80 bits, so that no two attempts of this world share a name.
const HASH_CHARS: usize = 20;

/// The name of an attempt: `dbb-<object name, made legal, cut>-<20 hex>`; for DCS, which has no names, `dbb-<20 hex>` to open the remark.
///
/// The hash covers the object's UID, so that a re-created object means a new backup, the instance, and the number of the attempt (from 1).
/// The result is legal for every service: 4 to 64 characters of `[a-z0-9_-]`, a letter first.
pub fn backup_name(engine: Engine, object_name: &str, uid: &str, instance_id: &str, attempt: i32) -> String {
    let hash = hash(&[uid, instance_id, &attempt.to_string()]);
    if engine == Engine::DCS {
        return format!("dbb-{hash}");
    }
    let room = MAX_CHARS - "dbb--".len() - HASH_CHARS;
    let legal: String = object_name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c.to_ascii_lowercase() } else { '-' })
        .take(room)
        .collect();
    format!("dbb-{legal}-{hash}")
}

/// The most attempts that an object can have: the first one, and `backoffLimit` more.
pub const MAX_ATTEMPTS: i32 = 11;

/// Every name that an object may ever have had in the cloud, in the order of its attempts.
pub fn own_marks(engine: Engine, object_name: &str, uid: &str, instance_id: &str) -> impl Iterator<Item = String> {
    (1..=MAX_ATTEMPTS).map(move |attempt| backup_name(engine, object_name, uid, instance_id, attempt))
}

/// Each part is preceded by its length, so that no two lists of parts hash alike.
fn hash(parts: &[&str]) -> String {
    let mut hex = hex::encode(sha256(parts));
    hex.truncate(HASH_CHARS);
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    const UID: &str = "2b1c3f0e-0000-4000-8000-000000000001";

    #[test]
    fn a_name_is_legal_for_every_service_whatever_the_object_is_called() {
        for object in ["a", "orders-before-v42", "1.2.3", "x.y", &"long".repeat(60), &"-".repeat(253)] {
            for engine in Engine::all() {
                let name = backup_name(engine, object, UID, "i-1", 1);
                assert!((4..=64).contains(&name.len()), "{name}");
                assert!(name.starts_with("dbb-"), "{name}");
                assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_'), "{name}");
            }
        }
    }

    #[test]
    fn a_recreated_object_another_instance_and_another_attempt_each_have_another_name() {
        let name = |uid: &str, instance: &str, attempt| backup_name(Engine::TaurusDB, "orders", uid, instance, attempt);
        let first = name(UID, "i-1", 1);
        assert_eq!(first, name(UID, "i-1", 1));
        assert_ne!(first, name("another", "i-1", 1));
        assert_ne!(first, name(UID, "i-2", 1));
        assert_ne!(first, name(UID, "i-1", 2));
    }

    #[test]
    fn the_parts_of_the_hash_cannot_run_into_each_other() {
        assert_ne!(hash(&["ab", "c"]), hash(&["a", "bc"]));
    }

    #[test]
    fn a_dcs_mark_has_no_object_name_in_it() {
        assert_eq!(backup_name(Engine::DCS, "orders", UID, "i-1", 1).len(), "dbb-".len() + 20);
    }
}
