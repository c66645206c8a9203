//! A contract that only counts, and people who do whatever they can: what is guaranteed is always there.

use std::collections::BTreeMap;

use alloy_primitives::{Address, U256};
use faregate_ledger::suite::{Bench, Chance};

use super::kit::{
    ALL, EXPIRATION, asset, deposit, enter, happening, identity, issuing, money, opening, payer,
    recipient, terms,
};
use crate::credit::{Guarantee, Happening, Identity, Settlement, Tab, TabEvent, TabId};
use crate::port::credit::CreditStore;

/// Certificates can be redeemed from so many seconds after their timestamp on.
const REMUNERATION_GRACE: u64 = 300;

/// The chain is read with a delay of at most so many seconds.
const DELAY: u64 = 50;

/// Longer than a certificate lives, and the delay: the contract sees to it.
const WITHDRAWAL_GRACE: u64 = EXPIRATION + DELAY + 1;

const STEPS: usize = 1_500;
const PAYERS: u64 = 2;

/// Who, and what.
type Key = (Address, Address);

/// The contract's own books, and what of it was not read yet.
#[derive(Default)]
struct Contract {
    now: u64,
    collateral: BTreeMap<Key, u64>,
    requests: BTreeMap<Key, (u64, u64)>,
    paid: BTreeMap<TabId, u64>,
    remunerated: BTreeMap<TabId, u64>,
    unread: Vec<(u64, Happening)>,
}

impl Contract {
    fn say(&mut self, event: TabEvent) {
        let now = self.now;
        self.unread.push((now, happening(event, now)));
    }

    fn deposit(&mut self, key: Key, units: u64) {
        *self.collateral.entry(key).or_default() += units;
        self.say(deposit(key.0, key.1, units));
    }

    fn request(&mut self, (payer, asset): Key, units: u64) {
        let there = self.collateral.get(&(payer, asset)).copied().unwrap_or(0);
        if units == 0 || units > there {
            return;
        }
        self.requests.insert((payer, asset), (self.now, units));
        self.say(TabEvent::Withdrawing {
            payer,
            asset,
            amount: money(units),
        });
    }

    fn finalize(&mut self, (payer, asset): Key) {
        let Some((since, units)) = self.requests.get(&(payer, asset)).copied() else {
            return;
        };
        if self.now < since + WITHDRAWAL_GRACE {
            return;
        }
        let there = self.collateral.entry((payer, asset)).or_default();
        let taken = units.min(*there);
        *there -= taken;
        self.requests.remove(&(payer, asset));
        self.say(TabEvent::Withdrawn {
            payer,
            asset,
            amount: money(taken),
        });
    }

    fn record(&mut self, tab: &Tab, units: u64) {
        *self.paid.entry(tab.id).or_default() += units;
        self.say(TabEvent::Recorded {
            record: None,
            tab: tab.id,
            asset: tab.identity.asset,
            amount: money(units),
        });
    }

    /// Pays what the certificate is still worth. The money has to be there: that is what a guarantee is.
    fn remunerate(&mut self, guarantee: &Guarantee) {
        let signed: u64 = guarantee.timestamp.as_secs() - super::kit::at(0).as_secs();
        if self.now < signed + REMUNERATION_GRACE || self.now > signed + EXPIRATION {
            return;
        }
        let key = (guarantee.identity.payer, guarantee.identity.asset);
        let paid = self.paid.get(&guarantee.tab).copied().unwrap_or(0);
        let before = self.remunerated.entry(guarantee.tab).or_default();
        let total: u64 = guarantee.total.to();
        let amount = total.saturating_sub(paid).saturating_sub(*before);
        if amount == 0 {
            return;
        }
        let there = self.collateral.entry(key).or_default();
        assert!(amount <= *there, "a certificate that is not covered");
        *there -= amount;
        *before += amount;
        if let Some((since, units)) = self.requests.get(&key).copied()
            && signed < since + DELAY
        {
            let left = units.saturating_sub(amount);
            if left == 0 {
                self.requests.remove(&key);
            } else {
                self.requests.insert(key, (since, left));
            }
            self.say(TabEvent::Withdrawing {
                payer: key.0,
                asset: key.1,
                amount: money(left),
            });
        }
        self.say(TabEvent::Remunerated {
            tab: guarantee.tab,
            asset: key.1,
            amount: money(amount),
        });
    }

    /// What was said before this moment is read, in order.
    async fn read<S: CreditStore>(&mut self, store: &S, until: u64) {
        let (read, left) = std::mem::take(&mut self.unread)
            .into_iter()
            .partition(|(said, _)| *said <= until);
        self.unread = left;
        let read: Vec<(u64, Happening)> = read;
        let happenings = read.into_iter().map(|(_, happening)| happening).collect();
        enter(store, happenings, until).await;
    }
}

struct World {
    contract: Contract,
    chance: Chance,
    tabs: Vec<TabId>,
    issued: Vec<Guarantee>,
    read_until: u64,
}

impl World {
    fn key(&mut self) -> Key {
        (
            payer(1 + self.chance.below(PAYERS)),
            asset(self.chance.below(2)),
        )
    }

    async fn step<S: CreditStore>(&mut self, store: &S) {
        match self.chance.below(20) {
            0 => {
                let key = self.key();
                let units = 1 + self.chance.below(500);
                self.contract.deposit(key, units);
            }
            1..=7 => self.guarantee(store).await,
            8 | 9 => {
                let key = self.key();
                let there = self.contract.collateral.get(&key).copied().unwrap_or(0);
                // A new request would take the place of the old one, and its time begin again.
                if !self.contract.requests.contains_key(&key) || self.chance.below(20) == 0 {
                    let units = self.chance.below(there + 1);
                    self.contract.request(key, units);
                }
            }
            10..=12 => {
                let key = self.key();
                self.contract.finalize(key);
            }
            13 => self.pay(store).await,
            14..=17 => {
                if let Some(guarantee) = self.any() {
                    self.contract.remunerate(&guarantee);
                }
            }
            18 => self.contract.now += self.chance.below(200),
            _ => self.contract.now += self.chance.below(20),
        }
        // The chain is read now and then, and never later than the delay.
        let late = self.contract.now > self.read_until + DELAY;
        if late || self.chance.below(2) == 0 {
            let now = self.contract.now;
            let behind = self.chance.below(DELAY);
            let until = self.read_until.max(now.saturating_sub(behind));
            self.contract.read(store, until).await;
            self.read_until = until;
        }
    }

    fn any(&mut self) -> Option<Guarantee> {
        let count = u64::try_from(self.issued.len()).unwrap();
        let place = self.chance.below(count.max(1));
        self.issued.get(usize::try_from(place).unwrap()).cloned()
    }

    async fn guarantee<S: CreditStore>(&mut self, store: &S) {
        let (payer, asset) = self.key();
        let identity = Identity {
            payer,
            asset,
            recipient: recipient(self.chance.below(2)),
            ..identity()
        };
        let now = self.contract.now;
        let Ok(opened) = store.open_tab(opening(identity, now), terms()).await else {
            return;
        };
        if opened.is_new {
            self.tabs.push(opened.tab.id);
        }
        let sums = store.collateral(payer, asset).await.unwrap();
        let total: u64 = sums.unwrap_or_default().total.to();
        let units = 1 + self.chance.below(total.max(1));
        let mut command = issuing(&opened.tab, opened.next_req.to(), units, now);
        let old = now.saturating_sub(self.chance.below(30));
        command.timestamp = super::kit::at(old);
        if let Ok(guarantee) = store.issue(command, terms()).await {
            self.issued.push(guarantee);
        }
    }

    async fn pay<S: CreditStore>(&mut self, store: &S) {
        let Some(guarantee) = self.any() else {
            return;
        };
        let tab = store.tab(guarantee.tab).await.unwrap().unwrap();
        let units = 1 + self.chance.below(100);
        self.contract.record(&tab, units);
    }

    /// What must hold at any moment.
    async fn check<S: CreditStore>(&self, store: &S) {
        for who in 1..=PAYERS {
            let tabs = store
                .tabs_of_payer(payer(who), Vec::new(), ALL)
                .await
                .unwrap();
            for of in [0, 1] {
                let (payer, asset) = (payer(who), asset(of));
                let sums = store.collateral(payer, asset).await.unwrap();
                let sums = sums.unwrap_or_default();
                assert!(sums.locked <= sums.total, "locked and not there");
                let locked = tabs
                    .iter()
                    .filter(|tab| tab.identity.asset == asset)
                    .fold(U256::ZERO, |sum, tab| sum + tab.locked());
                assert_eq!(sums.locked, locked, "locked for no tab");
            }
        }
    }
}

/// However deposits, guarantees, payments, remunerations and withdrawals follow each other: what is locked is there, it is the
/// sum of the tabs, every certificate that is shown on time is paid, the books agree with the contract, and in the end
/// nothing is locked and everybody gets back what is left.
pub async fn whatever_happens_what_is_locked_is_there<S: CreditStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    let mut world = World {
        contract: Contract::default(),
        chance: Chance::new(0xc0_11a7),
        tabs: Vec::new(),
        issued: Vec::new(),
        read_until: 0,
    };
    for _ in 0..STEPS {
        world.step(store).await;
        world.check(store).await;
    }
    assert!(world.issued.len() > 50, "{} guarantees", world.issued.len());
    let end = world.contract.now + EXPIRATION + 1;
    world.contract.now = end;
    world.contract.read(store, end).await;
    world.check(store).await;
    for tab in &world.tabs {
        let tab = store.tab(*tab).await.unwrap().unwrap();
        assert_eq!(tab.locked(), U256::ZERO);
        assert!(tab.guarantees == 0 || tab.settlement() != Settlement::Pending);
    }
    for ((payer, asset), units) in world.contract.collateral.clone() {
        let sums = store.collateral(payer, asset).await.unwrap().unwrap();
        assert_eq!((sums.total, sums.locked), (money(units), U256::ZERO));
        world.contract.request((payer, asset), units);
    }
    world.contract.now = end + WITHDRAWAL_GRACE;
    for key in world.contract.collateral.clone().into_keys() {
        world.contract.finalize(key);
    }
    let now = world.contract.now;
    world.contract.read(store, now).await;
    for (payer, asset) in world.contract.collateral.into_keys() {
        let sums = store.collateral(payer, asset).await.unwrap().unwrap();
        assert_eq!(sums.total, U256::ZERO);
    }
}
