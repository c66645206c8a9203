//! A node without HTTP in front of it, which counts what it is asked and misbehaves on request.

use std::sync::{Arc, Mutex};

use faregate_evm::{RpcRefusal, Transport, TransportError};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

/// How it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Normal,
    NoAnswer,
    Hang,
    /// A JSON-RPC error with these words.
    Refuse(&'static str),
}

/// Carries calls to the node of a test.
pub struct Local {
    http: reqwest::Client,
    url: String,
    mood: Mutex<Mood>,
    seen: Mutex<Vec<&'static str>>,
}

impl Local {
    pub fn new(url: &str) -> Arc<Self> {
        Arc::new(Self {
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            url: url.to_owned(),
            mood: Mutex::new(Mood::Normal),
            seen: Mutex::default(),
        })
    }

    pub fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    pub fn calls(&self, method: &str) -> usize {
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|seen| **seen == method).count()
    }

    /// Every call so far.
    pub fn seen(&self) -> Vec<&'static str> {
        self.seen.lock().unwrap().clone()
    }
}

impl Transport for Local {
    fn call(
        &self,
        method: &'static str,
        params: Value,
    ) -> BoxFuture<'_, Result<Value, TransportError>> {
        self.seen.lock().unwrap().push(method);
        let mood = *self.mood.lock().unwrap();
        Box::pin(async move {
            let refusal = |code, message: String, data| {
                Err(TransportError::Refused(RpcRefusal {
                    code,
                    message,
                    data,
                }))
            };
            match mood {
                Mood::Normal => {}
                Mood::NoAnswer => return Err(TransportError::NoAnswer),
                Mood::Hang => std::future::pending().await,
                Mood::Refuse(words) => return refusal(-32000, words.to_owned(), None),
            }
            let call = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
            let response = self.http.post(&self.url).json(&call).send().await.unwrap();
            let answer: Value = response.json().await.unwrap();
            match answer.get("error") {
                None => Ok(answer["result"].clone()),
                Some(error) => refusal(
                    error["code"].as_i64().unwrap(),
                    error["message"].as_str().unwrap().to_owned(),
                    error.get("data").cloned(),
                ),
            }
        })
    }
}
