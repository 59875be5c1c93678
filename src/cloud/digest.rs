//! One hash of several texts.

use sha2::{Digest, Sha256};

/// SHA-256 of these parts in this order. Each is preceded by its length, so that no two lists of parts hash alike.
pub fn sha256(parts: &[&str]) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part.as_bytes());
    }
    digest.finalize().into()
}
