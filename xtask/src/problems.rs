//! The reference page of known problems of the field: each with our answer and the tests named after it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::page;

const PAGE: &str = "docs/src/reference/known-problems.md";

/// What every test named after a problem starts with, and after a hole of L402.
const PROBLEM: &str = "problem_";
const HOLE: &str = "l402_hole_";

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

/// What was found open in deployed servers and clients of L402, and what closes it here. The numbers are those of
/// specs/l402.md §2.8; a hole that is closed by code that is still to be written joins the list together with its test.
const HOLES: [(u32, &str, &str); 14] = [
    (
        1,
        "A token that nobody signed: choose a preimage, hash it, and every route is open",
        "tokens are macaroons with a root key each; unsigned ones are another type, which opens nothing",
    ),
    (
        2,
        "The token of a cheap route opens the dear one",
        "service, route, method, price and time are in every token, and one without them is refused",
    ),
    (
        3,
        "A preimage in other letter case is a fresh one",
        "preimages are 32 bytes, and what is noted of them does not depend on their text",
    ),
    (
        4,
        "A handler that does not ask for the request is free",
        "the layer stands before the router and its handlers, and what they take makes no difference",
    ),
    (
        5,
        "Many texts are one token: junk characters, a second colon, a time that is not a number",
        "one strict reading; what remains of spellings gives the same bytes",
    ),
    (
        6,
        "Verified up to the last colon, counted up to the first: junk in between is a fresh token",
        "there is one reading, and it has one colon",
    ),
    (
        7,
        "A server writes seconds where its own verifier reads milliseconds",
        "times have a type; such tokens are read as expired, as everywhere",
    ),
    (
        8,
        "The id of a charge is taken for a payment hash, and nobody can ever unlock it",
        "the hash is always the one in the decoded invoice",
    ),
    (
        9,
        "The published client and the published server break on the second call: used is answered with 401, and the client never pays again",
        "here a used token gets 402 with a new invoice, and our client takes either answer for what it is and buys once more",
    ),
    (
        10,
        "Every bad request makes an invoice, and nothing limits them",
        "what nobody issued gets no invoice, and every client only so many a minute",
    ),
    (
        11,
        "The client believes the price in the text and pays the one in the invoice",
        "the reader of 402 bodies has no price; the amount comes from the invoice",
    ),
    (
        12,
        "What was used is remembered in a set that grows for ever, one for each process",
        "uses are in the ledger, on disk by default; what is kept in memory has bounds, and is refused at them and never forgotten",
    ),
    (
        13,
        "A directory takes a signature for a login without checking it, and lets anybody delete what is others'",
        "there is no such login: an entry is changed with the key that its registration gave out, and nothing else is there to call",
    ),
    (
        14,
        "Whoever learns a preimage, for example from a wallet that shows it to everybody, uses what another paid for",
        "a preimage opens nothing without the token that was signed for it",
    ),
];

/// Writes the page.
///
/// # Errors
/// A problem without a test, or a file that cannot be written.
pub(crate) fn write() -> Result<String, String> {
    page::write(PAGE, &text()?)
}

/// Checks that every problem has a test named after it and that the committed page names them.
///
/// # Errors
/// When one has none, or the page is another.
pub(crate) fn check() -> Result<String, String> {
    let ok = page::check(PAGE, &text()?, "tests say", "problems")?;
    let (problems, holes) = (PROBLEMS.len(), HOLES.len());
    Ok(format!("{ok}: {problems} problems, {holes} holes of L402"))
}

fn text() -> Result<String, String> {
    let tests = tests(PROBLEM)?;
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
    holes(&mut text)?;
    Ok(text)
}

fn holes(text: &mut String) -> Result<(), String> {
    let mut tests = tests(HOLE)?;
    text.push_str(
        "\n## Holes in L402 as it is deployed\n\nFound open in servers and clients that are in use, and closed here.\n\n\
         | | hole | answer | tests |\n|---|---|---|---|\n",
    );
    for (number, hole, answer) in HOLES {
        let names = tests.remove(&number).ok_or(format!(
            "hole {number} ({hole}) has no test named {HOLE}{number:02}_…"
        ))?;
        let names = names.join("<br>");
        writeln!(text, "| {number} | {hole} | {answer} | {names} |").unwrap_or(());
    }
    match tests.keys().next() {
        Some(number) => Err(format!(
            "there is a test for hole {number}, but no line about it in xtask/src/problems.rs"
        )),
        None => Ok(()),
    }
}

/// The tests by the number of their problem, each as file and name.
fn tests(prefix: &str) -> Result<BTreeMap<u32, Vec<String>>, String> {
    let mut tests = BTreeMap::<u32, Vec<String>>::new();
    for (file, text) in page::sources()? {
        for name in text.lines().filter_map(|line| test_name(line, prefix)) {
            let number = name
                .strip_prefix(prefix)
                .and_then(|rest| rest.split('_').next())
                .and_then(|number| number.parse().ok());
            let number = number.ok_or(format!("{file}: {name} has no number"))?;
            let line = format!("`{name}` in `{file}`");
            tests.entry(number).or_default().push(line);
        }
    }
    Ok(tests)
}

fn test_name<'a>(line: &'a str, prefix: &str) -> Option<&'a str> {
    let (_, name) = line.split_once("fn ")?;
    let (name, _) = name.split_once('(')?;
    name.starts_with(prefix).then_some(name)
}
