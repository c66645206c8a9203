//! Being told to stop.

/// Returns when the process is asked to stop: ctrl-c, or SIGTERM where there is one.
pub(crate) async fn stop() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => {}
                result = tokio::signal::ctrl_c() => drop(result),
            }
            return;
        }
    }
    drop(tokio::signal::ctrl_c().await);
}
