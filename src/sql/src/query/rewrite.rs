//! Bringing expressions over FROM to the columns that are there after grouping.

use hw_expr::HirScalarExpr;
use hw_expr::hir::ColumnRef;
use sqlparser::ast::{Expr, Spanned, visit_expressions};

use super::context::{Ecx, ident, locate};
use super::scope::Scope;
use crate::error::PlanError;

/// Where the columns that stand for aggregates begin.
pub(super) const AGGREGATES: usize = 1 << 28;
/// Where the columns that stand for GROUPING begin.
pub(super) const GROUPINGS: usize = AGGREGATES + (1 << 27);
/// Where the columns that stand for window functions begin.
pub(super) const WINDOWS: usize = 1 << 29;
/// Where the columns that stand for table functions begin.
pub(super) const TABLES: usize = 1 << 30;

/// Where everything has come to be.
pub(super) struct Rewriter<'a> {
    scope: &'a Scope,
    /// The grouping expressions, `None` if the query is not grouped.
    keys: Option<&'a [HirScalarExpr]>,
    arity: usize,
    aggregates: usize,
    windows: usize,
    /// For each column of a table function its position.
    tables: Vec<Option<usize>>,
}

/// A column that is neither grouped nor aggregated.
pub(super) struct Ungrouped {
    name: String,
    in_subquery: bool,
}

impl Ungrouped {
    /// PostgreSQL's error; its position is that of the column in the expression.
    pub(super) fn into_error(self, ecx: &Ecx<'_>, ast: Option<&Expr>) -> PlanError {
        let name = &self.name;
        let text = if self.in_subquery {
            format!("subquery uses ungrouped column \"{name}\" from outer query")
        } else {
            format!(
                "column \"{name}\" must appear in the GROUP BY clause or be used in an aggregate function"
            )
        };
        let e = PlanError::new("42803", text);
        let column = name.rsplit('.').next().unwrap_or(name).to_owned();
        let mut span = None;
        if let Some(ast) = ast {
            let _ = visit_expressions(ast, |e| {
                let last = match e {
                    Expr::Identifier(i) => Some(i),
                    Expr::CompoundIdentifier(parts) => parts.last(),
                    _ => None,
                };
                if last.is_some_and(|i| ident(i) == column) {
                    span = Some(e.span());
                    return std::ops::ControlFlow::Break(());
                }
                std::ops::ControlFlow::<()>::Continue(())
            });
        }
        match span {
            Some(span) => locate(ecx.scx(), e, span),
            None => e,
        }
    }
}

impl<'a> Rewriter<'a> {
    pub(super) fn new(
        scope: &'a Scope,
        keys: Option<&'a [HirScalarExpr]>,
        aggregates: usize,
        groupings: usize,
    ) -> Self {
        let arity = keys.map_or(scope.types.len(), |k| k.len() + aggregates + groupings);
        Rewriter { scope, keys, arity, aggregates, windows: arity, tables: vec![] }
    }

    /// How many columns there are so far.
    pub(super) fn arity(&self) -> usize {
        self.arity
    }

    /// Says that so many window functions were appended.
    pub(super) fn windows_at(&mut self, count: usize) {
        self.windows = self.arity;
        self.arity += count;
    }

    /// Says that these columns of table functions were appended, in this order.
    pub(super) fn tables_at(&mut self, columns: &[usize]) {
        for c in columns {
            if self.tables.len() <= *c {
                self.tables.resize(c + 1, None);
            }
            self.tables[*c] = Some(self.arity);
            self.arity += 1;
        }
    }

    /// Whether all table functions that the expression is over have been appended.
    pub(super) fn tables_known(&self, e: &HirScalarExpr) -> bool {
        let mut known = true;
        e.visit_free(&mut |c| {
            if c.level == 0 && c.column >= TABLES {
                known &= self.tables.get(c.column - TABLES).copied().flatten().is_some();
            }
        });
        known
    }

    /// Rewrites an expression.
    pub(super) fn rewrite(&self, mut e: HirScalarExpr) -> Result<HirScalarExpr, Ungrouped> {
        let mut error = None;
        let groups = self.keys.unwrap_or_default();
        // Keys as they look from further in.
        let mut shifted: Vec<Vec<HirScalarExpr>> = vec![groups.to_vec()];
        e.visit_mut_pre(0, &mut |depth, e| {
            if self.keys.is_some() && !matches!(e, HirScalarExpr::Literal(..)) {
                while shifted.len() <= depth {
                    let next = groups.iter().map(|k| k.clone().shifted(shifted.len())).collect();
                    shifted.push(next);
                }
                if let Some(column) = shifted[depth].iter().position(|k| k == e) {
                    *e = HirScalarExpr::Column(ColumnRef { level: depth, column });
                    return true;
                }
            }
            if let HirScalarExpr::Column(c) = e
                && c.level == depth
            {
                match self.place(c.column) {
                    Some(column) => c.column = column,
                    None => {
                        let name = self.name(c.column);
                        error.get_or_insert(Ungrouped { name, in_subquery: depth > 0 });
                    }
                }
            }
            false
        });
        match error {
            Some(e) => Err(e),
            None => Ok(e),
        }
    }

    fn place(&self, column: usize) -> Option<usize> {
        match column {
            TABLES.. => self.tables.get(column - TABLES).copied().flatten(),
            WINDOWS.. => Some(self.windows + column - WINDOWS),
            GROUPINGS.. => self.keys.map(|k| k.len() + self.aggregates + column - GROUPINGS),
            AGGREGATES.. => self.keys.map(|k| k.len() + column - AGGREGATES),
            _ if self.keys.is_some() => None,
            _ => Some(column),
        }
    }

    fn name(&self, column: usize) -> String {
        let item = self.scope.items.iter().find(|i| i.column == column);
        match item {
            None => "?column?".into(),
            Some(i) => match i.table.map(|t| &self.scope.tables[t].alias) {
                Some(t) => format!("{t}.{}", i.name),
                None => i.name.clone(),
            },
        }
    }
}
