//! A fuzz target over parser, planner, lowering and optimizer: no text makes them panic, overflow the stack, run for long or
//! take memory without bound. `bin/fuzz` builds and runs it.
//!
//! Half of the mutations are libFuzzer's own on bytes, half are of words ([`mutate`]), which get past the parser more often.

#![no_main]

mod catalog;
mod mutate;

use hw_optimizer::{PeekPlan, optimize_peek};
use hw_repr::GlobalId;
use hw_sql::context::{SessionInfo, StatementContext};
use hw_sql::parser::{ParsedStatement, parse};
use hw_sql::plan::{ItemDefinition, Plan};
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(statements) = parse(text) else { return };
    for statement in statements.iter().take(4) {
        plan(statement);
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    if seed.is_multiple_of(2) {
        return fuzzer_mutate(data, size, max_size);
    }
    match std::str::from_utf8(&data[..size]) {
        Ok(text) => {
            let mutated = mutate::mutate(text, seed);
            let length = mutated.len().min(max_size);
            data[..length].copy_from_slice(&mutated.as_bytes()[..length]);
            length
        }
        Err(_) => fuzzer_mutate(data, size, max_size),
    }
});

/// Plans one statement as the server would, with and without parameters.
fn plan(parsed: &ParsedStatement) {
    let catalog = catalog::FuzzCatalog::shared();
    let session = SessionInfo::default();
    let scx = StatementContext::new(catalog, &session, &parsed.extensions)
        .with_text(&parsed.sql)
        .with_params(vec![None; parsed.params]);
    let _ = hw_sql::statement::describe(&scx, &parsed.statement);
    let mut next = 1_000;
    let mut ids = || {
        next += 1;
        GlobalId::User(next)
    };
    let Ok(plan) = hw_sql::statement::plan_statement(&scx, &parsed.statement, &mut ids) else { return };
    match plan {
        Plan::Select(select) => optimize(select.expr, select.finishing),
        Plan::CreateItems { items, .. } => {
            for item in items {
                match item.definition {
                    ItemDefinition::View(v) => optimize(v.expr, whole()),
                    ItemDefinition::MaterializedView(v) => optimize(v.expr, whole()),
                    _ => {}
                }
            }
        }
        _ => {}
    }
}

fn optimize(expr: hw_expr::HirRelationExpr, mut finishing: hw_expr::RowSetFinishing) {
    let Ok(mir) = hw_sql::lowering::lower(expr) else { return };
    let ids = (GlobalId::Transient(1), GlobalId::Transient(2));
    let plan = optimize_peek(mir, vec![], catalog::FuzzCatalog::shared(), &mut finishing, ids);
    if let Ok(PeekPlan::Constant(Ok(rows))) = plan {
        assert!(rows.len() < 1_000_000, "constants stay small while planning");
    }
}

/// All rows in any order.
fn whole() -> hw_expr::RowSetFinishing {
    hw_expr::RowSetFinishing { order_by: vec![], limit: None, offset: 0, project: vec![] }
}
