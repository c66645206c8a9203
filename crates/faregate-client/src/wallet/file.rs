//! Files that hold secrets: made for the owner only, and refused when others may read them.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::Path;

/// Largest keystore that is read, in bytes.
pub const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Why a file of secrets was not read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// There is none.
    #[error("there is no such file")]
    NotFound,
    /// There is one already; it might hold the only copy of a key.
    #[error("the file exists and is not overwritten")]
    Exists,
    /// Others may read it.
    #[error("others may read this file: chmod 600 it")]
    Permissions,
    /// Larger than [`FILE_BYTES_MAX`], or not text.
    #[error("expected a text of at most {FILE_BYTES_MAX} bytes")]
    Content,
    /// The system says no.
    #[error("the file cannot be used: {0}")]
    Io(ErrorKind),
}

impl From<std::io::Error> for FileError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::AlreadyExists => Self::Exists,
            ErrorKind::InvalidData => Self::Content,
            kind => Self::Io(kind),
        }
    }
}

/// Reads a small text that only its owner may read.
///
/// # Errors
/// [`FileError`].
pub fn read(path: &Path) -> Result<String, FileError> {
    let file = File::open(path)?;
    private(&file)?;
    let mut text = String::new();
    let read = file
        .take(FILE_BYTES_MAX.saturating_add(1))
        .read_to_string(&mut text)?;
    if u64::try_from(read).is_ok_and(|bytes| bytes <= FILE_BYTES_MAX) {
        Ok(text)
    } else {
        Err(FileError::Content)
    }
}

/// Writes a new file for its owner only, durably.
///
/// # Errors
/// [`FileError`], [`FileError::Exists`] above all.
pub fn create(path: &Path, text: &str) -> Result<(), FileError> {
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        folders(folder)?;
    }
    let mut file = options().open(path)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    Ok(())
}

#[cfg(unix)]
fn private(file: &File) -> Result<(), FileError> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = file.metadata()?.permissions().mode();
    if mode & 0o077 == 0 {
        Ok(())
    } else {
        Err(FileError::Permissions)
    }
}

#[cfg(unix)]
fn options() -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options
}

#[cfg(unix)]
fn folders(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}

// Elsewhere files belong to the user's own folder by default.
#[cfg(not(unix))]
fn private(_file: &File) -> Result<(), FileError> {
    Ok(())
}

#[cfg(not(unix))]
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    options
}

#[cfg(not(unix))]
fn folders(path: &Path) -> std::io::Result<()> {
    fs::create_dir_all(path)
}
