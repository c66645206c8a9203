//! Tabs of a payer at a service that says what is not so: nothing is paid that no certificate says, to nobody else, never more.

use std::sync::{Arc, Mutex};

use alloy_primitives::Bytes;
use alloy_sol_types::SolValue as _;
use faregate_client::credit::{
    CreditClient, CreditDebts, CreditError, Debt, DebtState, Distrust, ETH, RepayFault, Which,
};
use faregate_evm::credit::CreditCore;
use faregate_store::sqlite::SqliteWallet;
use faregate_types::credit::{Certificate, Claims, Guarantee, write};
use faregate_types::{Address, U256};
use serde_json::{Value, json};

use crate::common::Seen;
use crate::world::*;

/// When the fake chain is, and when what is owed was signed.
const NOW: u64 = 1_716_500_000;
const GRACE: u64 = 1_000;

/// What the service says.
#[derive(Clone)]
struct Says {
    tab: Value,
    claims: Claims,
    total: u64,
    certificate: bool,
}

impl Says {
    /// The truth: 1000 of ETH to [`OTHER`].
    fn truth() -> Self {
        let claims = claims(ME, OTHER);
        let tab = json!({"tab_id": "0xabc", "user_address": ME, "recipient_address": OTHER, "asset_address": ETH,
            "accepted_guarantee_version": 1, "start_timestamp": NOW, "ttl_seconds": 3600, "status": "OPEN",
            "settlement_status": "PENDING", "created_at": NOW, "updated_at": NOW, "total_amount": "0x3e8", "paid_amount": "0x0"});
        Self {
            tab,
            claims,
            total: 1_000,
            certificate: true,
        }
    }

    fn latest(&self) -> Value {
        let guarantee = Guarantee::of(
            &self.claims,
            domain(self.claims.version()),
            U256::from(self.total),
        );
        let certificate = Certificate::issue(&guarantee.unwrap(), &bls());
        json!({"tab_id": "0xabc", "req_id": "0x11", "version": 1, "from_address": self.claims.payer,
            "to_address": self.claims.recipient, "asset_address": self.claims.asset, "amount": "0x3e8",
            "start_timestamp": NOW, "certificate": self.certificate.then(|| write(&certificate))})
    }
}

/// A client that owes, what it is told, and the node that it asks.
struct World {
    chain: Arc<Chain>,
    says: Arc<Mutex<Says>>,
    debts: CreditDebts,
}

async fn world(says: Says) -> World {
    let says = Arc::new(Mutex::new(says));
    let said = Arc::clone(&says);
    let service = service(move |seen: &Seen| {
        let says = said.lock().unwrap().clone();
        let path = seen.path.split('?').next().unwrap();
        if path.ends_with("/guarantees/latest") {
            json_answer(200, &says.latest())
        } else if path.ends_with("/guarantees") {
            json_answer(200, &json!([says.latest()]))
        } else if path.ends_with("/tabs") {
            json_answer(200, &json!([says.tab]))
        } else {
            json_answer(200, &says.tab)
        }
    })
    .await;
    let chain = Chain::new(31337);
    let core = CreditCore::at(CONTRACT);
    for (question, secs) in core.timing().iter().zip([GRACE, 5_000, 10, 6_000]) {
        chain.answers(question.data.clone(), U256::from(secs).abi_encode());
    }
    chain.paid(0);
    let client: CreditClient = builder(&service, &chain).connect().await.unwrap();
    let books = Arc::new(SqliteWallet::in_memory().unwrap());
    World {
        debts: client.debts(books),
        chain,
        says,
    }
}

impl Chain {
    fn answers(&self, question: Bytes, answer: Vec<u8>) {
        let mut state = self.state.lock().unwrap();
        state.answers.insert(question, answer.into());
    }

    /// What the contract counts.
    fn paid(&self, amount: u64) {
        let question = CreditCore::at(CONTRACT).payment_status(U256::from(0xabc));
        let answer = (U256::from(amount), false, ETH).abi_encode_params();
        self.answers(question.data, answer);
    }

    fn sent(&self) -> usize {
        self.state.lock().unwrap().sent.len()
    }
}

impl World {
    async fn listed(&self) -> Debt {
        self.debts
            .list(Which::Pending)
            .await
            .unwrap()
            .pop()
            .unwrap()
    }
}

fn is_distrust(error: &CreditError) -> bool {
    matches!(error, CreditError::Distrust(Distrust::Answer))
}

#[tokio::test]
async fn what_the_certificate_says_is_owed_whatever_the_service_says_of_the_tab() {
    for (said, total, owed) in [
        ("0x3e8", 1_000, 1_000),
        ("0xffffff", 1_000, 1_000),
        ("0x1", 1_500, 1_500),
    ] {
        let mut says = Says::truth();
        says.tab["total_amount"] = json!(said);
        says.total = total;
        let world = world(says).await;
        let debt = world.listed().await;
        assert_eq!(
            (debt.owed, debt.recipient),
            (U256::from(owed), OTHER),
            "{said}"
        );
        assert_eq!(debt.redeemable_at.unwrap().as_secs(), NOW + GRACE);
        assert_eq!(debt.at.as_secs(), NOW);
    }
}

#[tokio::test]
async fn a_tab_that_is_not_what_its_certificate_says_is_an_error_and_nothing_is_sent() {
    let elsewhere = Address::repeat_byte(0x66);
    let bend = |name: &str, value: Value| {
        let mut says = Says::truth();
        says.tab[name] = value;
        says
    };
    for (what, says) in [
        ("recipient", bend("recipient_address", json!(elsewhere))),
        ("asset", bend("asset_address", json!(elsewhere))),
        ("payer", bend("user_address", json!(OTHER))),
        ("tab", bend("tab_id", json!("0xabd"))),
    ] {
        let world = world(says).await;
        if what == "tab" {
            // The contract knows nothing of it.
            let question = CreditCore::at(CONTRACT).payment_status(U256::from(0xabd));
            let answer = (U256::ZERO, false, ETH).abi_encode_params();
            world.chain.answers(question.data, answer);
        }
        let error = world.debts.list(Which::Pending).await.unwrap_err();
        assert!(is_distrust(&error), "{what}: {error:?}");
        assert_eq!(world.chain.sent(), 0, "{what}");
    }
    // The contract was paid in something else.
    let world = world(Says::truth()).await;
    let question = CreditCore::at(CONTRACT).payment_status(U256::from(0xabc));
    let answer = (U256::ONE, false, TOKEN).abi_encode_params();
    world.chain.answers(question.data, answer);
    let error = world.debts.list(Which::Pending).await.unwrap_err();
    assert!(is_distrust(&error), "{error:?}");
}

/// Between what was shown and what is paid everything may change, and nothing of it costs more.
#[tokio::test]
async fn what_is_paid_is_at_most_what_was_decided() {
    let fault = async |bend: fn(&mut Says), expected: RepayFault| {
        let world = world(Says::truth()).await;
        let debt = world.listed().await;
        bend(&mut world.says.lock().unwrap());
        let error = world.debts.pay(&debt, U256::ZERO).await.unwrap_err();
        let CreditError::Repay(fault) = error else {
            panic!("{error:?}");
        };
        assert_eq!(fault, expected);
        assert_eq!(world.chain.sent(), 0);
    };
    // Even if the service has a certificate for it.
    fault(
        |says| {
            says.tab["recipient_address"] = json!(Address::repeat_byte(0x66));
            says.claims.recipient = Address::repeat_byte(0x66);
        },
        RepayFault::Changed,
    )
    .await;
    fault(|says| says.certificate = false, RepayFault::NoCertificate).await;
    fault(
        |says| says.tab["paid_amount"] = json!("0x3e8"),
        RepayFault::NothingOwed,
    )
    .await;
    let settled = |says: &mut Says| says.tab["settlement_status"] = json!("SETTLED");
    fault(settled, RepayFault::NothingOwed).await;

    // More is owed by now: what was decided is paid. Less is: less is paid.
    for (total, counted, paid) in [(5_000, 0, 1_000), (1_000, 400, 600)] {
        let world = world(Says::truth()).await;
        let debt = world.listed().await;
        world.says.lock().unwrap().total = total;
        world.chain.paid(counted);
        let repaid = world.debts.pay(&debt, U256::ZERO).await.unwrap();
        assert_eq!(repaid.amount, U256::from(paid));
        let estimated = world.chain.estimated();
        let (value, to, _) = estimated.last().unwrap();
        assert_eq!((*value, *to), (U256::from(paid), OTHER));
        // The contract does not count it yet, the wallet does.
        let again = world.debts.one(U256::from(0xabc)).await.unwrap().unwrap();
        let left = total - counted - paid;
        assert_eq!(
            (again.owed, again.uncounted),
            (U256::from(left), U256::from(paid))
        );
        if left == 0 {
            assert_eq!(again.state(std::time::Duration::ZERO), DebtState::Paid);
            let error = world.debts.pay(&debt, U256::ZERO).await.unwrap_err();
            assert!(matches!(error, CreditError::Repay(RepayFault::NothingOwed)));
        }
        assert_eq!(world.chain.sent(), 1);
    }
}

/// A service from before there was such a list.
#[tokio::test]
async fn a_service_that_lists_no_tabs_of_payers_says_so() {
    let service = service(|_| json_answer(404, &json!({"error": "not found"}))).await;
    let chain = Chain::new(31337);
    for question in CreditCore::at(CONTRACT).timing() {
        chain.answers(question.data, U256::from(GRACE).abi_encode());
    }
    let client = builder(&service, &chain).connect().await.unwrap();
    let debts = client.debts(Arc::new(SqliteWallet::in_memory().unwrap()));
    let error = debts.list(Which::Pending).await.unwrap_err();
    assert_eq!(error.status(), Some(404));
}
