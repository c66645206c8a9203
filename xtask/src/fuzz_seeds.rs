//! First inputs for the fuzz targets, taken from the vectors, so that a fuzzer starts where real peers stop.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

/// Where the vectors are.
const VECTORS: &str = "conformance/vectors";

/// Where examples of configuration files are.
const PAGES: [&str; 4] = [
    "README.md",
    "docs/src/gate.md",
    "docs/src/facilitator.md",
    "docs/src/rails/l402.md",
];

/// Targets that want texts, and targets that want JSON objects.
const TEXT_TARGETS: [&str; 6] = [
    "words",
    "payment_headers",
    "offers",
    "l402",
    "permit",
    "credit",
];
const OBJECT_TARGETS: [&str; 9] = [
    "facilitator_request",
    "offers",
    "dev_chain",
    "keystore",
    "node_answers",
    "payment_headers",
    "l402",
    "permit",
    "credit",
];

/// Longest input that is worth seeding, in bytes.
const SEED_BYTES_MAX: usize = 16 * 1024;

/// Writes one file per input below `folder`.
///
/// # Errors
/// What could not be read or written.
pub(crate) fn write(folder: &str) -> Result<String, String> {
    let mut seeds = Seeds::default();
    let entries = fs::read_dir(VECTORS).map_err(|error| format!("{VECTORS}: {error}"))?;
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let text =
            fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let value: Value =
            serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        seeds.walk(&value);
    }
    for page in PAGES {
        let text = fs::read_to_string(page).map_err(|error| format!("{page}: {error}"))?;
        for block in text.split("```toml\n").skip(1) {
            let file = block.split("```").next().unwrap_or_default();
            seeds.add("configuration", file.as_bytes());
        }
    }
    seeds.write(Path::new(folder))
}

/// Inputs by target.
#[derive(Default)]
struct Seeds(BTreeMap<&'static str, Vec<Vec<u8>>>);

impl Seeds {
    fn add(&mut self, target: &'static str, bytes: &[u8]) {
        if !bytes.is_empty() && bytes.len() <= SEED_BYTES_MAX {
            self.0.entry(target).or_default().push(bytes.to_vec());
        }
    }

    fn walk(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.text(text),
            Value::Array(items) => items.iter().for_each(|item| self.walk(item)),
            Value::Object(members) => {
                self.object(value);
                members.values().for_each(|member| self.walk(member));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn text(&mut self, text: &str) {
        for target in TEXT_TARGETS {
            self.add(target, text.as_bytes());
        }
        if text.starts_with('/') {
            self.add("paths", text.as_bytes());
            self.add("paths", format!("GET {text}\n{text}").as_bytes());
        }
        // Macaroons stand there as digits and as base64.
        if let Some(bytes) = unhex(text) {
            self.add("l402", &bytes);
        }
        if let Some(bytes) = text.strip_prefix("0x").and_then(unhex) {
            self.add("wallet_signatures", &bytes);
            self.add("dev_chain", &bytes);
            // Certificates, keys, signatures.
            self.add("credit", &bytes);
        }
    }

    fn object(&mut self, value: &Value) {
        let bytes = value.to_string().into_bytes();
        for target in OBJECT_TARGETS {
            self.add(target, &bytes);
        }
        // The recorded permits stand there without what is posted around them.
        if value.get("permit_type").is_some() {
            let request = serde_json::json!({ "version": "Version 0.1", "permit": value });
            self.add("permit", request.to_string().as_bytes());
        }
        // The target takes the status from the first byte.
        self.add("facilitator_answers", &[&[0], bytes.as_slice()].concat());
        if let (Some(payload), Some(requirements)) = (
            value.get("paymentPayload"),
            value.get("paymentRequirements"),
        ) {
            let version = payload.get("x402Version").cloned().unwrap_or(Value::Null);
            let request = serde_json::json!({
                "x402Version": version,
                "paymentPayload": payload,
                "paymentRequirements": requirements,
            });
            self.add("facilitator_request", request.to_string().as_bytes());
        }
    }

    fn write(mut self, folder: &Path) -> Result<String, String> {
        let mut said = Vec::new();
        for (target, inputs) in &mut self.0 {
            inputs.sort();
            inputs.dedup();
            let folder = folder.join(target);
            fs::create_dir_all(&folder)
                .map_err(|error| format!("{}: {error}", folder.display()))?;
            for (number, input) in inputs.iter().enumerate() {
                let path = folder.join(format!("vector-{number:05}"));
                fs::write(&path, input).map_err(|error| format!("{}: {error}", path.display()))?;
            }
            said.push(format!("{target} {}", inputs.len()));
        }
        Ok(format!("seeds: {}", said.join(", ")))
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    digits
        .chunks(2)
        .map(|pair| {
            let pair = std::str::from_utf8(pair)
                .ok()
                .filter(|pair| pair.len() == 2)?;
            u8::from_str_radix(pair, 16).ok()
        })
        .collect()
}
