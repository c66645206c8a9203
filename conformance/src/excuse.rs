//! What is not supported yet: the cases that may fail, each with its reason.

use serde::Deserialize;

use crate::case::Case;
use crate::folder;

/// The content of `excused.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Excuses {
    #[serde(default)]
    excuse: Vec<Excuse>,
}

/// Why some cases may fail.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Excuse {
    /// `rail:name`, or the beginning of it and `*`.
    pub cases: String,
    /// Why, for people.
    pub reason: String,
}

impl Excuses {
    /// The committed excuses.
    ///
    /// # Errors
    /// When the file is malformed, or an excuse has no reason.
    pub fn committed() -> Result<Self, String> {
        Self::parse(&folder::page("excused.toml")?)
            .map_err(|error| format!("excused.toml: {error}"))
    }

    /// Reads excuses.
    ///
    /// # Errors
    /// When the text is malformed, or an excuse has no reason.
    pub fn parse(text: &str) -> Result<Self, String> {
        let excuses: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        match excuses
            .excuse
            .iter()
            .find(|one| one.reason.trim().is_empty())
        {
            Some(one) => Err(format!("{} needs a reason", one.cases)),
            None => Ok(excuses),
        }
    }

    /// The first excuse for a case.
    #[must_use]
    pub fn find(&self, case: &Case) -> Option<&Excuse> {
        self.excuse.iter().find(|excuse| excuse.fits(case))
    }

    /// Excuses that are the first for none of the cases: outdated, or behind a wider one.
    #[must_use]
    pub fn stale(&self, cases: &[Case]) -> Vec<&str> {
        let used = |excuse: &&Excuse| {
            let used_for = |case| {
                self.find(case)
                    .is_some_and(|first| std::ptr::eq(first, *excuse))
            };
            !cases.iter().any(used_for)
        };
        self.excuse
            .iter()
            .filter(used)
            .map(|excuse| excuse.cases.as_str())
            .collect()
    }
}

impl Excuse {
    fn fits(&self, case: &Case) -> bool {
        let id = case.id();
        match self.cases.strip_suffix('*') {
            Some(beginning) => id.starts_with(beginning),
            None => id == self.cases,
        }
    }
}
