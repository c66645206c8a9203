//! Administrators' keys (specs/4mica.md §1.6).

use faregate_types::credit::AdminKey;
use http::Method;
use serde_json::{Value, json};

use crate::kit::{SEED, Told, World, payer, settings};

fn bootstrap() -> String {
    AdminKey::bootstrap(SEED.as_bytes()).to_text().to_string()
}

async fn keys(world: &World, key: &str, method: Method, path: &str, body: &Value) -> Told {
    let path = format!("/core/admin/api-keys{path}");
    let mut request = world
        .request(method.clone(), &path)
        .header("x-api-key", key);
    if method == Method::POST {
        request = request.json(body);
    }
    world.send(request).await
}

async fn create(world: &World, scopes: &[&str]) -> (String, String) {
    let asked = json!({ "name": "ops", "scopes": scopes });
    let made = keys(world, &bootstrap(), Method::POST, "", &asked)
        .await
        .ok();
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    (text("id"), text("api_key"))
}

async fn suspend(world: &World, key: &str) -> Told {
    let path = format!("/core/users/{}/suspension", payer().text());
    let body = json!({ "suspended": true });
    let request = world.request(Method::POST, &path).json(&body);
    world.send(request.header("x-api-key", key)).await
}

#[tokio::test]
async fn a_key_is_made_listed_and_revoked() {
    let world = World::new().await;
    let asked = json!({ "name": " ops ", "scopes": ["user_suspension:write", "ADMIN_API_KEYS:manage", "user_suspension:write"] });
    let made = keys(&world, &bootstrap(), Method::POST, "", &asked)
        .await
        .ok();
    assert_eq!(made["name"], "ops");
    assert_eq!(
        made["scopes"],
        json!(["admin_api_keys:manage", "user_suspension:write"])
    );
    let key = made["api_key"].as_str().unwrap();
    let id = made["id"].as_str().unwrap();
    let digits = id.replace('-', "");
    assert!(
        id.len() == 36 && key.starts_with(&format!("ak_{digits}.")) && key.len() == 3 + 32 + 1 + 64
    );
    // The list, asked for with the new key: newest first, without secrets.
    let listed = keys(&world, key, Method::GET, "", &Value::Null).await.ok();
    let names: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["ops", "bootstrap-admin"]);
    assert!(listed[0].get("api_key").is_none() && listed[0]["revoked_at"].is_null());
    world.later(5);
    for _ in 0..2 {
        let path = format!("/{id}/revoke");
        let revoked = keys(&world, &bootstrap(), Method::POST, &path, &json!({}))
            .await
            .ok();
        assert_eq!(revoked["revoked_at"], world.time());
        world.later(1);
        world.now.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
    }
    let told = keys(&world, key, Method::GET, "", &Value::Null).await;
    assert_eq!(told.error(), (401, "api key revoked"));
}

#[tokio::test]
async fn every_failure_of_a_key_is_401() {
    let world = World::new().await;
    let good = bootstrap();
    let changed = format!("{}0", &good[..good.len() - 1]);
    let changed = if changed == good {
        format!("{}1", &good[..good.len() - 1])
    } else {
        changed
    };
    for odd in [
        "",
        "ak_",
        "nonsense",
        "ak_00000000000000000000000000000000.00",
        changed.as_str(),
    ] {
        let told = keys(&world, odd, Method::GET, "", &Value::Null).await;
        assert_eq!(told.error(), (401, "invalid api key"), "{odd}");
    }
    let none = world.get(None, "/core/admin/api-keys").await;
    assert_eq!(none.error(), (401, "missing api key"));
    let (_, weak) = create(&world, &["user_suspension:write"]).await;
    let told = keys(&world, &weak, Method::GET, "", &Value::Null).await;
    assert_eq!(told.error(), (401, "missing scope"));
    assert_eq!(suspend(&world, &weak).await.status, 200);
    let (_, other) = create(&world, &["admin_api_keys:manage"]).await;
    assert_eq!(
        suspend(&world, &other).await.error(),
        (401, "missing scope")
    );
}

#[tokio::test]
async fn what_cannot_be_a_key_is_said() {
    let world = World::new().await;
    for (asked, expected) in [
        (
            json!({ "name": "  ", "scopes": ["user_suspension:write"] }),
            "name is required",
        ),
        (
            json!({ "name": "a", "scopes": [] }),
            "at least one scope is required",
        ),
        (
            json!({ "name": "a", "scopes": ["everything"] }),
            "invalid scope: everything",
        ),
        (
            json!({ "name": "a".repeat(101), "scopes": ["user_suspension:write"] }),
            "name is too long",
        ),
    ] {
        let told = keys(&world, &bootstrap(), Method::POST, "", &asked).await;
        assert_eq!(told.error(), (400, expected));
    }
    let told = keys(&world, &bootstrap(), Method::POST, "/7/revoke", &json!({})).await;
    assert_eq!(told.error(), (400, "invalid api key id"));
    let path = "/00000000-0000-4000-8000-000000000000/revoke";
    let told = keys(&world, &bootstrap(), Method::POST, path, &json!({})).await;
    assert_eq!(told.status, 404);
}

#[tokio::test]
async fn the_seeds_key_is_good_again_after_a_start() {
    let world = World::new().await;
    let listed = keys(&world, &bootstrap(), Method::GET, "", &Value::Null)
        .await
        .ok();
    let path = format!("/{}/revoke", listed[0]["id"].as_str().unwrap());
    keys(&world, &bootstrap(), Method::POST, &path, &json!({}))
        .await
        .ok();
    let told = keys(&world, &bootstrap(), Method::GET, "", &Value::Null).await;
    assert_eq!(told.error(), (401, "api key revoked"));
    let (books, ledger) = (world.books.clone(), world.ledger.clone());
    world.stop().await;
    let again = World::over(books, ledger, settings(true)).await;
    keys(&again, &bootstrap(), Method::GET, "", &Value::Null)
        .await
        .ok();
}

/// The rule of the network, with its vectors: a seed of theirs gives their key.
#[test]
fn the_seeds_key_is_that_of_the_vectors() {
    let vectors = include_str!("../../../../conformance/vectors/4mica.json");
    let vectors: Vec<Value> = serde_json::from_str(vectors).unwrap();
    let mut seen = 0;
    for vector in vectors
        .iter()
        .filter(|vector| vector["kind"] == "admin_api_key")
    {
        let seed = vector["inputs"]["seed"].as_str().unwrap();
        let key = AdminKey::bootstrap(seed.as_bytes());
        assert_eq!(key.to_text().as_str(), vector["expected"]["api_key"]);
        assert_eq!(
            hex::encode(key.hash()),
            vector["expected"]["stored_key_hash"].as_str().unwrap()
        );
        seen += 1;
    }
    assert!(seen > 0);
}
