//! The store over a server that is scripted: what it writes, what it makes of a server that is slow, breaks off or says no.
//! The real server runs in `conformance/run redis`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests may"
)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use faregate_core::port::replay::{Noted, ReplayStore as _};
use faregate_redis::limits::CALL_TIMEOUT;
use faregate_redis::{RedisConfig, RedisReplay};
use faregate_types::l402::replay::{Dialect, UseName};
use faregate_types::{Code, Secret};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

const PASSWORD: &str = "hunter2-hunter2";

/// What the server has to do wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    Well,
    /// Says nothing to anybody.
    Silent,
    /// Executes the next `SET` and breaks off; then it is well again.
    BreaksOffOnce,
    /// Wants another password.
    Locked,
    /// Answers with something else.
    Babbles,
}

#[derive(Clone)]
struct Server {
    port: u16,
    mood: Arc<Mutex<Mood>>,
    keys: Arc<Mutex<BTreeMap<String, String>>>,
    heard: Arc<Mutex<Vec<Vec<String>>>>,
}

impl Server {
    async fn start(mood: Mood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            port: listener.local_addr().unwrap().port(),
            mood: Arc::new(Mutex::new(mood)),
            keys: Arc::default(),
            heard: Arc::default(),
        };
        let each = server.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let server = each.clone();
                tokio::spawn(async move { server.talk(stream).await });
            }
        });
        server
    }

    fn store(&self, owner: u8) -> RedisReplay {
        store(self.port, owner)
    }

    async fn talk(self, stream: TcpStream) -> Option<()> {
        let mut stream = BufReader::new(stream);
        loop {
            let words = read(&mut stream).await?;
            self.heard.lock().unwrap().push(words.clone());
            let mood = *self.mood.lock().unwrap();
            let answer = match mood {
                Mood::Silent => continue,
                Mood::Locked => "-WRONGPASS invalid username-password pair\r\n".to_owned(),
                Mood::Babbles => "*3\r\n:1\r\n:2\r\n:3\r\n".to_owned(),
                Mood::Well | Mood::BreaksOffOnce => self.execute(&words),
            };
            if mood == Mood::BreaksOffOnce && words[0] == "SET" {
                *self.mood.lock().unwrap() = Mood::Well;
                return None;
            }
            stream.get_mut().write_all(answer.as_bytes()).await.ok()?;
        }
    }

    fn execute(&self, words: &[String]) -> String {
        let bulk = |text: Option<&String>| match text {
            Some(text) => format!("${}\r\n{text}\r\n", text.len()),
            None => "$-1\r\n".to_owned(),
        };
        let mut keys = self.keys.lock().unwrap();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["SET", key, note, "NX", "EX", secs] => {
                assert!(secs.parse::<u64>().unwrap() >= 86_400);
                if keys.contains_key(*key) {
                    return bulk(None);
                }
                keys.insert((*key).into(), (*note).into());
                "+OK\r\n".into()
            }
            ["GET", key] => bulk(keys.get(*key)),
            ["EVAL", script, "1", key, rest @ ..] => {
                let fits = keys
                    .get(*key)
                    .is_some_and(|note| rest.iter().take(2).any(|one| note == one));
                if fits && script.contains("DEL") {
                    keys.remove(*key);
                } else if fits {
                    keys.insert((*key).into(), rest[1].into());
                }
                format!(":{}\r\n", u8::from(fits))
            }
            _ => "+OK\r\n".into(),
        }
    }
}

/// One command: an array of texts.
async fn read(stream: &mut BufReader<TcpStream>) -> Option<Vec<String>> {
    let mut line = String::new();
    let mut number = async |stream: &mut BufReader<TcpStream>| {
        line.clear();
        stream.read_line(&mut line).await.ok()?;
        line.get(1..)?.trim().parse::<usize>().ok()
    };
    let count = number(stream).await?;
    let mut words = Vec::new();
    for _ in 0..count {
        let mut bytes = vec![0; number(stream).await? + 2];
        stream.read_exact(&mut bytes).await.ok()?;
        bytes.truncate(bytes.len() - 2);
        words.push(String::from_utf8(bytes).unwrap());
    }
    Some(words)
}

fn store(port: u16, owner: u8) -> RedisReplay {
    /// Each store is another start of its gate.
    static RUNS: AtomicU64 = AtomicU64::new(0);
    RedisReplay::new(RedisConfig {
        host: "127.0.0.1".into(),
        port,
        database: 3,
        user: None,
        password: Some(Secret::new(PASSWORD.as_bytes().to_vec())),
        dialect: Dialect::Python,
        owner: [owner; 16],
        run: RUNS.fetch_add(1, Ordering::Relaxed).to_be_bytes(),
    })
    .unwrap()
}

fn use_of(digest: u8) -> UseName {
    UseName {
        digest: [digest; 32],
        part: None,
    }
}

#[tokio::test]
async fn a_use_is_noted_once_and_known_to_whoever_noted_it() {
    let server = Server::start(Mood::Well).await;
    let (here, there) = (server.store(1), server.store(2));
    assert_eq!(here.take(use_of(5), 60).await, Ok(Noted::Now));
    assert_eq!(there.take(use_of(5), 60).await, Ok(Noted::Elsewhere));
    // The same gate, also after a restart.
    assert_eq!(server.store(1).take(use_of(5), 60).await, Ok(Noted::Before));
    // Nobody takes back what is not his own.
    there.give_back(use_of(5)).await.unwrap();
    assert_eq!(there.take(use_of(5), 60).await, Ok(Noted::Elsewhere));
    here.give_back(use_of(5)).await.unwrap();
    assert_eq!(there.take(use_of(5), 60).await, Ok(Noted::Now));
    // l402kit's notes are nobody's of ours.
    let key = use_of(6).key(Dialect::Python);
    server.keys.lock().unwrap().insert(key.clone(), "1".into());
    assert_eq!(here.take(use_of(6), 60).await, Ok(Noted::Elsewhere));
    here.give_back(use_of(6)).await.unwrap();
    assert_eq!(server.keys.lock().unwrap()[&key], "1");
    let heard = server.heard.lock().unwrap();
    assert!(heard.contains(&vec!["AUTH".to_owned(), PASSWORD.to_owned()]));
    assert!(heard.contains(&vec!["SELECT".to_owned(), "3".to_owned()]));
}

/// A command that was given up may be executed late: it must not take back a note that was made since.
#[tokio::test]
async fn a_late_command_finds_another_note() {
    let server = Server::start(Mood::Well).await;
    let here = server.store(1);
    here.take(use_of(5), 60).await.unwrap();
    here.give_back(use_of(5)).await.unwrap();
    let late = {
        let heard = server.heard.lock().unwrap();
        let late = heard.iter().rfind(|words| words[0] == "EVAL");
        late.unwrap().clone()
    };
    for expected in [Noted::Now, Noted::Before] {
        assert_eq!(here.take(use_of(5), 60).await, Ok(expected));
        assert_eq!(server.execute(&late), ":0\r\n");
        assert_eq!(
            server.store(2).take(use_of(5), 60).await,
            Ok(Noted::Elsewhere)
        );
    }
}

#[tokio::test]
async fn what_was_noted_before_the_connection_broke_is_noted_once() {
    let server = Server::start(Mood::BreaksOffOnce).await;
    assert_eq!(server.store(1).take(use_of(5), 60).await, Ok(Noted::Now));
    assert_eq!(server.keys.lock().unwrap().len(), 1);
    assert_eq!(
        server.store(2).take(use_of(5), 60).await,
        Ok(Noted::Elsewhere)
    );
}

#[tokio::test]
async fn a_server_that_does_not_say_is_away_in_time_and_comes_back() {
    for mood in [Mood::Silent, Mood::Locked, Mood::Babbles] {
        let server = Server::start(mood).await;
        let store = server.store(1);
        for _ in 0..3 {
            let since = Instant::now();
            let away = store.take(use_of(5), 60).await.unwrap_err();
            assert_eq!(away.code, Code::ReplayStoreUnavailable);
            assert!(since.elapsed() < CALL_TIMEOUT + Duration::from_secs(2));
        }
        *server.mood.lock().unwrap() = Mood::Well;
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(store.take(use_of(5), 60).await, Ok(Noted::Now));
    }
}

#[tokio::test]
async fn nobody_knocks_again_at_once_where_nobody_answers() {
    let server = Server::start(Mood::Locked).await;
    let store = Arc::new(server.store(1));
    let all = (0..100).map(|digest| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.take(use_of(digest), 60).await })
    });
    for one in all.collect::<Vec<_>>() {
        assert!(one.await.unwrap().is_err());
    }
    let heard = server.heard.lock().unwrap();
    let knocks = heard.iter().filter(|words| words[0] == "AUTH").count();
    assert!(knocks < 10, "{knocks} connections for 100 requests");
}

#[test]
fn the_password_is_not_shown() {
    let store = store(1, 1);
    assert!(!format!("{store:?}").contains("hunter2"));
    let config = RedisConfig {
        host: "h".into(),
        port: 1,
        database: 0,
        user: None,
        password: Some(Secret::new(PASSWORD.into())),
        dialect: Dialect::Python,
        owner: [0; 16],
        run: [0; 8],
    };
    assert!(!format!("{config:?}").contains("hunter2"));
}
