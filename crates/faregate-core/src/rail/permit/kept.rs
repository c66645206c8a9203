//! A permit in the ledger's bytes: everything that is needed to settle it, and to make its token again.

use alloy_primitives::{Address, U256};
use faregate_types::permit::{Price, request};
use faregate_types::{Asset, AssetId, Timestamp, TokenDomain, TransferMethod};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::port::PermitOrder;

/// What was bought with a permit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// The permit, and what it pays for.
    pub(super) order: PermitOrder,
    /// The route that its token opens, or [`ANY_ROUTE`](super::ANY_ROUTE).
    pub(super) route: Box<str>,
    /// How long its token works, in seconds.
    pub(super) token_secs: u64,
}

/// The same as JSON. The permit is what the product's clients send, with the time left out.
#[derive(Serialize, Deserialize)]
struct Text<'a> {
    #[serde(borrow)]
    request: &'a RawValue,
    asset: String,
    symbol: String,
    decimals: u8,
    name: String,
    version: String,
    amount: String,
    wallet: Address,
    pay_to: Address,
    treasury: Address,
    route: String,
    token_secs: u64,
}

/// Permits are written with the time of signing, which nobody reads.
const NO_TIME: Timestamp = Timestamp::from_secs(0);

impl Kept {
    /// Its bytes. They hold the signature. `None` cannot happen, and would have to stop the sale: without them nothing could be
    /// settled after a restart.
    pub(super) fn encode(&self) -> Option<Vec<u8>> {
        let PermitOrder {
            permit,
            price,
            treasury,
        } = &self.order;
        let asset = price.asset();
        let request = RawValue::from_string(request::write(permit, NO_TIME)).ok()?;
        let text = Text {
            request: &request,
            asset: AssetId::from(asset.id).to_string(),
            symbol: asset.symbol.to_string(),
            decimals: asset.decimals,
            name: asset.domain.name.to_string(),
            version: asset.domain.version.to_string(),
            amount: price.amount().to_string(),
            wallet: price.wallet(),
            pay_to: price.pay_to(),
            treasury: *treasury,
            route: self.route.to_string(),
            token_secs: self.token_secs,
        };
        serde_json::to_vec(&text).ok()
    }

    /// Reads its bytes; `None` for those that this rail never wrote.
    pub(super) fn read(evidence: &[u8]) -> Option<Self> {
        let text: Text<'_> = serde_json::from_slice(evidence).ok()?;
        let permit = request::read(text.request.get().as_bytes()).ok()?;
        let AssetId::Erc20(id) = text.asset.parse().ok()? else {
            return None;
        };
        let asset = Asset {
            id,
            symbol: text.symbol.into(),
            decimals: text.decimals,
            domain: TokenDomain {
                name: text.name.into(),
                version: text.version.into(),
            },
            transfer: TransferMethod::Eip3009,
        };
        let amount: U256 = text.amount.parse().ok()?;
        Some(Self {
            order: PermitOrder {
                permit,
                price: Price::new(asset, amount, text.wallet, text.pay_to),
                treasury: text.treasury,
            },
            route: text.route.into(),
            token_secs: text.token_secs,
        })
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::B256;
    use faregate_types::permit::{Permit, Terms};
    use faregate_types::{AssetRegistry, Authorization, ChainId, Signature65, eip2612, permit2};

    use super::*;

    /// Every kind, with the largest and smallest of everything.
    #[test]
    fn what_is_kept_is_read_back_whole() {
        let mut asset = AssetRegistry::builtin()
            .default_for(ChainId::BASE_SEPOLIA)
            .unwrap()
            .clone();
        asset.symbol = "\"quoted\" \\ and \u{1f4b0}".into();
        let (token, owner) = (asset.id.token(), Address::repeat_byte(0x11));
        let mut bytes = [1; 65];
        bytes[64] = 28;
        let signature = Signature65::parse(&bytes).unwrap();
        for number in [U256::ZERO, U256::from(1), U256::MAX] {
            let kinds = [
                Terms::Eip2612 {
                    token,
                    permit: eip2612::Permit {
                        owner,
                        spender: owner,
                        value: number,
                        nonce: number,
                        deadline: number,
                    },
                },
                Terms::Erc3009 {
                    token,
                    authorization: Authorization {
                        from: owner,
                        to: owner,
                        value: number,
                        valid_after: number,
                        valid_before: number,
                        nonce: B256::from(number),
                    },
                },
                Terms::Permit2 {
                    owner,
                    contract: owner,
                    transfer: permit2::PermitTransferFrom {
                        token,
                        amount: number,
                        spender: owner,
                        nonce: number,
                        deadline: number,
                    },
                },
            ];
            for terms in kinds {
                let chain = ChainId::BASE_SEPOLIA;
                let permit = Permit {
                    chain,
                    terms,
                    signature,
                };
                let kept = Kept {
                    order: PermitOrder {
                        permit,
                        price: Price::new(asset.clone(), number, owner, Address::ZERO),
                        treasury: owner,
                    },
                    route: "GET /\"jokes\"\n".into(),
                    token_secs: u64::MAX,
                };
                assert_eq!(Kept::read(&kept.encode().unwrap()), Some(kept));
            }
        }
        for other in [b"".as_slice(), b"{}", b"null", &[0xff; 40]] {
            assert_eq!(Kept::read(other), None);
        }
    }
}
