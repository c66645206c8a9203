//! The reference page of what l402kit promises its users: each promise with what becomes of it here, and the tests that show it.

use std::fmt::Write as _;

use crate::page;

const PAGE: &str = "docs/src/reference/l402kit.md";

/// What is promised, what holds here, and the tests of it; or why there is none.
pub(crate) struct Promise {
    promised: &'static str,
    here: &'static str,
    tests: &'static [&'static str],
}

/// A row of such a list.
pub(crate) const fn promise(
    promised: &'static str,
    here: &'static str,
    tests: &'static [&'static str],
) -> Promise {
    Promise {
        promised,
        here,
        tests,
    }
}

/// In the order of specs/l402.md §2.3.
const PROMISES: [Promise; 30] = [
    promise(
        "Python 3.11 or newer, FastAPI or Flask",
        "no language is needed: a gate stands in front of any HTTP server, and Rust services have a tower layer. No test: there is nothing to run",
        &[],
    ),
    promise(
        "`@l402_required(price_sats=10, …)` protects an async route",
        "the layer, or a `[[route]]` of the gate; neither depends on what a handler takes",
        &["l402_hole_04_a_handler_that_takes_no_request_is_paid_all_the_same"],
    ),
    promise(
        "there is a managed mode",
        "`backend = \"managed\"` for sellers, and `faregate managed`, the server that they are paid through, for whoever wants to run one",
        &[
            "an_owner_without_a_node_is_paid_for_what_was_sold",
            "a_gate_may_be_paid_through_somebody_elses_server",
        ],
    ),
    promise(
        "synchronous routes work",
        "the gate does not see how the service behind it works",
        &["the_service_gets_its_own_authorization_and_never_the_token"],
    ),
    promise(
        "other event loops are found out, and making an invoice does not block the server",
        "invoices are made asynchronously, so many at once, and a wallet that is away holds nobody else up",
        &[
            "only_so_many_are_made_at_once",
            "while_the_wallet_is_away_other_rails_are_offered_and_tokens_still_open",
        ],
    ),
    promise(
        "the parameter `replay` chooses the replay store",
        "the ledger always, on disk or in memory, and Redis beside it where several gates sell the same",
        &[
            "what_was_used_stays_used_when_the_gate_starts_again",
            "what_one_gate_sold_no_other_sells_again",
        ],
    ),
    promise(
        "without `Authorization`: 402 with invoice, macaroon and price",
        "the same body, and the challenge in headers",
        &["a_402_has_its_lines_in_order_and_a_body_for_every_client"],
    ),
    promise(
        "a valid token reaches the handler",
        "a valid token is one that we signed and whose invoice was paid",
        &[
            "a_token_is_good_for_what_was_paid_and_then_gets_a_new_invoice",
            "what_is_no_paid_token_buys_nothing",
        ],
    ),
    promise(
        "invalid or expired: 401",
        "401 for what nobody issued; 402 with a new invoice for what has expired or is used up",
        &[
            "what_nobody_issued_gets_401_and_no_invoice",
            "every_other_request_is_refused_with_its_code",
        ],
    ),
    promise(
        "used: `401 Token already used`",
        "402 with this text and a new invoice, or 401 by `replay_status`",
        &["a_switch_for_the_texts_of_the_published_product"],
    ),
    promise(
        "the 402 body has `error`, `price_sats`, `invoice`, `macaroon`",
        "these four, and `priceSats` as other clients read it",
        &[
            "a_402_has_its_lines_in_order_and_a_body_for_every_client",
            "a_402_has_the_invoice_and_the_token_in_every_form_that_clients_read",
        ],
    ),
    promise(
        "`BlinkProvider(api_key, wallet_id)`",
        "`backend = \"blink\"`",
        &["asks_as_blink_wants_to_be_asked"],
    ),
    promise(
        "`LNbitsProvider(api_key, base_url)`",
        "`backend = \"lnbits\"`, and its URL is always yours to name",
        &["asks_as_lnbits_wants_to_be_asked"],
    ),
    promise(
        "`OpenNodeProvider(api_key, test_mode)`",
        "`backend = \"opennode\"`; the hash comes from the invoice, so that tokens can be unlocked",
        &[
            "the_id_of_a_charge_is_kept_and_is_not_the_hash",
            "l402_hole_08_the_hash_comes_out_of_the_invoice",
        ],
    ),
    promise(
        "`ManagedProvider` for a fee of 0.3 %",
        "the same calls; 0.3 % is the default of `faregate managed`, and what is owed is paid out once, whatever happens in between",
        &[
            "an_invoice_is_asked_for_as_l402kit_asks",
            "an_invoice_is_made_as_l402kits_sellers_expect_it",
            "what_was_received_is_fee_and_owed_and_what_is_owed_is_paid",
            "killed_at_any_effect_the_owner_is_paid_once",
        ],
    ),
    promise(
        "`register_directory` lists an API",
        "the same call, from the command line; entries that were verified stay in the directory",
        &[
            "an_entry_is_registered_as_l402kit_registers_it",
            "an_api_is_listed_from_the_command_line",
            "an_entry_is_verified_by_its_host_and_stays_in_the_directory",
        ],
    ),
    promise(
        "an in-memory replay set that a restart empties",
        "uses are in the ledger, on disk by default, and memory has bounds",
        &[
            "what_was_used_stays_used_when_the_gate_starts_again",
            "l402_hole_12_a_full_ledger_refuses_and_forgets_nothing",
        ],
    ),
    promise(
        "`RedisReplayAdapter(r, ttl_seconds)`",
        "Redis, with l402kit's names for what it knows too, for as long as a token lives",
        &[
            "what_l402kit_sold_is_not_sold_again",
            "a_note_lives_as_long_as_the_token_that_was_issued",
        ],
    ),
    promise(
        "`SET key 1 NX EX ttl` is atomic",
        "the same command, and the key is of the preimage's bytes",
        &[
            "a_use_is_noted_once_and_known_to_whoever_noted_it",
            "of_many_at_both_gates_at_once_one_is_served",
        ],
    ),
    promise(
        "`verify_token(token)` says whether a token is good",
        "`faregate l402 verify`, and `verify` of `faregate-types`",
        &["a_token_made_for_an_invoice_opens_its_route_and_no_other"],
    ),
    promise(
        "`check_and_mark_preimage(preimage)`: true once",
        "one use is one claim of the ledger, by the bytes of the hash",
        &[
            "a_thousand_copies_of_one_use_are_served_once",
            "l402_hole_03_a_preimage_in_capitals_is_used_up_like_itself",
        ],
    ),
    promise(
        "a provider of one's own: `create_invoice`, `check_payment`",
        "a backend of one's own: `ReceiveBackend`. It makes invoices only; tokens are ours",
        &["every_challenge_has_an_invoice_of_its_own_and_every_invoice_one_token"],
    ),
    promise(
        "`make_test_token()` verifies",
        "`faregate l402 mint` signs one, with a key: without one nobody can",
        &[
            "a_token_made_for_an_invoice_opens_its_route_and_no_other",
            "l402_hole_01_a_token_that_nobody_signed_opens_nothing",
        ],
    ),
    promise(
        "a walk through it with curl",
        "the same in the [quick start](../quickstart.md)",
        &["curl_buys_the_joke_of_dev_over_either_rail"],
    ),
    promise(
        "`L402Client(wallet=…).get(url)` pays and answers",
        "and does so again when the token is used up, whatever the server answers then",
        &[
            "an_invoice_is_paid_and_its_token_shown",
            "l402_hole_09_a_used_token_that_is_answered_with_401_is_bought_anew_once",
        ],
    ),
    promise(
        "wallets: Blink, Alby",
        "these, LND, Core Lightning, LNbits, phoenixd, Strike, Nostr Wallet Connect, and a node of our own (LDK)",
        &[
            "asks_as_blink_wants_to_be_asked",
            "asks_as_each_api_wants_to_be_asked",
            "asks_as_cln_wants_to_be_asked",
            "asks_as_phoenixd_wants_to_be_asked",
            "asks_as_strike_wants_to_be_asked",
            "sells_and_pays_in_the_encryption_the_wallet_knows",
        ],
    ),
    promise(
        "`AsyncL402Client` with `budget_sats`",
        "asynchronous throughout; caps to the millisatoshi, held in a crowd",
        &["caps_hold_to_the_millisatoshi_and_in_a_crowd"],
    ),
    promise(
        "the same client, synchronous and asynchronous, with `get` and `post`",
        "both, with every method; the synchronous one (feature `blocking`) is the same client behind a thread of its own, with the same caps",
        &[
            "other_methods_work_too",
            "invoices_are_paid_and_tokens_shown_without_async",
            "threads_share_a_client_and_its_caps",
        ],
    ),
    promise(
        "`DevProvider` and `DevWallet`: a network without money",
        "a dev network with real invoices and preimages, which other processes reach over LND's REST API",
        &[
            "a_payment_moves_the_amount_and_the_fee_and_gives_the_preimage",
            "sells_and_pays_over_rest",
        ],
    ),
    promise(
        "the example on localhost",
        "`faregate dev`",
        &["one_402_carries_both_rails_and_either_of_them_pays"],
    ),
];

/// Writes the page.
///
/// # Errors
/// A test that is not there, or a file that cannot be written.
pub(crate) fn write() -> Result<String, String> {
    page::write(PAGE, &text()?)
}

/// Checks that every test is there and that the committed page is what the list says.
///
/// # Errors
/// When one is not, or the page is another.
pub(crate) fn check() -> Result<String, String> {
    let ok = page::check(PAGE, &text()?, "list says", "problems")?;
    Ok(format!("{ok}: {} promises", PROMISES.len()))
}

fn text() -> Result<String, String> {
    let sources = page::sources()?;
    let mut text = String::from(
        "# Coming from l402kit\n\nWhat l402kit promises its users, what becomes of each promise here, and the tests that show it. Its \
         Python clients pay a gate of ours as they are, and our client buys from its servers.\n\n\
         | | promised | here | tests |\n|---|---|---|---|\n",
    );
    text.push_str(&rows(&PROMISES, "S", &sources)?);
    Ok(text)
}

/// A list as the rows of a table, each test with the file that it is in.
///
/// # Errors
/// A test that is not there.
pub(crate) fn rows(
    list: &[Promise],
    letter: &str,
    sources: &[(String, String)],
) -> Result<String, String> {
    let mut text = String::new();
    for (number, one) in (1_u32..).zip(list) {
        let mut names = Vec::new();
        for test in one.tests {
            let signature = format!("fn {test}(");
            let (file, _) = sources
                .iter()
                .find(|(_, text)| text.contains(&signature))
                .ok_or(format!("{letter}{number}: there is no test {test}"))?;
            names.push(format!("`{test}` in `{file}`"));
        }
        // Writing to a String cannot fail.
        writeln!(
            text,
            "| {letter}{number} | {} | {} | {} |",
            one.promised,
            one.here,
            names.join("<br>")
        )
        .unwrap_or(());
    }
    Ok(text)
}
