//! The headwater executable.
//!
//! * `headwater serve`: the environment: storage, catalog, coordinator, SQL and HTTP ports, and worker processes as children.
//! * `headwater worker`: one process of a cluster replica.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod data_dir;
mod planner;
mod serve;
mod worker;

use clap::{Parser, Subcommand};

/// A SQL-first streaming database server.
#[derive(Debug, Parser)]
#[command(name = "headwater", version, about)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves an environment: SQL, HTTP, storage, and its clusters' worker processes.
    Serve(serve::ServeArgs),
    /// Runs one worker process of a cluster replica (started by `serve`).
    #[command(hide = true)]
    Worker(worker::WorkerArgs),
}

fn main() -> std::process::ExitCode {
    hw_base::logging::init();
    let outcome = match Args::parse().command {
        Command::Serve(args) => serve::run(args),
        Command::Worker(args) => worker::run(args),
    };
    match outcome {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(e) => {
            tracing::error!("{e:#}");
            std::process::ExitCode::FAILURE
        }
    }
}
