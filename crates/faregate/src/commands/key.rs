//! `faregate key`: random keys, and the lines of an env file that hold them.

mod env_file;

use std::io::Read as _;

use serde_json::json;
use zeroize::Zeroizing;

use crate::cli::key::{EnvFileArgs, KeyCommand, NewArgs, SaveArgs};
use crate::exit::{Exit, Failed};
use crate::printer::Printer;

const PLAIN: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const WITH_SPECIAL: &[u8] =
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!@#$%^&*()_+-=";

/// Longest prefix, in bytes.
const PREFIX_BYTES_MAX: usize = 64;

/// Longest value that is saved, in bytes.
const VALUE_BYTES_MAX: u64 = 4_096;

/// Runs it.
///
/// # Errors
/// A name or a value that cannot stand in an env file, a file that cannot be written.
pub(crate) fn run(command: &KeyCommand, printer: Printer) -> Result<(), Failed> {
    match command {
        KeyCommand::New(args) => new(args, printer),
        KeyCommand::Save(args) => save(args, printer),
    }
}

fn new(args: &NewArgs, printer: Printer) -> Result<(), Failed> {
    if args.prefix.len() > PREFIX_BYTES_MAX
        || args.prefix.bytes().any(|byte| !byte.is_ascii_graphic())
    {
        return Err(Failed::usage(format!(
            "--prefix: expected at most {PREFIX_BYTES_MAX} printable characters without blanks"
        )));
    }
    let key = if args.hex {
        let mut bytes = Zeroizing::new([0; 32]);
        fill(bytes.as_mut_slice())?;
        Zeroizing::new(hex::encode(*bytes))
    } else {
        let alphabet = if args.special { WITH_SPECIAL } else { PLAIN };
        random_text(&args.prefix, usize::from(args.length), alphabet)?
    };
    let Some(name) = &args.save else {
        printer.line(&key);
        printer.data(&json!({ "key": &**key }));
        return Ok(());
    };
    put(name, &key, &args.file, printer)?;
    if args.show {
        printer.line(&key);
    }
    let shown = args.show.then_some(&**key);
    printer.data(&json!({ "saved": name, "file": args.file.env_file, "key": shown }));
    Ok(())
}

fn save(args: &SaveArgs, printer: Printer) -> Result<(), Failed> {
    let mut value = Zeroizing::new(String::new());
    let stdin = std::io::stdin();
    let read = stdin.take(VALUE_BYTES_MAX + 1).read_to_string(&mut value)?;
    if u64::try_from(read).is_ok_and(|read| read > VALUE_BYTES_MAX) {
        return Err(Failed::usage("that is too long for a key"));
    }
    put(&args.name, value.trim(), &args.file, printer)?;
    printer.data(&json!({ "saved": args.name, "file": args.file.env_file }));
    Ok(())
}

fn put(name: &str, value: &str, args: &EnvFileArgs, printer: Printer) -> Result<(), Failed> {
    let put = env_file::put(&args.env_file, name, value, args.replace)?;
    let file = args.env_file.display();
    let how = if put.was_there {
        ", in the place of another one"
    } else {
        ""
    };
    printer.note(&format!("saved as {name} in {file}{how}"));
    if put.is_open {
        printer.note(&format!(
            "others on this machine may read {file}: chmod 600 {file}"
        ));
    }
    Ok(())
}

/// Every character of the alphabet is equally likely: what falls into the uneven rest is drawn again.
fn random_text(prefix: &str, length: usize, alphabet: &[u8]) -> Result<Zeroizing<String>, Failed> {
    let even = 256 - 256 % alphabet.len();
    // Room for all of it, so that no copy is left behind.
    let mut text = Zeroizing::new(String::with_capacity(prefix.len() + length));
    text.push_str(prefix);
    let mut drawn = Zeroizing::new([0; 64]);
    while text.len() < prefix.len() + length {
        fill(drawn.as_mut_slice())?;
        let fair = drawn
            .iter()
            .map(|byte| usize::from(*byte))
            .filter(|byte| *byte < even);
        for byte in fair.take(prefix.len() + length - text.len()) {
            text.extend(
                alphabet
                    .get(byte % alphabet.len())
                    .map(|letter| char::from(*letter)),
            );
        }
    }
    Ok(text)
}

fn fill(bytes: &mut [u8]) -> Result<(), Failed> {
    getrandom::fill(bytes)
        .map_err(|_| Failed::new(Exit::Failure, "the system gives no random numbers"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn keys_are_of_the_asked_length_and_use_the_whole_alphabet() {
        for alphabet in [PLAIN, WITH_SPECIAL] {
            let key = random_text("sk_", 512, alphabet).unwrap();
            assert_eq!(key.len(), 515);
            let random = key.strip_prefix("sk_").unwrap();
            assert!(
                random.bytes().all(|byte| alphabet.contains(&byte)),
                "{}",
                &*key
            );
            assert_ne!(*key, *random_text("sk_", 512, alphabet).unwrap());
            let mut seen = BTreeSet::new();
            while seen.len() < alphabet.len() {
                seen.extend(random_text("", 512, alphabet).unwrap().bytes());
            }
            assert_eq!(seen.len(), alphabet.len());
        }
    }
}
