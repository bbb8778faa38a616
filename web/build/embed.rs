//! Writes the table of assets that the library includes: bytes, compressed variants, type and tag of each file.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Writes the table to `table`; without `pages` it is empty.
pub(crate) fn write(pages: Option<&Path>, table: &Path) -> io::Result<()> {
    let mut files = BTreeMap::new();
    if let Some(pages) = pages {
        collect(pages, "", &mut files)?;
    }
    let mut code = format!("const BUILT: bool = {};\n", pages.is_some());
    code.push_str("/// Sorted by path.\nstatic ASSETS: &[(&str, Asset)] = &[\n");
    for (path, file) in files.iter().filter(|(path, _)| !is_variant(path, &files)) {
        let tag = tag(&fs::read(file)?);
        let variant = |suffix: &str| match files.get(&format!("{path}{suffix}")) {
            Some(file) => format!("Some({})", include(file)),
            None => "None".to_owned(),
        };
        let (bytes, brotli, gzip) = (include(file), variant(".br"), variant(".gz"));
        let (content_type, immutable) = (content_type(path), path.starts_with("/assets/"));
        writeln!(
            code,
            "({path:?}, Asset {{ bytes: {bytes}, brotli: {brotli}, gzip: {gzip}, \
             content_type: {content_type:?}, etag: {tag:?}, immutable: {immutable} }}),"
        )
        .map_err(io::Error::other)?;
    }
    code.push_str("];\n");
    fs::write(table, code)
}

fn include(file: &Path) -> String {
    format!("include_bytes!({:?})", file.to_string_lossy())
}

/// Every file below `directory` by its path on the server.
fn collect(directory: &Path, prefix: &str, files: &mut BTreeMap<String, PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let path = format!("{prefix}/{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &path, files)?;
        } else {
            files.insert(path, entry.path());
        }
    }
    Ok(())
}

/// Whether the file is the compressed form of another one.
fn is_variant(path: &str, files: &BTreeMap<String, PathBuf>) -> bool {
    let original = path.strip_suffix(".br").or_else(|| path.strip_suffix(".gz"));
    original.is_some_and(|original| files.contains_key(original))
}

/// An entity tag: FNV-1a over the bytes, which tells versions of our own files apart. Weak, because the compressed
/// variants have it too.
fn tag(bytes: &[u8]) -> String {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("W/\"{hash:016x}\"")
}

fn content_type(path: &str) -> &'static str {
    match Path::new(path).extension().and_then(|extension| extension.to_str()) {
        Some("css") => "text/css; charset=utf-8",
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("json") => "application/json",
        Some("png") => "image/png",
        Some("svg") => "image/svg+xml",
        Some("txt") => "text/plain; charset=utf-8",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    }
}
