//! Keystores: the published vectors, our own round trip, and files that lie.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may")]

use faregate_client::wallet::file::{self, FileError};
use faregate_client::wallet::keystore::{self, KeystoreError, ScryptCost};
use faregate_evm::{Entropy, EntropyError};
use faregate_types::{Secret, SecretKey};
use serde_json::{Value, json};

/// The key of the Web3 Secret Storage definition's test vectors, password `testpassword`.
const KEY: &str = "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d";

fn pbkdf2_vector() -> Value {
    json!({"crypto": {"cipher": "aes-128-ctr", "cipherparams": {"iv": "6087dab2f9fdbbfaddc31a909735c1e6"},
        "ciphertext": "5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46", "kdf": "pbkdf2",
        "kdfparams": {"c": 262_144, "dklen": 32, "prf": "hmac-sha256",
            "salt": "ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd"},
        "mac": "517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2"},
        "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6", "version": 3})
}

fn scrypt_vector() -> Value {
    json!({"crypto": {"cipher": "aes-128-ctr", "cipherparams": {"iv": "83dbcc02d8ccb40e466191a123791e0e"},
        "ciphertext": "d172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c", "kdf": "scrypt",
        "kdfparams": {"dklen": 32, "n": 262_144, "p": 8, "r": 1,
            "salt": "ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19"},
        "mac": "2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097"},
        "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6", "version": 3})
}

struct Counting(u8);

impl Entropy for Counting {
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), EntropyError> {
        for byte in buffer {
            *byte = self.0;
            self.0 = self.0.wrapping_add(1);
        }
        Ok(())
    }
}

fn password(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec())
}

fn light() -> String {
    let key = SecretKey::from_hex(KEY).unwrap();
    keystore::encrypt(
        &key,
        &password("pw"),
        ScryptCost {
            log_n: 4,
            r: 8,
            p: 1,
        },
        &mut Counting(1),
    )
    .unwrap()
}

#[test]
fn the_published_vectors_open() {
    for vector in [pbkdf2_vector(), scrypt_vector()] {
        let key = keystore::decrypt(&vector.to_string(), &password("testpassword")).unwrap();
        assert_eq!(key.expose(), SecretKey::from_hex(KEY).unwrap().expose());
    }
}

#[test]
fn what_we_write_opens_and_says_whose_it_is() {
    let text = light();
    let key = keystore::decrypt(&text, &password("pw")).unwrap();
    assert_eq!(key.expose(), SecretKey::from_hex(KEY).unwrap().expose());
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["address"], "008aeeda4d805471df9b2a5b0f38a0c3bcba786b");
    let id = value["id"].as_str().unwrap();
    assert_eq!((id.len(), &id[14..15]), (36, "4"));
    assert!(!text.contains(KEY));
}

#[test]
fn a_wrong_password_or_a_changed_file_does_not_open() {
    assert!(matches!(
        keystore::decrypt(&light(), &password("px")),
        Err(KeystoreError::WrongPassword)
    ));
    let mut value: Value = serde_json::from_str(&light()).unwrap();
    value["crypto"]["ciphertext"] = "00".repeat(32).into();
    assert!(matches!(
        keystore::decrypt(&value.to_string(), &password("pw")),
        Err(KeystoreError::WrongPassword)
    ));
}

#[test]
fn files_that_lie_are_refused_before_any_work() {
    let table: &[(&str, Value)] = &[
        ("/version", json!(1)),
        ("/version", json!("3")),
        ("/crypto", json!(null)),
        ("/crypto/cipher", json!("aes-256-gcm")),
        ("/crypto/cipherparams/iv", json!("00")),
        ("/crypto/cipherparams/iv", json!("zz")),
        ("/crypto/kdf", json!("argon2")),
        ("/crypto/kdfparams/n", json!(0)),
        ("/crypto/kdfparams/n", json!(3)),
        ("/crypto/kdfparams/n", json!(1_u64 << 40)),
        ("/crypto/kdfparams/n", json!(u64::MAX)),
        ("/crypto/kdfparams/n", json!(-1)),
        ("/crypto/kdfparams/r", json!(0)),
        ("/crypto/kdfparams/r", json!(u32::MAX)),
        ("/crypto/kdfparams/p", json!(0)),
        ("/crypto/kdfparams/p", json!(1_000_000)),
        ("/crypto/kdfparams/dklen", json!(64)),
        ("/crypto/kdfparams/salt", json!("ab".repeat(10_000))),
        ("/crypto/mac", json!(7)),
    ];
    for (path, bad) in table {
        let mut value: Value = serde_json::from_str(&light()).unwrap();
        *value.pointer_mut(path).unwrap() = bad.clone();
        let error = keystore::decrypt(&value.to_string(), &password("pw")).unwrap_err();
        assert!(
            matches!(error, KeystoreError::Malformed(_)),
            "{path} = {bad}: {error}"
        );
    }
    let mut pbkdf2 = pbkdf2_vector();
    pbkdf2["crypto"]["kdfparams"]["c"] = u32::MAX.into();
    assert!(matches!(
        keystore::decrypt(&pbkdf2.to_string(), &password("x")),
        Err(KeystoreError::Malformed(_))
    ));
    for text in ["", "[]", "{}", "null", "\u{0}", "{\"version\":3}"] {
        assert!(
            matches!(
                keystore::decrypt(text, &password("pw")),
                Err(KeystoreError::Malformed(_))
            ),
            "{text:?}"
        );
    }
}

#[tokio::test]
async fn files_are_private_and_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/er/key.json");
    let make = || {
        let key = SecretKey::from_hex(KEY).unwrap();
        keystore::create(
            &path,
            key,
            password("pw"),
            ScryptCost {
                log_n: 4,
                r: 8,
                p: 1,
            },
            Box::new(Counting(9)),
        )
    };
    make().await.unwrap();
    assert!(matches!(
        make().await,
        Err(KeystoreError::File(FileError::Exists))
    ));
    let opened = keystore::open(&path, password("pw")).await.unwrap();
    assert_eq!(opened.expose(), SecretKey::from_hex(KEY).unwrap().expose());
    assert!(matches!(
        file::read(&folder.path().join("none")),
        Err(FileError::NotFound)
    ));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode =
            |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(
            keystore::open(&path, password("pw")).await,
            Err(KeystoreError::File(FileError::Permissions))
        ));
    }
}

#[test]
fn problem_20_errors_show_nothing_secret() {
    let error = keystore::decrypt(&light(), &password("hunter2")).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}
