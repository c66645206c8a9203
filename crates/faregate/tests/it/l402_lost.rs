//! An answer that was paid for and never arrived: the same request gets the same answer, and pays for nothing else.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use faregate::stack::Stack;
use faregate_client::{Client, ClientBuilder, Kind, LightningWallet, MsatCaps, SpendState};
use faregate_core::port::lightning::Sender;
use faregate_devnet::{LightningConfig, WalletName};
use faregate_ledger::{LedgerStore as _, PaymentState};
use faregate_store::memory::MemoryWallet;
use faregate_types::Timestamp;
use faregate_types::lightning::{BitcoinNetwork, Msat};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::stack;

/// The joke, and what the way costs.
const PRICE_AND_FEE: u64 = 11_001;

/// A way to `gate` that loses the first `losses` answers that begin with 200: the connection dies.
async fn bad_line(gate: SocketAddr, losses: u32) -> (String, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let lost = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&lost);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let lost = Arc::clone(&counted);
            tokio::spawn(carry(client, gate, losses, lost));
        }
    });
    (url, lost)
}

async fn carry(mut client: TcpStream, gate: SocketAddr, losses: u32, lost: Arc<AtomicU32>) {
    let mut server = TcpStream::connect(gate).await.unwrap();
    let (mut asked, mut said) = ([0; 16 * 1024], [0; 64 * 1024]);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => match read {
                Ok(length @ 1..) => server.write_all(&asked[..length]).await.unwrap(),
                _ => return,
            },
            read = server.read(&mut said) => match read {
                Ok(length @ 1..) => {
                    let good = said[..length].starts_with(b"HTTP/1.1 200");
                    if good && lost.load(Ordering::SeqCst) < losses {
                        lost.fetch_add(1, Ordering::SeqCst);
                        return;
                    }
                    client.write_all(&said[..length]).await.unwrap();
                }
                _ => return,
            },
        }
    }
}

fn payer(stack: &Stack, store: &Arc<MemoryWallet>) -> ClientBuilder {
    let wallet = Arc::new(stack.lightning().wallet(WalletName::Payer));
    let clock = Arc::new(|| Timestamp::from(SystemTime::now()));
    let sender = Sender::new(wallet, BitcoinNetwork::Regtest, clock).unwrap();
    let caps = MsatCaps {
        per_payment: Msat::new(20_000),
        total: None,
        per_host: None,
        per_period: None,
    };
    Client::builder()
        .lightning(LightningWallet::new(sender, caps))
        .store(store.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_served_and_lost_is_fetched_again_and_used_once() {
    for (resends, losses) in [(2, 1), (2, 2), (0, 1)] {
        let stack = stack().await;
        let gate = stack.gate_url();
        let gate: SocketAddr = gate.strip_prefix("http://").unwrap().parse().unwrap();
        let (url, lost) = bad_line(gate, losses).await;
        let store = Arc::new(MemoryWallet::new());
        let client = || payer(&stack, &store).resends(resends).build().unwrap();
        let mut result = client().get(format!("{url}/joke")).send().await;
        if resends == 0 {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), Kind::Undecided, "{error}");
            // Another process, later.
            tokio::time::sleep(Duration::from_millis(50)).await;
            result = client().get(format!("{url}/joke")).send().await;
        }
        let paid = result.unwrap();
        assert_eq!(lost.load(Ordering::SeqCst), losses);
        assert_eq!(paid.answer.status(), 200);
        let payment = paid.payment.unwrap();
        assert_eq!(payment.state, SpendState::Paid);
        assert!(!paid.answer.text().await.unwrap().is_empty());
        let left = stack.lightning().balance(WalletName::Payer).get();
        assert_eq!(
            LightningConfig::default().balance.get() - left,
            PRICE_AND_FEE
        );
        let uses = stack.ledger.recent_payments(9).await.unwrap();
        assert_eq!(uses.len(), 1, "one use of one payment");
        assert_eq!(uses[0].state, PaymentState::Settled);
        // What was bought is used up: the next one is paid for.
        let next = client().get(format!("{url}/joke")).send().await.unwrap();
        assert_ne!(next.payment.unwrap().id, payment.id);
        stack.shutdown().await;
    }
}
