//! Pages that are made from code: written, or compared with what is committed.

use std::fs;
use std::path::Path;

use crate::sizes;

/// Writes a page.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn write(page: &str, text: &str) -> Result<String, String> {
    fs::write(page, text).map_err(|error| format!("{page}: {error}"))?;
    Ok(format!("wrote {page}"))
}

/// Checks that the committed page is this text, which `source` gives and `command` writes.
///
/// # Errors
/// When it is another.
pub(crate) fn check(page: &str, text: &str, source: &str, command: &str) -> Result<String, String> {
    let committed = fs::read_to_string(page).map_err(|error| format!("{page}: {error}"))?;
    if committed == text {
        Ok(format!("{page} ok"))
    } else {
        Err(format!(
            "{page} is not what the {source}; run: cargo xtask {command}"
        ))
    }
}

/// Every source file below `crates` by its path, in order.
///
/// # Errors
/// A file that cannot be read.
pub(crate) fn sources() -> Result<Vec<(String, String)>, String> {
    let mut files = Vec::new();
    sizes::collect(Path::new("crates"), &mut files);
    files.sort();
    let read = |file: std::path::PathBuf| {
        let name = file.display().to_string();
        let text = fs::read_to_string(&file).map_err(|error| format!("{name}: {error}"))?;
        Ok((name, text))
    };
    files.into_iter().map(read).collect()
}
