//! MIR to MIR transforms and MIR to LIR.
