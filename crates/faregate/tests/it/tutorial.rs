//! Tutorials do what they say: every command of a page is run as it stands, and prints what stands below it.
//!
//! `console` blocks are run in one shell, in a folder of their own. A line of output has to come in this order, perhaps with
//! others between; `…` stands for anything, and so do ports. What serves is started on free ports and left running:
//! `faregate dev` until the end, a gate until its certificates are redeemed by hand.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

/// One command, and what the page says that it prints.
#[derive(Debug, Default)]
struct Step {
    line: usize,
    command: String,
    expected: Vec<String>,
}

fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let (mut is_console, mut is_text) = (false, false);
    for (at, line) in page.lines().enumerate() {
        if line.starts_with("```") {
            (is_console, is_text) = (line == "```console", false);
        } else if !is_console {
        } else if let Some(command) = line.strip_prefix("$ ").filter(|_| !is_text) {
            steps.push(Step {
                line: at.saturating_add(1),
                command: command.to_owned(),
                expected: Vec::new(),
            });
            is_text = command.ends_with("<<END");
        } else if let Some(step) = steps.last_mut() {
            if is_text {
                is_text = line != "END";
                step.command = format!("{}\n{line}", step.command);
            } else if !line.trim().is_empty() {
                step.expected.push(line.trim().to_owned());
            }
        }
    }
    steps
}

/// Whether a line is as expected, where `…` and ports may be anything.
fn is_like(line: &str, expected: &str) -> bool {
    let mut rest = line;
    let host = "127.0.0.1:";
    let mut pattern = String::new();
    for (at, part) in expected.split(host).enumerate() {
        let part = if at == 0 {
            part
        } else {
            pattern.push_str(host);
            pattern.push('…');
            part.trim_start_matches(|digit: char| digit.is_ascii_digit())
        };
        pattern.push_str(part);
    }
    pattern.split('…').all(|part| match rest.find(part) {
        Some(at) => {
            rest = &rest[at.saturating_add(part.len())..];
            true
        }
        None => false,
    })
}

/// All steps as one script. Before each comes a line with its number, behind the last one another.
fn script(steps: &[Step], port: u16) -> String {
    let mut script = String::from("exec 2>&1\ntrap 'kill $(jobs -p)' EXIT\nset -e -o pipefail\n");
    for (at, step) in steps.iter().enumerate() {
        let command = step
            .command
            .replace("127.0.0.1:4031", &format!("127.0.0.1:{port}"));
        writeln!(script, "echo; echo '@@ {at}'").unwrap();
        if command.starts_with("faregate dev ") {
            let ports =
                "--gate-port 0 --facilitator-port 0 --rpc-port 0 --lnd-port 0 --credit-port 0";
            writeln!(script, "{command} {ports} > dev.log &").unwrap();
            script.push_str("until [ -e dev.env ]; do sleep 0.1; kill -0 $!; done; cat dev.log\n");
        } else if command.starts_with("faregate gate ") {
            writeln!(script, "{command} > gate.log & gate=$!").unwrap();
            writeln!(
                script,
                "until curl -s -o answer http://127.0.0.1:{port}/; do sleep 0.1; kill -0 $gate || {{ cat gate.log; exit 1; }}; done"
            )
            .unwrap();
        } else {
            if command.starts_with("faregate credit-remunerate ") {
                script.push_str("[ -z $gate ] || { kill $gate; wait $gate || true; gate=; }\n");
            }
            writeln!(script, "{command}").unwrap();
        }
    }
    writeln!(script, "echo; echo '@@ {}'", steps.len()).unwrap();
    script
}

async fn follows(page: &Path) {
    let text = std::fs::read_to_string(page).unwrap();
    let steps = steps(&text);
    assert!(steps.len() > 5, "{}: {steps:?}", page.display());
    let free = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("script"), script(&steps, port)).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_faregate"));
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", program.parent().unwrap().display());
    // It ends whatever the script has started, too.
    let run = Command::new("timeout")
        .args(["180", "bash", "script"])
        .current_dir(folder.path())
        .env_clear()
        .env("PATH", path)
        .env("HOME", folder.path())
        .env("FAREGATE_HOME", folder.path())
        .stdin(Stdio::null())
        .output();
    let output = run.await.unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    for (at, step) in steps.iter().enumerate() {
        let from = said.split_once(&format!("@@ {at}\n")).map(|(_, rest)| rest);
        let place = format!("{}:{}: {}", page.display(), step.line, step.command);
        let part = from.and_then(|rest| rest.split_once("\n@@ "));
        let Some((part, _)) = part else {
            panic!("{place}\ndid not end well:\n{said}");
        };
        let mut lines = part.lines();
        for expected in &step.expected {
            let found = lines.any(|line| is_like(line, expected));
            assert!(found, "{place}\ndid not print\n{expected}\nbut\n{part}");
        }
    }
    assert!(output.status.success(), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tutorial_from_deposit_to_remuneration_does_what_it_says() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src");
    follows(&docs.join("credit-tutorial.md")).await;
}

#[test]
fn a_step_that_prints_something_else_is_noticed() {
    let found = steps(
        "text\n```console\n$ one\na … c\n$ two <<END\n$ text\nEND\n```\n```text\n$ three\n```\n",
    );
    let commands: Vec<&str> = found.iter().map(|step| step.command.as_str()).collect();
    assert_eq!(commands, ["one", "two <<END\n$ text\nEND"]);
    assert_eq!(found[0].expected, ["a … c"]);
    assert!(is_like("a b c", "a … c") && !is_like("c b a", "a … c"));
    assert!(is_like("at 127.0.0.1:55555/x", "at 127.0.0.1:4021/x"));
    assert!(!is_like("at 127.0.0.1:55555/y", "at 127.0.0.1:4021/x"));
}
