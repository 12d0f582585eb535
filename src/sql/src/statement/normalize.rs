//! Normalised SQL: what the catalog stores of a definition, and what people are shown of it.
//!
//! A stored definition keeps the text that was written, but each name of an item of users is of the form
//! `"[u12 AS materialize.public.t]"` (see [`crate::names`]): the id decides, so that renaming never changes what a definition means.
//! Where the relation had no alias, its name becomes one, so that columns can still be qualified by it. Names of system relations
//! are made full. The item's own name is of that form too. [`humanize`] puts current names back.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use hw_repr::{ClusterId, GlobalId};
use sqlparser::ast::{
    self, DataType, Expr, Ident, ObjectName, Query, Select, SelectItem, TableFactor, Visit, Visitor,
};
use sqlparser::tokenizer::{Span, Token, Tokenizer};

use crate::catalog::{Catalog, FullName, ItemInfo};
use crate::context::StatementContext;
use crate::names::{id_name, parse_id_name, quote_ident};
use crate::parser::ast::{ExprsText, QueryText};
use crate::parser::{ExtendedType, dialect::HeadwaterDialect, position, slice_chars};

/// How an item is referred to in stored SQL.
pub(crate) fn stored_name(item: &ItemInfo) -> String {
    stored_name_of(item.id, &item.name)
}

/// How an item of that id and name is referred to in stored SQL.
pub(crate) fn stored_name_of(id: GlobalId, name: &FullName) -> String {
    if id.is_system() { name.to_string() } else { quote_ident(&id_name(id, name)) }
}

/// How a cluster is referred to in stored SQL.
pub(crate) fn stored_cluster(catalog: &dyn Catalog, id: ClusterId) -> String {
    let name = catalog.cluster(id).map(|c| c.name.clone()).unwrap_or_default();
    quote_ident(&format!("[{id} AS {}]", quote_ident(&name)))
}

/// The cluster that a name in stored SQL refers to.
pub(crate) fn parse_stored_cluster(name: &str) -> Option<ClusterId> {
    name.strip_prefix('[')?.split_once(" AS ")?.0.parse().ok()
}

/// A query's text for storing.
pub(crate) fn query(scx: &StatementContext<'_>, text: &QueryText) -> String {
    let mut collector = Collector::new(scx, &text.sql);
    let _ = text.query.visit(&mut collector);
    collector.extended_types(text.range);
    apply(&text.sql, text.range, collector.edits)
}

/// The texts of expressions for storing.
pub(crate) fn exprs(scx: &StatementContext<'_>, text: &ExprsText) -> Vec<String> {
    let each = text.exprs.iter().map(|(expr, range)| {
        let mut collector = Collector::new(scx, &text.sql);
        let _ = expr.visit(&mut collector);
        collector.extended_types(*range);
        apply(&text.sql, *range, collector.edits)
    });
    each.collect()
}

/// Part of a statement's text for storing, in which these types and expressions stand.
pub(crate) fn fragment(
    scx: &StatementContext<'_>,
    sql: &str,
    range: (usize, usize),
    types: &[&DataType],
    exprs: &[&Expr],
) -> String {
    let mut collector = Collector::new(scx, sql);
    for t in types {
        collector.data_type(t);
    }
    for e in exprs {
        let _ = e.visit(&mut collector);
    }
    collector.extended_types(range);
    apply(sql, range, collector.edits)
}

/// A replacement: from, to (characters from 0, the end excluded), text.
type Edit = (usize, usize, String);

fn apply(sql: &str, range: (usize, usize), edits: BTreeSet<Edit>) -> String {
    let mut out = String::new();
    let mut at = range.0;
    for (start, end, text) in edits {
        if start < at || end > range.1 {
            continue;
        }
        out.push_str(slice_chars(sql, at, start));
        out.push_str(&text);
        at = end;
    }
    out.push_str(slice_chars(sql, at, range.1));
    out
}

/// The place of a span: characters from 0.
fn place(span: Span) -> Option<(usize, usize)> {
    Some((position(span)? - 1, (span.end.column as usize).checked_sub(1)?))
}

fn idents(name: &ObjectName) -> Option<Vec<&Ident>> {
    name.0.iter().map(|p| p.as_ident()).collect()
}

/// Finds what has to be replaced.
struct Collector<'a> {
    scx: &'a StatementContext<'a>,
    sql: &'a str,
    /// The common table expressions in scope: name, and from which place on it is visible.
    ctes: Vec<Vec<(String, usize)>>,
    edits: BTreeSet<Edit>,
}

impl<'a> Collector<'a> {
    fn new(scx: &'a StatementContext<'a>, sql: &'a str) -> Self {
        Collector { scx, sql, ctes: vec![], edits: BTreeSet::new() }
    }

    fn is_cte(&self, name: &str, at: usize) -> bool {
        self.ctes.iter().flatten().any(|(n, from)| n == name && at >= *from)
    }

    fn relation(&mut self, name: &ObjectName, has_alias: bool) {
        let Some(parts) = idents(name) else { return };
        let (Some(first), Some(last)) = (parts.first(), parts.last()) else { return };
        let (Some((start, _)), Some((_, end))) = (place(first.span), place(last.span)) else { return };
        if parts.len() == 1 && self.is_cte(&first.value, start) {
            return;
        }
        let names: Vec<String> = parts.iter().map(|i| i.value.clone()).collect();
        let Some(item) = self.scx.lookup_item(&names) else { return };
        let mut text = stored_name(&item);
        // TABLE name takes no alias.
        let after_table = slice_chars(self.sql, 0, start).trim_end().to_ascii_lowercase().ends_with("table");
        if !has_alias && !after_table {
            text = format!("{text} AS {}", quote_ident(&last.value));
        }
        self.edits.insert((start, end, text));
    }

    /// Columns qualified by schema: only the relation's name, which is its alias now, stays.
    fn qualified(&mut self, parts: &[&Ident]) {
        for n in [3, 2] {
            if parts.len() < n {
                continue;
            }
            let names: Vec<String> = parts[..n].iter().map(|i| i.value.clone()).collect();
            if self.scx.lookup_item(&names).is_none() {
                continue;
            }
            if let (Some((start, _)), Some((end, _))) = (place(parts[0].span), place(parts[n - 1].span)) {
                self.edits.insert((start, end, String::new()));
            }
            return;
        }
    }

    fn data_type(&mut self, t: &DataType) {
        match t {
            DataType::Custom(name, _) => {
                let Some(parts) = idents(name) else { return };
                let names: Vec<String> = parts.iter().map(|i| i.value.clone()).collect();
                let Some(item) = self.scx.lookup_type(&names).filter(|i| !i.id.is_system()) else { return };
                if let (Some((start, _)), Some((_, end))) =
                    (parts.first().and_then(|i| place(i.span)), parts.last().and_then(|i| place(i.span)))
                {
                    self.edits.insert((start, end, stored_name(&item)));
                }
            }
            DataType::Array(
                ast::ArrayElemTypeDef::AngleBracket(t)
                | ast::ArrayElemTypeDef::SquareBracket(t, _)
                | ast::ArrayElemTypeDef::Parenthesis(t),
            ) => self.data_type(t),
            _ => {}
        }
    }

    /// The names of types within `LIST` and `MAP` types, all of which are known by place.
    fn extended_types(&mut self, range: (usize, usize)) {
        fn walk(collector: &mut Collector<'_>, t: &ExtendedType) {
            match t {
                ExtendedType::Plain(t) => collector.data_type(t),
                ExtendedType::List(t) => walk(collector, t),
                ExtendedType::Map(k, v) => {
                    walk(collector, k);
                    walk(collector, v);
                }
            }
        }
        let types = self.scx.extensions.types.clone();
        for t in &types {
            walk(self, t);
        }
        self.edits.retain(|(start, end, _)| *start >= range.0 && *end <= range.1);
    }
}

impl Visitor for Collector<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let mut frame = vec![];
        if let Some(with) = &query.with {
            for cte in &with.cte_tables {
                let end = place(cte.closing_paren_token.0.span).map_or(0, |p| p.0);
                frame.push((cte.alias.name.value.clone(), if with.recursive { 0 } else { end }));
                for column in &cte.alias.columns {
                    if let Some(t) = &column.data_type {
                        self.data_type(t);
                    }
                }
            }
        }
        self.ctes.push(frame);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.ctes.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        for item in &select.projection {
            if let SelectItem::QualifiedWildcard(ast::SelectItemQualifiedWildcardKind::ObjectName(name), _) =
                item
                && let Some(parts) = idents(name).filter(|p| p.len() > 1)
            {
                self.qualified(&parts);
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, alias, args: None, .. } = factor {
            self.relation(name, alias.is_some());
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::CompoundIdentifier(parts) if parts.len() > 2 => {
                // The last part is the column.
                let parts: Vec<&Ident> = parts.iter().take(parts.len() - 1).collect();
                self.qualified(&parts);
            }
            Expr::Cast { data_type, .. } => self.data_type(data_type),
            Expr::TypedString(t) => self.data_type(&t.data_type),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// Stored SQL with current names, for people: without what is only for the server (`DETAILS`).
pub fn humanize(create_sql: &str, catalog: &dyn Catalog) -> String {
    let dialect = HeadwaterDialect::default();
    let Ok(tokens) = Tokenizer::new(&dialect, create_sql).tokenize() else { return create_sql.to_owned() };
    let mut out = String::new();
    for (i, token) in tokens.iter().enumerate() {
        match token {
            Token::Word(w) if w.quote_style.is_some() && w.value.starts_with('[') => {
                let in_cluster = previous_words(&tokens, i).eq_ignore_ascii_case("in cluster");
                match in_cluster.then(|| parse_stored_cluster(&w.value)).flatten() {
                    Some(id) => {
                        let name = catalog.cluster(id).map_or_else(|| w.value.clone(), |c| c.name.clone());
                        out.push_str(&quote_ident(&name));
                    }
                    None => match parse_id_name(&w.value) {
                        Some(id) => out.push_str(&current_name(catalog, id, &w.value)),
                        None => out.push_str(&quote_ident(&w.value)),
                    },
                }
            }
            Token::SingleQuotedString(s) => out.push_str(&quote_literal(s)),
            Token::EscapedStringLiteral(s) => out.push_str(&quote_literal(s)),
            token => out.push_str(&token.to_string()),
        }
    }
    strip_details(&out)
}

/// The two words before a token.
fn previous_words(tokens: &[Token], i: usize) -> String {
    let mut words: Vec<String> = tokens[..i]
        .iter()
        .rev()
        .filter(|t| !matches!(t, Token::Whitespace(_)))
        .take(2)
        .map(|t| match t {
            Token::Word(w) if w.quote_style.is_none() => w.value.clone(),
            _ => String::new(),
        })
        .collect();
    words.reverse();
    words.join(" ")
}

fn current_name(catalog: &dyn Catalog, id: GlobalId, stored: &str) -> String {
    match catalog.item(id) {
        Some(item) => item.name.to_string(),
        None => {
            let inner = stored.trim_start_matches('[').trim_end_matches(']');
            inner.split_once(" AS ").map_or(stored, |(_, name)| name).to_owned()
        }
    }
}

/// A string as a literal.
pub(crate) fn quote_literal(s: &str) -> String {
    let escaped = s.replace('\'', "''");
    if s.contains('\\') { format!("E'{}'", escaped.replace('\\', "\\\\")) } else { format!("'{escaped}'") }
}

/// Removes `DETAILS = '…'`, which is always the last option.
fn strip_details(sql: &str) -> String {
    let has = sql.starts_with("CREATE SUBSOURCE ")
        || (sql.starts_with("CREATE TABLE ") && sql.contains(" FROM SOURCE "));
    let Some(at) = sql.find("DETAILS = ").filter(|_| has) else { return sql.to_owned() };
    let before = sql[..at].trim_end();
    if let Some(before) = before.strip_suffix(',') {
        return format!("{before})");
    }
    before.strip_suffix('(').map_or(before, str::trim_end).trim_end_matches("WITH").trim_end().to_owned()
}
