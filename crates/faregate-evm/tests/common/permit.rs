//! Permits of all kinds, signed for the contract that collects for a treasury, and a collector for it.

use alloy_primitives::{Address, Bytes, U256, address};
use alloy_sol_types::{SolCall, sol};
use faregate_core::port::{Care, Collector, PermitOrder, PermitVerdict, SettleOutcome};
use faregate_evm::permit_settler::PermitSettler;
use faregate_evm::{ExactFacilitator, LocalSigner, NetworkConfig, PermitCollector};
use faregate_types::permit::{Permit, PermitKind, Price, Terms};
use faregate_types::{Authorization, ChainId, Code, domain_separator, eip2612, permit2};
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{FAR, Notes, World, artifact, new_key, now};

pub const PERMIT2: Address = address!("0x000000000022D473030F116dDEE9F6B43aC78BA3");

pub const KINDS: [PermitKind; 3] = [
    PermitKind::Eip2612,
    PermitKind::Erc3009,
    PermitKind::Permit2,
];

sol! {
    function approve(address spender, uint256 value) returns (bool);
    function permit(address owner, address spender, uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s);
    function invalidateUnorderedNonces(uint256 word, uint256 mask);
}

impl World {
    /// Puts Permit2 onto a node that does not have it.
    pub async fn place_permit2(&self) {
        if self.code(PERMIT2).await.is_empty() {
            self.place(PERMIT2, artifact("Permit2", "bytecode")).await;
            let runtime: Bytes = self
                .rpc("eth_call", json!([{ "to": PERMIT2 }, "latest"]))
                .await;
            self.place(PERMIT2, runtime).await;
        }
    }

    /// Sends a transaction in somebody's name; it must succeed.
    pub async fn act_as(&self, who: Address, to: Address, data: Vec<u8>) {
        self.give_ether(who, U256::from(10).pow(U256::from(18)))
            .await;
        self.rpc::<Value>("anvil_impersonateAccount", json!([who]))
            .await;
        let receipt = self.transact(who, to, data.into(), 300_000).await;
        assert_eq!(receipt["status"], "0x1", "{receipt}");
    }

    /// Lets Permit2 take what its owner signs.
    pub async fn approve_permit2(&self, payer: Address) {
        let call = approveCall {
            spender: PERMIT2,
            value: U256::MAX,
        };
        self.act_as(payer, self.asset.id.token(), call.abi_encode())
            .await;
    }

    /// A permit that is right in every respect. The contracts judge whether what we sign is what they hash.
    pub fn permit(
        &self,
        payer: &LocalSigner,
        spender: Address,
        kind: PermitKind,
        nonce: u64,
        value: u64,
    ) -> Permit {
        self.permit_until(payer, spender, kind, nonce, value, FAR)
    }

    pub fn permit_until(
        &self,
        payer: &LocalSigner,
        spender: Address,
        kind: PermitKind,
        nonce: u64,
        value: u64,
        deadline: u64,
    ) -> Permit {
        let (token, owner) = (self.asset.id.token(), payer.address());
        let (value, nonce, deadline) = (U256::from(value), U256::from(nonce), U256::from(deadline));
        let terms = match kind {
            PermitKind::Eip2612 => Terms::Eip2612 {
                token,
                permit: eip2612::Permit {
                    owner,
                    spender,
                    value,
                    nonce,
                    deadline,
                },
            },
            PermitKind::Erc3009 => Terms::Erc3009 {
                token,
                authorization: Authorization {
                    from: owner,
                    to: spender,
                    value,
                    valid_after: U256::ZERO,
                    valid_before: deadline,
                    nonce: nonce.into(),
                },
            },
            PermitKind::Permit2 => Terms::Permit2 {
                owner,
                contract: PERMIT2,
                transfer: permit2::PermitTransferFrom {
                    token,
                    amount: value,
                    spender,
                    nonce,
                    deadline,
                },
            },
        };
        self.sign(payer, terms)
    }

    pub fn sign(&self, payer: &LocalSigner, terms: Terms) -> Permit {
        let separator = domain_separator(&self.asset.domain, self.chain, self.asset.id.token());
        let digest = terms.digest(self.chain, separator);
        Permit {
            chain: self.chain,
            terms,
            signature: payer.sign_now(digest).unwrap(),
        }
    }

    /// Hands a permit or an authorization to the token, as anybody can who has seen it.
    pub async fn run_ahead_of(&self, permit: &Permit) {
        let signature = permit.signature;
        let data = match &permit.terms {
            Terms::Eip2612 { permit: terms, .. } => permitCall {
                owner: terms.owner,
                spender: terms.spender,
                value: terms.value,
                deadline: terms.deadline,
                v: signature.v,
                r: signature.r,
                s: signature.s,
            }
            .abi_encode(),
            Terms::Erc3009 {
                authorization: a, ..
            } => super::transferWithAuthorizationCall {
                from: a.from,
                to: a.to,
                value: a.value,
                validAfter: a.valid_after,
                validBefore: a.valid_before,
                nonce: a.nonce,
                v: signature.v,
                r: signature.r,
                s: signature.s,
            }
            .abi_encode(),
            Terms::Permit2 { .. } => panic!("only the spender can: {permit:?}"),
        };
        assert!(self.send(data).await);
    }

    /// Withdraws a Permit2 nonce below 256 in its owner's name.
    pub async fn withdraw(&self, owner: Address, nonce: u64) {
        let call = invalidateUnorderedNoncesCall {
            word: U256::ZERO,
            mask: U256::from(1) << nonce,
        };
        self.act_as(owner, PERMIT2, call.abi_encode()).await;
    }

    /// Everything an account has goes away.
    pub async fn empty(&self, payer: &LocalSigner) {
        let value = self.balance(payer.address()).await;
        let call = super::transferCall {
            to: new_key().address(),
            value,
        };
        self.act_as(payer.address(), self.asset.id.token(), call.abi_encode())
            .await;
    }
}

/// A collector for a treasury of its own.
pub struct Shop {
    pub facilitator: ExactFacilitator,
    pub collector: PermitCollector,
    pub settler: PermitSettler,
    pub chain: ChainId,
}

impl Shop {
    pub async fn open(world: &World) -> Self {
        Self::open_with(world, world.config(), world.gas_payer().await).await
    }

    pub async fn open_with(world: &World, config: NetworkConfig, signer: LocalSigner) -> Self {
        let facilitator = world.connect(config, signer).await;
        Self::over(world, facilitator).await
    }

    pub async fn over(world: &World, facilitator: ExactFacilitator) -> Self {
        world.place_permit2().await;
        let treasury = new_key().address();
        Self::of(world, facilitator, treasury).await
    }

    pub async fn of(world: &World, facilitator: ExactFacilitator, treasury: Address) -> Self {
        let collector = PermitCollector::builder(&facilitator)
            .treasury(world.chain, treasury)
            .connect()
            .await
            .unwrap();
        Self {
            facilitator,
            collector,
            settler: PermitSettler::of(treasury).unwrap(),
            chain: world.chain,
        }
    }

    pub fn treasury(&self) -> Address {
        self.settler.treasury()
    }

    /// What is asked for a permit: its own value.
    pub fn order(&self, world: &World, permit: Permit) -> PermitOrder {
        let wallet = self.settler.address();
        PermitOrder {
            price: Price::new(world.asset.clone(), permit.terms.value(), wallet, wallet),
            treasury: self.treasury(),
            permit,
        }
    }

    /// An order over a permit of this kind.
    pub fn take(
        &self,
        world: &World,
        payer: &LocalSigner,
        kind: PermitKind,
        nonce: u64,
        value: u64,
    ) -> PermitOrder {
        let permit = world.permit(payer, self.settler.address(), kind, nonce, value);
        self.order(world, permit)
    }

    pub async fn settle(&self, order: &PermitOrder) -> SettleOutcome {
        self.collector.settle(order, &Notes::default()).await
    }

    pub async fn settle_all(&self, orders: &[PermitOrder], trails: &[Notes]) -> Vec<SettleOutcome> {
        let each = orders.iter().zip(trails);
        join_all(each.map(|(order, trail)| self.collector.settle(order, trail))).await
    }

    /// Why it is refused, or the test fails.
    pub async fn refused(&self, order: &PermitOrder, care: Care) -> Code {
        match self.collector.verify(order, care).await.unwrap() {
            PermitVerdict::Refused(refused) => refused.code(),
            PermitVerdict::Valid { funds } => panic!("valid: {funds}"),
        }
    }

    /// What the payer holds, or the test fails.
    pub async fn funds(&self, order: &PermitOrder, care: Care) -> U256 {
        match self.collector.verify(order, care).await.unwrap() {
            PermitVerdict::Valid { funds } => funds,
            PermitVerdict::Refused(refused) => panic!("{}", refused.text()),
        }
    }
}

pub fn trails(count: usize) -> Vec<Notes> {
    (0..count).map(|_| Notes::default()).collect()
}

/// So many seconds from now.
pub fn soon(secs: u64) -> u64 {
    now() + secs
}
