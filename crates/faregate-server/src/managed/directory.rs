//! The directory of priced APIs: one entry per URL, in a file that is replaced as a whole.
//!
//! Whoever comes first may enter a URL. After that the entry is changed by
//!
//! - who has its key, which was given out when the entry was made;
//! - who controls the API's host, and names the SHA-256 of a key at `/.well-known/l402.txt`;
//! - who is named there as payee, when the entry is somebody else's and that one is not.
//!
//! The last takes an entry back from whoever was faster; it does not let a stranger, who can send anybody's address, change
//! what stands about them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use faregate_types::Timestamp;
use faregate_types::lightning::LightningAddress;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use url::Url;

use super::proof::Proof;
use crate::limits::{
    DIRECTORY_BYTES_MAX, DIRECTORY_ENTRIES_MAX, LISTING_DESCRIPTION_CHARS_MAX,
    LISTING_NAME_CHARS_MAX, LISTING_URL_BYTES_MAX,
};

/// What an API may be about.
const CATEGORIES: [&str; 7] = [
    "data", "ai", "finance", "weather", "compute", "storage", "other",
];

/// What is kept of a key: its SHA-256.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(super) struct Key(pub(super) [u8; 32]);

impl From<Key> for String {
    fn from(key: Key) -> Self {
        hex::encode(key.0)
    }
}

impl TryFrom<String> for Key {
    type Error = hex::FromHexError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map(|()| Self(bytes))
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(hashed)")
    }
}

impl Key {
    fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).unwrap_u8() == 1
    }
}

/// What somebody wants to have listed, without whom it belongs to.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) url: Url,
    name: Box<str>,
    price_sats: u64,
    description: Option<Box<str>>,
    category: Box<str>,
}

/// A draft with its owner.
#[derive(Clone, Debug)]
pub(super) struct Owned {
    pub(super) url: Url,
    content: Content,
}

/// What stands in an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Content {
    url: Box<str>,
    name: Box<str>,
    price_sats: u64,
    lightning_address: Box<str>,
    description: Option<Box<str>>,
    category: Box<str>,
}

/// An entry as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entry {
    #[serde(flatten)]
    content: Content,
    verified: bool,
    /// Seconds since 1970.
    listed_at: u64,
    key: Key,
}

/// What everybody sees of it.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    id: String,
    #[serde(flatten)]
    content: Content,
    verified: bool,
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It stands there.
    Listed {
        /// Its name.
        id: String,
        /// Its host names its Lightning address.
        verified: bool,
        /// With this it can be changed; only when it is new.
        key: Option<Box<str>>,
    },
    /// It is another's.
    NotYours,
    /// There is no room.
    Full,
}

/// Why there is no directory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// The file cannot be read or written.
    #[error("the directory {} cannot be used", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It is something else.
    #[error("{} holds no directory", path.display())]
    Content {
        /// Which.
        path: PathBuf,
    },
}

type Entries = BTreeMap<Box<str>, Entry>;

/// The directory. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Directory(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: Option<PathBuf>,
    /// Held while the file is replaced, by a thread that may block.
    writing: Mutex<()>,
    entries: RwLock<Arc<Entries>>,
}

impl Draft {
    /// Reads the body of a request. Says what is wrong.
    pub(super) fn read(body: &Value) -> Result<Self, &'static str> {
        let text = |key: &str| body[key].as_str().map(str::trim);
        let url = text("url").and_then(listed_url);
        let name = text("name").filter(|name| is_line(name, 2, LISTING_NAME_CHARS_MAX));
        let price_sats = body["price_sats"].as_u64().filter(|price| *price >= 1);
        let description = match &body["description"] {
            Value::Null => None,
            Value::String(text) if text.trim().is_empty() => None,
            Value::String(text) if is_line(text.trim(), 1, LISTING_DESCRIPTION_CHARS_MAX) => {
                Some(text.trim().into())
            }
            _ => return Err("expected a description of one line, at most 500 characters"),
        };
        let category = text("category").unwrap_or("other");
        if !CATEGORIES.contains(&category) {
            return Err(
                "expected one of the categories data, ai, finance, weather, compute, storage, other",
            );
        }
        Ok(Self {
            url: url.ok_or("expected an http or https URL without user, password and fragment")?,
            name: name.ok_or("expected a name of 2 to 100 characters")?.into(),
            price_sats: price_sats.ok_or("expected price_sats, a whole number of at least 1")?,
            description,
            category: category.into(),
        })
    }

    pub(super) fn owned_by(self, owner: &LightningAddress) -> Owned {
        let content = Content {
            url: self.url.as_str().into(),
            name: self.name,
            price_sats: self.price_sats,
            lightning_address: owner.as_str().into(),
            description: self.description,
            category: self.category,
        };
        Owned {
            url: self.url,
            content,
        }
    }
}

fn listed_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.host().is_some()
        && url.username().is_empty()
        && url.password().is_none()
        && url.fragment().is_none();
    (plain && url.as_str().len() <= LISTING_URL_BYTES_MAX).then_some(url)
}

fn is_line(text: &str, min: usize, max: usize) -> bool {
    let count = text.chars().count();
    (min..=max).contains(&count) && !text.chars().any(char::is_control)
}

/// The name of an entry.
fn id(url: &str) -> String {
    let digest = Sha256::digest(url);
    hex::encode(digest.get(..8).unwrap_or_default())
}

impl Directory {
    /// Reads the file, if there is one.
    pub(super) async fn open(path: Option<PathBuf>) -> Result<Self, DirectoryError> {
        let entries = match &path {
            None => Entries::new(),
            Some(path) => read(path).await?,
        };
        Ok(Self(Arc::new(Inner {
            path,
            writing: Mutex::new(()),
            entries: RwLock::new(Arc::new(entries)),
        })))
    }

    /// All entries, or those of a category; those that are verified first.
    pub(super) fn list(&self, category: Option<&str>) -> Vec<Shown> {
        let entries = self.0.entries();
        let wanted = entries
            .values()
            .filter(|entry| category.is_none_or(|category| *entry.content.category == *category));
        let (verified, others): (Vec<&Entry>, Vec<&Entry>) =
            wanted.partition(|entry| entry.verified);
        let shown = verified.into_iter().chain(others).map(|entry| Shown {
            id: id(&entry.content.url),
            content: entry.content.clone(),
            verified: entry.verified,
        });
        shown.collect()
    }

    /// Makes or changes an entry. It stands in the file when this returns.
    pub(super) async fn enter(
        &self,
        draft: Owned,
        key: Option<Key>,
        proof: Proof,
        now: Timestamp,
    ) -> io::Result<Outcome> {
        let inner = Arc::clone(&self.0);
        let entering = move || inner.enter(draft, key, &proof, now);
        tokio::task::spawn_blocking(entering)
            .await
            .map_err(io::Error::other)?
    }
}

/// What may be done with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Right {
    /// Nothing changes but whether it is verified.
    Same,
    /// It is the caller's.
    Change,
    /// It becomes the caller's.
    Take,
    Nothing,
}

fn right(entry: &Entry, content: &Content, key: Option<&Key>, proof: &Proof) -> Right {
    let has_key = key.is_some_and(|key| entry.key.is(key) || proof.names_key(&key.0));
    if has_key {
        return Right::Change;
    }
    if entry.content == *content {
        return Right::Same;
    }
    let (theirs, ours) = (&entry.content.lightning_address, &content.lightning_address);
    if proof.names(ours) && !proof.names(theirs) {
        return Right::Take;
    }
    Right::Nothing
}

impl Inner {
    fn entries(&self) -> Arc<Entries> {
        let entries = self.entries.read();
        Arc::clone(&entries.unwrap_or_else(PoisonError::into_inner))
    }

    fn enter(
        &self,
        draft: Owned,
        key: Option<Key>,
        proof: &Proof,
        now: Timestamp,
    ) -> io::Result<Outcome> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut entries = Entries::clone(&self.entries());
        let content = draft.content;
        let (url, id) = (content.url.clone(), id(&content.url));
        let known = entries.get(&url);
        let right = known.map_or(Right::Take, |entry| {
            right(entry, &content, key.as_ref(), proof)
        });
        if right == Right::Nothing {
            return Ok(Outcome::NotYours);
        }
        let verified = match proof {
            // A host that does not answer now proves nothing new.
            Proof::Away => known.is_some_and(|entry| {
                entry.verified && entry.content.lightning_address == content.lightning_address
            }),
            Proof::Said(_) => proof.names(&content.lightning_address),
        };
        if known.is_none() && !make_room(&mut entries, verified) {
            return Ok(Outcome::Full);
        }
        let known = entries.get(&url);
        let (key, told) = match (right, key, known) {
            (Right::Same, _, Some(entry)) | (Right::Change, None, Some(entry)) => {
                (entry.key.clone(), None)
            }
            (_, Some(key), _) => (key, None),
            (_, None, _) => {
                let (key, told) = new_key()?;
                (key, Some(told))
            }
        };
        let listed_at = known.map_or(now.as_secs(), |entry| entry.listed_at);
        let entry = Entry {
            content,
            verified,
            listed_at,
            key,
        };
        entries.insert(url, entry);
        if let Some(path) = &self.path {
            write(path, &entries)?;
        }
        let mut current = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(entries);
        Ok(Outcome::Listed {
            id,
            verified,
            key: told,
        })
    }
}

/// Who is verified finds room as long as somebody is not: the oldest of those goes.
fn make_room(entries: &mut Entries, verified: bool) -> bool {
    if entries.len() < DIRECTORY_ENTRIES_MAX {
        return true;
    }
    if !verified {
        return false;
    }
    let unverified = entries.iter().filter(|(_, entry)| !entry.verified);
    let oldest = unverified.min_by_key(|(_, entry)| entry.listed_at);
    match oldest.map(|(url, _)| url.clone()) {
        Some(url) => entries.remove(&url).is_some(),
        None => false,
    }
}

fn new_key() -> io::Result<(Key, Box<str>)> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|_| io::Error::other("no random bytes"))?;
    let told = hex::encode(bytes);
    Ok((Key(Sha256::digest(&told).into()), told.into()))
}

async fn read(path: &Path) -> Result<Entries, DirectoryError> {
    let failed = |source| DirectoryError::File {
        path: path.to_owned(),
        source,
    };
    let about = match tokio::fs::metadata(path).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Entries::new()),
        about => about.map_err(failed)?,
    };
    let content = || DirectoryError::Content {
        path: path.to_owned(),
    };
    if about.len() > DIRECTORY_BYTES_MAX {
        return Err(content());
    }
    let bytes = tokio::fs::read(path).await.map_err(failed)?;
    let entries: Vec<Entry> = serde_json::from_slice(&bytes).map_err(|_| content())?;
    let entries = entries.into_iter();
    Ok(entries
        .map(|entry| (entry.content.url.clone(), entry))
        .collect())
}

/// Beside the old file first: whoever reads finds the old one or the new one, whole.
fn write(path: &Path, entries: &Entries) -> io::Result<()> {
    let entries: Vec<&Entry> = entries.values().collect();
    let bytes = serde_json::to_vec_pretty(&entries).map_err(io::Error::other)?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let mut file = File::create(&beside)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    match path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        Some(folder) => File::open(folder)?.sync_all(),
        None => File::open(".")?.sync_all(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000);

    fn draft(url: &str, name: &str, owner: &str) -> Owned {
        let body = json!({ "url": url, "name": name, "price_sats": 10, "category": "data" });
        Draft::read(&body)
            .unwrap()
            .owned_by(&owner.parse().unwrap())
    }

    fn key(byte: u8) -> Key {
        Key([byte; 32])
    }

    fn said(text: &str) -> Proof {
        Proof::Said(text.into())
    }

    #[test]
    fn what_is_no_entry_is_refused() {
        let good = json!({ "url": "https://api.example/v1", "name": "An API", "price_sats": 1 });
        assert!(Draft::read(&good).is_ok());
        for (key, value) in [
            ("url", json!("ftp://api.example")),
            ("url", json!("https://me:pass@api.example")),
            ("url", json!("https://api.example/#x")),
            (
                "url",
                json!(format!("https://api.example/{}", "x".repeat(3_000))),
            ),
            ("url", json!(7)),
            ("url", json!(null)),
            ("name", json!("x")),
            ("name", json!("x".repeat(101))),
            ("name", json!("a\nb")),
            ("price_sats", json!(0)),
            ("price_sats", json!(-1)),
            ("price_sats", json!(1.5)),
            ("price_sats", json!("1")),
            ("description", json!("x".repeat(501))),
            ("description", json!(7)),
            ("category", json!("weapons")),
        ] {
            let mut bad = good.clone();
            bad[key] = value;
            assert!(Draft::read(&bad).is_err(), "{bad}");
        }
        assert!(Draft::read(&json!([])).is_err());
    }

    const URL: &str = "https://api.example/v1";

    /// Somebody comes to an entry of `me`, whose key is `key(1)`. Who comes in vain changes nothing.
    async fn came(name: &str, owner: &str, key: Option<Key>, proof: Proof) -> Option<bool> {
        let directory = Directory::open(None).await.unwrap();
        let first = draft(URL, "Mine", "me@w.example");
        let made = directory.enter(first, Some(self::key(1)), Proof::Away, NOW);
        let made = made.await.unwrap();
        assert!(matches!(made, Outcome::Listed { key: None, .. }));
        let again = draft(URL, name, owner);
        let came = directory.enter(again, key, proof, NOW).await.unwrap();
        let shown = &directory.list(None)[0];
        let content = (&*shown.content.name, &*shown.content.lightning_address);
        if let Outcome::Listed { verified, .. } = came {
            assert_eq!((content, shown.verified), ((name, owner), verified));
            Some(verified)
        } else {
            assert_eq!((content, shown.verified), (("Mine", "me@w.example"), false));
            None
        }
    }

    #[tokio::test]
    async fn an_entry_is_changed_by_who_may_and_by_nobody_else() {
        let (me, you) = ("me@w.example", "you@w.example");
        let both = format!("{me} {you}");
        let named = format!("{both} sha256={}", hex::encode(key(2).0));
        // The same again; whether it is verified is as the host says now.
        assert_eq!(came("Mine", me, None, Proof::Away).await, Some(false));
        assert_eq!(came("Mine", me, None, said(me)).await, Some(true));
        // Strangers, who may name anybody.
        assert_eq!(came("Other", me, None, said(me)).await, None);
        assert_eq!(came("Mine", you, None, Proof::Away).await, None);
        assert_eq!(came("Mine", you, None, said("nothing")).await, None);
        assert_eq!(came("Mine", you, None, said(&both)).await, None);
        assert_eq!(came("Other", you, Some(key(2)), Proof::Away).await, None);
        // Whom the host names, and nobody else.
        assert_eq!(came("Mine", you, None, said(you)).await, Some(true));
        // Who has the key, or whose key the host names.
        assert_eq!(came("Other", me, Some(key(1)), said(me)).await, Some(true));
        assert_eq!(
            came("Other", you, Some(key(2)), said(&named)).await,
            Some(true)
        );
    }

    #[tokio::test]
    async fn what_was_entered_is_there_after_a_restart_and_verified_entries_are_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("directory.json");
        let directory = Directory::open(Some(path.clone())).await.unwrap();
        let one = draft("https://a.example/", "One", "me@w.example");
        let two = draft("https://b.example/", "Two", "me@w.example");
        let made = directory.enter(one, None, Proof::Away, NOW).await.unwrap();
        let Outcome::Listed {
            key: Some(given), ..
        } = made
        else {
            panic!("{made:?}");
        };
        directory
            .enter(two, None, said("me@w.example"), NOW)
            .await
            .unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains(&*given), "only a hash of the key is kept");
        let directory = Directory::open(Some(path.clone())).await.unwrap();
        let names: Vec<_> = directory
            .list(Some("data"))
            .iter()
            .map(|shown| shown.content.name.to_string())
            .collect();
        // Those that are verified come first.
        assert_eq!(names, ["Two", "One"]);
        assert!(directory.list(Some("ai")).is_empty());
        let given = Key(Sha256::digest(given.as_bytes()).into());
        let renamed = draft("https://a.example/", "Renamed", "me@w.example");
        let came = directory
            .enter(renamed, Some(given), Proof::Away, NOW)
            .await;
        assert!(matches!(came.unwrap(), Outcome::Listed { key: None, .. }));
        std::fs::write(&path, "[7]").unwrap();
        assert!(Directory::open(Some(path)).await.is_err());
    }

    #[test]
    fn a_full_directory_has_room_for_who_is_verified() {
        let entry = |number: u64, verified| {
            let owned = draft(
                &format!("https://a.example/{number}"),
                "An API",
                "me@w.example",
            );
            let entry = Entry {
                content: owned.content,
                verified,
                listed_at: number,
                key: key(1),
            };
            (entry.content.url.clone(), entry)
        };
        let max = u64::try_from(DIRECTORY_ENTRIES_MAX).unwrap();
        let mut entries: Entries = (0..max).map(|number| entry(number, number < 5)).collect();
        assert!(!make_room(&mut entries, false));
        assert!(make_room(&mut entries, true));
        assert!(!entries.contains_key("https://a.example/5"));
        let mut entries: Entries = (0..max).map(|number| entry(number, true)).collect();
        assert!(!make_room(&mut entries, true));
    }
}
