//! BEGIN, COMMIT and ROLLBACK.

use crate::coordinator::{Coordinator, ExecuteContext};
use crate::error::Notice;
use crate::session::{Transaction, TransactionOps};

impl Coordinator {
    pub(crate) fn sequence_begin(
        &mut self,
        mut ctx: ExecuteContext,
        read_only: Option<bool>,
        isolation: Option<String>,
    ) {
        let now = self.oracle.now_ms();
        let transaction = ctx.session.transaction_mut(now);
        if transaction.explicit {
            ctx.session.notices.push(Notice {
                sqlstate: "25001",
                ..Notice::warning("there is already a transaction in progress")
            });
        } else {
            transaction.explicit = true;
            transaction.read_only = read_only.unwrap_or(false);
        }
        if let Some(level) = isolation
            && let Err(e) = ctx.session.vars.set("transaction_isolation", Some(&[level]), true)
        {
            return ctx.retire(Err(e));
        }
        ctx.done("BEGIN");
    }

    /// Ends the session's transaction: applies its insertions if it is to commit and has not failed.
    pub(crate) fn end_transaction(&mut self, mut ctx: ExecuteContext, commit: bool, tag: &'static str) {
        let explicit = ctx.session.transaction.as_ref().is_some_and(|t| t.explicit);
        if !explicit && !tag.is_empty() {
            ctx.session
                .notices
                .push(Notice { sqlstate: "25P01", ..Notice::warning("there is no transaction in progress") });
        }
        let failed = ctx.session.transaction.as_ref().is_some_and(|t| t.failed);
        let committing = commit && !failed;
        let tag = if commit && failed { "ROLLBACK" } else { tag };
        let transaction = ctx.session.clear_transaction(committing);
        match transaction {
            Some(Transaction { ops: TransactionOps::Writes(writes), .. })
                if committing && !writes.is_empty() =>
            {
                self.write(
                    writes,
                    Some(Box::new(move |_, result| match result {
                        Ok(_) => ctx.done(tag),
                        Err(e) => ctx.retire(Err(e)),
                    })),
                );
            }
            _ => ctx.done(tag),
        }
    }
}
