//! The credit core without a network around it: its cryptography alone, and the whole service but for the sockets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use alloy_primitives::{Address, B256, U256};
use axum::Router;
use axum::body::{Body, to_bytes};
use faregate_server::credit::router;
use faregate_types::Timestamp;
use faregate_types::credit::{Certificate, Guarantee, GuaranteeRequest, GuaranteeVersion};
use faregate_types::credit::{certificate, read_answer};
use http::{Request, StatusCode};
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use super::{Go, every_go};
use crate::Failed;
use crate::chain::CHAIN;
use crate::credit::{self, Crowd, Party, Wish};

/// What is signed or checked, over and over, on every core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[allow(clippy::exhaustive_enums, reason = "what is measured")]
pub enum Work {
    /// Who signed a request, and the signature of its certificate: what no core can do without.
    Issue,
    /// The same, and whether the certificate is good: what nobody can do without who is paid like that.
    Sale,
    /// Who signed a request.
    Request,
    /// Whether a certificate is good.
    Certificate,
    /// The same for many at once.
    Certificates,
}

impl Work {
    /// Its name as an argument.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Issue => "issue",
            Self::Sale => "sale",
            Self::Request => "request",
            Self::Certificate => "certificate",
            Self::Certificates => "certificates",
        }
    }
}

/// Different ones, so that nothing is remembered.
const SAMPLES: usize = 256;

/// Certificates that are checked at once.
const BATCH: usize = 64;

/// A request, what its certificate says, and the certificate.
type Sample = (GuaranteeRequest, Guarantee, Certificate);

/// Signs or checks on all processors.
///
/// # Errors
/// Something that should be good is not.
pub async fn signatures(work: Work) -> Result<(), Failed> {
    let samples: Arc<Vec<Sample>> = Arc::new(samples()?);
    every_go(async |go| {
        let samples = Arc::clone(&samples);
        tokio::task::spawn_blocking(move || on_all_processors(work, &samples, go.duration)).await?
    })
    .await
}

fn samples() -> Result<Vec<Sample>, Failed> {
    let (key, at) = (credit::bls_key()?, Timestamp::from(SystemTime::now()));
    let domain = domain();
    let sample = |tab| {
        let request = Party::of(Crowd::Spread, tab)?.request(0, at)?;
        let said = Guarantee::of(&request.claims, domain, U256::from(1_000))?;
        let certificate = Certificate::issue(&said, &key);
        Ok((request, said, certificate))
    };
    (0..SAMPLES).map(sample).collect()
}

fn domain() -> B256 {
    certificate::domain_separator(GuaranteeVersion::V1, CHAIN, Address::repeat_byte(0xcc))
}

fn on_all_processors(
    work: Work,
    samples: &[Sample],
    duration: Duration,
) -> Result<(Vec<u64>, Duration), Failed> {
    let (stop, started) = (AtomicBool::new(false), Instant::now());
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let latencies = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|first| {
                scope.spawn({
                    let stop = &stop;
                    move || on_one(work, samples, first, stop)
                })
            })
            .collect();
        thread::sleep(duration);
        stop.store(true, Ordering::Relaxed);
        let mut all = Vec::new();
        for worker in workers {
            all.extend(worker.join().map_err(|_| "signing panicked")??);
        }
        Ok::<_, Failed>(all)
    })?;
    Ok((latencies, started.elapsed()))
}

fn on_one(
    work: Work,
    samples: &[Sample],
    first: usize,
    stop: &AtomicBool,
) -> Result<Vec<u64>, Failed> {
    let (key, domain) = (credit::bls_key()?, credit::claims_domain());
    let public = key.public_key();
    let mut latencies = Vec::with_capacity(64 * 1024);
    let mut in_turn = samples.iter().cycle().skip(first);
    while !stop.load(Ordering::Relaxed) {
        let begun = Instant::now();
        let mut count = 1;
        let good = match work {
            Work::Issue | Work::Sale | Work::Request => {
                let (request, said, _) = in_turn.next().ok_or("no samples")?;
                let signed = request.signed_as(domain, faregate_evm::recover);
                let made = match work {
                    Work::Request => None,
                    _ => Some(std::hint::black_box(Certificate::issue(said, &key))),
                };
                let checked = made.filter(|_| work == Work::Sale);
                signed.is_some() && checked.is_none_or(|made| made.verify(&public).is_ok())
            }
            Work::Certificate => {
                let (.., certificate) = in_turn.next().ok_or("no samples")?;
                certificate.verify(&public).is_ok()
            }
            Work::Certificates => {
                count = BATCH;
                let some: Vec<_> = in_turn.by_ref().take(BATCH).collect();
                let signed: Vec<_> = some
                    .iter()
                    .map(|(.., certificate)| (certificate.claims.as_ref(), certificate.signature))
                    .collect();
                public.verify_batch(&signed).is_ok()
            }
        };
        if !good {
            return Err("a signature is not right".into());
        }
        let micros = u64::try_from(begun.elapsed().as_micros())?;
        latencies.extend(std::iter::repeat_n(micros, count));
    }
    Ok(latencies)
}

/// The whole core in this process: what its HTTP server would hand to it goes to it, `lanes` at a time.
///
/// # Errors
/// A guarantee that is not issued.
pub async fn guarantees(
    crowd: Crowd,
    books: &str,
    lanes: usize,
    count: usize,
) -> Result<(), Failed> {
    let mut settings = credit::settings()?;
    // Who calls is not what is measured here.
    settings.auth.required = false;
    let app = router(credit::service(crowd, books).await?, settings).await?;
    let mut waiting = Vec::new();
    for mut wishes in credit::wishes(crowd, lanes, count)? {
        wishes.reverse();
        waiting.push(wishes);
    }
    every_go(async |go: Go| {
        let (started, mut lanes) = (Instant::now(), JoinSet::new());
        for wishes in waiting.drain(..) {
            lanes.spawn(lane(app.clone(), wishes, started, go.duration));
        }
        let mut all = Vec::new();
        while let Some(done) = lanes.join_next().await {
            let (latencies, wishes) = done??;
            all.extend(latencies);
            waiting.push(wishes);
        }
        Ok((all, started.elapsed()))
    })
    .await
}

/// One after the other until the time is over; what is left, and how long each took.
async fn lane(
    app: Router,
    mut wishes: Vec<Wish>,
    started: Instant,
    duration: Duration,
) -> Result<(Vec<u64>, Vec<Wish>), Failed> {
    let mut latencies = Vec::new();
    while started.elapsed() < duration
        && let Some(wish) = wishes.pop()
    {
        let asked = Instant::now();
        let request = Request::post("/core/guarantees")
            .header("content-type", "application/json")
            .body(Body::from(wish.body))?;
        let answer = app.clone().oneshot(request).await?;
        let status = answer.status();
        let body = to_bytes(answer.into_body(), 64 * 1024).await?;
        if status != StatusCode::OK {
            return Err(format!("{status}: {}", String::from_utf8_lossy(&body)).into());
        }
        latencies.push(u64::try_from(asked.elapsed().as_micros())?);
        if latencies.len() == 1 {
            // That it is a certificate is looked at once.
            read_answer::<Certificate>(&body)?;
        }
    }
    Ok((latencies, wishes))
}
