//! `WWW-Authenticate` of L402: read in all deployed forms, written in the one every client reads (specs/l402.md §1.2).
//!
//! A line is cut into words and quoted strings before anything is looked for, so that a challenge of another scheme cannot hide
//! one of ours in its texts. What can be read in two ways is refused: it asks for money.

use std::fmt;

use crate::limits::{CHALLENGE_PARAMETERS_MAX, HEADER_BYTES_MAX};

/// The scheme's name. Both mean the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(clippy::exhaustive_enums, reason = "there are these two")]
pub enum Scheme {
    /// The name since 2023.
    L402,
    /// The name before.
    Lsat,
}

impl Scheme {
    /// The scheme with this name, in any case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            _ if name.eq_ignore_ascii_case("L402") => Some(Self::L402),
            _ if name.eq_ignore_ascii_case("LSAT") => Some(Self::Lsat),
            _ => None,
        }
    }

    /// The name in upper case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::L402 => "L402",
            Self::Lsat => "LSAT",
        }
    }
}

/// What a server asks for.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Challenge {
    /// Under which name.
    pub scheme: Scheme,
    /// The token, as the server wrote it. Opaque to payers: other servers' tokens are no macaroons.
    pub token: Box<str>,
    /// The invoice, as the server wrote it.
    pub invoice: Box<str>,
    /// The version it names, if it names one.
    pub version: Option<Box<str>>,
}

impl fmt::Debug for Challenge {
    /// Without the token, which opens the door once the invoice is paid.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Challenge")
            .field("scheme", &self.scheme)
            .field("invoice", &self.invoice)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// Why an answer has no challenge that could be paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChallengeError {
    /// There is none of L402.
    #[error("expected a challenge of L402")]
    Absent,
    /// Longer than [`HEADER_BYTES_MAX`], or with more parameters than any challenge has.
    #[error("expected a challenge of at most {HEADER_BYTES_MAX} bytes")]
    TooLarge,
    /// A quote without its end, or bytes that are no text.
    #[error("expected quoted texts to end")]
    Quote,
    /// Something that is neither a parameter nor the start of a challenge.
    #[error("expected parameters of the form name=\"value\"")]
    Syntax,
    /// A parameter is there twice.
    #[error("expected every parameter of the challenge once")]
    Repeated,
    /// `token` and `macaroon` are there and differ.
    #[error("expected token and macaroon to be the same")]
    Ambiguous,
    /// No token, or an empty one.
    #[error("expected a token in the challenge")]
    MissingToken,
    /// No invoice, or an empty one.
    #[error("expected an invoice in the challenge")]
    MissingInvoice,
    /// Another version than 0, and no `macaroon` for those who do not know it.
    #[error("expected a challenge of version 0")]
    Version,
}

impl ChallengeError {
    /// Whether another challenge beside this one may still be paid: this one merely lacks something.
    const fn is_harmless(self) -> bool {
        matches!(
            self,
            Self::Absent | Self::MissingToken | Self::MissingInvoice | Self::Version
        )
    }
}

impl Challenge {
    /// All challenges in the `WWW-Authenticate` lines of an answer, in their order.
    ///
    /// # Errors
    /// [`ChallengeError`] when there is none that can be paid, or when one of them can be read in two ways.
    pub fn parse_all<'a>(
        lines: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Vec<Self>, ChallengeError> {
        let (mut found, mut missing) = (Vec::new(), ChallengeError::Absent);
        let mut size = 0_usize;
        for line in lines {
            size = size.saturating_add(line.len());
            if size > HEADER_BYTES_MAX {
                return Err(ChallengeError::TooLarge);
            }
            let line = std::str::from_utf8(line).map_err(|_| ChallengeError::Quote)?;
            for part in parts(line)? {
                match part.challenge() {
                    Ok(challenge) => found.extend(challenge),
                    Err(error) if error.is_harmless() => missing = error,
                    Err(error) => return Err(error),
                }
            }
        }
        if found.is_empty() {
            Err(missing)
        } else {
            Ok(found)
        }
    }

    /// The one to pay: the first under the newer name, or else the first.
    ///
    /// # Errors
    /// As [`parse_all`](Self::parse_all).
    pub fn parse<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, ChallengeError> {
        let all = Self::parse_all(lines)?;
        let newer = all.iter().position(|found| found.scheme == Scheme::L402);
        let chosen = all.into_iter().nth(newer.unwrap_or_default());
        chosen.ok_or(ChallengeError::Absent)
    }
}

/// Which lines a challenge is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "plain data that configuration builds by literal"
)]
pub struct Lines {
    /// An `LSAT` line before all others, for clients from before 2023.
    pub lsat: bool,
    /// One more line in the order of the 2026 grammar, for clients that know nothing else.
    pub ordered: bool,
}

impl Default for Lines {
    fn default() -> Self {
        Self {
            lsat: true,
            ordered: false,
        }
    }
}

/// The values of `WWW-Authenticate`, one for each line, in the order in which they have to be sent. `token` is base64 and
/// `invoice` is bech32: neither needs escaping.
///
/// The blanks and the place of `macaroon` are what the clients' patterns insist on.
#[must_use]
pub fn write(token: &str, invoice: &str, lines: Lines) -> Vec<String> {
    let mut values = Vec::with_capacity(3);
    if lines.lsat {
        values.push(format!("LSAT macaroon=\"{token}\", invoice=\"{invoice}\""));
    }
    values.push(format!(
        "L402 macaroon=\"{token}\", invoice=\"{invoice}\", version=\"0\", token=\"{token}\""
    ));
    if lines.ordered {
        values.push(format!(
            "L402 version=\"0\", token=\"{token}\", invoice=\"{invoice}\""
        ));
    }
    values
}

/// One challenge of a line, of any scheme.
struct Part<'a> {
    scheme: &'a str,
    parameters: Vec<(&'a str, String)>,
    /// A word that belongs to no parameter, as in `Bearer abc`.
    stray: bool,
}

impl Part<'_> {
    fn challenge(&self) -> Result<Option<Challenge>, ChallengeError> {
        let Some(scheme) = Scheme::from_name(self.scheme) else {
            return Ok(None);
        };
        if self.stray {
            return Err(ChallengeError::Syntax);
        }
        let (token, macaroon) = (self.one("token")?, self.one("macaroon")?);
        let (version, invoice) = (self.one("version")?, self.one("invoice")?);
        if token.is_some() && macaroon.is_some() && token != macaroon {
            return Err(ChallengeError::Ambiguous);
        }
        if version.is_some_and(|version| version != "0") && macaroon.is_none() {
            return Err(ChallengeError::Version);
        }
        let filled = |text: &&str| !text.is_empty();
        let token = token.or(macaroon).filter(filled);
        Ok(Some(Challenge {
            scheme,
            token: token.ok_or(ChallengeError::MissingToken)?.into(),
            invoice: invoice
                .filter(filled)
                .ok_or(ChallengeError::MissingInvoice)?
                .into(),
            version: version.map(Into::into),
        }))
    }

    fn one(&self, name: &str) -> Result<Option<&str>, ChallengeError> {
        let mut found = self
            .parameters
            .iter()
            .filter(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str());
        match (found.next(), found.next()) {
            (first, None) => Ok(first),
            (_, Some(_)) => Err(ChallengeError::Repeated),
        }
    }
}

/// Cuts a line into challenges. A scheme stands at the start or after a comma and is not followed by `=`; parameters may be
/// separated by blanks alone, as one server writes them.
fn parts(line: &str) -> Result<Vec<Part<'_>>, ChallengeError> {
    let mut parts: Vec<Part<'_>> = Vec::new();
    let mut rest = line.trim_start_matches(BLANKS_AND_COMMA);
    let mut may_start = true;
    let mut count = 0_usize;
    while !rest.is_empty() {
        count = count.saturating_add(1);
        if count > CHALLENGE_PARAMETERS_MAX.saturating_mul(4) {
            return Err(ChallengeError::TooLarge);
        }
        let (word, after) = word(rest);
        let after = after.trim_start_matches(BLANKS);
        let next = match after.strip_prefix('=') {
            Some(value) if !word.is_empty() => {
                let (value, after) = value_of(value.trim_start_matches(BLANKS))?;
                let part = parts.last_mut().ok_or(ChallengeError::Syntax)?;
                if part.parameters.len() == CHALLENGE_PARAMETERS_MAX {
                    return Err(ChallengeError::TooLarge);
                }
                part.parameters.push((word, value));
                after
            }
            None if !word.is_empty() => {
                match parts.last_mut() {
                    Some(part) if !may_start => part.stray = true,
                    Some(_) | None => parts.push(Part {
                        scheme: word,
                        parameters: Vec::new(),
                        stray: false,
                    }),
                }
                after
            }
            // A quote or an equals sign where a name has to be.
            Some(_) | None => return Err(ChallengeError::Syntax),
        };
        let trimmed = next.trim_start_matches(BLANKS_AND_COMMA);
        let between = next.len().saturating_sub(trimmed.len());
        may_start = next.get(..between).unwrap_or_default().contains(',');
        rest = trimmed;
    }
    Ok(parts)
}

const BLANKS: [char; 2] = [' ', '\t'];
const BLANKS_AND_COMMA: [char; 3] = [' ', '\t', ','];

/// What comes before the first character that separates.
fn word(text: &str) -> (&str, &str) {
    let end = text.find([' ', '\t', ',', '=', '"']).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

/// A value: quoted, or up to the next comma or blank. Base64 has `=` in it, and is seen without quotes.
fn value_of(text: &str) -> Result<(String, &str), ChallengeError> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(BLANKS_AND_COMMA).unwrap_or(text.len());
        let (value, rest) = text.split_at_checked(end).unwrap_or((text, ""));
        return if value.contains('"') {
            Err(ChallengeError::Quote)
        } else {
            Ok((value.to_owned(), rest))
        };
    };
    let mut value = String::new();
    let mut characters = quoted.chars();
    loop {
        match characters.next().ok_or(ChallengeError::Quote)? {
            '"' => return Ok((value, characters.as_str())),
            '\\' => value.push(characters.next().ok_or(ChallengeError::Quote)?),
            character => value.push(character),
        }
    }
}
