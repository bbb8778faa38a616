//! The bundled rules, for a server that has no folder of rules.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use pointsman_config::BUNDLED_RULES;

/// The folder of rules: the configured one if it is there, else one in the data directory that is filled at first.
pub(super) fn rules(configured: &Path, data: &Path) -> io::Result<PathBuf> {
    if configured.is_dir() {
        return Ok(configured.to_owned());
    }
    let folder = data.join("rules");
    if !folder.is_dir() {
        fs::create_dir_all(&folder)?;
        for (name, text) in BUNDLED_RULES {
            fs::write(folder.join(name), text)?;
        }
    }
    Ok(folder)
}
