//! A small HTTP/1.1 load generator: keep-alive connections, one request after the other on each.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::Failed;

/// Largest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// The longest wait for one answer. Settling peers need half a minute at most.
const ANSWER_WAIT: Duration = Duration::from_secs(60);

/// What is sent.
#[derive(Clone, Debug)]
pub enum Requests {
    /// The same bytes every time.
    Same(Arc<[u8]>),
    /// Each once, in order; the run ends when none is left.
    Once(Arc<Queue>),
    /// Each in order, from the beginning again after the last.
    Around(Arc<Queue>),
    /// Each connection has a queue of its own, whose requests are each sent once, in order; it ends when none is left.
    Lanes(Arc<[Arc<Queue>]>),
}

/// Requests that were made beforehand, so that making them is not measured.
#[derive(Debug)]
pub struct Queue {
    all: Vec<Vec<u8>>,
    next: AtomicUsize,
}

impl Queue {
    /// A queue of these requests.
    #[must_use]
    pub fn new(all: Vec<Vec<u8>>) -> Arc<Self> {
        Arc::new(Self {
            all,
            next: AtomicUsize::new(0),
        })
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.all.len()
    }

    fn once(&self) -> Option<&[u8]> {
        let place = self.next.fetch_add(1, Ordering::Relaxed);
        self.all.get(place).map(Vec::as_slice)
    }

    /// True for a queue without requests.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

impl Requests {
    /// The next one of this connection.
    fn next(&self, connection: usize) -> Option<&[u8]> {
        match self {
            Self::Same(bytes) => Some(bytes),
            Self::Once(queue) => queue.once(),
            Self::Lanes(queues) => queues.get(connection)?.once(),
            Self::Around(queue) => {
                let place = queue.next.fetch_add(1, Ordering::Relaxed);
                let place = place.checked_rem(queue.all.len())?;
                queue.all.get(place).map(Vec::as_slice)
            }
        }
    }
}

/// What counts as an answer.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// The status.
    pub status: u16,
    /// What the body must hold; empty for anything.
    pub body: &'static str,
}

/// How load is made.
#[derive(Clone, Debug)]
pub struct Load {
    /// To whom.
    pub addr: SocketAddr,
    /// What.
    pub requests: Requests,
    /// What has to come back.
    pub expected: Expected,
    /// Connections, each with one request at a time.
    pub connections: usize,
    /// No request starts later than this after the first.
    pub duration: Duration,
    /// The most requests of one run: a queue has to last for all rounds.
    pub requests_max: usize,
}

/// What one run measured.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// Answers as expected.
    pub answers: u64,
    /// How long it took until the last of them.
    pub elapsed: Duration,
    /// Latencies in microseconds, sorted.
    pub latencies_us: Vec<u64>,
}

impl Measured {
    /// A run over `elapsed` with these latencies, in any order.
    #[must_use]
    pub fn new(mut latencies_us: Vec<u64>, elapsed: Duration) -> Self {
        latencies_us.sort_unstable();
        Self {
            answers: u64::try_from(latencies_us.len()).unwrap_or(u64::MAX),
            elapsed,
            latencies_us,
        }
    }

    /// Answers per ten seconds: slow peers give fractions.
    #[must_use]
    pub fn per_ten_seconds(&self) -> u64 {
        let micros = u64::try_from(self.elapsed.as_micros()).unwrap_or(u64::MAX);
        self.answers
            .saturating_mul(10_000_000)
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

/// Makes the load.
///
/// # Errors
/// The first answer that is missing or not as expected.
pub async fn run(load: &Load) -> Result<Measured, Failed> {
    let (stop, sent) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let started = Instant::now();
    let workers: Vec<_> = (0..load.connections)
        .map(|number| {
            let (stop, sent) = (Arc::clone(&stop), Arc::clone(&sent));
            tokio::spawn(worker(number, load.clone(), stop, sent))
        })
        .collect();
    let end = tokio::time::sleep(load.duration);
    let collect = async {
        let mut all = Vec::new();
        for worker in workers {
            all.extend(worker.await??);
        }
        Ok::<_, Failed>(all)
    };
    tokio::pin!(collect);
    let all = tokio::select! {
        // Early only when the queue ran dry or something is wrong.
        done = &mut collect => done?,
        () = end => {
            stop.store(true, Ordering::Relaxed);
            collect.await?
        }
    };
    Ok(Measured::new(all, started.elapsed()))
}

async fn worker(
    number: usize,
    load: Load,
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicUsize>,
) -> Result<Vec<u64>, Failed> {
    let mut connection = Connection::open(load.addr).await?;
    let mut latencies = Vec::with_capacity(64 * 1024);
    while !stop.load(Ordering::Relaxed) && sent.fetch_add(1, Ordering::Relaxed) < load.requests_max
    {
        let Some(request) = load.requests.next(number) else {
            break;
        };
        let asked = Instant::now();
        let answer = connection.exchange(request).await?;
        if answer.status() != load.expected.status || !answer.holds(load.expected.body) {
            let about = format!("expected {:?}, got {answer}", load.expected);
            return Err(about.into());
        }
        latencies.push(u64::try_from(asked.elapsed().as_micros()).unwrap_or(u64::MAX));
    }
    Ok(latencies)
}

/// One request on a connection of its own.
///
/// # Errors
/// No answer.
pub async fn once(addr: SocketAddr, request: &[u8]) -> Result<Answer<'static>, Failed> {
    let mut connection = Connection::open(addr).await?;
    let Answer { head, body } = connection.exchange(request).await?;
    Ok(Answer {
        head: head.into_owned().into(),
        body: body.into_owned().into(),
    })
}

/// A `POST` of JSON.
#[must_use]
pub fn post(path: &str, body: &[u8]) -> Vec<u8> {
    post_as("", path, body)
}

/// A `POST` of JSON, with one more header if `header` is not empty.
#[must_use]
pub fn post_as(header: &str, path: &str, body: &[u8]) -> Vec<u8> {
    let line = if header.is_empty() { "" } else { "\r\n" };
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{header}{line}content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}

/// A `GET`, with one more header if `header` is not empty.
#[must_use]
pub fn get(path: &str, header: &str) -> Vec<u8> {
    let line = if header.is_empty() { "" } else { "\r\n" };
    format!(
        "GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nuser-agent: load\r\naccept: */*\r\n{header}{line}\r\n"
    )
    .into_bytes()
}

/// A keep-alive connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// Nobody listens.
    pub async fn open(addr: SocketAddr) -> Result<Self, Failed> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: vec![0; 16 * 1024],
        })
    }

    /// Sends a request and reads its answer.
    ///
    /// # Errors
    /// No answer, or one without a length.
    pub async fn exchange(&mut self, request: &[u8]) -> Result<Answer<'_>, Failed> {
        self.stream.write_all(request).await?;
        timeout(ANSWER_WAIT, self.read()).await?
    }

    async fn read(&mut self) -> Result<Answer<'_>, Failed> {
        let mut filled = 0_usize;
        let mut whole: Option<(usize, usize)> = None;
        loop {
            if filled == self.buffer.len() {
                if filled >= ANSWER_BYTES_MAX {
                    return Err("the answer is too long".into());
                }
                self.buffer.resize(filled.saturating_mul(2), 0);
            }
            let free = self.buffer.get_mut(filled..).unwrap_or_default();
            let read = self.stream.read(free).await?;
            if read == 0 {
                return Err("the server closed the connection".into());
            }
            filled = filled.saturating_add(read);
            let seen = self.buffer.get(..filled).unwrap_or_default();
            if whole.is_none()
                && let Some(end) = find(seen, b"\r\n\r\n")
            {
                let head_end = end.saturating_add(4);
                let length = content_length(seen.get(..head_end).unwrap_or_default())
                    .ok_or("an answer without content-length")?;
                whole = Some((head_end, head_end.saturating_add(length)));
            }
            if let Some((head, end)) = whole
                && filled >= end
            {
                return Ok(Answer {
                    head: self.buffer.get(..head).unwrap_or_default().into(),
                    body: self.buffer.get(head..end).unwrap_or_default().into(),
                });
            }
        }
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer<'a> {
    head: std::borrow::Cow<'a, [u8]>,
    body: std::borrow::Cow<'a, [u8]>,
}

impl Answer<'_> {
    /// The status; 0 for an answer without one.
    #[must_use]
    pub fn status(&self) -> u16 {
        let digits = self.head.get(9..12).unwrap_or_default();
        std::str::from_utf8(digits)
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(0)
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    fn holds(&self, text: &str) -> bool {
        text.is_empty() || find(&self.body, text.as_bytes()).is_some()
    }

    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        let head = String::from_utf8_lossy(&self.head);
        head.lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim().to_owned())
    }
}

impl std::fmt::Display for Answer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body = self
            .body
            .get(..self.body.len().min(400))
            .unwrap_or_default();
        write!(
            f,
            "{} {}",
            self.status(),
            String::from_utf8_lossy(body).trim()
        )
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

fn content_length(head: &[u8]) -> Option<usize> {
    head.split(|byte| *byte == b'\n').find_map(|line| {
        let (name, value) = line.split_at_checked(15)?;
        if !name.eq_ignore_ascii_case(b"content-length:") {
            return None;
        }
        std::str::from_utf8(value).ok()?.trim().parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_sorted_latencies() {
        let measured = Measured::new((1..=100).rev().collect(), Duration::from_secs(2));
        assert_eq!(measured.per_ten_seconds(), 500);
        assert_eq!(measured.percentile_us(50), 50);
        assert_eq!(measured.percentile_us(99), 99);
    }

    #[test]
    fn a_queue_gives_each_request_once_or_goes_around() {
        let all = || Queue::new(vec![b"a".to_vec(), b"b".to_vec()]);
        let once = Requests::Once(all());
        assert_eq!(once.next(0), Some(&b"a"[..]));
        assert_eq!(once.next(1), Some(&b"b"[..]));
        assert_eq!(once.next(0), None);
        let around = Requests::Around(all());
        assert_eq!(around.next(0), Some(&b"a"[..]));
        assert_eq!(around.next(0), Some(&b"b"[..]));
        assert_eq!(around.next(0), Some(&b"a"[..]));
    }

    #[test]
    fn a_lane_is_for_one_connection() {
        let queue = |text: &str| Queue::new(vec![text.as_bytes().to_vec()]);
        let lanes = Requests::Lanes([queue("a"), queue("b")].into());
        assert_eq!(lanes.next(1), Some(&b"b"[..]));
        assert_eq!(lanes.next(1), None);
        assert_eq!(lanes.next(0), Some(&b"a"[..]));
        assert_eq!(lanes.next(2), None);
    }

    #[test]
    fn the_length_of_an_answer_is_found_whatever_its_case() {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\ndate: x\r\n\r\n";
        assert_eq!(content_length(head), Some(12));
        assert_eq!(content_length(b"HTTP/1.1 200 OK\r\n\r\n"), None);
    }
}
