//! psql, as a person uses it.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

/// psql for one server, with the dialect's default database and user.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Psql {
    port: u16,
}

/// What a psql run printed.
#[derive(Debug)]
pub(crate) struct Printed {
    /// Whether psql ended with 0.
    pub(crate) ok: bool,
    /// Rows and command tags.
    pub(crate) stdout: String,
    /// Errors and notices.
    pub(crate) stderr: String,
}

impl Psql {
    /// psql for the server on this loopback port.
    pub(crate) fn new(port: u16) -> Psql {
        Psql { port }
    }

    /// The command line, with further arguments to be added.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new("psql");
        command
            .args([
                "-X",
                "-h",
                "127.0.0.1",
                "-p",
                &self.port.to_string(),
                "-U",
                "materialize",
                "-d",
                "materialize",
            ])
            .args(["-v", "ON_ERROR_STOP=1"])
            .env("PGCONNECT_TIMEOUT", "10")
            .env_remove("PGOPTIONS");
        command
    }

    /// Runs a script in one session, statement by statement, up to the first error.
    pub(crate) fn run(&self, arguments: &[&str], script: &str) -> Printed {
        let mut child = self
            .command()
            .args(arguments)
            .args(["-f", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("psql is installed (bin/setup)");
        child.stdin.take().expect("piped").write_all(script.as_bytes()).expect("psql reads its script");
        let output = child.wait_with_output().expect("psql ends");
        Printed {
            ok: output.status.success(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs a script that must succeed; gives what it printed.
    pub(crate) fn must(&self, script: &str) -> String {
        let printed = self.run(&[], script);
        assert!(printed.ok, "psql failed\n{script}\n{}", printed.stderr);
        printed.stdout
    }

    /// The rows of one query by column name.
    pub(crate) fn table(&self, query: &str) -> Vec<BTreeMap<String, String>> {
        let printed = self.run(&["-A", "-F", "\x1f", "-R", "\x1e", "-P", "footer=off"], query);
        assert!(printed.ok, "psql failed\n{query}\n{}", printed.stderr);
        let mut records = printed.stdout.trim_end_matches(['\n', '\x1e']).split('\x1e');
        let header: Vec<&str> = records.next().unwrap_or_default().split('\x1f').collect();
        records
            .map(|r| header.iter().map(|h| h.to_string()).zip(r.split('\x1f').map(str::to_owned)).collect())
            .collect()
    }
}
