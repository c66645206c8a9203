//! What we answer where the peers contradict each other, or where we mean to differ from all of them.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::case::Case;
use crate::folder;

/// The content of `decisions.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decisions {
    #[serde(default)]
    decision: Vec<Decision>,
}

/// Our answer to one case.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// `rail:name`.
    pub case: String,
    /// What each peer said. The decision holds only as long as the recording says the same.
    pub peers: BTreeMap<String, String>,
    /// What we say.
    pub ours: String,
    /// Why, for people, with the place in the specification.
    pub because: String,
}

impl Decisions {
    /// The committed decisions.
    ///
    /// # Errors
    /// When the file is malformed, decides a case twice, or decides without a reason.
    pub fn committed() -> Result<Self, String> {
        Self::parse(&folder::page("decisions.toml")?)
            .map_err(|error| format!("decisions.toml: {error}"))
    }

    /// Reads decisions.
    ///
    /// # Errors
    /// When the text is malformed, decides a case twice, or decides without a reason.
    pub fn parse(text: &str) -> Result<Self, String> {
        let decisions: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        let mut cases = std::collections::BTreeSet::new();
        for decision in &decisions.decision {
            if decision.because.trim().is_empty() {
                return Err(format!("{} needs a reason", decision.case));
            }
            if !cases.insert(&decision.case) {
                return Err(format!("{} is decided twice", decision.case));
            }
        }
        Ok(decisions)
    }

    /// The decision about a case.
    #[must_use]
    pub fn find(&self, case: &Case) -> Option<&Decision> {
        let id = case.id();
        self.decision.iter().find(|decision| decision.case == id)
    }

    /// Decisions about cases that are not there.
    #[must_use]
    pub fn stale(&self, cases: &[Case]) -> Vec<&str> {
        let known = |decision: &&Decision| !cases.iter().any(|case| case.id() == decision.case);
        self.decision
            .iter()
            .filter(known)
            .map(|decision| decision.case.as_str())
            .collect()
    }
}
