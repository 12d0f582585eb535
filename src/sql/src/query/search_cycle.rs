//! SEARCH and CYCLE of a recursive query: rewritten to columns, as PostgreSQL does (manual 7.8.2).
//!
//! ```text
//! base  SELECT *, init AS c FROM (base) AS "*base*"(a, b)
//! step  SELECT a, b, next AS c FROM (step with r.c in its select list) AS "*step*"(a, b, c)
//! ```
//!
//! | column | init | next |
//! |---|---|---|
//! | SEARCH DEPTH | `ARRAY[ROW(a)]` | `c \|\| ROW(a)` |
//! | SEARCH BREADTH | `ROW(0, a)` | `ROW(c.f1 + 1, a)` |
//! | mark of CYCLE | the default | the value if `ROW(a) = ANY (path)`, else the default |
//! | path of CYCLE | `ARRAY[ROW(a)]` | `path \|\| ROW(a)` |
//!
//! Rows that are marked go no further.

use std::collections::BTreeSet;

use sqlparser::ast::helpers::attached_token::AttachedToken;
use sqlparser::ast::{
    BinaryOperator, Cte, Expr, Ident, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr,
    TableAliasColumnDef, TableFactor,
};
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Span, Token, TokenWithSpan, Tokenizer};

use super::coerce::{Planned, unify_types};
use super::context::{Ecx, Qcx, ident, name_parts};
use super::scalar::plan_expr;
use super::scope::Scope;
use crate::error::PlanError;
use crate::parser::dialect::HeadwaterDialect;
use crate::parser::{CteClauses, CycleClause, SearchClause};

/// A column that is added.
struct Added {
    name: String,
    /// Its value in the base, over the columns.
    init: String,
    /// Its value in the step, over the columns and the added ones of the row before.
    next: String,
}

/// The common table expression with the columns that SEARCH and CYCLE add to `names`.
pub(super) fn rewrite(
    qcx: &Qcx<'_>,
    cte: &Cte,
    clauses: &CteClauses,
    names: &[String],
) -> Result<Cte, PlanError> {
    check(qcx, clauses, names)?;
    let SetExpr::SetOperation { left, op, set_quantifier, right } = &*cte.query.body else {
        return Err(PlanError::new("XX000", "a recursive query is a union"));
    };
    let side = |body: &SetExpr, side: &str| match body {
        SetExpr::Select(s) => Ok((**s).clone()),
        _ => {
            let text =
                format!("with a SEARCH or CYCLE clause, the {side} side of the UNION must be a SELECT");
            Err(PlanError::new("0A000", text))
        }
    };
    let (left, mut step) = (side(left, "left")?, side(right, "right")?);
    let name = ident(&cte.alias.name);
    let reference = reference(&step, &name)?;
    let added = added(clauses);
    for a in &added {
        let column = Expr::CompoundIdentifier(vec![quoted(&reference), quoted(&a.name)]);
        step.projection.push(SelectItem::UnnamedExpr(column));
    }
    if let Some(cycle) = &clauses.cycle {
        let mark = Expr::CompoundIdentifier(vec![quoted(&reference), quoted(&ident(&cycle.mark))]);
        let (seen, _) = mark_values(cycle);
        let open = Expr::BinaryOp {
            left: Box::new(mark),
            op: BinaryOperator::NotEq,
            right: Box::new(Expr::Nested(Box::new(seen))),
        };
        step.selection = Some(match step.selection.take() {
            None => open,
            Some(e) => Expr::BinaryOp {
                left: Box::new(Expr::Nested(Box::new(e))),
                op: BinaryOperator::And,
                right: Box::new(open),
            },
        });
    }
    let columns = list(names);
    let values = |of: fn(&Added) -> &str| {
        added.iter().map(|a| format!(", {} AS {}", of(a), quote(&a.name))).collect::<String>()
    };
    let all = list(names.iter().chain(added.iter().map(|a| &a.name)));
    let base = format!("SELECT {columns}{} FROM (SELECT 1) AS \"*base*\"({columns})", values(|a| &a.init));
    let next = format!("SELECT {columns}{} FROM (SELECT 1) AS \"*step*\"({all})", values(|a| &a.next));
    let mut cte = cte.clone();
    cte.closing_paren_token = AttachedToken::empty();
    *cte.query.body = SetExpr::SetOperation {
        left: Box::new(over(&base, left, clauses)?),
        op: *op,
        set_quantifier: *set_quantifier,
        right: Box::new(over(&next, step, clauses)?),
    };
    let column = |name: &String| TableAliasColumnDef { name: quoted(name), data_type: None };
    cte.alias.columns = names.iter().chain(added.iter().map(|a| &a.name)).map(column).collect();
    Ok(cte)
}

/// What can be wrong with the clauses by themselves.
fn check(qcx: &Qcx<'_>, clauses: &CteClauses, names: &[String]) -> Result<(), PlanError> {
    let known = |kind: &str, columns: &[Ident]| {
        let mut seen = BTreeSet::new();
        for c in columns {
            let name = ident(c);
            let e = if !names.contains(&name) {
                PlanError::syntax(format!("{kind} column \"{name}\" not in WITH query column list"))
            } else if !seen.insert(name.clone()) {
                PlanError::new("42701", format!("{kind} column \"{name}\" specified more than once"))
            } else {
                continue;
            };
            return qcx.at(Err(e), c.span);
        }
        Ok(())
    };
    let same = |a: &Ident, b: &Ident, text: &str| {
        if ident(a) == ident(b) { qcx.at(Err(PlanError::syntax(text)), a.span) } else { Ok(()) }
    };
    if let Some(SearchClause { columns, .. }) = &clauses.search {
        known("search", columns)?;
    }
    let Some(cycle) = &clauses.cycle else { return Ok(()) };
    known("cycle", &cycle.columns)?;
    let scope = Scope::default();
    let frame = qcx.frame(&scope, "CYCLE");
    let ecx = Ecx { qcx, frame: &frame };
    if let Some((seen, other)) = &cycle.values {
        let types = [plan_expr(&ecx, seen)?, plan_expr(&ecx, other)?];
        let types: Vec<_> = types.iter().filter_map(Planned::typ).collect();
        qcx.at(unify_types(&types, "CYCLE"), cycle.mark.span)?;
    }
    same(&cycle.mark, &cycle.path, "cycle mark column name and cycle path column name are the same")?;
    let Some(search) = &clauses.search else { return Ok(()) };
    let text = "search sequence column name and cycle mark column name are the same";
    same(&search.sequence, &cycle.mark, text)?;
    let text = "search sequence column name and cycle path column name are the same";
    same(&search.sequence, &cycle.path, text)
}

/// That the columns that are added have names of their own: asked when the query has been planned, as a name that stands twice
/// may be ambiguous there.
pub(super) fn check_names(qcx: &Qcx<'_>, clauses: &CteClauses, names: &[String]) -> Result<(), PlanError> {
    let search = clauses.search.iter().map(|s| ("search sequence", &s.sequence));
    let cycle = clauses.cycle.iter().flat_map(|c| [("cycle mark", &c.mark), ("cycle path", &c.path)]);
    for (what, column) in search.chain(cycle) {
        let name = ident(column);
        if names.contains(&name) {
            let text = format!("{what} column name \"{name}\" already used in WITH query column list");
            return qcx.at(Err(PlanError::syntax(text)), column.span);
        }
    }
    Ok(())
}

/// The name by which the step knows the rows before.
fn reference(step: &Select, name: &str) -> Result<String, PlanError> {
    let factors = step
        .from
        .iter()
        .flat_map(|t| std::iter::once(&t.relation).chain(t.joins.iter().map(|j| &j.relation)));
    let named = |f: &TableFactor| match f {
        TableFactor::Table { name: n, alias, args: None, .. } if name_parts(n).is_ok_and(|p| p == [name]) => {
            Some(alias.as_ref().map_or_else(|| name.to_owned(), |a| ident(&a.name)))
        }
        _ => None,
    };
    let found = factors.into_iter().find_map(named).ok_or_else(|| {
        let text = format!(
            "with a SEARCH or CYCLE clause, the recursive reference to WITH query \"{name}\" must be at the top level of its right-hand SELECT"
        );
        PlanError::new("0A000", text)
    })?;
    // A star would take in the columns that are added.
    let stars = step.projection.iter().any(|i| match i {
        SelectItem::Wildcard(_) => true,
        SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(n), _) => {
            name_parts(n).is_ok_and(|p| p == [found.as_str()])
        }
        _ => false,
    });
    if stars {
        return Err(PlanError::unsupported("* over a recursive reference with SEARCH or CYCLE")
            .with_hint("Name the columns."));
    }
    Ok(found)
}

/// Stands for a value of the mark in generated text.
const SEEN: &str = "*seen*";
const OTHER: &str = "*other*";

fn added(clauses: &CteClauses) -> Vec<Added> {
    let mut added = vec![];
    if let Some(SearchClause { breadth, columns, sequence }) = &clauses.search {
        let name = ident(sequence);
        let (c, row) = (quote(&name), list(columns.iter().map(ident)));
        added.push(match breadth {
            true => Added {
                init: format!("ROW(0::bigint, {row})"),
                next: format!("ROW(({c}).f1 + 1, {row})"),
                name,
            },
            false => Added { init: format!("ARRAY[ROW({row})]"), next: path(&c, &row), name },
        });
    }
    if let Some(cycle) = &clauses.cycle {
        let (mark, name) = (ident(&cycle.mark), ident(&cycle.path));
        let (p, row) = (quote(&name), list(cycle.columns.iter().map(ident)));
        let (seen, other) = (quote(SEEN), quote(OTHER));
        added.push(Added {
            init: other.clone(),
            next: format!("CASE WHEN ROW({row}) = ANY ({p}) THEN {seen} ELSE {other} END"),
            name: mark,
        });
        added.push(Added { init: format!("ARRAY[ROW({row})]"), next: path(&p, &row), name });
    }
    added
}

/// A path and one row more.
fn path(path: &str, row: &str) -> String {
    format!("array_cat({path}, ARRAY[ROW({row})])")
}

/// The values of the mark: for a row that has been seen, and for others.
fn mark_values(cycle: &CycleClause) -> (Expr, Expr) {
    let bool = |b| Expr::Value(sqlparser::ast::Value::Boolean(b).with_empty_span());
    cycle.values.clone().unwrap_or_else(|| (bool(true), bool(false)))
}

fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn quoted(name: &str) -> Ident {
    Ident { value: name.to_owned(), quote_style: Some('"'), span: Span::empty() }
}

fn list<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> String {
    names.into_iter().map(|n| quote(n.as_ref())).collect::<Vec<_>>().join(", ")
}

/// The query of a text that selects from one derived table, with `inner` as that table and the values of the mark in place.
fn over(text: &str, inner: Select, clauses: &CteClauses) -> Result<SetExpr, PlanError> {
    let broken = || PlanError::new("XX000", "the query for SEARCH or CYCLE is malformed");
    let dialect = HeadwaterDialect::default();
    let mut tokens = Tokenizer::new(&dialect, text).tokenize().map_err(|_| broken())?;
    tokens.retain(|t| !matches!(t, Token::Whitespace(_)));
    // They stand nowhere in the statement.
    let tokens = tokens.into_iter().map(|token| TokenWithSpan { token, span: Span::empty() }).collect();
    let mut parser = Parser::new(&dialect).with_tokens_with_locations(tokens);
    let query: Query = *parser.parse_query().map_err(|_| broken())?;
    let SetExpr::Select(mut outer) = *query.body else { return Err(broken()) };
    let Some(TableFactor::Derived { subquery, .. }) = outer.from.first_mut().map(|t| &mut t.relation) else {
        return Err(broken());
    };
    *subquery.body = SetExpr::Select(Box::new(inner));
    if let Some(cycle) = &clauses.cycle {
        let (seen, other) = mark_values(cycle);
        let put = |e: &mut Expr| {
            let Expr::Identifier(i) = e else { return };
            match i.value.as_str() {
                SEEN => *e = seen.clone(),
                OTHER => *e = other.clone(),
                _ => {}
            }
        };
        for item in &mut outer.projection {
            if let SelectItem::ExprWithAlias { expr, .. } = item {
                put(expr);
                if let Expr::Case { conditions, else_result, .. } = expr {
                    conditions.iter_mut().for_each(|c| put(&mut c.result));
                    else_result.iter_mut().for_each(|e| put(e));
                }
            }
        }
    }
    Ok(SetExpr::Select(outer))
}
