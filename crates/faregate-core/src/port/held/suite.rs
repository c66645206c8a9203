//! The tests every engine that keeps certificates runs.
//!
//! An engine's crate turns on the feature `suite` for its tests and writes, once per way of setting the engine up:
//!
//! ```ignore
//! mod in_memory {
//!     faregate_core::certificate_store_suite!((MyLedger::new(), ()));
//! }
//! ```
//!
//! What the expression gives is said at [`credit::suite`](crate::credit::suite).

#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::cognitive_complexity,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    reason = "these are tests, only compiled for tests"
)]

pub mod keeping;
mod kit;
pub mod redeeming;

/// Generates one `#[tokio::test]` per case for the engine that the expression makes; see
/// [`suite`](crate::port::held::suite).
#[macro_export]
macro_rules! certificate_store_suite {
    ($make:expr) => {
        $crate::certificate_suite_cases! { keeping, $make,
            a_certificate_is_kept_whole
            the_same_certificate_changes_nothing
            another_certificate_under_a_key_is_refused
            a_tab_has_one_asset
            a_crowd_keeps_each_certificate_once
            what_is_owed_is_counted_by_payer_route_and_asset
        }
        $crate::certificate_suite_cases! { redeeming, $make,
            a_tab_is_worth_its_largest_certificate
            open_tabs_are_in_the_order_of_their_deadlines
            a_tab_ends_when_it_is_covered
            a_tab_is_over_for_what_it_was_then
            a_redemption_is_open_until_it_ends
            what_is_held_is_counted_by_asset
            a_crowd_keeps_and_redeems_at_once
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! certificate_suite_cases {
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
                $crate::port::held::suite::$group::$case(&bench).await;
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
            include_str!("suite/keeping.rs"),
            include_str!("suite/redeeming.rs"),
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
