//! The one place that writes to the terminal: data on standard output, everything else on standard error.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is the printer; nobody else prints"
)]

use std::io::Write as _;

use serde_json::{Value, json};

use crate::exit::Failed;

/// How to speak.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Printer {
    json: bool,
    quiet: bool,
}

impl Printer {
    /// `json` prints machine-readable data.
    #[must_use]
    pub(crate) const fn new(json: bool) -> Self {
        Self { json, quiet: false }
    }

    /// Notes are left out.
    #[must_use]
    pub(crate) const fn quiet(self, quiet: bool) -> Self {
        Self { quiet, ..self }
    }

    /// True when data is wanted as JSON.
    #[must_use]
    pub(crate) const fn is_json(self) -> bool {
        self.json
    }

    /// Data for people, on standard output. Left out when JSON is wanted.
    pub(crate) fn line(self, text: &str) {
        if !self.json {
            println!("{text}");
        }
    }

    /// Data for programs, on standard output. Left out when text is wanted.
    pub(crate) fn data(self, value: &Value) {
        if self.json {
            println!("{value}");
        }
    }

    /// Progress and remarks, on standard error.
    pub(crate) fn note(self, text: &str) {
        if !self.quiet {
            eprintln!("{text}");
        }
    }

    /// Raw bytes on standard output, e.g. a body. A closed pipe is not an error.
    pub(crate) fn bytes(self, bytes: &[u8]) {
        let mut out = std::io::stdout().lock();
        if out.write_all(bytes).and_then(|()| out.flush()).is_err() {
            // Whoever read us has gone away and wants no more.
        }
    }

    /// Why the program ends early.
    pub(crate) fn failed(self, failed: &Failed) {
        if self.json {
            println!(
                "{}",
                json!({"error": {
                    "code": failed.code.map(faregate_types::Code::as_str),
                    "message": failed.message,
                    "hint": failed.hint,
                }})
            );
        }
        eprintln!("error: {}", failed.message);
        if let Some(hint) = &failed.hint {
            eprintln!("\nhint: {hint}");
        }
    }
}
