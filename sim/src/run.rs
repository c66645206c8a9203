//! One run: a seed in, what happened out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{Address, U256};
use faregate_core::{Facilitator, Offer, Payee, Resource, Settler, TokenAsk};
use faregate_ledger::LedgerStore;
use faregate_types::{Amount, Asset, AssetRegistry, ChainId, RailName};
use tokio::time::sleep;

use crate::bugs::{Bug, Sender, Store};
use crate::chain::Chain;
use crate::chance::Chance;
use crate::desk::{Desk, Way};
use crate::gate::Gate;
use crate::host::{Host, recover};
use crate::judge;
use crate::ledger::{Disk, MemoryLedger};
use crate::node::Node;
use crate::payer::{Market, PAYERS, payer_key};
use crate::plan::{Backend, Plan};
use crate::process::Process;
use crate::sender::{self, signer};
use crate::shop::Shop;
use crate::world::World;

/// Who is paid.
pub const PAYEE: Address = Address::repeat_byte(0x5e);

/// The price of everything, in the asset's smallest units.
pub const PRICE: u64 = 1_000;

/// How long the world may take to heal, in minutes.
const HEAL_MINUTES: u64 = 240;

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Report {
    /// The seed that decided it.
    pub seed: u64,
    /// What happened that must not. Empty when all is well.
    pub problems: Vec<String>,
    /// A number that stands for everything that happened, in its order.
    pub hash: u64,
    /// How many events there were.
    pub events: u64,
    /// The events, if they were asked for.
    pub lines: Vec<String>,
    /// What was bought and what it came to.
    pub tally: judge::Tally,
}

/// Everything of one world.
pub(crate) struct Stage {
    pub(crate) world: World,
    pub(crate) node: Arc<Node>,
    pub(crate) asset: Asset,
    pub(crate) shop: Arc<Shop>,
    pub(crate) gate_ledger: Arc<MemoryLedger>,
    pub(crate) desk_ledger: Arc<MemoryLedger>,
    offers: Arc<[Offer]>,
    gate: Arc<Host<Gate>>,
    desk: Arc<Host<Desk>>,
    bug: Option<Bug>,
}

/// Runs one seed.
///
/// # Panics
/// When the runtime cannot be made, which is not the seed's doing.
#[must_use]
pub fn run(seed: u64, trace: bool) -> Report {
    run_with(seed, trace, None)
}

/// The same with a bug planted into it.
///
/// # Panics
/// As [`run`].
#[must_use]
pub fn run_with(seed: u64, trace: bool, bug: Option<Bug>) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async move {
        let mut chance = Chance::new(seed);
        let plan = Plan::draw(&mut chance);
        let stage = Arc::new(Stage::new(plan, chance, trace, bug));
        let tally = stage.play().await;
        let world = &stage.world;
        let (hash, events, lines) = world.history();
        Report {
            seed,
            problems: world.problems(),
            hash,
            events,
            lines,
            tally,
        }
    })
}

impl Stage {
    fn new(plan: Plan, chance: Chance, trace: bool, bug: Option<Bug>) -> Self {
        let world = World::new(plan, chance, trace);
        world.note(format_args!("{:?}", world.plan()));
        let registry = AssetRegistry::builtin();
        let asset = registry
            .default_for(ChainId::BASE_SEPOLIA)
            .expect("a built-in asset")
            .clone();
        let money = U256::from(PRICE) * U256::from(1_000);
        let rich = (0..u64::from(PAYERS)).map(|number| (payer_key(number).address(), money));
        let senders = vec![signer(1).address()];
        let chain = Chain::new(rich.collect::<BTreeMap<_, _>>(), world.plan().finality);
        let (gate_ledger, desk_ledger) = (Arc::<MemoryLedger>::default(), Arc::default());
        let books = match world.plan().backend {
            Backend::Embedded => Some(Arc::clone(&gate_ledger)),
            Backend::Remote => Some(Arc::clone(&desk_ledger)),
            Backend::Forgetful => None,
        };
        let node = Node::new(&world, chain, asset.clone(), senders, books);
        let shop = Shop::new(&world, Arc::clone(&node), Arc::clone(&gate_ledger));
        let offers = world
            .plan()
            .policies
            .iter()
            .enumerate()
            .map(|(number, policy)| {
                let resource = Resource {
                    url: format!("https://api.example/{number}").into(),
                    description: "".into(),
                    mime_type: "".into(),
                };
                let ask = TokenAsk {
                    rail: RailName::X402,
                    amount: Amount::new(U256::from(PRICE), asset.id),
                    asset: asset.clone(),
                    payee: Payee::Evm(PAYEE),
                };
                let credit = U256::from(PRICE) * U256::from(world.plan().credit);
                Offer::new(
                    format!("route {number}"),
                    resource,
                    vec![ask.into()],
                    *policy,
                    60,
                )
                .expect("an offer")
                .with_exposure_max(Amount::new(credit, asset.id))
            });
        Self {
            offers: offers.collect(),
            gate: Host::new(&world, "gate"),
            desk: Host::new(&world, "desk"),
            desk_ledger,
            bug,
            gate_ledger,
            shop,
            asset,
            node,
            world,
        }
    }

    async fn play(self: &Arc<Self>) -> judge::Tally {
        tokio::spawn(Arc::clone(&self.node).run());
        if self.world.plan().backend != Backend::Embedded {
            let stage = Arc::clone(self);
            let desk = move |process, host| Arc::clone(&stage).live_desk(process, host);
            tokio::spawn(Arc::clone(&self.desk).run(desk));
        }
        let stage = Arc::clone(self);
        let gate = move |process, host| Arc::clone(&stage).live_gate(process, host);
        tokio::spawn(Arc::clone(&self.gate).run(gate));
        let market = Market::new(
            &self.world,
            Arc::clone(&self.gate),
            Arc::clone(&self.shop),
            Arc::clone(&self.offers),
            self.asset.clone(),
        );
        let buying: Vec<_> = (0..self.world.plan().purchases)
            .map(|number| tokio::spawn(Arc::clone(&market).buy(number)))
            .collect();
        sleep(Duration::from_secs(self.world.plan().storm_secs)).await;
        self.world.calm_down();
        let mut purchases = Vec::new();
        for purchase in buying {
            purchases.push(purchase.await.expect("payers do not panic"));
        }
        self.heal().await;
        judge::judge(self, &market, &purchases).await
    }

    /// Waits until every payment has ended and every authorization is past its time.
    async fn heal(&self) {
        let at_least = (self.world.plan().validity_secs + 180).div_ceil(60);
        for minute in 0..HEAL_MINUTES {
            sleep(Duration::from_secs(60)).await;
            if minute >= at_least && judge::open(self).is_empty() {
                break;
            }
        }
        self.world.note(format_args!("healed"));
    }

    async fn live_gate(self: Arc<Self>, process: Process, host: Arc<Host<Gate>>) {
        let facilitator: Arc<dyn Facilitator> = match self.world.plan().backend {
            Backend::Embedded => self.sender(&process).await,
            Backend::Remote | Backend::Forgetful => {
                Way::facilitator(process.clone(), Arc::clone(&self.desk))
            }
        };
        let store = self.store(&process, &self.gate_ledger);
        let gate = Gate::new(
            &process,
            store,
            facilitator,
            Arc::clone(&self.offers),
            Arc::clone(&self.shop),
            self.bug,
        );
        let recovery = gate.till().recovery();
        host.ready(&process, Arc::new(gate));
        recover(process, recovery).await;
    }

    async fn live_desk(self: Arc<Self>, process: Process, host: Arc<Host<Desk>>) {
        let facilitator = self.sender(&process).await;
        let node = Arc::clone(&self.node);
        if self.world.plan().backend == Backend::Forgetful {
            let settler = None;
            host.ready(
                &process,
                Arc::new(Desk {
                    settler,
                    facilitator,
                    node,
                }),
            );
            return;
        }
        let store = self.store(&process, &self.desk_ledger);
        let world = self.world.clone();
        let clock = Arc::new(move || world.now());
        let settler = Settler::new(Arc::clone(&facilitator), store, clock);
        let recovery = settler.recovery();
        let settler = Some(settler);
        host.ready(
            &process,
            Arc::new(Desk {
                settler,
                facilitator,
                node,
            }),
        );
        recover(process, recovery).await;
    }

    /// The ledger as `process` sees it.
    fn store(&self, process: &Process, ledger: &Arc<MemoryLedger>) -> Arc<dyn LedgerStore> {
        if self.bug == Some(Bug::RestartReleases) {
            ledger.release_all();
        }
        let disk = Disk::new(process.clone(), Arc::<MemoryLedger>::clone(ledger));
        Store::new(self.bug, process, Arc::new(disk))
    }

    async fn sender(&self, process: &Process) -> Arc<dyn Facilitator> {
        let sender =
            sender::start(process, &self.node, &self.asset, self.world.plan().signers).await;
        Sender::new(self.bug, &self.node, Arc::new(sender))
    }
}
