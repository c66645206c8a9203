//! Measured processes: started, asked for their processor time and memory, and always ended.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::Failed;

/// The longest a server may need until it accepts connections.
const START_WAIT: Duration = Duration::from_secs(60);

/// A process of the measurement. Dropping it kills it; so does the end of this process, where the system has `setpriv`.
#[derive(Debug)]
pub struct Process {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Process {
    /// Starts `program` with `args` and `env`.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(program: &Path, args: &[&str], env: &[(&str, &str)]) -> Result<Self, Failed> {
        let guard = Path::new("/usr/bin/setpriv");
        let mut command = if guard.exists() {
            let mut command = Command::new(guard);
            command.args(["--pdeathsig", "KILL", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        let mut child = command
            .args(args)
            .env("NO_PROXY", "127.0.0.1")
            .envs(env.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{} cannot be started: {error}", program.display()))?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().ok_or("no output")?);
        Ok(Self {
            child,
            input,
            output,
        })
    }

    /// Its next line of output.
    ///
    /// # Errors
    /// It ended instead.
    pub fn line(&mut self) -> Result<String, Failed> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            return Err("a measured process ended early".into());
        }
        Ok(line.trim().to_owned())
    }

    /// Sends it a line.
    ///
    /// # Errors
    /// It ended.
    pub fn tell(&mut self, line: &str) -> Result<(), Failed> {
        let input = self.input.as_mut().ok_or("no input")?;
        writeln!(input, "{line}")?;
        Ok(input.flush()?)
    }

    /// Waits until somebody listens at `addr`.
    ///
    /// # Errors
    /// The process ended, or takes too long.
    pub fn listening(&mut self, addr: SocketAddr) -> Result<(), Failed> {
        let started = Instant::now();
        while TcpStream::connect_timeout(&addr, Duration::from_secs(1)).is_err() {
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("a server ended before it listened: {status}").into());
            }
            if started.elapsed() > START_WAIT {
                return Err("a server did not start to listen".into());
            }
            sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Processor time used so far, in microseconds. The load generator shares the cores, so this is the fairer number.
    #[must_use]
    pub fn cpu_micros(&self) -> u64 {
        const TICK_MICROS: u64 = 10_000;
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        let ticks: u64 = stat
            .unwrap_or_default()
            .rsplit_once(')')
            .map_or("", |(_, rest)| rest)
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse::<u64>().ok())
            .sum();
        ticks.saturating_mul(TICK_MICROS)
    }

    /// The most memory it ever had, in kilobytes.
    #[must_use]
    pub fn peak_kilobytes(&self) -> u64 {
        std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))
            .unwrap_or_default()
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
            .unwrap_or(0)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// An address of this machine that nobody listens on at the moment.
///
/// # Errors
/// There is none.
pub fn free_addr() -> Result<SocketAddr, Failed> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
