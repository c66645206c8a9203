//! Whether an answer of ours is the right one.

use std::collections::BTreeMap;

use crate::case::Case;
use crate::decision::Decisions;
use crate::excuse::Excuses;

/// What was said about one case, in the short words of its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Each peer by its name in the recording.
    pub peers: BTreeMap<String, String>,
    /// Us.
    pub ours: String,
    /// What our specification asks for, whatever the peers say; read off the case itself, not off our answer.
    pub ruling: Option<String>,
}

/// What stands for a peer that threw instead of answering. Never the right answer.
pub const CRASHED: &str = "crashed";

impl Heard {
    /// A case of one peer.
    #[must_use]
    pub fn one(case: &Case, peer: impl Into<String>, ours: impl Into<String>) -> Self {
        Self {
            peers: BTreeMap::from([(case.source.clone(), peer.into())]),
            ours: ours.into(),
            ruling: None,
        }
    }

    /// With what our specification asks for, if it asks for something here.
    #[must_use]
    pub fn ruled(mut self, ruling: Option<impl Into<String>>) -> Self {
        self.ruling = ruling.map(Into::into);
        self
    }

    /// A case whose runner compared everything itself and found no difference.
    #[must_use]
    pub fn same(case: &Case) -> Self {
        Self::one(case, "as recorded", "as recorded")
    }

    /// What the peers ask for: what all who answered say; where they contradict each other, what Python says, because
    /// its reason names are the specification's. `None` when that leaves nothing.
    #[must_use]
    pub fn asked_for(&self) -> Option<&str> {
        let answers = || self.peers.iter().filter(|(_, answer)| *answer != CRASHED);
        let mut words = answers().map(|(_, answer)| answer.as_str());
        let first = words.next()?;
        if words.all(|other| other == first) {
            return Some(first);
        }
        let (_, python) = answers().find(|(peer, _)| is_python(peer))?;
        Some(python)
    }
}

/// Whether a peer of the recordings is the Python SDK.
#[must_use]
pub fn is_python(peer: &str) -> bool {
    peer.starts_with("python") || peer.contains("PyPI")
}

/// Judges one answer: by the decision about this very case, else by a rule that its runner read off the case, else by what
/// the peers ask for.
///
/// # Errors
/// What is wrong with it, for people.
pub fn judge(
    case: &Case,
    heard: Result<Heard, String>,
    decisions: &Decisions,
) -> Result<(), String> {
    let heard = heard?;
    let Some(decision) = decisions.find(case) else {
        let right = heard.ruling.as_deref().or_else(|| heard.asked_for());
        return match right {
            Some(right) if right == heard.ours => Ok(()),
            Some(right) => Err(format!("expected {right:?}, got {:?}", heard.ours)),
            None => Err(format!(
                "the peers leave no answer ({:?}) and none was decided; ours is {:?}",
                heard.peers, heard.ours
            )),
        };
    };
    if decision.peers != heard.peers {
        return Err(format!(
            "was decided when the peers said {:?}; the recording says {:?}",
            decision.peers, heard.peers
        ));
    }
    if heard.asked_for() == Some(&decision.ours) {
        return Err("needs no decision: it is what the peers ask for".to_owned());
    }
    if heard
        .ruling
        .as_ref()
        .is_some_and(|ruling| *ruling != decision.ours)
    {
        return Err(format!(
            "decided {:?}, but the rule says {:?}",
            decision.ours, heard.ruling
        ));
    }
    if heard.ours == decision.ours {
        Ok(())
    } else {
        Err(format!("decided {:?}, got {:?}", decision.ours, heard.ours))
    }
}

/// Whether a rule goes against the peers and nobody wrote down for which case: in the committed recordings, every
/// difference has its line in `decisions.toml`.
#[must_use]
pub fn is_undocumented(case: &Case, heard: &Heard, decisions: &Decisions) -> bool {
    let against = heard.ruling.as_deref() != heard.asked_for();
    heard.ruling.is_some() && against && decisions.find(case).is_none()
}

/// How a kind fared.
#[derive(Debug, Default)]
pub struct Tally {
    /// Cases that gave the right answer.
    pub passed: usize,
    /// One line for each case that failed and may.
    pub excused: Vec<String>,
    /// One line for each case that failed and may not, or passed although it was excused.
    pub failures: Vec<String>,
}

impl Tally {
    /// Counts one judged case.
    pub fn count(&mut self, case: &Case, judged: Result<(), String>, excuses: &Excuses) {
        match (judged, excuses.find(case)) {
            (Ok(()), None) => self.passed = self.passed.saturating_add(1),
            (Err(error), Some(_)) => self.excused.push(format!("{case}: {error}")),
            (Err(error), None) => self.failures.push(format!("{case}: {error}")),
            (Ok(()), Some(excuse)) => self.failures.push(format!(
                "{case}: passes, but is excused ({}); take the excuse out",
                excuse.reason
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn case() -> Case {
        Case {
            rail: "x402",
            name: "kind.name".into(),
            source: "npm".into(),
            inputs: Value::Null,
            expected: Value::Null,
        }
    }

    fn heard(peers: &[(&str, &str)], ours: &str) -> Heard {
        let peers = peers
            .iter()
            .map(|(peer, said)| ((*peer).to_owned(), (*said).to_owned()));
        Heard {
            peers: peers.collect(),
            ours: ours.into(),
            ruling: None,
        }
    }

    #[test]
    fn what_the_peers_ask_for() {
        for (peers, right) in [
            (&[("ts", "a")][..], Some("a")),
            (&[("python_2", "a"), ("ts", "a")], Some("a")),
            (&[("python_2", "b"), ("ts", "a")], Some("b")),
            (&[("python_2", CRASHED), ("ts", "a")], Some("a")),
            (&[("python_2", CRASHED), ("ts", "a"), ("v1", "b")], None),
            (&[("python_2", CRASHED), ("ts", CRASHED)], None),
        ] {
            assert_eq!(heard(peers, "").asked_for(), right, "{peers:?}");
        }
    }

    #[test]
    fn a_decision_holds_for_what_it_was_made_about_and_nothing_else() {
        let decisions = Decisions::parse(
            "[[decision]]\ncase = \"x402:kind.name\"\npeers = { npm = \"a\" }\nours = \"b\"\nbecause = \"of it\"",
        )
        .unwrap();
        let none = Decisions::parse("").unwrap();
        let try_with =
            |decisions, peer, ours| judge(&case(), Ok(heard(&[("npm", peer)], ours)), decisions);
        assert_eq!(try_with(&none, "a", "a"), Ok(()));
        assert!(try_with(&none, "a", "b").is_err());
        assert!(try_with(&none, CRASHED, CRASHED).is_err());
        assert_eq!(try_with(&decisions, "a", "b"), Ok(()));
        assert!(
            try_with(&decisions, "a", "a").is_err(),
            "not what was decided"
        );
        assert!(try_with(&decisions, "c", "b").is_err(), "another recording");
        assert!(try_with(&decisions, "b", "b").is_err(), "nothing to decide");
        assert!(judge(&case(), Err("broken".into()), &decisions).is_err());
        for text in [
            "[[decision]]\ncase = \"c\"\npeers = {}\nours = \"b\"\nbecause = \" \"",
            "[[decision]]\ncase = \"c\"\npeers = {}\nours = \"b\"\nbecause = \"x\"\nmore = 1",
        ] {
            assert!(Decisions::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_rule_goes_before_the_peers_and_has_to_agree_with_decisions() {
        let none = Decisions::parse("").unwrap();
        let ruled = |ours, ruling| heard(&[("npm", "a")], ours).ruled(Some(ruling));
        let against = |ruling| is_undocumented(&case(), &ruled("", ruling), &none);
        assert_eq!(judge(&case(), Ok(ruled("b", "b")), &none), Ok(()));
        assert!(judge(&case(), Ok(ruled("a", "b")), &none).is_err());
        assert!(against("b") && !against("a"));
        let decisions = Decisions::parse(
            "[[decision]]\ncase = \"x402:kind.name\"\npeers = { npm = \"a\" }\nours = \"b\"\nbecause = \"of it\"",
        )
        .unwrap();
        assert_eq!(judge(&case(), Ok(ruled("b", "b")), &decisions), Ok(()));
        assert!(judge(&case(), Ok(ruled("b", "c")), &decisions).is_err());
        assert!(!is_undocumented(&case(), &ruled("b", "b"), &decisions));
    }

    #[test]
    fn an_excuse_is_for_failures_only_and_has_a_reason() {
        let excuses =
            Excuses::parse("[[excuse]]\ncases = \"x402:kind.*\"\nreason = \"later\"").unwrap();
        let none = Excuses::parse("").unwrap();
        let mut tally = Tally::default();
        tally.count(&case(), Ok(()), &none);
        tally.count(&case(), Err("no".into()), &excuses);
        assert_eq!(
            (tally.passed, tally.excused.len(), tally.failures.len()),
            (1, 1, 0)
        );
        tally.count(&case(), Err("no".into()), &none);
        tally.count(&case(), Ok(()), &excuses);
        assert_eq!(
            (tally.passed, tally.excused.len(), tally.failures.len()),
            (1, 1, 2)
        );
        assert!(tally.failures[1].contains("take the excuse out"));
        assert!(Excuses::parse("[[excuse]]\ncases = \"a\"\nreason = \"\"").is_err());
    }

    #[test]
    fn excuses_and_decisions_without_a_case_are_found() {
        let excuses = Excuses::parse(
            "[[excuse]]\ncases = \"x402:kind.name\"\nreason = \"r\"\n\
             [[excuse]]\ncases = \"x402:kind.*\"\nreason = \"r\"\n\
             [[excuse]]\ncases = \"x402:kind\"\nreason = \"r\"",
        )
        .unwrap();
        assert_eq!(excuses.stale(&[case()]), ["x402:kind.*", "x402:kind"]);
        let decisions = Decisions::parse(
            "[[decision]]\ncase = \"x402:gone\"\npeers = {}\nours = \"b\"\nbecause = \"x\"",
        )
        .unwrap();
        assert_eq!(decisions.stale(&[case()]), ["x402:gone"]);
    }
}
