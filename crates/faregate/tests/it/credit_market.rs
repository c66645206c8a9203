//! A payer with collateral who owes, tabs that are open, paid, and somebody else's, and promises that were signed by hand: what
//! the tests of credit over x402 have in common.

use std::time::{Duration, SystemTime};

use crate::credit_process::{PAYER, RECIPIENT, client, signer};
use crate::support::http;
use faregate::stack::Stack;
use faregate_client::credit::{CreditClient, Signer as _};
use faregate_devnet::Devchain;
use faregate_types::credit::binding;
use faregate_types::credit::x402::SCHEME;
use faregate_types::credit::{
    Claims, Encoding, GuaranteeRequest, GuaranteeVersion, SigningScheme, ValidationPolicy, digest,
};
use faregate_types::x402::{Version, header};
use faregate_types::{Address, B256, Timestamp, U256};
use serde_json::{Value, json};

pub(crate) const PRICE: u64 = 1_000;
pub(crate) const DEPOSIT: u64 = 1_000_000;
/// A second payer, a second recipient, and somebody who never deposited anything.
pub(crate) const RIVAL: usize = 2;
pub(crate) const OTHER: usize = 3;
pub(crate) const STRANGER: usize = 4;
pub(crate) const NETWORK: &str = "eip155:84532";

pub(crate) fn address(account: usize) -> Address {
    Devchain::accounts()[account].address
}

pub(crate) fn now() -> u64 {
    Timestamp::from(SystemTime::now()).as_secs()
}

/// A payment, what it is shown for, and what is said of it.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) reason: &'static str,
    pub(crate) payment: Value,
    pub(crate) offer: Value,
}

/// The stack with two payers who have collateral, in one version of the protocol.
pub(crate) struct Market<'a> {
    pub(crate) stack: &'a Stack,
    pub(crate) version: Version,
    payer: CreditClient,
    recipient: CreditClient,
    /// Nothing was signed before that.
    pub(crate) opened: u64,
    /// What is asked for, on which condition in version 2.
    offer: Value,
    condition: ValidationPolicy,
    /// Tabs of the payer with the recipient: one that takes guarantees, and one that is paid.
    pub(crate) tab: U256,
    pub(crate) closed: U256,
    /// A tab of the other payer, and one of the payer with the other recipient.
    pub(crate) rivals: U256,
    pub(crate) others: U256,
}

impl<'a> Market<'a> {
    pub(crate) async fn open(stack: &'a Stack, version: Version) -> Self {
        let credit = stack.credit().unwrap();
        let (url, contract) = (credit.url(), credit.contract());
        let env: std::collections::BTreeMap<_, _> = stack.env().into_iter().collect();
        let read = |name: &str| env[name].parse().unwrap();
        let mut market = Self {
            stack,
            version,
            payer: client(&url, contract, PAYER).await,
            recipient: client(&url, contract, RECIPIENT).await,
            opened: now(),
            offer: Value::Null,
            condition: ValidationPolicy {
                registry: read("FAREGATE_VALIDATION_REGISTRY"),
                request_hash: B256::ZERO,
                chain_id: stack.chain.get(),
                validator: read("FAREGATE_VALIDATOR_ADDRESS"),
                agent_id: U256::from(7),
                min_score: 80,
                subject_hash: B256::ZERO,
                tag: "hard-finality".to_owned(),
                job_hash: B256::repeat_byte(0x11),
            },
            tab: U256::ZERO,
            closed: U256::ZERO,
            rivals: U256::ZERO,
            others: U256::ZERO,
        };
        market.offer = market.made();
        for (account, client) in [
            (PAYER, &market.payer),
            (RIVAL, &client(&url, contract, RIVAL).await),
        ] {
            market.deposits(account, client).await;
        }
        let other = client(&url, contract, OTHER).await;
        market.closed = market.tab_of(&market.recipient, PAYER).await;
        market.settles(market.closed, 0).await;
        market.pays(market.closed).await;
        market.tab = market.tab_of(&market.recipient, PAYER).await;
        market.rivals = market.tab_of(&market.recipient, RIVAL).await;
        market.others = market.tab_of(&other, PAYER).await;
        market.settles(market.tab, 0).await;
        market
    }

    async fn deposits(&self, account: usize, client: &CreditClient) {
        let (chain, amount) = (self.stack.devchain().unwrap(), U256::from(DEPOSIT));
        let minted = chain.mint_usdc(address(account), amount).await;
        minted.unwrap();
        client.user().approve(self.token(), amount).await.unwrap();
        let deposited = client.user().deposit(self.token(), amount).await;
        deposited.unwrap();
    }

    async fn tab_of(&self, recipient: &CreditClient, payer: usize) -> U256 {
        let about = recipient.recipient();
        // Deposits are in the books a moment after their block.
        for _ in 0..200 {
            let (token, version) = (self.token(), self.guarantees());
            let tab = about.create_tab(address(payer), token, Some(200), version);
            if let Ok(tab) = tab.await {
                return tab.id;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("no tab for {payer}");
    }

    pub(crate) fn token(&self) -> Address {
        self.stack.asset.id.token()
    }

    fn guarantees(&self) -> GuaranteeVersion {
        match self.version {
            Version::V1 => GuaranteeVersion::V1,
            Version::V2 => GuaranteeVersion::V2,
        }
    }

    /// What a recipient would ask for.
    fn made(&self) -> Value {
        let mut extra = json!({ "tabEndpoint": "https://api.example.com/tab" });
        if let Some(policy) = self.policy() {
            extra = json!({
                "tabEndpoint": "https://api.example.com/tab", "validationRegistryAddress": policy.registry,
                "validatorAddress": policy.validator, "validatorAgentId": "7", "minValidationScore": policy.min_score,
                "requiredValidationTag": policy.tag, "jobHash": policy.job_hash,
            });
        }
        let mut offer = json!({
            "scheme": SCHEME, "network": NETWORK, "payTo": address(RECIPIENT), "asset": self.token(),
            "maxTimeoutSeconds": 300, "extra": extra,
        });
        offer[self.amount()] = PRICE.to_string().into();
        offer
    }

    /// From now on what the gate asks for is what is asked for.
    pub(crate) async fn asks_as_the_gate(&mut self) {
        let url = format!("{}/joke", self.stack.gate_url());
        let answer = http().get(url).send().await.unwrap();
        assert_eq!(answer.status(), 402);
        let required = answer.headers()[header::PAYMENT_REQUIRED].clone();
        let said: Value = match self.version {
            Version::V1 => answer.json().await.unwrap(),
            Version::V2 => {
                let bytes = header::decode_base64(required.as_bytes()).unwrap();
                serde_json::from_slice(&bytes).unwrap()
            }
        };
        let offers = said["accepts"].as_array().unwrap();
        let offer = offers.iter().find(|offer| offer["scheme"] == SCHEME);
        self.offer = offer.unwrap().clone();
        if self.version == Version::V2 {
            let extra = self.offer["extra"].clone();
            let text = |name: &str| extra[name].as_str().unwrap();
            self.condition.tag = text("requiredValidationTag").to_owned();
            self.condition.job_hash = text("jobHash").parse().unwrap();
            self.condition.agent_id = text("validatorAgentId").parse().unwrap();
            self.condition.min_score = extra["minValidationScore"].as_u64().unwrap() as u8;
        }
    }

    pub(crate) fn offer(&self) -> Value {
        self.offer.clone()
    }

    pub(crate) const fn amount(&self) -> &'static str {
        match self.version {
            Version::V1 => "maxAmountRequired",
            Version::V2 => "amount",
        }
    }

    fn policy(&self) -> Option<ValidationPolicy> {
        (self.version == Version::V2).then(|| self.condition())
    }

    pub(crate) fn condition(&self) -> ValidationPolicy {
        self.condition.clone()
    }

    pub(crate) fn claims(&self, tab: U256, req: u64) -> Claims {
        Claims {
            payer: address(PAYER),
            recipient: address(RECIPIENT),
            tab_id: tab,
            req_id: U256::from(req),
            amount: U256::from(PRICE),
            asset: self.token(),
            timestamp: Timestamp::from_secs(now()),
            validation: self.policy(),
        }
    }

    /// Signed by that account as they are, whatever they say; the hashes of a condition are filled in.
    pub(crate) async fn signed(&self, claims: Claims, account: usize) -> GuaranteeRequest {
        self.sealed(binding::bind(claims), account).await
    }

    /// The same without touching the hashes.
    pub(crate) async fn sealed(&self, claims: Claims, account: usize) -> GuaranteeRequest {
        let candidates = Encoding::candidates(claims.version(), SigningScheme::Eip712);
        let domain = digest::domain_separator("4mica", "1", self.stack.chain);
        let digest = claims.digest(candidates[0], domain).unwrap();
        GuaranteeRequest {
            signature: signer(account).sign_digest(digest).await.unwrap(),
            claims,
            scheme: SigningScheme::Eip712,
        }
    }

    pub(crate) fn payment(&self, request: &GuaranteeRequest) -> Value {
        match self.version {
            Version::V1 => {
                json!({ "x402Version": 1, "scheme": SCHEME, "network": NETWORK, "payload": request })
            }
            Version::V2 => {
                json!({ "x402Version": 2, "accepted": self.offer(), "payload": request })
            }
        }
    }

    /// What is asked for, but for the amount, asset and recipient of these claims.
    pub(crate) fn fitting(&self, claims: &Claims) -> Value {
        let mut offer = self.offer();
        offer[self.amount()] = claims.amount.to_string().into();
        offer["payTo"] = claims.recipient.to_string().into();
        offer["asset"] = claims.asset.to_string().into();
        offer
    }

    /// A payment with these claims, signed by that account, for an offer that they fit.
    pub(crate) async fn case(
        &self,
        name: &str,
        reason: &'static str,
        who: usize,
        claims: Claims,
    ) -> Case {
        let offer = self.fitting(&claims);
        let request = self.signed(claims, who).await;
        self.shown(name, reason, &request, offer)
    }

    pub(crate) fn shown(
        &self,
        name: &str,
        reason: &'static str,
        request: &GuaranteeRequest,
        offer: Value,
    ) -> Case {
        Case {
            name: name.to_owned(),
            reason,
            payment: self.payment(request),
            offer,
        }
    }

    pub(crate) async fn ask(&self, call: &str, payment: &Value, offer: &Value) -> (u16, Value) {
        // As an object and as a header: both are read.
        let mut body =
            json!({ "x402Version": self.version.number(), "paymentRequirements": offer });
        match call {
            "verify" => body["paymentPayload"] = payment.clone(),
            _ => body["paymentHeader"] = header::encode(payment).into(),
        }
        let url = format!("{}/{call}", self.stack.facilitator_url());
        let answer = http().post(url).json(&body).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// A guarantee like the one that was asked for.
    pub(crate) async fn settles(&self, tab: U256, req: u64) {
        let request = self.signed(self.claims(tab, req), PAYER).await;
        let payment = self.payment(&request);
        let verdict = self.ask("verify", &payment, &self.offer()).await;
        assert_eq!(verdict.1["isValid"], true, "{verdict:?}");
        let settled = self.ask("settle", &payment, &self.offer()).await;
        assert_eq!(settled.1["success"], true, "{settled:?}");
        let again = self.ask("settle", &payment, &self.offer()).await;
        assert_eq!(again, settled);
    }

    /// Pays what is owed on a tab, and waits until it is settled.
    async fn pays(&self, tab: U256) {
        let (user, token, amount) = (self.payer.user(), self.token(), U256::from(PRICE));
        user.approve(token, amount).await.unwrap();
        let paid = user.pay_tab(tab, U256::ZERO, amount, address(RECIPIENT), token);
        paid.await.unwrap();
        let about = self.recipient.recipient();
        for _ in 0..200 {
            let settled = about.settled_tabs().await.unwrap();
            if settled.iter().any(|settled| settled.tab_id == tab) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the tab is not settled");
    }

    /// What both payers have locked, and how many guarantees each tab has.
    pub(crate) async fn books(&self) -> (Vec<U256>, Vec<usize>) {
        let about = self.recipient.recipient();
        let (mut locked, mut issued) = (Vec::new(), Vec::new());
        for account in [PAYER, RIVAL] {
            let balance = about.balance(address(account), self.token()).await;
            locked.push(balance.unwrap().unwrap().locked);
        }
        for tab in [self.tab, self.closed, self.rivals, self.others] {
            issued.push(about.guarantees(tab).await.unwrap().len());
        }
        (locked, issued)
    }
}
