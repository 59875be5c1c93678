//! The certificate authorities of `--ca-bundle`.

use crate::cloud::client::authorities::Authorities;
use std::path::Path;

/// The authorities in a file; none without one.
///
/// # Errors
/// It cannot be read, or holds none, in one line.
pub fn read(file: Option<&Path>) -> Result<Authorities, String> {
    let Some(file) = file else { return Ok(Authorities::default()) };
    let pem = std::fs::read(file).map_err(|error| format!("--ca-bundle {} cannot be read: {error}", file.display()))?;
    let authorities = Authorities::from_pem(&pem).map_err(|problem| format!("--ca-bundle {}: {problem}", file.display()))?;
    tracing::info!(file = %file.display(), certificates = authorities.count(), "authorities are trusted besides the public ones");
    Ok(authorities)
}
