//! Files a reader can hold in the head: at most 500 lines before the tests, hard stop at 800 in all.

use std::fs;
use std::path::{Path, PathBuf};

/// Lines before the test module.
const CODE_LINES_MAX: usize = 500;
/// Lines in all.
const FILE_LINES_MAX: usize = 800;

/// Checks every Rust file of ours.
///
/// # Errors
/// One line per file that is too long.
pub(crate) fn check() -> Result<String, String> {
    let mut files = Vec::new();
    for root in ["crates", "xtask", "conformance", "benches"] {
        collect(Path::new(root), &mut files);
    }
    let mut problems = Vec::new();
    for file in &files {
        let text =
            fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        let all = text.lines().count();
        let tests_only =
            file.components().any(|part| part.as_os_str() == "tests") || file.ends_with("tests.rs");
        let tests_from = text
            .lines()
            .position(|line| line.starts_with("#[cfg(test)]"));
        let code = if tests_only {
            0
        } else {
            tests_from.unwrap_or(all)
        };
        if code > CODE_LINES_MAX || all > FILE_LINES_MAX {
            problems.push(format!(
                "{}: {code} lines of code, {all} in all",
                file.display()
            ));
        }
    }
    if problems.is_empty() {
        Ok(format!("sizes ok: {} files", files.len()))
    } else {
        Err(problems.join("\n"))
    }
}

pub(crate) fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        let hidden = path.file_name().is_some_and(|name| {
            let name = name.to_string_lossy();
            name.starts_with('.') || name == "node_modules" || name == "target"
        });
        if hidden {
            continue;
        }
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
