//! Faregate with a Lightning node in its process: `ldk-node` behind the traits of `faregate_core::port::lightning`, plugged
//! into the `faregate` command, and the commands that a node needs besides ([`commands`]).

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use faregate::exit::Failed;
use faregate::node::{NodeWallet, Nodes};
use futures_util::future::BoxFuture;

mod backend;
pub mod commands;
mod journal;
mod limits;
mod log;
mod node;
mod settings;

use backend::Wallet;
use node::Running;
use settings::{Env, Settings};

/// The nodes of this process.
pub struct LdkNodes {
    env: Env,
    running: Mutex<Vec<Arc<Running>>>,
}

impl LdkNodes {
    /// None yet. `env` is where their files say that secrets are.
    #[must_use]
    pub fn new(env: Env) -> Self {
        Self {
            env,
            running: Mutex::default(),
        }
    }

    async fn run(&self, file: &Path) -> Result<Arc<Running>, Failed> {
        let running = Running::start(Settings::read(file, &self.env)?).await?;
        let mut all = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(Arc::clone(&running));
        Ok(running)
    }
}

impl Nodes for LdkNodes {
    fn start<'a>(&'a self, file: &'a Path) -> BoxFuture<'a, Result<NodeWallet, Failed>> {
        Box::pin(async move {
            let running = self.run(file).await?;
            let network = running.network;
            let wallet = Arc::new(Wallet { running });
            Ok(NodeWallet {
                network,
                receiver: Arc::clone(&wallet) as _,
                sender: wallet,
            })
        })
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            let all = {
                let mut all = self.running.lock().unwrap_or_else(PoisonError::into_inner);
                std::mem::take(&mut *all)
            };
            for running in all {
                running.stop().await;
            }
        })
    }
}
