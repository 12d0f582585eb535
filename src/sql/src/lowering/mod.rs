//! Decorrelation: HIR to MIR.
