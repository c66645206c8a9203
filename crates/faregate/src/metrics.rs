//! Every metric of the program: what each crate registers about its own.

/// Registers what every metric means. A crate that measures something has a `describe_metrics` that is called here.
/// `docs/src/reference/metrics.md` has the same, and a
/// test compares them.
pub fn describe() {
    faregate_server::admin::describe();
    faregate_server::credit::describe_metrics();
    faregate_server::facilitator::describe_metrics();
    faregate_evm::describe_metrics();
    faregate_lightning::describe_metrics();
    faregate_redis::describe_metrics();
    faregate_server::gateway::describe_metrics();
    faregate_server::managed::describe_metrics();
}
