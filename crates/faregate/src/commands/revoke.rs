//! `faregate l402 revoke`, and `faregate token revoke`: a token opens nothing any more.

use std::collections::BTreeMap;
use std::time::Duration;

use faregate_http::{BaseUrl, Http, PlainHttp, Trust};
use faregate_ledger::RevokedName;
use faregate_server::config::StoreConfig;
use faregate_store::postgres::PostgresUrl;
use faregate_types::Secret;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use serde_json::{Value, json};
use url::Url;

use crate::cli::l402::GateArgs;
use crate::exit::{Exit, Failed};
use crate::printer::Printer;
use crate::wire;

/// Where the key of the admin address is looked for without a file.
const KEY_VARIABLE: &str = "FAREGATE_ADMIN_KEY";

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const DEADLINE: Duration = Duration::from_secs(15);
const ANSWER_BYTES_MAX: usize = 16 * 1024;
const KEY_BYTES_MAX: u64 = 4_096;

/// Runs it.
///
/// # Errors
/// When an id is none, or when nobody wrote it down.
pub(crate) async fn run(
    ids: &[String],
    args: &GateArgs,
    env: &BTreeMap<String, String>,
    printer: Printer,
) -> Result<(), Failed> {
    let names = ids.iter().map(|id| name(id));
    let names = names.collect::<Result<Vec<_>, _>>()?;
    let mut done = Vec::with_capacity(names.len());
    if let Some(store) = &args.store {
        if PostgresUrl::is_meant(&store.to_string_lossy()) {
            let message = "--store names a file; a ledger on PostgreSQL is written by its gate";
            return Err(Failed::usage(message).hint("name the gate's admin address: --admin-url"));
        }
        let ledger = wire::ledger(&StoreConfig::File(store.clone())).await?;
        for name in names {
            let new = ledger.revocations.revoke(name, wire::clock().now()).await;
            let new = new.map_err(|away| {
                Failed::new(Exit::Failure, "the ledger did not take it").code(away.code)
            })?;
            done.push((name, new));
        }
        ledger.close().await;
    } else {
        let gate = Gate::new(args, env)?;
        for name in names {
            done.push((name, gate.revoke(name).await?));
        }
    }
    for (name, new) in &done {
        let said = if *new {
            "revoked"
        } else {
            "was revoked before"
        };
        printer.line(&format!("{name}  {said}"));
    }
    let list: Vec<Value> = done
        .iter()
        .map(|(name, new)| json!({ "id": name.to_string(), "new": new }))
        .collect();
    printer.data(&json!({ "revoked": list }));
    Ok(())
}

fn name(id: &str) -> Result<RevokedName, Failed> {
    let id = id.strip_prefix("0x").unwrap_or(id);
    let mut bytes = [0; 32];
    hex::decode_to_slice(id, &mut bytes).map_err(|_| {
        Failed::usage("expected the id of a payment or of a token: 64 hexadecimal digits")
            .hint("faregate decode shows the ids of a token")
    })?;
    Ok(RevokedName::from_bytes(bytes))
}

/// A gate that runs, at its admin address.
struct Gate {
    http: Http,
    url: Url,
}

impl Gate {
    fn new(args: &GateArgs, env: &BTreeMap<String, String>) -> Result<Self, Failed> {
        let url = Url::parse(&args.admin_url)
            .map_err(|error| Failed::usage(format!("--admin-url: {error}")))?;
        let base = BaseUrl::new(url, PlainHttp::ToThisMachine)
            .map_err(|error| Failed::usage(format!("--admin-url: {error}")))?;
        let key = key(args, env)?;
        let line = zeroize::Zeroizing::new([b"Bearer ", key.expose()].concat());
        let mut value = HeaderValue::from_bytes(&line)
            .map_err(|_| Failed::usage("the admin key cannot be in a header"))?;
        value.set_sensitive(true);
        let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
        let http = Http::new(&Trust::Platform, headers, CONNECT_TIMEOUT)
            .map_err(|error| Failed::new(Exit::Failure, error.to_string()))?;
        let url = base.join("l402/revocations");
        Ok(Self { http, url })
    }

    async fn revoke(&self, name: RevokedName) -> Result<bool, Failed> {
        let request = self.http.request(Method::POST, self.url.clone());
        let request = request.json(&json!({ "id": name.to_string() }));
        let answer = self.http.send(request, DEADLINE, ANSWER_BYTES_MAX).await;
        let answer = answer.map_err(|error| {
            Failed::new(Exit::Failure, format!("the admin address: {error}")).hint(
                "is the gate running, with [admin] in its file? --store FILE revokes without it",
            )
        })?;
        let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        match (answer.status.as_u16(), &said["new"]) {
            (200, Value::Bool(new)) => Ok(*new),
            (status, _) => {
                let why = said["detail"].as_str().or_else(|| said["title"].as_str());
                let why: String = why.unwrap_or("no reason given").chars().take(200).collect();
                Err(Failed::new(
                    Exit::Failure,
                    format!("the gate answered {status}: {why}"),
                ))
            }
        }
    }
}

fn key(args: &GateArgs, env: &BTreeMap<String, String>) -> Result<Secret, Failed> {
    let text = match (&args.admin_key_file, env.get(KEY_VARIABLE)) {
        (Some(path), _) => {
            let failed =
                |error: std::io::Error| Failed::usage(format!("{}: {error}", path.display()));
            if std::fs::metadata(path).map_err(failed)?.len() > KEY_BYTES_MAX {
                return Err(Failed::usage(format!("{} is too large", path.display())));
            }
            std::fs::read(path).map_err(failed)?
        }
        (None, Some(text)) => text.as_bytes().to_vec(),
        (None, None) => {
            return Err(Failed::usage("no key for the admin address").hint(format!(
                "put it into {KEY_VARIABLE}, or into a file named by --admin-key-file; --store FILE needs none"
            )));
        }
    };
    Ok(Secret::new(text.trim_ascii().to_vec()))
}
