//! Sellers for permits of all five generations, made of the words and rules of `faregate-types`, and what they hold.

use std::sync::{Arc, Mutex};

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use faregate_types::permit::verify::{self, Expected};
use faregate_types::permit::{
    Body, ChainState, Claims, Component, Endpoint, Permit, PermitKind, Price, Refused, TokenKey,
    TokenResponse, authorization, request, token,
};
use faregate_types::{Address, AssetRegistry, ChainId, Erc20, Timestamp, U256};
use serde_json::{Map, Value, json};

use super::{NOW, PAYEE, Seen, Seller, seller};

pub const SEPOLIA: u64 = 11_155_111;
pub const SEPOLIA_USDC: &str = "0x1c7D4B196Cb0C7B01d743Fbc6116a902379C7238";
pub const WALLET: &str = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";
/// Where permits are posted.
pub const ENDPOINT: &str = "/token/q_1";
/// One cent.
pub const PRICE: u64 = 10_000;
pub const TOKEN_SECS: u64 = 300;

/// A generation of servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// 0.1.1: allowances, and the first component.
    First,
    /// 0.2.0: transfers, and the first component.
    Second,
    /// 0.2.1 to 0.3.0: transfers, and the later component.
    Third,
    /// All kinds and all members.
    Ours,
}

pub const RELEASES: [Release; 4] = [
    Release::First,
    Release::Second,
    Release::Third,
    Release::Ours,
];

impl Release {
    fn takes(self, kind: PermitKind) -> bool {
        match self {
            Self::First => kind == PermitKind::Eip2612,
            Self::Second | Self::Third => kind != PermitKind::Eip2612,
            Self::Ours => true,
        }
    }

    /// The component as this generation writes it.
    pub fn component(self) -> Value {
        let component = Component::new(
            usdc(),
            U256::from(PRICE),
            "USDC",
            WALLET.parse().unwrap(),
            PAYEE.parse().unwrap(),
        );
        let component = component.unwrap().created_at(Timestamp::from_secs(NOW));
        let mut component = serde_json::to_value(&component).unwrap();
        let (first, third) = (
            ["chain_id"],
            [
                "caip2",
                "pay_to",
                "token_name",
                "token_decimals",
                "token_version",
            ],
        );
        let members = component.as_object_mut().unwrap();
        match self {
            Self::First | Self::Second => third.iter().for_each(|name| {
                members.remove(*name);
            }),
            Self::Third => {
                first.iter().for_each(|name| {
                    members.remove(*name);
                });
                members.insert("metadata".into(), json!({}));
            }
            Self::Ours => {}
        }
        component
    }
}

pub fn usdc() -> faregate_types::Asset {
    let id = Erc20::new(ChainId::evm(SEPOLIA), SEPOLIA_USDC.parse().unwrap());
    AssetRegistry::builtin().find(id).unwrap().clone()
}

/// A 402 body with these components.
pub fn body(endpoint: &str, components: &[Value]) -> Value {
    let plain = Endpoint::parse("/token").unwrap();
    let body = Body::new("Missing authorization token", &plain, &[]).unwrap();
    let mut body: Value = serde_json::from_str(&body.to_json()).unwrap();
    body["access_token_endpoint"] = json!(endpoint);
    body["payment_scheme"]["payment_components"] = json!(components);
    body
}

pub fn ask(body: &Value) -> Response {
    (StatusCode::PAYMENT_REQUIRED, axum::Json(body)).into_response()
}

/// What a shop of permits remembers.
#[derive(Default)]
pub struct Till {
    /// Every permit that was posted and can be read, good or not.
    pub posted: Vec<Permit>,
    /// What was signed over it that the contract would take: the next nonce of EIP-2612.
    pub next_nonce: U256,
    /// Permits that were taken, and their tokens.
    pub taken: Vec<(Permit, String)>,
}

/// A shop and its till.
#[derive(Clone)]
pub struct Shop {
    pub release: Release,
    pub till: Arc<Mutex<Till>>,
    pub key: Arc<TokenKey>,
    pub now: u64,
}

impl Shop {
    pub fn new(release: Release) -> Self {
        Self {
            release,
            till: Arc::default(),
            key: Arc::new(TokenKey::new("a key of tests".into()).unwrap()),
            now: NOW,
        }
    }

    fn price(&self) -> Price {
        let (wallet, payee) = (WALLET.parse().unwrap(), PAYEE.parse().unwrap());
        // Later releases have one account for both.
        let pay_to: Address = match self.release {
            Release::Second => wallet,
            _ => payee,
        };
        Price::new(usdc(), U256::from(PRICE), wallet, pay_to)
    }

    /// The token endpoint, as this generation answers.
    pub fn issue(&self, body: &[u8]) -> Response {
        let crash = || (StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error").into_response();
        let Ok(permit) = request::read(body) else {
            return crash();
        };
        let mut till = self.till.lock().unwrap();
        till.posted.push(permit);
        if !self.release.takes(permit.terms.kind()) {
            return crash();
        }
        let taken = till.taken.iter().find(|(taken, _)| *taken == permit);
        let token = match taken.map(|(_, token)| token.clone()) {
            Some(token) => token,
            None => match self.verify(&permit, till.next_nonce) {
                Ok(()) => {
                    let nonce = till.taken.len();
                    let claims = Claims {
                        exp: Timestamp::from_secs(self.now + TOKEN_SECS),
                        nonce: Some(nonce.to_string()),
                        ..Claims::default()
                    };
                    let token = token::mint(&self.key, &claims);
                    till.taken.push((permit, token.clone()));
                    token
                }
                Err(refused) => {
                    return (StatusCode::BAD_REQUEST, refused.to_json()).into_response();
                }
            },
        };
        let answer = TokenResponse::new(&token, Some(TOKEN_SECS), Map::new());
        answer.to_json().into_response()
    }

    fn verify(&self, permit: &Permit, next_nonce: U256) -> Result<(), Refused> {
        let price = self.price();
        let expected = Expected {
            prices: std::slice::from_ref(&price),
            now: Timestamp::from_secs(self.now),
            margin_secs: 60,
        };
        let state = ChainState {
            balance: U256::from(1_000_000_000),
            allowance: U256::MAX,
            next_nonce,
            ..ChainState::default()
        };
        verify::check(permit, &expected, faregate_evm::recover)?.cover(&state)?;
        Ok(())
    }

    /// Whether a request shows a good token.
    pub fn opens(&self, seen: &Seen) -> bool {
        let values = seen.headers.get_all("authorization").iter();
        let values = values.map(|value| value.as_bytes());
        authorization::check(values, &self.key, Timestamp::from_secs(self.now)).is_ok()
    }

    /// Everything this generation answers.
    pub fn answer(&self, seen: &Seen) -> Response {
        if seen.path == ENDPOINT {
            return self.issue(&seen.body);
        }
        if self.opens(seen) {
            return "served".into_response();
        }
        ask(&body(ENDPOINT, &[self.release.component()]))
    }

    /// Opens it.
    pub async fn open(&self) -> Seller {
        let shop = self.clone();
        seller(move |seen| shop.answer(seen)).await
    }

    pub fn taken(&self) -> usize {
        self.till.lock().unwrap().taken.len()
    }

    pub fn posted(&self) -> Vec<Permit> {
        self.till.lock().unwrap().posted.clone()
    }
}

/// The requests of a seller to its token endpoint.
pub fn posts(seller: &Seller) -> Vec<Seen> {
    let seen = seller.seen().into_iter();
    seen.filter(|seen| seen.path == ENDPOINT).collect()
}

/// An answer whose head arrives and whose body does not.
pub fn cut_off() -> Response {
    let broken =
        futures_util::stream::once(async { Err::<&[u8], _>(std::io::Error::other("cut")) });
    axum::body::Body::from_stream(broken).into_response()
}

/// A node of Sepolia that counts permits as this shop does, and says what Permit2 may take.
pub async fn node(shop: &Shop, allowance: u64) -> Seller {
    node_of(SEPOLIA, shop, allowance).await
}

/// The same of any chain.
pub async fn node_of(chain: u64, shop: &Shop, allowance: u64) -> Seller {
    let till = shop.till.clone();
    seller(move |seen| {
        let call: Value = serde_json::from_slice(&seen.body).unwrap();
        let result = match call["method"].as_str().unwrap() {
            "eth_chainId" => format!("{chain:#x}"),
            "eth_call" => {
                let data = call["params"][0]["data"].as_str().unwrap();
                assert_eq!(call["params"][0]["to"], SEPOLIA_USDC);
                assert!(data.contains(&super::PAYER[2..].to_lowercase()));
                match &data[..10] {
                    "0x7ecebe00" => format!("{:#066x}", till.lock().unwrap().next_nonce),
                    "0xdd62ed3e" => format!("{allowance:#066x}"),
                    other => panic!("{other}"),
                }
            }
            other => panic!("{other}"),
        };
        axum::Json(json!({"jsonrpc": "2.0", "id": 1, "result": result})).into_response()
    })
    .await
}
