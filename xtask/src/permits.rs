//! The reference page of what x402-mock promises its users and of what was found open in it: what becomes of each here, and the
//! tests that show it. The numbers are those of specs/permit.md §1.13 and §4.

use std::fmt::Write as _;

use crate::page;
use crate::promises::{Promise, promise, rows};

const PAGE: &str = "docs/src/reference/x402-mock.md";

/// In the order of specs/permit.md §1.13.
const PROMISES: [Promise; 28] = [
    promise(
        "without `Authorization`, or with a wrong one: 402",
        "the same, for any header, and there is always an answer",
        &[
            "a_header_that_opens_nothing_is_told_why_in_the_products_words",
            "any_bytes_have_an_answer",
        ],
    ),
    promise(
        "the 402 answer names `access_token_endpoint` and the ways to pay",
        "the same members (`payment_scheme.payment_components`), with the fields of all five releases side by side",
        &[
            "one_402_says_how_to_pay_over_every_rail",
            "a_402_answer_is_the_same_bytes_and_reads_as_what_it_says",
        ],
    ),
    promise(
        "ways to pay such as USDC on EVM and on SVM",
        "EVM, as in every release; Lightning and x402 stand beside the list, because other entries break its clients. SVM is implemented nowhere",
        &["one_402_says_how_to_pay_over_every_rail"],
    ),
    promise(
        "the client finds a way to pay that both sides know",
        "yes, and more than one release's kinds of permits",
        &["each_release_gets_the_likeliest_kind_that_can_be_signed"],
    ),
    promise(
        "the wallet signs an EIP-2612 permit",
        "yes, with the nonce from a node, and EIP-3009 and Permit2 as later releases do",
        &[
            "each_kind_is_verified_and_paid_to_the_treasury_once",
            "without_a_node_no_allowance_is_signed",
        ],
    ),
    promise(
        "the permit is posted to `access_token_endpoint`",
        "yes, wrapped with `version`",
        &[
            "a_permit_that_pays_gets_its_token_in_the_products_shape",
            "permits_are_posted_to_the_same_origin_only",
        ],
    ),
    promise(
        "checked: owner is the signer",
        "under the domain of our own table, compared with the contract's",
        &[
            "only_the_payers_own_signature_counts",
            "the_token_contracts_own_domain_and_permit2s_allowance_are_looked_at",
        ],
    ),
    promise(
        "checked: spender is the server",
        "the spender is the contract that can move the money to the payee and nowhere else",
        &["every_check_refuses_with_its_code"],
    ),
    promise(
        "checked: deadline",
        "yes, with a margin in which it can still be settled",
        &["the_last_second_counts_and_a_margin_is_kept_before_it"],
    ),
    promise(
        "checked: signature",
        "yes, and one form of it only: a high s is refused",
        &[
            "every_check_refuses_with_its_code",
            "no_changed_permit_pays",
        ],
    ),
    promise(
        "checked: balance",
        "together with everything that is reserved for other payments of this payer, over any rail",
        &[
            "what_is_reserved_cannot_be_spent_again",
            "the_balance_has_to_cover_what_is_reserved_over_any_rail",
        ],
    ),
    promise(
        "(not promised, but done) checked: nonce and price",
        "and the nonce is taken in the ledger by the first permit that has it",
        &[
            "a_nonce_is_used_once_and_a_permit_that_was_run_ahead_of_still_pays",
            "another_digest_on_a_nonce_that_is_taken_buys_nothing",
        ],
    ),
    promise(
        "an access token at once",
        "by the route's policy: at once, after a simulation, or when the money has moved",
        &["each_policy_gives_its_token_at_its_time_after_its_checks"],
    ),
    promise(
        "settlement goes on behind it",
        "from the ledger, so that it goes on after a restart too",
        &[
            "a_lost_answer_is_unknown_and_resolved_by_another_process",
            "one_digest_buys_one_token_also_after_a_restart",
        ],
    ),
    promise(
        "the token is shown in `Authorization`",
        "`Bearer`, as the product's",
        &["a_permit_buys_a_token_and_the_token_the_answer"],
    ),
    promise(
        "the token is checked and the resource returned",
        "yes, and the token is for this service and route",
        &["a_token_opens_what_it_was_paid_for"],
    ),
    promise(
        "settlement is `permit()` and `transferFrom()`",
        "both in one transaction, by a contract that can only pay the treasury (0.1.1 sends `permit()` alone, and nobody is paid)",
        &[
            "each_kind_is_verified_and_paid_to_the_treasury_once",
            "each_kind_pays_the_treasury_alone_on_base_sepolia_and_on_sepolia",
        ],
    ),
    promise(
        "the transaction can be looked up",
        "its hash is in the token's `metadata` and at a receipts endpoint (the product tells its server's events only)",
        &["a_receipt_says_what_became_of_the_payment"],
    ),
    promise(
        "`EVM_PRIVATE_KEY` is needed, `EVM_INFURA_KEY` is not",
        "one file says everything; secrets come from the environment or from files",
        &["every_mistake_about_permits_is_named_with_its_line"],
    ),
    promise(
        "`uv add x402-mock`",
        "no language is needed: a gate stands in front of any HTTP server. No test: there is nothing to run",
        &[],
    ),
    promise(
        "test networks Sepolia and Mumbai",
        "Sepolia, Base Sepolia and whatever the file names; Mumbai is switched off, and in no release",
        &["each_kind_pays_the_treasury_alone_on_base_sepolia_and_on_sepolia"],
    ),
    promise(
        "`create_private_key()`, `save_key_to_env()`, `token_key`, `token_expires_in`",
        "`faregate key new`, `faregate key new --save`, and the same two settings; tokens have the same format",
        &[
            "a_key_is_made_and_saved_without_being_shown",
            "one_line_is_put_in_and_the_others_stay",
            "routes_change_what_the_gate_says_or_take_no_permits",
        ],
    ),
    promise(
        "`app.add_payment_method(chain_id, amount, currency)`",
        "`price = \"0.5 USDC\"` of a route, as decimal text; whole numbers too, which the product refuses",
        &[
            "a_gate_that_says_only_its_key_takes_permits_beside_x402",
            "amounts_are_exact",
        ],
    ),
    promise(
        "`@app.get` and `@app.payment_required`",
        "`[[route]]`, or the layer: nothing depends on an order of lines in somebody's code",
        &["a_gate_that_says_only_its_key_takes_permits_beside_x402"],
    ),
    promise(
        "the client's amount is a limit",
        "caps in atomic units by our own decimals, for a payment, a host, a day and altogether",
        &[
            "the_liar_gets_what_the_caps_allow",
            "nothing_makes_it_sign_more_than_the_caps",
        ],
    ),
    promise(
        "the client's earlier way to pay comes first",
        "yes (in the product the server's order decides)",
        &[
            "the_order_of_assets_is_the_payers",
            "the_order_of_rails_is_the_payers",
        ],
    ),
    promise(
        "the client is an httpx client, the server a FastAPI application",
        "theirs work with ours as they are: all five releases, both ways, in `conformance/run`. No test below `crates`",
        &[],
    ),
    promise(
        "most EVM chains, EIP-6492, SVM, later",
        "any EVM chain with a node that the file names. Contract wallets sign x402 payments here; permits are signed by plain keys. No test: it is not there",
        &[],
    ),
];

/// In the order of specs/permit.md §4.
const WEAKNESSES: [Promise; 24] = [
    promise(
        "no `transferFrom`: nobody is ever paid (0.1.1)",
        "permit and transfer in one transaction, into the treasury, which is not the key that pays for gas",
        &["each_kind_is_verified_and_paid_to_the_treasury_once"],
    ),
    promise(
        "one permit posted 20 times at once buys 20 tokens",
        "a permit is one payment by its digest: every copy gets the same token, another digest with its nonce the text for replays",
        &[
            "twenty_posts_of_one_permit_at_once_buy_one_token",
            "another_digest_on_a_nonce_that_is_taken_buys_nothing",
        ],
    ),
    promise(
        "a settled authorization buys new tokens until it expires",
        "what the contracts say about nonces is asked, and the ledger knows what was used here, over any rail",
        &[
            "a_permit_whose_token_was_used_and_paid_is_a_replay",
            "an_authorization_that_was_used_over_x402_buys_no_token",
        ],
    ),
    promise(
        "the settlement fails and the token stays good",
        "a token is as good as its payment: refused from the failure on. When it is given out is a policy of the route",
        &[
            "who_empties_the_account_behind_the_token_is_refused_at_the_next_request",
            "each_policy_gives_its_token_at_its_time_after_its_checks",
        ],
    ),
    promise(
        "a token is bound to nothing and opens every route",
        "service, route, payer, amount, asset and payment are in it, and another route is refused",
        &[
            "a_token_opens_what_it_was_paid_for",
            "no_changed_token_opens_anything",
        ],
    ),
    promise(
        "one balance covers many permits",
        "the claim compares the balance with all reservations of the payer, in one transaction of the ledger",
        &[
            "of_thirty_at_once_as_many_get_tokens_as_the_money_covers",
            "the_balance_has_to_cover_what_is_reserved_over_any_rail",
        ],
    ),
    promise(
        "whoever hands the permit to its token first makes it worthless",
        "the contract goes on to the transfer when the allowance is there",
        &[
            "what_others_executed_first_reaches_the_treasury_all_the_same",
            "a_nonce_is_used_once_and_a_permit_that_was_run_ahead_of_still_pays",
        ],
    ),
    promise(
        "one domain name for all chains: honest payers are refused, wrong permits get in",
        "domains are of our own table, for each token, and compared with what the contract says",
        &["the_token_contracts_own_domain_and_permit2s_allowance_are_looked_at"],
    ),
    promise(
        "the permit's chain is not compared",
        "chain and token have to be those of the price",
        &[
            "a_permit_for_another_payee_chain_or_asset_is_no_offer_of_ours",
            "a_permit_of_another_chain_is_refused_without_asking_one",
        ],
    ),
    promise(
        "the client chooses the Permit2 contract",
        "Uniswap's, or none; and what counts is the token's own transfer",
        &[
            "every_check_refuses_with_its_code",
            "one_log_is_not_two_payments",
        ],
    ),
    promise(
        "two payers at once, and transactions replace each other",
        "one task for each key decides over its nonces, for all rails",
        &[
            "two_signers_share_the_work_and_nothing_is_paid_twice",
            "both_rails_share_the_signer",
        ],
    ),
    promise(
        "a crafted header, or a handler that fails, hangs the request for ever",
        "total decoders, and a time limit on everything",
        &[
            "any_bytes_have_an_answer",
            "a_body_that_does_not_come_is_not_waited_for",
            "a_breakdown_is_an_answer_and_costs_nothing",
        ],
    ),
    promise(
        "a malformed token request is a bare 500",
        "400 with `error`, and where it is wrong",
        &[
            "a_request_of_another_shape_is_a_400_that_says_where",
            "what_is_no_token_request_is_refused_and_nobody_is_asked",
        ],
    ),
    promise(
        "a server that claims other decimals makes the client sign a million times the price",
        "the client believes no decimals, names or versions",
        &[
            "our_client_takes_what_it_was_told_first_and_believes_no_decimals",
            "the_liar_gets_what_the_caps_allow",
        ],
    ),
    promise(
        "the client pays for every request and has no budget",
        "tokens are kept and shown again until they end; caps are in the books",
        &[
            "a_token_that_was_issued_is_not_bought_again",
            "nothing_makes_it_sign_more_than_the_caps",
        ],
    ),
    promise(
        "high s and unpadded r and s are taken, and cannot be settled",
        "a high s is refused, missing zeros are filled up, and our client writes all 64 digits",
        &[
            "unpadded_signatures_are_filled_up_where_clients_send_them",
            "signatures_have_all_their_digits",
        ],
    ),
    promise(
        "decorators in the other order make a route free",
        "prices stand in a table; what a route costs does not depend on the code behind it, and a route that is hidden is a fault",
        &["routes_that_the_token_endpoint_hides_are_mistakes"],
    ),
    promise(
        "settlements are lost on restart, never sent again, and reorganisations go unnoticed",
        "recorded before they are sent, resolved at start, looked at until they are final",
        &[
            "what_is_sent_is_recorded_first",
            "a_lost_answer_is_unknown_and_resolved_by_another_process",
            "what_was_reorganised_away_is_gone_and_is_settled_again",
        ],
    ),
    promise(
        "one token has many texts, and none can be revoked",
        "strict base64url; `faregate token revoke`, by payment or by token",
        &[
            "no_changed_token_opens_anything",
            "a_revoked_payment_gets_no_token_again",
        ],
    ),
    promise(
        "allowances stay open to a hot key, and overwrite each other",
        "what is allowed is collected whole and at once, by a contract that can only pay the treasury; the client signs one allowance after the other",
        &[
            "each_kind_pays_the_treasury_alone_on_base_sepolia_and_on_sepolia",
            "allowances_wait_for_each_other",
        ],
    ),
    promise(
        "one price for the whole application",
        "a price for each route, named by the quote in the endpoint's path",
        &[
            "a_quote_that_nobody_gave_is_refused",
            "without_a_quote_the_dearest_that_is_covered_is_bought",
        ],
    ),
    promise(
        "the payer never hears what became of the payment",
        "`payment_id`, `status_url` and the transaction are in the answer's `metadata`, and a receipt says the rest",
        &[
            "a_receipt_says_what_became_of_the_payment",
            "receipts_are_of_this_rail_only_and_of_known_payments",
        ],
    ),
    promise(
        "a node that is away is the payer's fault",
        "503 with `Retry-After`; the same permit can be sent again",
        &[
            "a_node_that_is_away_is_nobodys_fault",
            "while_the_ledger_or_the_chain_is_away_the_same_permit_may_be_sent_again",
        ],
    ),
    promise(
        "`access_token_endpoint` can name another host",
        "our client posts to paths of the same origin and to nothing else",
        &["permits_are_posted_to_the_same_origin_only"],
    ),
];

/// Writes the page.
///
/// # Errors
/// A test that is not there, or a file that cannot be written.
pub(crate) fn write() -> Result<String, String> {
    page::write(PAGE, &text()?)
}

/// Checks that every test is there and that the committed page is what the lists say.
///
/// # Errors
/// When one is not, or the page is another.
pub(crate) fn check() -> Result<String, String> {
    let ok = page::check(PAGE, &text()?, "lists say", "problems")?;
    let (promises, weaknesses) = (PROMISES.len(), WEAKNESSES.len());
    Ok(format!(
        "{ok}: {promises} promises, {weaknesses} weaknesses"
    ))
}

fn text() -> Result<String, String> {
    let mut text = String::from(
        "# Coming from x402-mock\n\nWhat x402-mock (0.1.1 to 0.3.0) promises its users, what becomes of each promise here, and the tests \
         that show it. Its clients pay a gate of ours as they are, and our client pays its servers; both are run against all five releases in \
         `conformance/run`. How the rail works: [Permits for access tokens](../rails/permit.md).\n\n\
         | | promised | here | tests |\n|---|---|---|---|\n",
    );
    let sources = page::sources()?;
    text.push_str(&rows(&PROMISES, "P", &sources)?);
    // Writing to a String cannot fail.
    writeln!(
        text,
        "\n## What was found open\n\nFound by running its releases, and closed here without a change of what is on the wire.\n\n\
         | | weakness | here | tests |\n|---|---|---|---|"
    )
    .unwrap_or(());
    text.push_str(&rows(&WEAKNESSES, "W", &sources)?);
    Ok(text)
}
