//! A small HTTP/1.1 load generator: keep-alive connections, one request after the other on each.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What one run measured.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Answers with the expected status.
    pub answers: u64,
    /// How long the run took.
    pub elapsed: Duration,
    /// Latencies in microseconds, sorted.
    pub latencies_us: Vec<u64>,
}

impl Measured {
    /// Whole answers per second.
    #[must_use]
    pub fn per_second(&self) -> u64 {
        let micros = u64::try_from(self.elapsed.as_micros())
            .unwrap_or(u64::MAX)
            .max(1);
        self.answers
            .saturating_mul(1_000_000)
            .checked_div(micros)
            .unwrap_or(0)
    }

    /// The latency that `percent` of the answers stayed below, in microseconds.
    #[must_use]
    pub fn percentile_us(&self, percent: usize) -> u64 {
        let last = self.latencies_us.len().saturating_sub(1);
        let index = last.saturating_mul(percent).checked_div(100).unwrap_or(0);
        self.latencies_us.get(index).copied().unwrap_or(0)
    }
}

/// Why a run is no measurement.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The server did not answer.
    #[error("the server could not be reached: {0}")]
    Io(#[from] std::io::Error),
    /// The server answered something else.
    #[error("expected status {expected}, got: {got}")]
    Status {
        /// What was expected.
        expected: u16,
        /// The first line of the answer.
        got: String,
    },
}

/// Sends `request` over `connections` connections for `duration` and expects `status` every time.
///
/// # Errors
/// [`LoadError`] when an answer is missing or has another status.
pub async fn run(
    addr: SocketAddr,
    request: &[u8],
    status: u16,
    connections: usize,
    duration: Duration,
) -> Result<Measured, LoadError> {
    let stop = Arc::new(AtomicBool::new(false));
    let request: Arc<[u8]> = request.into();
    let started = Instant::now();
    let workers: Vec<_> = (0..connections)
        .map(|_| {
            tokio::spawn(worker(
                addr,
                Arc::clone(&request),
                status,
                Arc::clone(&stop),
            ))
        })
        .collect();
    tokio::time::sleep(duration).await;
    stop.store(true, Ordering::Relaxed);
    let mut latencies_us = Vec::new();
    for worker in workers {
        latencies_us.extend(worker.await.map_err(std::io::Error::other)??);
    }
    let elapsed = started.elapsed();
    latencies_us.sort_unstable();
    let answers = u64::try_from(latencies_us.len()).unwrap_or(u64::MAX);
    Ok(Measured {
        answers,
        elapsed,
        latencies_us,
    })
}

async fn worker(
    addr: SocketAddr,
    request: Arc<[u8]>,
    status: u16,
    stop: Arc<AtomicBool>,
) -> Result<Vec<u64>, LoadError> {
    let mut stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    let expected = format!("HTTP/1.1 {status} ");
    let mut buffer = vec![0_u8; 64 * 1024];
    let mut latencies = Vec::with_capacity(100_000);
    while !stop.load(Ordering::Relaxed) {
        let sent = Instant::now();
        stream.write_all(&request).await?;
        let head = answer(&mut stream, &mut buffer).await?;
        if !head.starts_with(expected.as_bytes()) {
            let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
            return Err(LoadError::Status {
                expected: status,
                got: String::from_utf8_lossy(line).into_owned(),
            });
        }
        latencies.push(u64::try_from(sent.elapsed().as_micros()).unwrap_or(u64::MAX));
    }
    Ok(latencies)
}

/// Reads one answer with a `Content-Length` and gives its head.
async fn answer<'b>(stream: &mut TcpStream, buffer: &'b mut [u8]) -> Result<&'b [u8], LoadError> {
    let mut filled = 0;
    loop {
        let free = buffer.get_mut(filled..).unwrap_or_default();
        let read = stream.read(free).await?;
        if read == 0 {
            return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
        }
        filled = filled.saturating_add(read);
        let seen = buffer.get(..filled).unwrap_or_default();
        if let Some(end) = find(seen, b"\r\n\r\n") {
            let head_len = end.saturating_add(4);
            let head = seen.get(..head_len).unwrap_or_default();
            if filled >= head_len.saturating_add(content_length(head)) {
                return Ok(buffer.get(..head_len).unwrap_or_default());
            }
        }
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

fn content_length(head: &[u8]) -> usize {
    const NAME: &[u8] = b"content-length: ";
    let lower = head.to_ascii_lowercase();
    let digits = find(&lower, NAME)
        .and_then(|at| lower.get(at.saturating_add(NAME.len())..))
        .unwrap_or_default();
    digits
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .fold(0_usize, |sum, digit| {
            sum.saturating_mul(10)
                .saturating_add(usize::from(digit.saturating_sub(b'0')))
        })
}
