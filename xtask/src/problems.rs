//! The reference page of known problems of the field: each with our answer and the tests named after it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::sizes;

const PAGE: &str = "docs/src/reference/known-problems.md";

/// What every test named after a problem starts with.
const PREFIX: &str = "fn problem_";

/// What goes wrong elsewhere, and what is done about it here, in order: a test for number 7 is named `problem_07_…`.
const PROBLEMS: [(&str, &str); 23] = [
    (
        "One payment, many answers: copies of one header sent at once are all served",
        "one durable claim per payment before anything runs; copies wait and share the first one's answer, at the gate and at the facilitator",
    ),
    (
        "The service has its effects, and then the settlement fails",
        "methods that may have effects are settled before the service runs; otherwise the answer is held back until the money is in",
    ),
    (
        "A payment for one resource is used for another",
        "a payment is claimed for one request: route, method, path with query and body",
    ),
    (
        "The price changed between quote and retry",
        "the amount has to be exactly ours; anything else is told the new price and charged nothing",
    ),
    (
        "The settlement timed out, is mined later, and the client pays again",
        "the hash is durable before it is sent, a timeout is `settlement_pending`, the same payload later gets the receipt, and the client never signs a second one while the first is undecided",
    ),
    (
        "The facilitator's gas is burnt by others",
        "assets by allow-list, simulation right before sending, caps for gas and fees, one settlement per authorisation, limits per caller",
    ),
    (
        "What was true at verification is not at settlement",
        "verification is advice: the same checks and a simulation come again right before sending",
    ),
    (
        "An `upto` payment of zero leaves its permit spendable",
        "scheme `upto` is neither offered nor settled",
    ),
    (
        "An answer is served although the settlement says it failed",
        "three typed outcomes, no bool; success needs a transaction, and the embedded facilitator wants the transfer's own log",
    ),
    (
        "The server believes what the client says it accepted",
        "a credential is compared with our own offer, and the facilitator is sent our own requirements",
    ),
    (
        "Transactions of one signer fight over nonces",
        "one task per signer and chain decides over its nonces",
    ),
    (
        "One payment in many spellings",
        "one form only: low s, v 27 or 28, 65 bytes, decimal strings, canonical hexadecimal",
    ),
    (
        "The paywall and the router read a path differently",
        "a path with two readings is refused; what was matched is what is forwarded",
    ),
    (
        "Parts of an answer leave before the money is in",
        "answers are held back whole, up to a limit; streams are paid first",
    ),
    (
        "Texts of the seller or of a stranger run as scripts in a browser",
        "answers of ours are JSON, say so, and may not be sniffed",
    ),
    (
        "A shared cache keeps a paid answer or a price",
        "`Cache-Control: no-store` and `Vary` on what is priced",
    ),
    (
        "A server tricks the client: price, asset, decimals, domain, validity",
        "assets, decimals and domains are known locally, caps are reserved before signing, validity is bounded, other origins get nothing",
    ),
    (
        "URLs inside messages make a server fetch something",
        "nothing in a message is ever fetched",
    ),
    (
        "A block with a settlement is replaced",
        "confirmations by configuration, and settled payments are looked at again until they are final",
    ),
    (
        "Keys and signatures in logs",
        "types that hold them show nothing; keys come by file or environment",
    ),
    (
        "An unknown network is answered for",
        "networks are an exact map, and every node's chain id is asked at start",
    ),
    (
        "A price rounds to zero",
        "decimal texts only; a price below one unit is a mistake in the configuration",
    ),
    (
        "Somebody else submits the authorisation first",
        "an authorisation that is used is looked for on the chain, and our transfer there counts as settled",
    ),
];

/// Writes the page.
///
/// # Errors
/// A problem without a test, or a file that cannot be written.
pub(crate) fn write() -> Result<String, String> {
    fs::write(PAGE, page()?).map_err(|error| format!("{PAGE}: {error}"))?;
    Ok(format!("wrote {PAGE}"))
}

/// Checks that every problem has a test named after it and that the committed page names them.
///
/// # Errors
/// When one has none, or the page is another.
pub(crate) fn check() -> Result<String, String> {
    let committed = fs::read_to_string(PAGE).map_err(|error| format!("{PAGE}: {error}"))?;
    if committed == page()? {
        Ok(format!("{PAGE} ok: {} problems", PROBLEMS.len()))
    } else {
        Err(format!(
            "{PAGE} is not what the tests say; run: cargo xtask problems"
        ))
    }
}

fn page() -> Result<String, String> {
    let tests = tests()?;
    let mut text = String::from(
        "# Known problems\n\nWhat goes wrong with payments over HTTP 402 elsewhere, what Faregate does about it, and the tests \
         that are named after it.\n\n| | problem | answer | tests |\n|---|---|---|---|\n",
    );
    for (number, (problem, answer)) in (1..).zip(PROBLEMS) {
        let names = tests.get(&number).ok_or(format!(
            "problem {number} ({problem}) has no test named problem_{number:02}_…"
        ))?;
        // Writing to a String cannot fail.
        writeln!(
            text,
            "| {number} | {problem} | {answer} | {} |",
            names.join("<br>")
        )
        .unwrap_or(());
    }
    Ok(text)
}

/// The tests by the number of their problem, each as file and name.
fn tests() -> Result<BTreeMap<u32, Vec<String>>, String> {
    let mut files = Vec::new();
    sizes::collect(Path::new("crates"), &mut files);
    files.sort();
    let mut tests = BTreeMap::<u32, Vec<String>>::new();
    for file in files {
        let text =
            fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        for name in text.lines().filter_map(test_name) {
            let number = name
                .split('_')
                .nth(1)
                .and_then(|number| number.parse().ok());
            let number = number.ok_or(format!("{}: {name} has no number", file.display()))?;
            let line = format!("`{}` in `{}`", name, file.display());
            tests.entry(number).or_default().push(line);
        }
    }
    Ok(tests)
}

fn test_name(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once(PREFIX)?;
    let (name, _) = rest.split_once('(')?;
    let start = line
        .len()
        .checked_sub(rest.len())?
        .checked_sub("problem_".len())?;
    line.get(
        start
            ..start
                .checked_add("problem_".len())?
                .checked_add(name.len())?,
    )
}
