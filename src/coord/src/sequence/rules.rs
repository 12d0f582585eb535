//! What may be together in a transaction.
//!
//! A transaction reads, or inserts, or changes the catalog, or consists of one other statement. Statements that touch no data are allowed
//! everywhere, queries of no relation too. What a transaction may not do is refused in a block that BEGIN has opened; in a query string
//! without BEGIN a statement that cannot share a transaction with those before it begins a new one.

use hw_expr::HirRelationExpr;
use hw_sql::plan::{CopySource, DiscardWhat, Plan, ReturningPlan};

use super::transaction::Gathered;
use crate::error::AdapterError;
use crate::session::{Session, Transaction, TransactionOps};

/// What a plan does to a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Allowed anywhere; touches no data.
    Neutral,
    /// Reads relations.
    Read,
    /// Inserts what it says itself.
    Insert,
    /// Changes the catalog.
    Ddl,
    /// Must be alone.
    Single,
    /// Reads and must be alone.
    Subscribe,
}

fn reads(expr: &HirRelationExpr) -> Class {
    if expr.global_gets().is_empty() { Class::Neutral } else { Class::Read }
}

/// Whether an INSERT reads relations, for its rows or for RETURNING.
fn inserts_what_it_reads(source: &HirRelationExpr, returning: Option<&ReturningPlan>) -> bool {
    let returned = returning.iter().flat_map(|r| &r.exprs);
    let subqueries = HirRelationExpr::unit().map(returned.cloned().collect());
    !source.global_gets().is_empty() || !subqueries.global_gets().is_empty()
}

fn classify(plan: &Plan) -> Class {
    match plan {
        Plan::Select(select) => reads(&select.expr),
        Plan::CopyTo { select, .. } => match &**select {
            CopySource::Select(select) => reads(&select.expr),
            CopySource::Subscribe(_) => Class::Subscribe,
        },
        Plan::Explain(_) => Class::Read,
        Plan::Subscribe(_) => Class::Subscribe,
        Plan::CopyFrom { .. } => Class::Insert,
        Plan::Insert { source, returning, .. } if !inserts_what_it_reads(source, returning.as_ref()) => {
            Class::Insert
        }
        Plan::Commit
        | Plan::Rollback
        | Plan::ConstantRows { .. }
        | Plan::Begin(..)
        | Plan::SetTransaction { .. }
        | Plan::SetVariable { .. }
        | Plan::ResetVariable(_)
        | Plan::ResetAll
        | Plan::ShowVariable(_)
        | Plan::ShowAll
        | Plan::Discard(DiscardWhat::Plans | DiscardWhat::Sequences)
        | Plan::Prepare { .. }
        | Plan::Execute { .. }
        | Plan::Deallocate(_)
        | Plan::Declare { .. }
        | Plan::Fetch { .. }
        | Plan::Close(_)
        | Plan::ValidateConnection { .. } => Class::Neutral,
        Plan::Insert { .. }
        | Plan::Mutate { .. }
        | Plan::AlterCluster { .. }
        | Plan::AlterSystem { .. }
        | Plan::Discard(DiscardWhat::All) => Class::Single,
        _ => Class::Ddl,
    }
}

/// How PostgreSQL calls a statement that writes.
fn name_of(plan: &Plan) -> &'static str {
    match plan {
        Plan::Insert { source, returning, .. } if inserts_what_it_reads(source, returning.as_ref()) => {
            "INSERT from a query of relations"
        }
        Plan::Insert { .. } => "INSERT",
        Plan::CopyFrom { .. } => "COPY FROM",
        Plan::Mutate { assignments: None, .. } => "DELETE",
        Plan::Mutate { .. } => "UPDATE",
        Plan::AlterCluster { .. } => "ALTER CLUSTER … SET",
        Plan::AlterSystem { .. } => "ALTER SYSTEM",
        Plan::Discard(DiscardWhat::All) => "DISCARD ALL",
        Plan::Discard(_) => "DISCARD TEMP",
        Plan::CreateItems { tag, .. } => tag,
        Plan::Drop(drop) => drop.tag,
        Plan::CreateDatabase { .. } => "CREATE DATABASE",
        Plan::CreateSchema { .. } => "CREATE SCHEMA",
        Plan::CreateRole { .. } => "CREATE ROLE",
        Plan::CreateCluster { .. } => "CREATE CLUSTER",
        Plan::CreateClusterReplica { .. } => "CREATE CLUSTER REPLICA",
        Plan::CreateSecret { .. } => "CREATE SECRET",
        Plan::AlterSecret { .. } => "ALTER SECRET",
        Plan::CreateConnection { .. } => "CREATE CONNECTION",
        Plan::Comment { .. } => "COMMENT",
        _ => "ALTER",
    }
}

/// In a query string of several statements without BEGIN, a statement that cannot share a transaction with those before it begins
/// a new one; what is thereby to be carried out first is returned.
pub(super) fn take_gathered(session: &mut Session, plan: &Plan) -> Option<Gathered> {
    let transaction = session.transaction.as_mut().filter(|t| !t.explicit)?;
    let class = classify(plan);
    let compatible = matches!(
        (class, &transaction.ops),
        (Class::Neutral, _)
            | (_, TransactionOps::None)
            | (Class::Insert, TransactionOps::Writes(_))
            | (Class::Ddl, TransactionOps::Ddl(_))
            | (Class::Read, TransactionOps::Reads { .. })
    );
    if compatible {
        return None;
    }
    transaction.written_bytes = 0;
    Gathered::of(std::mem::take(&mut transaction.ops))
}

fn mixed(what: &str) -> Result<(), AdapterError> {
    Err(AdapterError::new("25000", what).with_hint(
        "A transaction reads, or inserts, or creates, alters and drops objects, or consists of one other statement.",
    ))
}

/// Checks that the transaction may do this too, and notes a statement that has to be alone.
///
/// # Errors
/// 25006 in a read-only transaction, 25001 for what cannot be in a block, 25000 for what cannot be together.
pub(super) fn check(session: &mut Session, plan: &Plan) -> Result<(), AdapterError> {
    let class = classify(plan);
    let writes =
        matches!(class, Class::Insert | Class::Ddl | Class::Single) && !matches!(plan, Plan::Discard(_));
    if writes && session.read_only() {
        let message = format!("cannot execute {} in a read-only transaction", name_of(plan));
        return Err(AdapterError::new("25006", message));
    }
    let Some(transaction) = &mut session.transaction else { return Ok(()) };
    if transaction.explicit {
        check_block(transaction, class, plan)?;
    }
    match class {
        Class::Single => transaction.ops = TransactionOps::Single,
        Class::Subscribe => transaction.ops = TransactionOps::Subscribe,
        _ => {}
    }
    Ok(())
}

fn check_block(transaction: &Transaction, class: Class, plan: &Plan) -> Result<(), AdapterError> {
    match (class, &transaction.ops) {
        (Class::Neutral, _) => Ok(()),
        (Class::Single, _) => {
            let message = format!("{} cannot run inside a transaction block", name_of(plan));
            Err(AdapterError::new("25001", message))
        }
        (_, TransactionOps::None)
        | (Class::Read, TransactionOps::Reads { .. })
        | (Class::Insert, TransactionOps::Writes(_))
        | (Class::Ddl, TransactionOps::Ddl(_)) => Ok(()),
        (Class::Subscribe, TransactionOps::Reads { .. }) | (_, TransactionOps::Subscribe) => {
            mixed("SUBSCRIBE in transactions must be the only read statement")
        }
        (_, TransactionOps::Reads { .. }) => mixed("transaction in read-only mode"),
        (_, TransactionOps::Writes(_)) => mixed("transaction in write-only mode"),
        (_, TransactionOps::Ddl(_)) => {
            mixed("transactions which modify objects are restricted to just modifying objects")
        }
        (_, TransactionOps::Single) => mixed("transaction in single-statement mode"),
    }
}
