//! What an idle connection costs in user memory, for each transport:
//!
//! ```text
//! cargo run --release -p signalr --example idle_memory
//! cargo run --release -p signalr --example idle_memory -- --transport ws --connections 10000
//! ```
//!
//! A hub is started as a process of its own; clients with a user each open
//! their connections, shake hands and fall silent; the growth of the hub's
//! `RssAnon` is divided by their number. With `--address`, `--path`, `--pid`
//! and `--tokens` (a file, one a line) another server is measured instead.
//! Linux alone: the figures are read from `/proc`.

mod clients;
mod server;

use std::error::Error;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use clients::Transport;

#[derive(Debug, Clone)]
struct Settings {
    connections: usize,
    transports: Vec<Transport>,
    /// The server to measure; one is started where there is none.
    address: Option<String>,
    path: String,
    pid: u32,
    tokens: Vec<String>,
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "serve") {
        return server::serve().await;
    }
    let settings = read(&arguments)?;
    for transport in &settings.transports {
        let (before, after) = measure(&settings, *transport).await?;
        let each = after.saturating_sub(before) as f64 / settings.connections as f64;
        report(&format!(
            "{:<20} {} connections: {each:.0} bytes each ({before} -> {after})",
            transport.name(),
            settings.connections,
        ));
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the figures are what it is run for")]
fn report(line: &str) {
    println!("{line}");
}

fn read(arguments: &[String]) -> Result<Settings, Box<dyn Error>> {
    let mut settings = Settings {
        connections: 10_000,
        transports: Transport::ALL.to_vec(),
        address: None,
        path: server::PATH.to_owned(),
        pid: 0,
        tokens: Vec::new(),
    };
    for pair in arguments.chunks(2) {
        let [name, value] = pair else {
            return Err(format!("{} needs a value", pair[0]).into());
        };
        match name.as_str() {
            "--connections" => settings.connections = value.parse()?,
            "--transport" => settings.transports = vec![Transport::by_name(value)?],
            "--address" => settings.address = Some(value.clone()),
            "--path" => settings.path.clone_from(value),
            "--pid" => settings.pid = value.parse()?,
            "--tokens" => {
                settings.tokens = fs::read_to_string(value)?
                    .lines()
                    .map(str::to_owned)
                    .collect();
            }
            _ => return Err(format!("unknown option {name}").into()),
        }
    }
    Ok(settings)
}

/// User memory of the server before the connections and with them, in bytes.
async fn measure(settings: &Settings, transport: Transport) -> Result<(u64, u64), Box<dyn Error>> {
    let mut settings = settings.clone();
    let mut own = None;
    if settings.address.is_none() {
        let (server, address) = start()?;
        settings.pid = server.0.id();
        settings.address = Some(address);
        own = Some(server);
    }
    let address = settings.address.clone().unwrap_or_default();
    let token = |at: usize| match settings.tokens.len() {
        0 => format!("user{at}"),
        count => settings.tokens[at % count].clone(),
    };
    // What is made once, with the first connections, is none of theirs.
    let warm = clients::open(&address, &settings.path, transport, 0..50, &token).await?;
    drop(warm);
    tokio::time::sleep(Duration::from_secs(7)).await;
    let before = user_memory(settings.pid)?;
    let all = 50..settings.connections + 50;
    let open = clients::open(&address, &settings.path, transport, all, &token).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let after = user_memory(settings.pid)?;
    drop(open);
    drop(own);
    Ok((before, after))
}

/// Anonymous resident memory: what the process allocated and touched.
fn user_memory(pid: u32) -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))
        .ok_or("this kernel does not tell RssAnon")?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes * 1024)
}

/// A server that ends with the measurement.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start() -> Result<(Server, String), Box<dyn Error>> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg("serve")
        .stdout(Stdio::piped())
        .spawn()?;
    let output = child.stdout.take().ok_or("its output is piped")?;
    let server = Server(child);
    let mut address = String::new();
    BufReader::new(output).read_line(&mut address)?;
    Ok((server, address.trim().to_owned()))
}
