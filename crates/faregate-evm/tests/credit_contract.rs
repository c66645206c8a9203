//! The credit contract on a chain: deployed by our calls, spoken to by our bindings, paid out by our certificates. Shows that
//! the chain's BLS precompiles work, on the dev chain and, with `FAREGATE_TEST_RPC`, on any node that has them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may"
)]

mod common;

use alloy_primitives::{Address, B256, Bytes, LogData, U64, U256};
use alloy_sol_types::SolCall;
use common::{World, artifact, new_key};
use faregate_evm::credit::abi::{Core, ValidationRegistry};
use faregate_evm::credit::{
    Call, CreditCore, Deployment, ETH, Event, Payment, Question, Revert, Timing,
};
use faregate_types::Timestamp;
use faregate_types::credit::certificate::domain_separator;
use faregate_types::credit::{
    BlsSecretKey, Certificate, Claims, Guarantee, GuaranteeVersion, Layout, ValidationPolicy,
    binding,
};
use serde_json::{Value, json};

const ETHER: u64 = 1_000_000_000_000_000_000;

/// So long that nothing expires while a test runs; withdrawals get shorter durations when they are due.
const TIMING: Timing = Timing {
    remuneration_grace: 1,
    tab_expiration: 3_600,
    synchronization_delay: 1,
    withdrawal_grace: 4_000,
};

/// A chain with the contracts, a payer with money and a recipient with none.
struct Net {
    world: World,
    key: BlsSecretKey,
    deployment: Deployment,
    core: CreditCore,
    payer: Address,
    recipient: Address,
    registry: Address,
}

impl Net {
    async fn open() -> Self {
        let world = World::start().await;
        let key = BlsSecretKey::from_bytes(&new_bytes()).unwrap();
        let registry = new_key().address();
        let code = artifact("TestValidationRegistry", "deployedBytecode");
        world.place(registry, code).await;
        let someone = || new_key().address();
        let deployment = Deployment {
            chain: world.chain,
            key: key.public_key().words(),
            tokens: vec![world.asset.id.token()],
            registries: vec![registry],
            timing: TIMING,
            admin: someone(),
            governor: someone(),
            governance_delay: 0,
            guardian: someone(),
            operator: someone(),
        };
        let payer = world.payer().await.address();
        let net = Self {
            core: deployment.core(),
            world,
            key,
            payer,
            recipient: someone(),
            registry,
            deployment,
        };
        for creation in net.deployment.creations() {
            net.send(net.payer, &creation.call).await;
        }
        for call in net.deployment.steps() {
            net.send(net.deployment.admin, &call).await;
        }
        net
    }

    /// Sends one of our calls in somebody's name; it must succeed. What the contract logged.
    async fn send(&self, who: Address, call: &Call) -> Vec<Event> {
        let (rpc, wei) = (&self.world, U256::from(10 * ETHER));
        rpc.give_ether(who, wei).await;
        rpc.rpc::<Value>("anvil_impersonateAccount", json!([who]))
            .await;
        let call = json!({
            "from": who, "to": call.to, "data": call.data, "value": call.value, "gas": U64::from(call.gas),
        });
        let hash = rpc.submit(call).await;
        let receipt = rpc.receipt(hash).await;
        assert_eq!(receipt["status"], "0x1", "{receipt}");
        let logs = receipt["logs"].as_array().unwrap().iter();
        let ours = logs.filter(|log| {
            let emitter: Address = serde_json::from_value(log["address"].clone()).unwrap();
            emitter == self.core.address()
        });
        ours.map(|log| {
            let topics: Vec<B256> = serde_json::from_value(log["topics"].clone()).unwrap();
            let data: Bytes = serde_json::from_value(log["data"].clone()).unwrap();
            Event::decode(&LogData::new_unchecked(topics, data)).unwrap()
        })
        .collect()
    }

    /// What a call would do if nobody in particular sent it, as the SDK asks before it redeems.
    async fn try_out(&self, call: &Call) -> Result<(), Revert> {
        let question = json!({ "to": call.to, "data": call.data });
        let answer = self
            .world
            .try_rpc("eth_call", json!([question, "latest"]))
            .await;
        if answer.get("result").is_some() {
            return Ok(());
        }
        let data = serde_json::from_value(answer["error"]["data"].clone());
        Err(Revert::decode(&data.unwrap_or_else(|_| panic!("{answer}"))))
    }

    async fn ask<T>(&self, question: &Question<T>) -> T {
        let call = json!({ "to": question.to, "data": question.data });
        let answer: Bytes = self.world.rpc("eth_call", json!([call, "latest"])).await;
        question.read(&answer).unwrap()
    }

    async fn ether(&self, account: Address) -> U256 {
        self.world
            .rpc("eth_getBalance", json!([account, "latest"]))
            .await
    }

    /// Lets chain time pass: at once where we have the chain for ourselves.
    async fn pass(&self, secs: u64) {
        if self.world.is_own() {
            self.world
                .rpc::<Value>("evm_increaseTime", json!([secs]))
                .await;
        } else {
            tokio::time::sleep(std::time::Duration::from_secs(secs)).await;
        }
        self.world.mine(1).await;
    }

    /// A guarantee that may be redeemed since a moment ago.
    async fn guarantee(&self, tab: u64, asset: Address, total: u64) -> Guarantee {
        let given = self.world.chain_time().await - 60;
        Guarantee {
            domain: self.domain(GuaranteeVersion::V1),
            tab_id: U256::from(tab),
            req_id: U256::ZERO,
            payer: self.payer,
            recipient: self.recipient,
            amount: U256::from(total),
            total_amount: U256::from(total),
            asset,
            timestamp: Timestamp::from_secs(given),
            validation: None,
        }
    }

    fn domain(&self, version: GuaranteeVersion) -> B256 {
        domain_separator(version, self.world.chain, self.core.address())
    }

    fn redeeming(&self, certificate: &Certificate) -> Call {
        let words = certificate.signature.words().unwrap();
        self.core.remunerate(&certificate.claims, &words).unwrap()
    }

    fn certified(&self, guarantee: &Guarantee) -> Call {
        self.redeeming(&Certificate::issue(guarantee, &self.key))
    }
}

fn new_bytes() -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[12..].copy_from_slice(new_key().address().as_slice());
    bytes
}

#[tokio::test]
async fn what_was_deployed_is_what_was_asked_for() {
    let net = Net::open().await;
    let one = net.ask(&net.core.version_config(1)).await;
    assert_eq!(one.key, net.deployment.key);
    assert_eq!(one.domain, net.domain(GuaranteeVersion::V1));
    assert!(one.enabled);
    let two = net.ask(&net.core.version_config(2)).await;
    assert_eq!(two.domain, net.domain(GuaranteeVersion::V2));
    assert_eq!(Some(two.decoder), net.deployment.decoder());
    assert!(two.enabled);
    let [grace, expiration, delay, withdrawal] = net.core.timing();
    assert_eq!(net.ask(&grace).await, TIMING.remuneration_grace);
    assert_eq!(net.ask(&expiration).await, TIMING.tab_expiration);
    assert_eq!(net.ask(&delay).await, TIMING.synchronization_delay);
    assert_eq!(net.ask(&withdrawal).await, TIMING.withdrawal_grace);
    assert_eq!(
        net.ask(&net.core.tokens()).await,
        net.deployment.tokens.as_slice()
    );
    assert!(!net.ask(&net.core.paused()).await);
    let record = net.core.record_payment(&Payment {
        id: B256::repeat_byte(1),
        tab: U256::from(1),
        asset: ETH,
        amount: U256::from(1),
    });
    let refused = net.try_out(&record).await.unwrap_err();
    assert_eq!(refused.name(), Some("AccessManagedUnauthorized"));
}

#[tokio::test]
async fn collateral_is_left_taken_by_certificate_and_given_back() {
    let net = Net::open().await;
    let amount = U256::from(100);
    let deposited = net.send(net.payer, &net.core.deposit(ETH, amount)).await;
    let (user, asset) = (net.payer, ETH);
    assert_eq!(
        deposited,
        [Event::decode(&log(&Core::CollateralDeposited {
            user,
            asset,
            amount
        }))
        .unwrap()]
    );

    // The first certificate of the tab comes first, the last one is still worth the rest, and nobody has to send it.
    let first = net.certified(&net.guarantee(1, ETH, 10).await);
    let last = net.certified(&net.guarantee(1, ETH, 30).await);
    net.try_out(&first).await.unwrap();
    net.send(net.payer, &first).await;
    let told = net.send(net.recipient, &last).await;
    let Event::Debited {
        amount,
        outstanding,
        ..
    } = told[0]
    else {
        panic!("{told:?}");
    };
    assert_eq!((amount, outstanding), (U256::from(20), U256::ZERO));
    let refused = net.try_out(&first).await.unwrap_err();
    assert_eq!(refused.name(), Some("TabPreviouslyRemunerated"));
    assert_eq!(
        net.ask(&net.core.remunerated_amount(U256::from(1))).await,
        U256::from(30)
    );
    let status = net.ask(&net.core.payment_status(U256::from(1))).await;
    assert!(status.remunerated);

    // All that is left comes back.
    let left = U256::from(70);
    let requested = net
        .send(net.payer, &net.core.request_withdrawal(ETH, left))
        .await;
    assert!(matches!(requested[..], [Event::WithdrawalRequested { amount, .. }] if amount == left));
    let early = net.core.finalize_withdrawal(ETH);
    let shorter = Core::setTimingParametersCall {
        remunerationGracePeriod: U256::from(1),
        tabExpirationTime: U256::from(2),
        synchronizationDelay: U256::from(1),
        withdrawalGracePeriod: U256::from(4),
    };
    let shorter = other_call(early.to, shorter.abi_encode());
    assert_eq!(net.send(net.deployment.governor, &shorter).await.len(), 4);
    net.pass(5).await;
    let before = net.ether(net.core.address()).await;
    assert_eq!(before, left);
    let withdrawn = net.send(net.payer, &early).await;
    assert!(matches!(withdrawn[..], [Event::Withdrawn { amount, .. }] if amount == left));
    assert_eq!(net.ether(net.core.address()).await, U256::ZERO);
    let rows = net.ask(&net.core.user_assets(net.payer)).await;
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| row.collateral.is_zero()));
}

#[tokio::test]
async fn tokens_are_paid_recorded_and_taken() {
    let net = Net::open().await;
    let token = net.world.asset.id.token();
    net.send(net.payer, &net.core.approve(token, U256::MAX))
        .await;
    net.send(net.payer, &net.core.deposit(token, U256::from(50)))
        .await;
    let tab = U256::from(9);
    let amount = U256::from(12);
    let paid = net
        .send(
            net.payer,
            &net.core.pay_tab(tab, token, amount, net.recipient),
        )
        .await;
    assert!(
        matches!(paid[..], [Event::TabPaid { recipient, amount: arrived, .. }] if recipient == net.recipient && arrived == amount)
    );
    let good = Payment {
        id: B256::repeat_byte(7),
        tab,
        asset: token,
        amount,
    };
    let conflicting = Payment {
        amount: U256::from(13),
        ..good
    };
    let records = net
        .core
        .record_payments(&[good, good, conflicting])
        .unwrap();
    let told = net.send(net.deployment.operator, &records).await;
    let [
        Event::PaymentRecordedById { .. },
        Event::PaymentReplayed { .. },
        Event::PaymentRefused { reason, .. },
    ] = &told[..]
    else {
        panic!("{told:?}");
    };
    assert_eq!(reason.name(), Some("PaymentRecordConflict"));
    let digest = net.ask(&net.core.record_digest(good.id)).await;
    assert_eq!(digest, good.digest());

    // More is guaranteed than there is collateral: the recipient gets what there is.
    let redeem = net.certified(&net.guarantee(9, token, 80).await);
    let told = net.send(net.recipient, &redeem).await;
    let Event::Debited {
        amount,
        outstanding,
        ..
    } = told[0]
    else {
        panic!("{told:?}");
    };
    assert_eq!((amount, outstanding), (U256::from(50), U256::from(18)));
    assert_eq!(net.world.balance(net.recipient).await, U256::from(62));
    let refused = net.try_out(&redeem).await.unwrap_err();
    assert_eq!(refused.name(), Some("DoubleSpendingDetected"));
}

#[tokio::test]
async fn certificates_of_version_two_are_redeemed_once_validated() {
    let net = Net::open().await;
    net.send(net.payer, &net.core.deposit(ETH, U256::from(100)))
        .await;
    let validator = new_key().address();
    for (tab, layout) in [(21, Layout::TagFirst), (22, Layout::JobFirst)] {
        let mut guarantee = net.guarantee(tab, ETH, 40).await;
        guarantee.domain = net.domain(GuaranteeVersion::V2);
        guarantee.validation = Some(net.condition(&guarantee, validator));
        let claims = Bytes::from(guarantee.encode_as(layout));
        let signature = net.key.sign(&claims);
        let redeem = net.redeeming(&Certificate { claims, signature });
        let refused = net.try_out(&redeem).await.unwrap_err();
        assert_eq!(refused.name(), Some("ValidationLookupFailed"));
        net.validate(guarantee.validation.as_ref().unwrap()).await;
        let told = net.send(net.recipient, &redeem).await;
        assert!(matches!(told[1], Event::Remunerated { amount, .. } if amount == U256::from(40)));
    }
    assert_eq!(net.ether(net.core.address()).await, U256::from(20));
}

#[tokio::test]
async fn somebody_elses_signature_pays_nothing() {
    let net = Net::open().await;
    net.send(net.payer, &net.core.deposit(ETH, U256::from(100)))
        .await;
    let guarantee = net.guarantee(1, ETH, 10).await;
    let other = BlsSecretKey::from_bytes(&new_bytes()).unwrap();
    let forged = net.redeeming(&Certificate::issue(&guarantee, &other));
    let refused = net.try_out(&forged).await.unwrap_err();
    assert_eq!(refused.name(), Some("InvalidSignature"));
    net.try_out(&net.certified(&guarantee)).await.unwrap();
}

impl Net {
    fn condition(&self, guarantee: &Guarantee, validator: Address) -> ValidationPolicy {
        let mut policy = ValidationPolicy {
            registry: self.registry,
            request_hash: B256::ZERO,
            chain_id: self.world.chain.get(),
            validator,
            agent_id: U256::from(7),
            min_score: 80,
            subject_hash: B256::ZERO,
            tag: "hard-finality".to_owned(),
            job_hash: B256::repeat_byte(0x11),
        };
        let claims = Claims {
            payer: guarantee.payer,
            recipient: guarantee.recipient,
            tab_id: guarantee.tab_id,
            req_id: guarantee.req_id,
            amount: guarantee.amount,
            asset: guarantee.asset,
            timestamp: guarantee.timestamp,
            validation: None,
        };
        policy.subject_hash = binding::subject_hash(&claims);
        policy.request_hash = binding::request_hash(&policy);
        policy
    }

    async fn validate(&self, policy: &ValidationPolicy) {
        let ask = ValidationRegistry::validationRequestCall {
            validatorAddress: policy.validator,
            agentId: policy.agent_id,
            requestURI: String::new(),
            requestHash: policy.request_hash,
        };
        let answer = ValidationRegistry::validationResponseCall {
            requestHash: policy.request_hash,
            response: 90,
            responseURI: String::new(),
            responseHash: B256::ZERO,
            tag: policy.tag.clone(),
        };
        let to = self.registry;
        self.send(self.recipient, &other_call(to, ask.abi_encode()))
            .await;
        self.send(policy.validator, &other_call(to, answer.abi_encode()))
            .await;
    }
}

/// A call that the bindings have no name for.
fn other_call(to: Address, data: Vec<u8>) -> Call {
    let mut call = CreditCore::at(to).cancel_withdrawal(ETH);
    call.data = data.into();
    call.gas = 500_000;
    call
}

fn log(event: &impl alloy_sol_types::SolEvent) -> LogData {
    event.encode_log_data()
}
