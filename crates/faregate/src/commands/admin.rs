//! The operator's address beside a gate or a facilitator.

use std::net::SocketAddr;

use faregate_server::admin::{self, Admin, Metrics, Revoking};
use faregate_server::config::AdminConfig;
use faregate_server::health::Readiness;
use faregate_server::http::Running;

use crate::exit::{Exit, Failed};
use crate::printer::Printer;
use crate::{metrics, signals};

/// An admin address that may not be there. [`prepare`] comes first, so that nothing is measured unheard.
#[derive(Debug)]
pub(crate) struct Prepared(Option<(SocketAddr, Metrics)>);

/// Starts collecting metrics, when there is somebody to read them.
///
/// # Errors
/// When they cannot be collected.
pub(crate) fn prepare(config: Option<&AdminConfig>) -> Result<Prepared, Failed> {
    let Some(config) = config else {
        return Ok(Prepared(None));
    };
    let collected =
        admin::install().map_err(|error| Failed::new(Exit::Failure, error.to_string()))?;
    metrics::describe();
    Ok(Prepared(Some((config.bind, collected))))
}

impl Prepared {
    /// Listens, if there is an address. The readiness is that of the service.
    ///
    /// # Errors
    /// When the address is taken.
    pub(crate) async fn start(
        self,
        readiness: Readiness,
        revoking: Option<Revoking>,
    ) -> Result<Option<Admin>, Failed> {
        let Some((bind, collected)) = self.0 else {
            return Ok(None);
        };
        let admin = Admin::start(bind, collected, readiness, revoking)
            .await
            .map_err(|error| {
                Failed::new(Exit::Failure, error.to_string())
                    .hint("a gate and a facilitator are two processes: each needs an [admin] address of its own")
            })?;
        Ok(Some(admin))
    }
}

/// Where it is, for people and programs.
pub(crate) fn url(admin: Option<&Admin>) -> Option<String> {
    admin.map(|admin| format!("http://{}", admin.addr()))
}

/// Runs until the process is told to stop, then finishes what is in progress. Being told a second time ends it at once:
/// whatever is open stands in the ledger, and the next start goes on with it.
pub(crate) async fn until_stopped(running: Running, admin: Option<Admin>, printer: Printer) {
    signals::stop().await;
    if let Some(admin) = &admin {
        admin.stopping();
    }
    printer.note("finishing what was claimed");
    tokio::select! {
        () = running.shutdown() => {}
        () = signals::stop() => printer.note("stopping at once; the next start goes on with what is open"),
    }
    if let Some(admin) = admin {
        admin.shutdown().await;
    }
}
