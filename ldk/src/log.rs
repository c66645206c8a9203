//! What LDK says, in our log. Its chatter would drown the rest, and its finer levels tell what nobody needs to know.

use ldk_node::logger::{LogLevel, LogRecord, LogWriter};

/// Passes on what matters.
pub(crate) struct Log;

impl LogWriter for Log {
    fn log<'a>(&self, record: LogRecord<'a>) {
        match record.level {
            LogLevel::Error => tracing::warn!(at = record.module_path, "{}", record.args),
            LogLevel::Warn => tracing::info!(at = record.module_path, "{}", record.args),
            LogLevel::Info => tracing::debug!(at = record.module_path, "{}", record.args),
            LogLevel::Debug | LogLevel::Trace | LogLevel::Gossip => {}
        }
    }
}
