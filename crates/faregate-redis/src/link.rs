//! One connection for everybody, made anew when it breaks.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ErrorKind, FromRedisValue, Pipeline, RedisError};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::limits::{ANSWER_TIMEOUT, CALL_TIMEOUT, CONNECT_REST, CONNECT_TIMEOUT, TRIES};

/// The way to the server.
pub(crate) struct Link {
    client: Client,
    config: AsyncConnectionConfig,
    state: Mutex<State>,
    /// Whoever makes the connection; the others wait for it.
    turn: Semaphore,
}

#[derive(Default)]
struct State {
    /// With its number, so that one that broke is dropped once.
    open: Option<(u64, MultiplexedConnection)>,
    made: u64,
    failed_at: Option<Instant>,
}

/// Why there is no answer. Says nothing that was sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    #[error("there was no connection a moment ago")]
    Resting,
    #[error("no answer in time")]
    Late,
    #[error("a note of this gate was changed while it was renewed")]
    Changed,
    #[error("{0}")]
    Redis(#[from] RedisError),
}

impl Link {
    pub(crate) fn new(client: Client) -> Self {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(ANSWER_TIMEOUT));
        Self {
            client,
            config,
            state: Mutex::default(),
            turn: Semaphore::new(1),
        }
    }

    /// Sends commands that may be sent twice, and reads their answers.
    pub(crate) async fn ask<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, LinkError> {
        let asking = timeout(CALL_TIMEOUT, self.try_twice(commands));
        asking.await.unwrap_or(Err(LinkError::Late))
    }

    async fn try_twice<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, LinkError> {
        let mut tries = TRIES;
        loop {
            let (number, mut connection) = self.connection().await?;
            match commands.query_async(&mut connection).await {
                Ok(answer) => return Ok(answer),
                Err(error) => {
                    tries = tries.saturating_sub(1);
                    let broken = is_broken(&error);
                    if broken {
                        self.drop_number(number);
                    }
                    if !broken || error.is_timeout() || tries == 0 {
                        return Err(error.into());
                    }
                }
            }
        }
    }

    async fn connection(&self) -> Result<(u64, MultiplexedConnection), LinkError> {
        if let Some(open) = self.at_hand()? {
            return Ok(open);
        }
        let turn = self.turn.acquire().await;
        if let Some(open) = self.at_hand()? {
            return Ok(open);
        }
        let config = &self.config;
        let making = self
            .client
            .get_multiplexed_async_connection_with_config(config);
        let made = timeout(CONNECT_TIMEOUT, making).await;
        let mut state = self.lock();
        let made = match made {
            Ok(Ok(connection)) => {
                state.made = state.made.wrapping_add(1);
                let open = (state.made, connection);
                state.open = Some(open.clone());
                state.failed_at = None;
                Ok(open)
            }
            failed => {
                state.failed_at = Some(Instant::now());
                match failed {
                    Ok(Err(error)) => Err(error.into()),
                    _ => Err(LinkError::Late),
                }
            }
        };
        drop((state, turn));
        made
    }

    /// The connection, if there is one. Nobody knocks again at once where nobody answered.
    fn at_hand(&self) -> Result<Option<(u64, MultiplexedConnection)>, LinkError> {
        let state = self.lock();
        if let Some(open) = &state.open {
            return Ok(Some(open.clone()));
        }
        match state.failed_at {
            Some(at) if at.elapsed() < CONNECT_REST => Err(LinkError::Resting),
            _ => Ok(None),
        }
    }

    fn drop_number(&self, number: u64) {
        let mut state = self.lock();
        if state.open.as_ref().is_some_and(|(open, _)| *open == number) {
            state.open = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether another connection may help. An answer that cannot be understood spoils the connection too: what comes next on it
/// may belong to something else.
fn is_broken(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_timeout()
        || error.is_connection_dropped()
        || error.is_unrecoverable_error()
        || matches!(
            error.kind(),
            ErrorKind::Parse | ErrorKind::UnexpectedReturnType
        )
}
