//! One recorded case.

use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// What a peer was given and what it answered.
#[derive(Clone, Debug)]
pub struct Case {
    /// Which rail's recording it is from: `x402`, `permit`, `4mica`, `4mica_sdk_traces`, `l402`.
    pub rail: &'static str,
    /// Its name, unique within the rail.
    pub name: String,
    /// Who answered, with version; empty where the recording does not say.
    pub source: String,
    /// What it was given.
    pub inputs: Value,
    /// What it answered.
    pub expected: Value,
}

impl Case {
    /// `rail:name`, as excuses and decisions call it.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}:{}", self.rail, self.name)
    }

    /// An input, typed.
    ///
    /// # Errors
    /// When it is missing or of another type: the runner does not know this form of the kind.
    pub fn input<T: DeserializeOwned>(&self, key: &str) -> Result<T, String> {
        typed(&self.inputs, "input", key)
    }

    /// A member of the answer, typed.
    ///
    /// # Errors
    /// When it is missing or of another type.
    pub fn expected<T: DeserializeOwned>(&self, key: &str) -> Result<T, String> {
        typed(&self.expected, "expected value", key)
    }

    /// Insists that there is nothing in inputs and answer that the runner does not look at. Notes are for people.
    ///
    /// # Errors
    /// Names the first member that would have been passed over.
    pub fn only(&self, inputs: &[&str], expected: &[&str]) -> Result<(), String> {
        only(&self.inputs, "input", inputs)?;
        only(&self.expected, "expected value", expected)
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.rail, self.name)
    }
}

fn typed<T: DeserializeOwned>(value: &Value, what: &str, key: &str) -> Result<T, String> {
    let member = value
        .get(key)
        .ok_or_else(|| format!("has no {what} {key:?}"))?;
    // Through text, because that is how our code gets it too.
    serde_json::from_str(&member.to_string()).map_err(|error| format!("{what} {key:?}: {error}"))
}

fn only(value: &Value, what: &str, known: &[&str]) -> Result<(), String> {
    let empty = Map::new();
    let members = value.as_object().unwrap_or(&empty);
    let stranger = members
        .keys()
        .find(|key| *key != "note" && !known.contains(&key.as_str()));
    match stranger {
        Some(key) => Err(format!("has the {what} {key:?}, which no runner looks at")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_is_passed_over_in_silence() {
        let case = Case {
            rail: "x402",
            name: "n".into(),
            source: String::new(),
            inputs: json!({"a": 1, "note": "x"}),
            expected: json!({"b": "2"}),
        };
        assert_eq!(case.input::<u8>("a"), Ok(1));
        assert!(case.expected::<u8>("b").is_err() && case.expected::<u8>("c").is_err());
        assert_eq!(case.only(&["a"], &["b"]), Ok(()));
        assert!(case.only(&[], &["b"]).is_err() && case.only(&["a"], &[]).is_err());
    }
}
