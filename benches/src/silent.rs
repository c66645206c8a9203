//! A facilitator that is never asked: the unpaid path must not need one.

use faregate_core::port::{Away, Facilitator, SettleOutcome, Trail, Unknown, Verdict};
use faregate_types::Code;
use faregate_types::x402::{FacilitatorRequest, Kind, SupportedResponse, Version};
use futures_util::future::{BoxFuture, ready};

/// Supports Base Sepolia in both versions and is away for everything else.
#[derive(Clone, Copy, Debug)]
pub struct Silent;

impl Facilitator for Silent {
    fn supported(&self) -> BoxFuture<'_, Result<SupportedResponse, Away>> {
        let kinds = vec![
            Kind::exact(Version::V1, "base-sepolia"),
            Kind::exact(Version::V2, "eip155:84532"),
        ];
        let supported = SupportedResponse {
            kinds,
            extensions: Vec::new(),
            signers: std::collections::BTreeMap::new(),
        };
        Box::pin(ready(Ok(supported)))
    }

    fn verify<'a>(
        &'a self,
        _request: &'a FacilitatorRequest,
    ) -> BoxFuture<'a, Result<Verdict, Away>> {
        Box::pin(ready(Err(Away {
            code: Code::FacilitatorUnavailable,
        })))
    }

    fn settle<'a>(
        &'a self,
        _request: &'a FacilitatorRequest,
        _trail: &'a dyn Trail,
    ) -> BoxFuture<'a, SettleOutcome> {
        Box::pin(ready(unknown()))
    }

    fn resolve<'a>(
        &'a self,
        _request: &'a FacilitatorRequest,
        _transaction: Option<&'a str>,
    ) -> BoxFuture<'a, SettleOutcome> {
        Box::pin(ready(unknown()))
    }
}

const fn unknown() -> SettleOutcome {
    SettleOutcome::Unknown(Unknown {
        code: Code::FacilitatorUnavailable,
        transaction: None,
    })
}
