//! Statements on sqlparser, name resolution, planning to HIR, lowering to MIR; owns the Catalog and Upstream traits.
