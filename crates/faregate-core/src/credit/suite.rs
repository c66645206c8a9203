//! The tests every engine of the credit books runs.
//!
//! An engine's crate turns on the feature `suite` for its tests and writes, once per way of setting the engine up:
//!
//! ```ignore
//! mod in_memory {
//!     faregate_core::credit_store_suite!((MyCredit::new(chain), ()));
//! }
//! ```
//!
//! The expression gives a pair: the engine, empty, and whatever must live as long as it, e.g. a temporary folder; or `None` where
//! there is none, after saying why. It is evaluated once per case, inside an async function. The calling crate needs
//! `faregate-ledger` with `suite`, and `tokio` with `macros` and `rt-multi-thread`.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::cognitive_complexity,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::integer_division,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::too_many_lines,
    clippy::unwrap_used,
    reason = "these are tests, only compiled for tests; a table is read at once"
)]

pub mod chain;
pub mod guarantees;
mod kit;
pub mod lists;
pub mod random;
pub mod tabs;

/// Generates one `#[tokio::test]` per case for the engine that the expression makes; see
/// [`suite`](crate::credit::suite).
#[macro_export]
macro_rules! credit_store_suite {
    ($make:expr) => {
        $crate::credit_suite_cases! { tabs, $make,
            one_of_many_opens_a_tab
            a_tab_is_not_opened_for_everybody
            a_worn_tab_is_replaced
            a_tab_that_is_over_makes_room
            a_tab_adopts_the_version_of_its_first_guarantee
        }
        $crate::credit_suite_cases! { guarantees, $make,
            a_guarantee_is_kept_whole_and_locks
            each_refusal_has_its_reason
            of_many_with_one_number_one_is_issued
            numbers_are_handed_out_when_they_are_reserved
            who_signs_in_parallel_is_not_too_early
            a_crowd_locks_no_more_than_there_is
            the_first_certificate_stays
            who_is_suspended_gives_and_gets_nothing
        }
        $crate::credit_suite_cases! { chain, $make,
            what_is_deposited_may_be_locked_and_withdrawn
            what_is_asked_back_is_not_free
            a_payment_unlocks_once_it_is_recorded
            what_is_unlocked_names_the_payment
            two_payments_of_one_transaction_are_two
            a_payment_is_told_until_it_is_recorded_or_refused
            a_remuneration_takes_what_is_owed
            a_certificate_that_expired_locks_nothing
            nothing_happens_twice
            what_is_odd_is_put_aside_and_the_rest_goes_on
            the_cursor_moves_with_what_happened
        }
        $crate::credit_suite_cases! { lists, $make,
            tabs_are_listed_by_whom_they_concern
            who_had_a_tab_for_whom_is_known
            guarantees_are_listed_as_they_were_issued
            payments_are_listed_newest_first
            collateral_is_listed_page_by_page
        }
        $crate::credit_suite_cases! { random, $make,
            whatever_happens_what_is_locked_is_there
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! credit_suite_cases {
    ($group:ident, $make:expr, $($case:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let Some((store, _guard)) = faregate_ledger::suite::Made::made($make) else {
                    return;
                };
                let bench = faregate_ledger::suite::Bench::new(store, |task| {
                    Box::pin(async move { tokio::spawn(task).await.expect("a task of this case panicked") })
                });
                $crate::credit::suite::$group::$case(&bench).await;
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
            include_str!("suite/chain.rs"),
            include_str!("suite/guarantees.rs"),
            include_str!("suite/lists.rs"),
            include_str!("suite/random.rs"),
            include_str!("suite/tabs.rs"),
        ] {
            let cases: Vec<&str> = source
                .lines()
                .filter_map(|line| line.strip_prefix("pub async fn ")?.split('<').next())
                .collect();
            assert!(!cases.is_empty(), "the cases are found by their signature");
            for case in cases {
                assert!(
                    list.lines().any(|line| line.trim() == case),
                    "{case} is not in the list"
                );
            }
        }
    }
}
