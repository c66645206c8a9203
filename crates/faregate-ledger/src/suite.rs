//! The tests every engine runs.
//!
//! An engine's crate turns on the feature `suite` for its tests and writes, once per way of setting the engine up:
//!
//! ```ignore
//! mod in_memory {
//!     faregate_ledger::ledger_store_suite!((MyLedger::in_memory().unwrap(), ()));
//! }
//! ```
//!
//! The expression gives a pair: the engine, empty, and whatever must live as long as it, e.g. a temporary folder; or `None`
//! where the engine needs something that this machine does not have, and then the case is skipped. It is evaluated once per
//! case, inside an async function. The calling crate needs `tokio` with `macros` and `rt-multi-thread`.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::integer_division,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    reason = "these are tests, only compiled for tests"
)]

mod kit;
pub mod ledger;
pub mod wallet;

pub use kit::{Bench, Chance, Made, Spawn};

/// Generates one `#[tokio::test]` per case of [`suite::ledger`](crate::suite::ledger) for the engine that the expression
/// makes; see [`suite`](crate::suite).
#[macro_export]
macro_rules! ledger_store_suite {
    ($make:expr) => {
        $crate::suite_cases! { ledger::claims, $make,
            a_payment_is_kept_whole
            a_claim_is_won_once
            one_of_many_claims_wins
            another_fingerprint_is_a_conflict
            one_of_many_fingerprints_wins
            a_released_payment_is_claimed_again_by_one
            copies_are_told_the_end
            a_failing_job_does_not_spoil_the_others
        }
        $crate::suite_cases! { ledger::steps, $make,
            every_state_and_step_agrees_with_the_rules
            a_second_step_changes_nothing
            one_of_many_takes_a_step
            a_broadcast_keeps_its_transaction
            answers_come_back_byte_for_byte
            only_settled_payments_keep_an_answer
        }
        $crate::suite_cases! { ledger::books, $make,
            money_moves_exactly
            assets_are_kept_apart
            sums_never_wrap
        }
        $crate::suite_cases! { ledger::finality, $make,
            a_reopened_payment_is_reserved_again
            a_payment_may_be_reopened_more_than_once
            what_is_final_stays
            payments_that_are_not_final_are_oldest_first
            a_reopened_payment_keeps_its_answer
        }
        $crate::suite_cases! { ledger::exposure, $make,
            an_exposure_is_refused_above_its_max
            a_payer_reserves_no_more_than_its_funds
            an_exposure_ends_with_the_payment
            who_was_served_and_never_paid_stays_exposed
            exposures_of_payers_and_assets_are_apart
            an_exposure_holds_in_a_crowd
            served_and_unpaid_never_exceeds_the_max
        }
        $crate::suite_cases! { ledger::keys, $make,
            a_key_stands_for_one_purchase
            a_key_is_the_payers_own
            a_key_is_free_again_when_nothing_was_bought
            the_payment_itself_comes_before_its_key
            a_key_is_looked_up_without_a_claim
            one_of_many_payments_gets_the_key
        }
        $crate::suite_cases! { ledger::prune, $make,
            old_answers_are_dropped_and_payments_stay
            answers_are_dropped_oldest_first_until_they_fit
            answers_of_open_payments_stay
        }
        $crate::suite_cases! { ledger::lists, $make,
            open_payments_are_oldest_first
            recent_payments_are_newest_first
            unknown_ids_are_not_found
        }
        $crate::suite_cases! { ledger::random, $make,
            any_sequence_agrees_with_the_rules
            books_balance_under_any_interleaving
        }
    };
}

/// Generates one `#[tokio::test]` per case of [`suite::wallet`](crate::suite::wallet) for the engine that the expression
/// makes; see [`suite`](crate::suite).
#[macro_export]
macro_rules! wallet_store_suite {
    ($make:expr) => {
        $crate::suite_cases! { wallet::caps, $make,
            one_payment_has_a_cap
            a_host_cap_holds_in_a_crowd
            a_period_cap_holds_in_a_crowd
            a_total_cap_holds_in_a_crowd
            what_was_signed_is_told_by_origin
            hosts_are_counted_apart
            a_refusal_records_nothing
            refused_spends_still_count
            the_window_rolls
            a_window_of_any_length_is_exact
            a_spend_counts_once
            units_are_counted_apart
        }
        $crate::suite_cases! { wallet::records, $make,
            a_spend_is_kept_whole
            one_id_is_one_spend
            terms_are_known_by_place
            requests_are_kept_while_the_end_is_unknown
            open_spends_are_oldest_first
            an_end_is_recorded
            unknown_spends_are_not_found
            recent_spends_are_newest_first
        }
        $crate::suite_cases! { wallet::terms, $make,
            terms_are_judged_where_they_are_recorded
            what_was_allowed_is_known_from_then_on
            one_of_many_payees_is_the_first
            a_repeated_reservation_is_not_judged_again
            a_place_is_known_by_its_newest_spends
        }
        $crate::suite_cases! { wallet::tokens, $make,
            a_token_is_found_where_it_was_bought_for
            a_list_of_tokens_has_no_credentials
            a_token_is_dropped_when_it_is_used_up
            a_token_is_replaced_and_forgotten
            tokens_make_room
        }
        $crate::suite_cases! { wallet::ends, $make,
            a_queued_end_is_seen_by_what_comes_after
            queued_ends_are_all_written
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! suite_cases {
    ($kind:ident::$group:ident, $make:expr, $($case:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let Some((store, _guard)) = $crate::suite::Made::made($make) else {
                    return;
                };
                let bench = $crate::suite::Bench::new(store, |task| {
                    Box::pin(async move { tokio::spawn(task).await.expect("a task of this case panicked") })
                });
                $crate::suite::$kind::$group::$case(&bench).await;
            }
        )*
    };
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_case_is_in_the_list() {
        let list = include_str!("suite.rs");
        for source in [
            include_str!("suite/ledger/books.rs"),
            include_str!("suite/ledger/claims.rs"),
            include_str!("suite/ledger/exposure.rs"),
            include_str!("suite/ledger/finality.rs"),
            include_str!("suite/ledger/keys.rs"),
            include_str!("suite/ledger/prune.rs"),
            include_str!("suite/ledger/lists.rs"),
            include_str!("suite/ledger/random.rs"),
            include_str!("suite/ledger/steps.rs"),
            include_str!("suite/wallet/caps.rs"),
            include_str!("suite/wallet/ends.rs"),
            include_str!("suite/wallet/records.rs"),
            include_str!("suite/wallet/terms.rs"),
            include_str!("suite/wallet/tokens.rs"),
        ] {
            let cases: Vec<&str> = source
                .lines()
                .filter_map(|line| line.strip_prefix("pub async fn ")?.split('<').next())
                .collect();
            assert!(cases.len() > 1, "the cases are found by their signature");
            for case in cases {
                assert!(
                    list.lines().any(|line| line.trim() == case),
                    "{case} is not in the list"
                );
            }
        }
    }
}
