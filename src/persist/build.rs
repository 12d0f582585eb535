//! Generates the gRPC code from `proto/persist.proto`, without protoc.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let proto = "../../proto/persist.proto";
    println!("cargo:rerun-if-changed={proto}");
    let descriptors = protox::compile([proto], ["../../proto"])?;
    tonic_prost_build::configure().bytes(".").compile_fds(descriptors)?;
    Ok(())
}
