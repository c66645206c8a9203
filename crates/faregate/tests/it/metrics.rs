//! The reference page of metrics says what the code registers.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    with_local_recorder,
};

use faregate_types::x402::header;

use crate::support::{http, payment, stack};

/// Remembers what is described.
#[derive(Debug, Default)]
struct Described(Mutex<BTreeMap<String, String>>);

impl Described {
    fn add(&self, kind: &str, name: &KeyName, unit: Option<Unit>, text: &str) {
        let unit = unit.map_or("", |unit| unit.as_str());
        let row = format!("| `{}` | {kind} | {unit} | {text} |", name.as_str());
        let before = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.as_str().to_owned(), row);
        assert_eq!(before, None, "{} is described twice", name.as_str());
    }
}

impl Recorder for Described {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, text: SharedString) {
        self.add("counter", &name, unit, &text);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, text: SharedString) {
        self.add("gauge", &name, unit, &text);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, text: SharedString) {
        self.add("histogram", &name, unit, &text);
    }

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

fn rows() -> BTreeMap<String, String> {
    let described = Described::default();
    with_local_recorder(&described, faregate::metrics::describe);
    described
        .0
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
}

/// `WRITE_PAGES=1 cargo test -p faregate --test it metrics` writes the page instead.
#[test]
fn the_page_says_what_the_code_registers() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src/reference/metrics.md");
    let mut table = String::from("| metric | kind | unit | meaning |\n|---|---|---|---|\n");
    for row in rows().values() {
        writeln!(table, "{row}").unwrap();
    }
    let page = std::fs::read_to_string(&path).unwrap();
    let (head, _) = page.split_once("| metric |").unwrap();
    let expected = format!("{head}{table}");
    if std::env::var_os("WRITE_PAGES").is_some() {
        std::fs::write(&path, expected).unwrap();
    } else {
        assert_eq!(page, expected, "WRITE_PAGES=1 writes the page");
    }
}

#[test]
fn names_have_their_form() {
    for name in rows().keys() {
        let ours = name.starts_with("faregate_") || name.starts_with("process_");
        let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        assert!(ours && plain, "{name}");
    }
}

/// What a run of everything emits has a meaning, too: nothing is measured that the page does not explain.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_emitted_is_described() {
    let collected = faregate_server::admin::install().unwrap();
    let stack = stack().await;
    let credential = payment(&stack, "/joke").await;
    let request = http().get(format!("{}/joke", stack.gate_url()));
    let answer = request.header(header::PAYMENT_SIGNATURE, credential).send();
    assert_eq!(answer.await.unwrap().status(), 200);
    let supported = format!("{}/verify", stack.facilitator_url());
    assert_eq!(
        http()
            .post(supported)
            .body("{}")
            .send()
            .await
            .unwrap()
            .status(),
        400
    );
    let rows = rows();
    let text = collected.render();
    let names = text.lines().filter_map(|line| {
        let name = line.strip_prefix("# TYPE ")?.split(' ').next()?;
        Some(name)
    });
    let names: Vec<&str> = names.collect();
    assert!(names.contains(&"faregate_facilitator_requests_total"));
    for name in names {
        assert!(
            rows.contains_key(name),
            "{name} is emitted and not described"
        );
    }
    // Labels never hold addresses, hashes or paths.
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let labels = line
            .split_once('{')
            .and_then(|(_, rest)| rest.split_once('}'));
        let labels = labels.map_or("", |(labels, _)| labels);
        // but for the name of a route, as the file has it
        let labels = labels.replace("route=\"GET /joke\"", "");
        assert!(!labels.contains("0x") && !labels.contains('/'), "{line}");
    }
    stack.shutdown().await;
}
