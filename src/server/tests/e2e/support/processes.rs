//! Processes as Linux shows them in /proc: whose they are, what memory they hold, and signals to them.

use std::fs;
use std::net::TcpListener;
use std::process::Command;

/// A loopback port on which nothing listens, below the range that outgoing connections use.
pub(crate) fn free_port() -> u16 {
    loop {
        let port = rand::random_range(20_000..32_000);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Sends a signal (`KILL`, `TERM`, `STOP`, …); a process that has ended already is no error.
pub(crate) fn signal(pid: u32, name: &str) {
    let status = Command::new("sh").arg("-c").arg(format!("kill -{name} {pid} 2>/dev/null || true")).status();
    assert!(status.expect("sh runs").success());
}

/// Every process that has `NAME=VALUE` in its environment and has not ended (zombies have ended).
pub(crate) fn with_environment(name: &str, value: &str) -> Vec<u32> {
    let wanted = format!("{name}={value}");
    let mut pids = Vec::new();
    for entry in fs::read_dir("/proc").expect("/proc is mounted").flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse().ok()) else { continue };
        let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
        if environment.split(|b| *b == 0).any(|e| e == wanted.as_bytes())
            && state(pid).is_some_and(|s| s != 'Z')
        {
            pids.push(pid);
        }
    }
    pids
}

/// The state letter of a process, if it exists.
fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// The arguments of a process.
pub(crate) fn arguments(pid: u32) -> Vec<String> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    line.split(|b| *b == 0).map(|a| String::from_utf8_lossy(a).into_owned()).collect()
}

/// Resident memory of a process in bytes; 0 if it has ended.
pub(crate) fn resident_bytes(pid: u32) -> u64 {
    memory(pid, "VmRSS:")
}

/// The most resident memory that a process has held, in bytes; 0 if it has ended.
pub(crate) fn peak_bytes(pid: u32) -> u64 {
    memory(pid, "VmHWM:")
}

fn memory(pid: u32, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix(field)).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) * 1024
}
