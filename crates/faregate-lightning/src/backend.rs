//! Any backend, by its configuration: the one place that knows which of them can be a wallet.

use std::sync::Arc;

use faregate_core::port::lightning::{ReceiveBackend, SendBackend};

use crate::alby::{Alby, AlbyConfig};
use crate::blink::{Blink, BlinkConfig};
use crate::cln::{Cln, ClnConfig};
use crate::config::ConfigError;
use crate::lnbits::{Lnbits, LnbitsConfig};
use crate::lnd::{Lnd, LndConfig};
use crate::lnurl::{Lnurl, LnurlConfig};
use crate::managed::{Managed, ManagedConfig};
#[cfg(feature = "nwc")]
use crate::nwc::{Nwc, NwcConfig};
use crate::opennode::{OpenNode, OpenNodeConfig};
use crate::phoenixd::{Phoenixd, PhoenixdConfig};
use crate::strike::{Strike, StrikeConfig};

/// The configuration of any backend.
#[derive(Debug)]
#[non_exhaustive]
pub enum BackendConfig {
    /// LND.
    Lnd(LndConfig),
    /// Core Lightning.
    Cln(ClnConfig),
    /// LNbits.
    Lnbits(LnbitsConfig),
    /// phoenixd.
    Phoenixd(PhoenixdConfig),
    /// Blink.
    Blink(BlinkConfig),
    /// Alby.
    Alby(AlbyConfig),
    /// Strike.
    Strike(StrikeConfig),
    /// Nostr Wallet Connect.
    #[cfg(feature = "nwc")]
    Nwc(NwcConfig),
    /// OpenNode.
    OpenNode(OpenNodeConfig),
    /// A Lightning address.
    Lnurl(LnurlConfig),
    /// A server that receives for a Lightning address.
    Managed(ManagedConfig),
}

impl BackendConfig {
    /// The lower-case word for configuration files.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Lnd(_) => "lnd",
            Self::Cln(_) => "cln",
            Self::Lnbits(_) => "lnbits",
            Self::Phoenixd(_) => "phoenixd",
            Self::Blink(_) => "blink",
            Self::Alby(_) => "alby",
            Self::Strike(_) => "strike",
            #[cfg(feature = "nwc")]
            Self::Nwc(_) => "nwc",
            Self::OpenNode(_) => "opennode",
            Self::Lnurl(_) => "lnurl",
            Self::Managed(_) => "managed",
        }
    }

    /// The backend as one that makes invoices.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn receiver(self) -> Result<Arc<dyn ReceiveBackend>, ConfigError> {
        Ok(match self {
            Self::Lnd(config) => Arc::new(Lnd::new(config)?),
            Self::Cln(config) => Arc::new(Cln::new(config)?),
            Self::Lnbits(config) => Arc::new(Lnbits::new(config)?),
            Self::Phoenixd(config) => Arc::new(Phoenixd::new(config)?),
            Self::Blink(config) => Arc::new(Blink::new(config)?),
            Self::Alby(config) => Arc::new(Alby::new(config)?),
            Self::Strike(config) => Arc::new(Strike::new(config)?),
            #[cfg(feature = "nwc")]
            Self::Nwc(config) => Arc::new(Nwc::new(config)?),
            Self::OpenNode(config) => Arc::new(OpenNode::new(config)?),
            Self::Lnurl(config) => Arc::new(Lnurl::new(config)?),
            Self::Managed(config) => Arc::new(Managed::new(config)?),
        })
    }

    /// The backend as a wallet that pays.
    ///
    /// # Errors
    /// [`ConfigError::ReceiveOnly`] for one that cannot, and the others.
    pub fn sender(self) -> Result<Arc<dyn SendBackend>, ConfigError> {
        Ok(match self {
            Self::Lnd(config) => Arc::new(Lnd::new(config)?),
            Self::Cln(config) => Arc::new(Cln::new(config)?),
            Self::Lnbits(config) => Arc::new(Lnbits::new(config)?),
            Self::Phoenixd(config) => Arc::new(Phoenixd::new(config)?),
            Self::Blink(config) => Arc::new(Blink::new(config)?),
            Self::Alby(config) => Arc::new(Alby::new(config)?),
            Self::Strike(config) => Arc::new(Strike::new(config)?),
            #[cfg(feature = "nwc")]
            Self::Nwc(config) => Arc::new(Nwc::new(config)?),
            Self::OpenNode(_) | Self::Lnurl(_) | Self::Managed(_) => {
                return Err(ConfigError::ReceiveOnly);
            }
        })
    }
}
