//! A credit service on a port, with books in memory and a clock that is set by hand.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use faregate_core::credit::{Cursor, Happening, Place, ReqIds, TabEvent, Terms};
use faregate_core::port::credit::{Batch, CreditStore as _};
use faregate_evm::LocalSigner;
use faregate_server::credit::{
    AuthSettings, ChainStanding, CreditServer, Parameters, RateSettings, Role, Scopes, Service,
    Settings, Standing, TokenKey,
};
use faregate_server::http::{AddressRange, Running};
use faregate_store::memory::{MemoryCredit, MemoryLedger};
use faregate_types::credit::api::SupportedToken;
use faregate_types::credit::{
    BlsSecretKey, Claims, Encoding, GuaranteeRequest, SigningScheme, binding, digest, write,
};
use faregate_types::{Address, B256, ChainId, Secret, SecretKey, Timestamp, U256};
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::watch;

pub(crate) const CHAIN: ChainId = ChainId::evm(84_532);
pub(crate) const SEED: &str = "a long random text of the operator";
pub(crate) const EXPIRATION: u64 = 10 * 86_400;

/// The time at which everything begins.
pub(crate) const START: u64 = 1_795_219_200;

pub(crate) fn token() -> Address {
    Address::repeat_byte(0x55)
}

pub(crate) fn registry() -> Address {
    Address::repeat_byte(0x77)
}

pub(crate) fn contract() -> Address {
    Address::repeat_byte(0xcc)
}

pub(crate) fn bls_key() -> BlsSecretKey {
    BlsSecretKey::from_bytes(&[7; 32]).unwrap()
}

/// Somebody with a key.
#[derive(Clone)]
pub(crate) struct Wallet {
    pub(crate) signer: LocalSigner,
}

pub(crate) fn wallet(number: u8) -> Wallet {
    let key = SecretKey::from_bytes([number; 32]).unwrap();
    Wallet {
        signer: LocalSigner::new(key).unwrap(),
    }
}

impl Wallet {
    pub(crate) fn address(&self) -> Address {
        self.signer.address()
    }

    /// As it stands in paths and bodies.
    pub(crate) fn text(&self) -> String {
        self.address().to_checksum(None)
    }

    /// `personal_sign`.
    pub(crate) fn sign(&self, text: &str) -> String {
        let digest = faregate_types::eip191::digest(text.as_bytes());
        let signature = self.signer.sign_now(digest).unwrap();
        format!("0x{}", hex::encode(signature.to_bytes()))
    }
}

pub(crate) fn payer() -> Wallet {
    wallet(1)
}

pub(crate) fn recipient() -> Wallet {
    wallet(2)
}

pub(crate) fn facilitator() -> Wallet {
    wallet(3)
}

pub(crate) fn admin() -> Wallet {
    wallet(4)
}

pub(crate) fn stranger() -> Wallet {
    wallet(5)
}

pub(crate) fn barred() -> Wallet {
    wallet(6)
}

pub(crate) struct World {
    pub(crate) running: Option<Running>,
    pub(crate) addr: SocketAddr,
    pub(crate) books: Arc<MemoryCredit>,
    pub(crate) ledger: Arc<MemoryLedger>,
    pub(crate) now: Arc<AtomicU64>,
    pub(crate) chain: watch::Sender<ChainStanding>,
    pub(crate) terms: watch::Sender<Arc<Terms>>,
    block: AtomicU64,
    client: reqwest::Client,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) json: Value,
}

impl Told {
    /// The text of an error, with its status.
    pub(crate) fn error(&self) -> (u16, &str) {
        (
            self.status.as_u16(),
            self.json["error"].as_str().unwrap_or("?"),
        )
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.json);
        self.json
    }
}

pub(crate) fn settings(required: bool) -> Settings {
    let standing = |role| Standing {
        role,
        ..Standing::default()
    };
    let barring = Standing {
        barred: true,
        ..Standing::default()
    };
    Settings {
        parameters: Parameters {
            chain: CHAIN,
            contract: contract(),
            node_url: "".into(),
            eip712_name: "4mica".into(),
            eip712_version: "1".into(),
            tokens: vec![SupportedToken {
                symbol: "USDC".into(),
                address: token(),
                decimals: 6,
            }],
            registries: vec![registry()],
        },
        auth: AuthSettings {
            required,
            key: TokenKey::new(&[9; 32]).unwrap(),
            issuer: "4mica-core".into(),
            audience: "4mica".into(),
            domain: "core.example".into(),
            uri: "https://core.example".into(),
            statement: "Sign in to 4mica.".into(),
            nonce_ttl_secs: 300,
            access_ttl_secs: 900,
            refresh_ttl_secs: 86_400,
            wallets: vec![
                (facilitator().address(), standing(Role::Facilitator)),
                (admin().address(), standing(Role::Admin)),
                (barred().address(), barring),
            ],
        },
        rates: RateSettings::default(),
        origins: vec![],
        proxies: vec![],
        shutdown: Duration::from_secs(5),
    }
}

/// A wallet that may only read.
pub(crate) fn reader(settings: &mut Settings, wallet: &Wallet) {
    let scopes = [faregate_server::credit::Scope::ReadTab];
    let standing = Standing {
        scopes: scopes.into_iter().collect::<Scopes>(),
        ..Standing::default()
    };
    settings.auth.wallets.push((wallet.address(), standing));
}

pub(crate) fn terms() -> Terms {
    Terms {
        versions: [1, 2].into(),
        assets: [Address::ZERO, token()].into(),
        expiration_secs: EXPIRATION,
        ttl_default_secs: 86_400,
        req_ids: ReqIds::Strict,
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(settings(true)).await
    }

    pub(crate) async fn with(settings: Settings) -> Self {
        let books = Arc::new(MemoryCredit::new(CHAIN));
        Self::over(books, Arc::new(MemoryLedger::new()), settings).await
    }

    pub(crate) async fn over(
        books: Arc<MemoryCredit>,
        ledger: Arc<MemoryLedger>,
        settings: Settings,
    ) -> Self {
        let now = Arc::new(AtomicU64::new(START));
        let (chain, chain_seen) = watch::channel(ChainStanding::Followed);
        let (terms, terms_seen) = watch::channel(Arc::new(terms()));
        let clock = Arc::clone(&now);
        let service = Service {
            books: Arc::<MemoryCredit>::clone(&books),
            access: Arc::<MemoryLedger>::clone(&ledger),
            terms: terms_seen,
            chain: chain_seen,
            key: bls_key(),
            recover: faregate_evm::recover,
            contracts: None,
            admin_seed: Some(Secret::new(SEED.as_bytes().to_vec())),
            clock: Arc::new(move || Timestamp::from_secs(clock.load(Ordering::SeqCst))),
        };
        let bind = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let running = CreditServer::start(bind, service, settings).await.unwrap();
        Self {
            addr: running.addr(),
            running: Some(running),
            books,
            ledger,
            now,
            chain,
            terms,
            block: AtomicU64::new(0),
            client: client(),
        }
    }

    pub(crate) fn later(&self, secs: u64) {
        self.now.fetch_add(secs, Ordering::SeqCst);
    }

    pub(crate) fn time(&self) -> u64 {
        self.now.load(Ordering::SeqCst)
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let url = format!("http://{}{path}", self.addr);
        self.client.request(method, url)
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Told {
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        let bytes = answer.bytes().await.unwrap();
        Told {
            status,
            headers,
            json: serde_json::from_slice(&bytes).unwrap_or(Value::String("no JSON".into())),
        }
    }

    /// As whoever has this token.
    pub(crate) async fn get(&self, token: Option<&str>, path: &str) -> Told {
        let mut request = self.request(Method::GET, path);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        self.send(request).await
    }

    pub(crate) async fn post(&self, token: Option<&str>, path: &str, body: &Value) -> Told {
        let mut request = self.request(Method::POST, path).json(body);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        self.send(request).await
    }

    /// What the SDK signs: every word as the service gave it.
    pub(crate) async fn message(&self, wallet: &Wallet) -> String {
        let asked = json!({ "address": wallet.text() });
        let nonce = self.post(None, "/auth/nonce", &asked).await.ok();
        message(&wallet.text(), &nonce)
    }

    pub(crate) async fn verify(&self, wallet: &Wallet, message: &str) -> Told {
        let signed = json!({
            "address": wallet.text(), "message": message, "signature": wallet.sign(message),
        });
        self.post(None, "/auth/verify", &signed).await
    }

    /// The access token and the refresh token.
    pub(crate) async fn sign_in(&self, wallet: &Wallet) -> (String, String) {
        let message = self.message(wallet).await;
        let tokens = self.verify(wallet, &message).await.ok();
        let text = |name: &str| tokens[name].as_str().unwrap().to_owned();
        (text("access_token"), text("refresh_token"))
    }

    pub(crate) async fn token(&self, wallet: &Wallet) -> String {
        self.sign_in(wallet).await.0
    }

    /// The chain says that somebody deposited.
    pub(crate) async fn deposit(&self, payer: &Wallet, asset: Address, amount: u64) {
        self.happens(TabEvent::Deposited {
            payer: payer.address(),
            asset,
            amount: U256::from(amount),
        })
        .await;
    }

    pub(crate) async fn happens(&self, event: TabEvent) {
        let number = self.block.fetch_add(1, Ordering::SeqCst) + 1;
        let at = Timestamp::from_secs(self.time());
        let cursor = |number: u64| Cursor {
            number,
            hash: B256::left_padding_from(&number.to_be_bytes()),
            time: at,
        };
        let from = self.books.cursor().await.unwrap();
        let batch = Batch {
            from,
            to: cursor(number),
            happenings: vec![Happening {
                place: Place {
                    block: number,
                    transaction: cursor(number).hash,
                    log: Some(0),
                },
                at,
                event,
            }],
        };
        let entered = self.books.enter(batch, terms(), 100).await.unwrap();
        assert_eq!((entered.applied, entered.odd.len()), (1, 0), "{entered:?}");
    }

    /// A tab of the payer with the recipient in ETH, whose id it gives.
    pub(crate) async fn tab(&self, token: &str) -> String {
        let asked = json!({
            "user_address": payer().text(), "recipient_address": recipient().text(),
            "erc20_token": null, "ttl": null, "guarantee_version": 1,
        });
        let tab = self.post(Some(token), "/core/payment-tabs", &asked).await;
        tab.ok()["id"].as_str().unwrap().to_owned()
    }

    /// Claims of the payer on a tab, signed.
    pub(crate) fn signed(&self, tab: &str, req: u64, amount: u64) -> Value {
        signed(&self.claims(tab, req, amount), Encoding::TypedV1)
    }

    pub(crate) fn claims(&self, tab: &str, req: u64, amount: u64) -> Claims {
        Claims {
            payer: payer().address(),
            recipient: recipient().address(),
            tab_id: tab.parse().unwrap(),
            req_id: U256::from(req),
            amount: U256::from(amount),
            asset: Address::ZERO,
            timestamp: Timestamp::from_secs(self.time()),
            validation: None,
        }
    }

    pub(crate) async fn stop(mut self) {
        self.running.take().unwrap().shutdown().await;
    }
}

/// The body of `POST /core/guarantees`, signed by the payer.
pub(crate) fn signed(claims: &Claims, encoding: Encoding) -> Value {
    let claims = if claims.validation.is_some() {
        binding::bind(claims.clone())
    } else {
        claims.clone()
    };
    let domain = digest::domain_separator("4mica", "1", CHAIN);
    let hash = claims.digest(encoding, domain).unwrap();
    let typed = matches!(
        encoding,
        Encoding::TypedV1 | Encoding::TypedV2TagFirst | Encoding::TypedV2JobFirst
    );
    let request = GuaranteeRequest {
        claims,
        signature: payer().signer.sign_now(hash).unwrap(),
        scheme: if typed {
            SigningScheme::Eip712
        } else {
            SigningScheme::Eip191
        },
    };
    serde_json::from_str(&write(&request)).unwrap()
}

/// The message of a nonce, as the SDK puts it together.
pub(crate) fn message(address: &str, nonce: &Value) -> String {
    let siwe = &nonce["siwe"];
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    format!(
        "{} wants you to sign in with your Ethereum account:\n{address}\n\n{}\n\nURI: {}\nVersion: 1\nChain ID: {}\nNonce: {}\n\
         Issued At: {}\nExpiration Time: {}",
        text(&siwe["domain"]),
        text(&siwe["statement"]),
        text(&siwe["uri"]),
        siwe["chainId"],
        text(&nonce["nonce"]),
        text(&siwe["issuedAt"]),
        text(&siwe["expiration"]),
    )
}

fn client() -> reqwest::Client {
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::builder().no_proxy().build().unwrap()
}

pub(crate) fn count(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

pub(crate) fn loopback() -> Vec<AddressRange> {
    vec![AddressRange::parse("127.0.0.1").unwrap()]
}
