//! The contexts in which queries and expressions are planned.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use hw_expr::relation::LocalId;
use hw_repr::{ColumnType, ScalarType};
use sqlparser::ast::{Expr, Ident, ObjectName, ObjectNamePart, Spanned};
use sqlparser::tokenizer::Span;

use super::coerce::Planned;
use super::interned::Subqueries;
use super::scope::{Frame, Scope, Visibility};
use crate::context::StatementContext;
use crate::error::PlanError;

/// How deep queries and expressions may nest: what is planned is walked, cloned and dropped with recursion everywhere after.
const MAX_DEPTH: usize = 1200;
/// How large everything may be that planning has to repeat, such as the first operand of BETWEEN: what nests such operators grows
/// with each level by a factor.
const MAX_REPEATED: usize = 1 << 20;
/// How many columns there may be in a list of a query, as in PostgreSQL.
const MAX_COLUMNS: usize = 1664;

/// What one statement's planning shares.
pub(super) struct Shared<'a> {
    pub(super) scx: &'a StatementContext<'a>,
    next_local: Cell<u64>,
    depth: Cell<usize>,
    repeated: Cell<usize>,
    wanted: Cell<Vec<ScalarType>>,
    pub(super) subqueries: RefCell<Subqueries>,
}

impl<'a> Shared<'a> {
    pub(super) fn new(scx: &'a StatementContext<'a>) -> Self {
        Shared {
            scx,
            next_local: Cell::new(0),
            depth: Cell::new(0),
            repeated: Cell::new(0),
            wanted: Cell::default(),
            subqueries: RefCell::default(),
        }
    }

    /// Says that the columns of the query that is planned next go to columns of these types, which what has no type of its own
    /// in its select list takes on.
    pub(super) fn want(&self, types: Vec<ScalarType>) {
        self.wanted.set(types);
    }

    /// The types that are wanted, for whoever plans the select list; no other finds them again.
    pub(super) fn take_wanted(&self) -> Vec<ScalarType> {
        self.wanted.take()
    }

    /// A fresh name for a binding.
    pub(super) fn local_id(&self) -> LocalId {
        let id = self.next_local.get();
        self.next_local.set(id + 1);
        LocalId(id)
    }

    /// Goes one level deeper, on a stack that is large enough.
    pub(super) fn deeper<R>(&self, f: impl FnOnce() -> Result<R, PlanError>) -> Result<R, PlanError> {
        self.deeper_by(1, f)
    }

    /// Goes so many levels deeper: for lists that become a tree as deep as they are long.
    pub(super) fn deeper_by<R>(
        &self,
        levels: usize,
        f: impl FnOnce() -> Result<R, PlanError>,
    ) -> Result<R, PlanError> {
        let depth = self.depth.get();
        if levels > MAX_DEPTH || depth + levels > MAX_DEPTH {
            return Err(PlanError::new("54001", "stack depth limit exceeded")
                .with_hint("The statement nests too many queries or expressions."));
        }
        self.depth.set(depth + levels);
        let result = stacker::maybe_grow(256 << 10, 4 << 20, f);
        self.depth.set(depth);
        result
    }
}

impl Shared<'_> {
    /// Says that so much is going to be repeated, so many times.
    pub(super) fn repeat(&self, size: usize, times: usize) -> Result<(), PlanError> {
        let repeated = self.repeated.get().saturating_add(size.saturating_mul(times));
        self.repeated.set(repeated);
        if repeated <= MAX_REPEATED {
            return Ok(());
        }
        Err(PlanError::new("54001", "statement is too complex").with_hint(
            "Compute operands that are used several times in a subquery or common table expression.",
        ))
    }
}

/// That a list is not longer than PostgreSQL allows.
pub(super) fn check_columns(count: usize) -> Result<(), PlanError> {
    if count <= MAX_COLUMNS {
        return Ok(());
    }
    Err(PlanError::new("54011", format!("target lists can have at most {MAX_COLUMNS} entries")))
}

/// A common table expression.
pub(super) struct Cte {
    /// Its name.
    pub(super) name: String,
    /// Its binding.
    pub(super) id: LocalId,
    /// The names of its columns.
    pub(super) names: Vec<String>,
    /// Their types.
    pub(super) types: Vec<ColumnType>,
    /// Those declared before it.
    pub(super) earlier: CteList,
}

/// The common table expressions that can be seen, the last first.
pub(super) type CteList = Option<Rc<Cte>>;

/// The context of a query.
#[derive(Clone)]
pub(super) struct Qcx<'a> {
    /// The statement's.
    pub(super) shared: &'a Shared<'a>,
    /// The scopes around the query.
    pub(super) outer: Option<&'a Frame<'a>>,
    /// The common table expressions.
    pub(super) ctes: CteList,
    /// How many of the innermost outer scopes are left sides of joins of this query's own FROM.
    pub(super) from_depth: usize,
}

impl<'a> Qcx<'a> {
    pub(super) fn new(shared: &'a Shared<'a>) -> Self {
        Qcx { shared, outer: None, ctes: None, from_depth: 0 }
    }

    pub(super) fn scx(&self) -> &'a StatementContext<'a> {
        self.shared.scx
    }

    /// The common table expression of that name.
    pub(super) fn cte(&self, name: &str) -> Option<&Rc<Cte>> {
        let mut list = &self.ctes;
        while let Some(cte) = list {
            if cte.name == name {
                return Some(cte);
            }
            list = &cte.earlier;
        }
        None
    }

    /// A frame over `scope`, for a clause without aggregates.
    pub(super) fn frame<'b>(&'b self, scope: &'b Scope, clause: &'static str) -> Frame<'b>
    where
        'a: 'b,
    {
        Frame { scope, parent: self.outer, collector: None, visible: Visibility::Yes, clause }
    }

    /// The query context of a subquery in an expression of this frame.
    pub(super) fn within<'b>(&'b self, frame: &'b Frame<'b>) -> Qcx<'b>
    where
        'a: 'b,
    {
        Qcx { shared: self.shared, outer: Some(frame), ctes: self.ctes.clone(), from_depth: 0 }
    }

    /// Types of the scopes around the query.
    pub(super) fn outer_types(&self) -> hw_expr::hir::OuterTypes {
        self.outer.map(Frame::outer_types).unwrap_or_default()
    }

    /// The columns of a relation of this query: types as planned, NULLs as the expression says.
    pub(super) fn types_of(&self, expr: &hw_expr::HirRelationExpr, types: &[ScalarType]) -> Vec<ColumnType> {
        let known = expr.column_types(&mut self.outer_types());
        types.iter().zip(known).map(|(t, k)| t.clone().nullable(k.nullable)).collect()
    }

    /// Adds a position to an error.
    pub(super) fn at<T>(&self, result: Result<T, PlanError>, span: Span) -> Result<T, PlanError> {
        result.map_err(|e| locate(self.scx(), e, span))
    }
}

/// Adds a position to an error that has none.
pub(super) fn locate(scx: &StatementContext<'_>, e: PlanError, span: Span) -> PlanError {
    match scx.position(span.start) {
        Some(p) => e.at(p),
        None => e,
    }
}

/// The context of an expression.
#[derive(Clone, Copy)]
pub(super) struct Ecx<'a> {
    /// The query's.
    pub(super) qcx: &'a Qcx<'a>,
    /// The innermost scope.
    pub(super) frame: &'a Frame<'a>,
}

impl<'a> Ecx<'a> {
    pub(super) fn scx(&self) -> &'a StatementContext<'a> {
        self.qcx.scx()
    }

    /// Adds a position to an error.
    pub(super) fn at<T>(&self, result: Result<T, PlanError>, span: Span) -> Result<T, PlanError> {
        self.qcx.at(result, span)
    }

    /// Says that a value is going to be used so many times more than once; one that is no larger than a column is free.
    pub(super) fn repeat(&self, value: &Planned, times: usize) -> Result<(), PlanError> {
        match value.size() {
            0 | 1 => Ok(()),
            size => self.qcx.shared.repeat(size, times),
        }
    }

    /// The error with the position of an expression.
    pub(super) fn error_at(&self, e: PlanError, expr: &Expr) -> PlanError {
        locate(self.scx(), e, expr.span())
    }
}

/// An identifier's meaning: folded to lower case unless quoted.
pub(super) fn ident(i: &Ident) -> String {
    if i.quote_style.is_some() { i.value.clone() } else { i.value.to_lowercase() }
}

/// The parts of a name.
pub(super) fn name_parts(name: &ObjectName) -> Result<Vec<String>, PlanError> {
    let part = |p: &ObjectNamePart| match p {
        ObjectNamePart::Identifier(i) => Ok(ident(i)),
        ObjectNamePart::Function(_) => Err(PlanError::syntax(format!("invalid name {name}"))),
    };
    name.0.iter().map(part).collect()
}

/// A name as people wrote it.
pub(super) fn object_name_text(name: &ObjectName) -> String {
    name_parts(name).map_or_else(|_| name.to_string(), |p| p.join("."))
}
