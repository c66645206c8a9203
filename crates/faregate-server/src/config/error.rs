//! What can be wrong with a configuration, all of it at once.

use std::fmt;

/// Every fault of one file, in the order of its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub(super) Vec<ConfigError>);

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// What kind of fault, for programs.
    pub code: ConfigCode,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The key it is about, from the top of the file, e.g. `route[2].price`.
    pub key: Box<str>,
    /// What was expected, for people. Never shows a secret.
    pub message: Box<str>,
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])* $variant:ident $text:literal;)*) => {
        /// The kind of a fault. The texts never change.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum ConfigCode {
            $($(#[doc = $doc])* $variant,)*
        }

        impl ConfigCode {
            /// The stable text.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

codes! {
    /// The file is not TOML.
    Syntax "syntax";
    /// A key nobody knows.
    UnknownKey "unknown_key";
    /// A key that has to be there.
    Missing "missing_key";
    /// A value of another type.
    Type "wrong_type";
    /// A value outside its range or list.
    Value "invalid_value";
    /// More of something than the gate takes.
    TooMany "too_many";
    /// `${NAME}` with a name that is not in the environment, or not closed.
    Environment "environment";
    /// Something that is no URL, or one with parts it must not have.
    Url "invalid_url";
    /// A network nobody knows, or in the wrong form.
    UnknownNetwork "unknown_network";
    /// A network with real money, without `mainnet = true`.
    MainnetNotEnabled "mainnet_not_enabled";
    /// An asset nobody knows on this network.
    UnknownAsset "unknown_asset";
    /// Something that is no account address, or mistyped.
    Address "invalid_address";
    /// A price that cannot be read.
    Price "invalid_price";
    /// A price of nothing. A route that costs nothing says `price = "free"`.
    ZeroPrice "zero_price";
    /// A pattern that cannot be read.
    Pattern "invalid_pattern";
    /// The same route twice.
    DuplicateRoute "duplicate_route";
    /// A route that never gets a request, because one above takes them all.
    ShadowedRoute "shadowed_route";
    /// A paid route that nobody could pay for.
    NoUsableRail "no_usable_rail";
    /// A key as plain text, or in another form than `env:NAME` and `file:/path`.
    Secret "invalid_secret";
    /// A word that cannot stand in a token.
    Token "invalid_token_word";
    /// Two settings that do not go together.
    Contradiction "contradiction";
}

impl ConfigErrors {
    /// The faults.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.0.iter()
    }

    /// The faults, each on a line that starts with where it is: `file:line:column`.
    #[must_use]
    pub fn display(&self, file: &str) -> String {
        let lines: Vec<String> = self
            .0
            .iter()
            .map(|error| format!("{file}:{error}"))
            .collect();
        lines.join("\n")
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.display("config"))
    }
}

impl std::error::Error for ConfigErrors {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            code,
            line,
            column,
            key,
            message,
        } = self;
        write!(f, "{line}:{column}: {key}: {message} [{}]", code.as_str())
    }
}

impl std::error::Error for ConfigError {}
