//! How the program ends. The table in the README and in `docs` is this one.

use std::process::ExitCode;

use faregate_types::{Blame, Code};

/// Exit statuses. Scripts and agents rely on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It worked.
    Ok = 0,
    /// Something unexpected; a bug or the machine.
    Failure = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// A cap or a rule of this wallet forbids the payment; nothing was signed.
    OverBudget = 3,
    /// The server offers no way to pay that this wallet knows and trusts; nothing was signed.
    NoOffer = 4,
    /// The server refused the payment.
    Refused = 5,
    /// The payment was sent and nobody answered: it may have happened. Run the same command again.
    Undecided = 6,
    /// The server could not be reached, or answered with an error (`--fail`).
    Http = 7,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        #[expect(clippy::as_conversions, reason = "a fieldless enum with small values")]
        Self::from(exit as u8)
    }
}

/// What went wrong, for a person: a line, and what to do about it.
#[derive(Debug)]
pub struct Failed {
    /// How the program ends.
    pub exit: Exit,
    /// The stable code, for `--json`.
    pub code: Option<Code>,
    /// What happened: lowercase, no full stop.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Failed {
    /// A wrong command line or configuration.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Anything else.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            code: None,
            message: message.into(),
            hint: None,
        }
    }

    /// With advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// With a code; a code of ours that blames us exits with 1 whatever was said.
    #[must_use]
    pub fn code(mut self, code: Code) -> Self {
        if code.blame() == Blame::Us {
            self.exit = Exit::Failure;
        }
        self.code = Some(code);
        self
    }
}

impl From<std::io::Error> for Failed {
    fn from(error: std::io::Error) -> Self {
        Self::new(Exit::Failure, error.to_string())
    }
}
