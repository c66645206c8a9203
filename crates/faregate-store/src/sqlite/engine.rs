//! One open file: who writes, who reads.

use std::path::Path;

use faregate_ledger::StoreError;
use rusqlite::Connection;

use super::connection::{OpenError, Place, open_reader, open_writer};
use super::fault::Fault;
use super::limits;
use super::reader::Readers;
use super::schema::Schema;
use super::writer::Writer;

/// The readers stand first: they are dropped first, so that the last connection to close is one that can tidy up.
#[derive(Debug)]
pub(super) struct Engine {
    /// None in memory, where a second connection would see another database.
    readers: Option<Readers>,
    writer: Writer,
}

impl Engine {
    /// Opens or creates a file. Blocks the calling thread while it does.
    pub(super) fn file(path: &Path, schema: &Schema) -> Result<Self, OpenError> {
        Self::open(&Place::file(path)?, schema)
    }

    /// Books that are gone when the store is dropped.
    pub(super) fn memory(schema: &Schema) -> Result<Self, OpenError> {
        Self::open(&Place::Memory, schema)
    }

    fn open(place: &Place, schema: &Schema) -> Result<Self, OpenError> {
        let conn = open_writer(place, schema)?;
        let readers = match place {
            Place::Memory => None,
            Place::File(path) => {
                let connections = (0..limits::READER_THREADS)
                    .map(|_| open_reader(path))
                    .collect::<Result<Vec<_>, _>>()?;
                Some(Readers::start(connections).map_err(|source| OpenError::Thread { source })?)
            }
        };
        let writer = Writer::start(conn).map_err(|source| OpenError::Thread { source })?;
        Ok(Self { readers, writer })
    }

    /// Runs `work` in a transaction that is on the disk when this returns.
    pub(super) async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    {
        self.writer.run(work).await
    }

    /// Queues `work` for a transaction before long; see [`Writer::run_later`].
    pub(super) fn write_later<F>(&self, what: &'static str, work: F) -> bool
    where
        F: FnOnce(&Connection) -> Result<(), Fault> + Send + 'static,
    {
        self.writer.run_later(what, work)
    }

    /// Waits until everything that was queued before is on the disk.
    pub(super) async fn flush(&self) -> Result<(), StoreError> {
        if self.writer.has_unseen() {
            self.writer.run(|_| Ok(())).await?;
        }
        Ok(())
    }

    /// Runs `work` on a snapshot that has everything that was answered or queued before.
    pub(super) async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    {
        match &self.readers {
            Some(readers) => {
                self.flush().await?;
                readers.run(work).await
            }
            None => self.writer.run(work).await,
        }
    }
}
