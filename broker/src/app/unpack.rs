//! The bundled rules, for a server that has no folder of rules.

use std::fs;
use std::path::{Path, PathBuf};

use pointsman_config::BUNDLED_RULES;

use super::StartError;

/// What `rules.directory` is unless somebody says otherwise.
const DEFAULT: &str = "config/rules";

/// The folder of rules: the configured one; or, where nobody configured one and the default is not there, one in the
/// data directory that is filled at first.
pub(super) fn rules(configured: &Path, data: &Path) -> Result<PathBuf, StartError> {
    if configured.is_dir() {
        return Ok(configured.to_owned());
    }
    if !configured.ends_with(DEFAULT) {
        return Err(StartError::RulesDirectory { path: configured.to_owned() });
    }
    let folder = data.join("rules");
    if !folder.is_dir() {
        let unpacked = fs::create_dir_all(&folder).and_then(|()| {
            BUNDLED_RULES.iter().try_for_each(|(name, text)| fs::write(folder.join(name), text))
        });
        unpacked.map_err(|source| StartError::Unpack { folder: folder.clone(), source })?;
    }
    Ok(folder)
}
