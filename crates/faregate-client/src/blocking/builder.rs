//! A blocking client in the making: the async one's builder, name by name.

use std::sync::Arc;
use std::time::Duration;

use faregate_evm::Entropy;
use faregate_types::permit::PermitKind;
use faregate_types::{AssetRegistry, ChainId, Erc20, Timestamp};
use url::Url;

use super::engine::{self, Engine};
use super::{Client, Error};
use crate::{
    Alarm, BudgetExceeded, BuildError, Caps, Ends, Event, LightningWallet, OnCredit, PayeeChanges,
    PlainHttp, Prefer, PriceRises, Resume, Spent, Wallet, WalletStore,
};

/// A client in the making; see [`Client::builder`].
#[derive(Debug)]
#[must_use]
pub struct ClientBuilder(crate::ClientBuilder);

impl Default for ClientBuilder {
    fn default() -> Self {
        Self(crate::ClientBuilder::new())
    }
}

impl From<crate::ClientBuilder> for ClientBuilder {
    fn from(builder: crate::ClientBuilder) -> Self {
        Self(builder)
    }
}

macro_rules! same {
    ($(fn $name:ident($argument:ident: $kind:ty);)*) => {
        impl ClientBuilder {
            $(
                #[doc = concat!(
                    "As [`ClientBuilder::", stringify!($name), "`](crate::ClientBuilder::", stringify!($name), ")."
                )]
                pub fn $name(self, $argument: $kind) -> Self {
                    Self(self.0.$name($argument))
                }
            )*
        }
    };
}

same! {
    fn wallet(wallet: Wallet);
    fn lightning(wallet: LightningWallet);
    fn prefer(prefer: Prefer);
    fn rails(first: impl IntoIterator<Item = Prefer>);
    fn pay_with(assets: impl IntoIterator<Item = Erc20>);
    fn permit_kind(kind: PermitKind);
    fn permit_secs(secs: u64);
    fn credit(credit: OnCredit);
    fn caps(caps: Caps);
    fn store(store: Arc<dyn WalletStore>);
    fn assets(assets: AssetRegistry);
    fn allow_chain(chain: ChainId);
    fn plain_http(plain_http: PlainHttp);
    fn payee_changes(payee_changes: PayeeChanges);
    fn price_rises(price_rises: PriceRises);
    fn on_alarm(told: impl Fn(&Alarm) + Send + Sync + 'static);
    fn on_event(told: impl Fn(&Event) + Send + 'static);
    fn on_spend(told: impl Fn(&Spent) + Send + 'static);
    fn on_budget_exceeded(told: impl Fn(&BudgetExceeded) + Send + 'static);
    fn wait(wait: Duration);
    fn ends(ends: Ends);
    fn resends(resends: u32);
    fn resume(resume: Resume);
    fn redirects_max(redirects_max: u8);
    fn validity_secs_max(secs: u64);
    fn timeout(timeout: Duration);
    fn proxy(proxy: Url);
    fn clock(clock: impl Fn() -> Timestamp + Send + Sync + 'static);
    fn entropy(entropy: impl Entropy + 'static);
}

impl ClientBuilder {
    /// As [`ClientBuilder::node`](crate::ClientBuilder::node).
    pub fn node(self, chain: ChainId, url: Url) -> Self {
        Self(self.0.node(chain, url))
    }

    /// As [`ClientBuilder::only_origins`](crate::ClientBuilder::only_origins).
    ///
    /// # Errors
    /// [`BuildError::Origin`] for a URL that is not http or https.
    pub fn only_origins(self, origins: impl IntoIterator<Item = Url>) -> Result<Self, BuildError> {
        self.0.only_origins(origins).map(Self)
    }

    /// Makes the client, and the thread that it works on.
    ///
    /// # Errors
    /// [`Error::InsideRuntime`], [`Error::NoThread`], [`Error::Build`].
    pub fn build(self) -> Result<Client, Error> {
        engine::may_wait()?;
        let client = self.0.build()?;
        let engine = Arc::new(Engine::start()?);
        Ok(Client { client, engine })
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn everything_that_the_async_builder_takes_is_taken_here() {
        let (here, there) = (include_str!("builder.rs"), include_str!("../builder.rs"));
        let names = |text: &'static str, marks: &'static [&'static str]| {
            text.lines()
                .filter_map(|line| {
                    let line = line.trim_start();
                    let rest = marks.iter().find_map(|mark| line.strip_prefix(mark))?;
                    rest.split(['(', '<']).next()
                })
                .filter(|name| *name != "new")
                .collect::<std::collections::BTreeSet<_>>()
        };
        let there = names(there, &["pub fn ", "pub const fn "]);
        let here = names(here, &["pub fn ", "fn "]);
        let missing: Vec<_> = there.difference(&here).collect();
        assert!(there.len() > 20 && missing.is_empty(), "{missing:?}");
    }
}
