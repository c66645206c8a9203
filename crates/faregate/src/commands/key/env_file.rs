//! One line of an env file, put in whole or not at all. Other lines stay as they are.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::exit::{Exit, Failed};

/// Largest file that is taken for one, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

const OWNER_ONLY: u32 = 0o600;

/// What was found when a line was put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Put {
    /// The name had another value.
    pub(super) was_there: bool,
    /// Others may read the file.
    pub(super) is_open: bool,
}

/// Puts `name=value` into the file, in the place of the line that has this name.
///
/// # Errors
/// A name that is none, a value that no line can hold, a name that is taken without `replaces`, a file that cannot be used.
pub(super) fn put(path: &Path, name: &str, value: &str, replaces: bool) -> Result<Put, Failed> {
    let line = line(name, value)?;
    // The file behind a link is written, and the link stays.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let unusable = |error: std::io::Error| Failed::usage(format!("{}: {error}", path.display()));
    let (text, mode) = match File::open(&path) {
        Ok(file) => read(file).map_err(unusable)?,
        Err(error) if error.kind() == ErrorKind::NotFound => Default::default(),
        Err(error) => return Err(unusable(error)),
    };
    let is_ours = |line: &&str| names(line, name);
    let was_there = text.split_inclusive('\n').any(|line| is_ours(&line));
    if was_there && !replaces {
        return Err(
            Failed::usage(format!("{} has a {name} already", path.display())).hint(
                "--replace puts the new one in its place; there is no other copy of the old one",
            ),
        );
    }
    let mut new = Zeroizing::new(String::with_capacity(text.len() + line.len() + 2));
    let mut is_put = false;
    for old in text.split_inclusive('\n') {
        if !is_ours(&old) {
            new.push_str(old);
        } else if !is_put {
            // Of several lines the last one counts to whoever reads them: one is left.
            new.push_str(&line);
            is_put = true;
        }
    }
    if !is_put {
        if !new.is_empty() && !new.ends_with('\n') {
            new.push('\n');
        }
        new.push_str(&line);
    }
    let mode = mode.unwrap_or(OWNER_ONLY);
    replace(&path, new.as_bytes(), mode)
        .map_err(|error| Failed::new(Exit::Failure, format!("{}: {error}", path.display())))?;
    Ok(Put {
        was_there,
        is_open: mode & 0o077 != 0,
    })
}

/// The text of the file, and who may do what with it.
fn read(file: File) -> std::io::Result<(Zeroizing<String>, Option<u32>)> {
    let about = file.metadata()?;
    if !about.is_file() || about.len() > FILE_BYTES_MAX {
        let why = "expected a file of lines NAME=value, of at most a megabyte";
        return Err(std::io::Error::new(ErrorKind::InvalidInput, why));
    }
    let mut text = Zeroizing::new(String::new());
    file.take(FILE_BYTES_MAX).read_to_string(&mut text)?;
    Ok((text, Some(about.permissions().mode() & 0o777)))
}

fn line(name: &str, value: &str) -> Result<Zeroizing<String>, Failed> {
    let is_name = !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !is_name {
        return Err(Failed::usage(
            "expected a name of letters, digits and underscores",
        ));
    }
    if value.is_empty() || value.contains(['\'', '\n', '\r', '\0']) {
        return Err(Failed::usage(
            "expected a value of one line, without single quotes",
        ));
    }
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-+=.:/@%,".contains(&byte);
    // Shells and readers of env files take what is quoted like this as it stands.
    let quote = if value.bytes().all(is_plain) { "" } else { "'" };
    Ok(Zeroizing::new(format!("{name}={quote}{value}{quote}\n")))
}

/// Whether a line gives this name a value.
fn names(line: &str, name: &str) -> bool {
    let line = line.trim_start();
    let line = line.strip_prefix("export ").map_or(line, str::trim_start);
    let rest = line.strip_prefix(name).map(str::trim_start);
    rest.is_some_and(|rest| rest.starts_with('='))
}

/// Beside it first, then in its place: nobody ever reads half of it.
fn replace(path: &Path, bytes: &[u8], mode: u32) -> std::io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    let mut salt = [0; 8];
    getrandom::fill(&mut salt).map_err(|_| ErrorKind::Other)?;
    let part = folder.join(format!(".faregate-{}.part", hex::encode(salt)));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(OWNER_ONLY)
        .open(&part)?;
    let written = file
        .write_all(bytes)
        .and_then(|()| file.set_permissions(Permissions::from_mode(mode)))
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&part, path));
    if written.is_err() {
        // What is left behind would hold a key.
        fs::remove_file(&part).unwrap_or(());
        return written;
    }
    File::open(&folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn one_line_is_put_in_and_the_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        let text = || fs::read_to_string(&path).unwrap();
        let put = |name: &str, value: &str, replaces| put(&path, name, value, replaces);

        let first = put("TOKEN_KEY", "abc", false).unwrap();
        assert_eq!(
            first,
            Put {
                was_there: false,
                is_open: false
            }
        );
        assert_eq!((text().as_str(), mode(&path)), ("TOKEN_KEY=abc\n", 0o600));

        fs::write(
            &path,
            "# mine\nTOKEN_KEY_OLD=1\n  export TOKEN_KEY = 'x' \n\nB=2\nTOKEN_KEY=y",
        )
        .unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let before = text();
        assert!(put("TOKEN_KEY", "new", false).is_err());
        assert_eq!(text(), before, "a key is not lost by accident");
        let second = put("TOKEN_KEY", "a$b", true).unwrap();
        assert_eq!(
            second,
            Put {
                was_there: true,
                is_open: true
            }
        );
        assert_eq!(text(), "# mine\nTOKEN_KEY_OLD=1\nTOKEN_KEY='a$b'\n\nB=2\n");
        assert_eq!(
            mode(&path),
            0o640,
            "who may read it is its owner's business"
        );

        put("C", "3", false).unwrap();
        assert!(text().ends_with("B=2\nC=3\n"));
        let files = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(files, 1, "nothing is left beside it");
    }

    #[test]
    fn a_link_stays_and_what_is_no_line_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("real"), folder.path().join("link"));
        fs::write(&path, "A=1").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        put(&link, "B", "2", false).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&path).unwrap(), "A=1\nB=2\n");

        for (name, value) in [
            ("", "x"),
            ("1A", "x"),
            ("A B", "x"),
            ("A=", "x"),
            ("A", ""),
            ("A", "x\ny"),
            ("A", "it's"),
        ] {
            assert!(put(&path, name, value, true).is_err(), "{name} {value}");
        }
        assert!(
            put(folder.path(), "A", "x", true).is_err(),
            "a folder is no file"
        );
        assert!(put(&folder.path().join("no/such"), "A", "x", true).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "A=1\nB=2\n");
    }
}
