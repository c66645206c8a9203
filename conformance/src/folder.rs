//! Reading the recordings: every file of the folder, each in its own shape.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::case::Case;

/// Names the folder with the vectors; a relative path counts from the top of the repository.
pub const VARIABLE: &str = "FAREGATE_VECTORS";

/// The folder that belongs to the repository.
#[must_use]
pub fn committed() -> PathBuf {
    home().join("vectors")
}

/// The folder to run: what [`VARIABLE`] names, else the committed one.
#[must_use]
pub fn chosen() -> PathBuf {
    match env::var_os(VARIABLE) {
        // `join` keeps an absolute path as it is.
        Some(named) if !named.is_empty() => home().join("..").join(named),
        _ => committed(),
    }
}

/// A file of this crate that is not Rust: `excused.toml`, `decisions.toml`.
///
/// # Errors
/// When it cannot be read.
pub fn page(name: &str) -> Result<String, String> {
    let path = home().join(name);
    fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
}

/// The `.json` files of a folder, by name.
///
/// # Errors
/// When the folder cannot be read, has a file that is neither JSON nor `SUMS` nor Markdown, or has no JSON at all.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let failed = |error| format!("{}: {error}", folder.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("json") => files.push(path),
            Some("md") => {}
            _ if name == "SUMS" || name.starts_with('.') => {}
            _ => return Err(format!("{}: expected a .json file", path.display())),
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(format!(
            "{}: expected at least one .json file",
            folder.display()
        ));
    }
    Ok(files)
}

/// Every case of every file of a folder, in their order.
///
/// # Errors
/// When a file cannot be read as a recording, or two cases have one name.
pub fn cases(folder: &Path) -> Result<Vec<Case>, String> {
    let mut all = Vec::new();
    for path in files(folder)? {
        let failed = |error: String| format!("{}: {error}", path.display());
        let text = fs::read_to_string(&path).map_err(|error| failed(error.to_string()))?;
        let recording = serde_json::from_str(&text).map_err(|error| failed(error.to_string()))?;
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        all.extend(read(stem.unwrap_or_default(), recording).map_err(failed)?);
    }
    let mut names = BTreeSet::new();
    match all.iter().find(|case| !names.insert(case.id())) {
        Some(twice) => Err(format!("{twice} stands there twice")),
        None => Ok(all),
    }
}

/// The rails by how their files' names begin, the longer first.
const RAILS: [&str; 5] = ["4mica_sdk_traces", "4mica", "permit", "l402", "x402"];

fn home() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(stem: &str, recording: Value) -> Result<Vec<Case>, String> {
    // A file of another name has to be in x402's shape, and each of its cases of a kind that is known.
    let rail = RAILS
        .into_iter()
        .find(|rail| stem.starts_with(rail))
        .unwrap_or("x402");
    match (rail, recording) {
        ("l402", Value::Object(sections)) => Ok(sections
            .into_iter()
            .flat_map(|(name, section)| section_cases(&name, section))
            .collect()),
        ("4mica_sdk_traces", Value::Array(traces)) => traces.into_iter().map(trace).collect(),
        (_, Value::Array(cases)) => cases.iter().map(|case| plain(rail, case)).collect(),
        _ => Err(format!("is not in the shape of the recordings of {rail}")),
    }
}

/// `{name, inputs, expected}` with `source`, or with `kind` and `sdk`.
fn plain(rail: &'static str, case: &Value) -> Result<Case, String> {
    let text = |key: &str| case.get(key).and_then(Value::as_str).map(str::to_owned);
    let name = text("name").ok_or("has a case without a name")?;
    let name = match text("kind") {
        Some(kind) => format!("{kind}/{name}"),
        None => name,
    };
    let member = |key: &str| {
        case.get(key)
            .cloned()
            .ok_or_else(|| format!("{name} has no {key:?}"))
    };
    Ok(Case {
        rail,
        inputs: member("inputs")?,
        expected: member("expected")?,
        source: text("source").or_else(|| text("sdk")).unwrap_or_default(),
        name,
    })
}

/// What one SDK sent, call by call.
fn trace(trace: Value) -> Result<Case, String> {
    let sdk = trace.get("sdk").and_then(Value::as_str);
    let sdk = sdk.ok_or("has a trace without an sdk")?.to_owned();
    Ok(Case {
        rail: "4mica_sdk_traces",
        name: sdk.clone(),
        source: sdk,
        inputs: Value::Null,
        expected: trace,
    })
}

/// A section of the L402 file: a list of cases, or one thing.
fn section_cases(section: &str, content: Value) -> Vec<Case> {
    let case = |name, expected| Case {
        rail: "l402",
        name,
        source: String::new(),
        inputs: Value::Null,
        expected,
    };
    let items = match content {
        Value::Array(items) => items,
        // A section of sections. What happens in an order is one case.
        Value::Object(parts) if section == "l402kit" => {
            let inner = |(name, part)| {
                let name = format!("{section}.{name}");
                match part {
                    Value::Array(_) if name.ends_with(".replay") => vec![case(name, part)],
                    part => section_cases(&name, part),
                }
            };
            return parts.into_iter().flat_map(inner).collect();
        }
        content => return vec![case(section.to_owned(), content)],
    };
    let mut cases = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        let label = ["name", "title"]
            .into_iter()
            .find_map(|key| item.get(key)?.as_str());
        let name = format!("{section}.{index}.{}", label.unwrap_or_default());
        cases.push(case(name, item));
    }
    cases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_is_read_and_every_other_refused() {
        let names = |stem, json| {
            let cases = read(stem, serde_json::from_str(json).unwrap())?;
            Ok::<_, String>(cases.iter().map(Case::id).collect::<Vec<_>>())
        };
        let ok = |stem, json| names(stem, json).unwrap();
        let plain = r#"[{"name":"a","inputs":{},"expected":{}}]"#;
        assert_eq!(ok("x402", plain), ["x402:a"]);
        assert_eq!(ok("permit-more", plain), ["permit:a"]);
        assert_eq!(ok("other", plain), ["x402:a"]);
        let of_a_kind = r#"[{"name":"a","kind":"k","sdk":"1","inputs":{},"expected":{}}]"#;
        assert_eq!(ok("4mica", of_a_kind), ["4mica:k/a"]);
        assert_eq!(
            ok("4mica_sdk_traces", r#"[{"sdk":"1","trace":[]}]"#),
            ["4mica_sdk_traces:1"]
        );
        let sections = r#"{"about":"x","verify":[{"name":"n"},{}]}"#;
        assert_eq!(
            ok("l402", sections),
            ["l402:about", "l402:verify.0.n", "l402:verify.1."]
        );
        let nested = r#"{"l402kit":{"now_ms":1,"replay":[{},{}],"tokens":[{"name":"n"}]}}"#;
        assert_eq!(
            ok("l402", nested),
            [
                "l402:l402kit.now_ms",
                "l402:l402kit.replay",
                "l402:l402kit.tokens.0.n"
            ]
        );
        for (stem, json) in [
            ("x402", "{}"),
            ("x402", r#"[{"inputs":{},"expected":{}}]"#),
            ("x402", r#"[{"name":"a","inputs":{}}]"#),
            ("other", r#"{"a":[]}"#),
        ] {
            assert!(names(stem, json).is_err(), "{stem} {json}");
        }
    }

    #[test]
    fn no_file_and_no_name_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        assert!(files(folder.path()).is_err(), "an empty folder");
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        let case = r#"[{"name":"a","inputs":{},"expected":{}}]"#;
        write("x402.json", case);
        write("SUMS", "");
        assert_eq!(cases(folder.path()).unwrap().len(), 1);
        write("x402_more.json", case);
        assert!(cases(folder.path()).unwrap_err().contains("twice"));
        write("x402_more.json", "[]");
        write("more.jsonl", "{}");
        assert!(cases(folder.path()).is_err(), "a file of another kind");
    }
}
