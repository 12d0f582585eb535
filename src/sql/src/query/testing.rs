//! For tests: a small catalog, and two naive interpreters that share nothing but the evaluation of scalars.
//!
//! [`eval_hir`] evaluates correlated expressions by nested loops, as SQL defines them; [`eval_mir`] evaluates decorrelated
//! plans. Both give multisets.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hw_expr::hir::{HirAggregateExpr, JoinKind};
use hw_expr::window::{FrameBound, WindowCall, WindowFrame, WindowSpec};
use hw_expr::{
    AggregateExpr, AggregateFunc, EvalError, HirRelationExpr, HirScalarExpr, Id, LocalId, MirRelationExpr,
    MirScalarExpr,
};
use hw_repr::{
    ClusterId, ColumnOrder, ColumnType, DatabaseId, Datum, GlobalId, RelationDesc, RoleId, Row, RowArena,
    ScalarType, SchemaId, compare_rows_by,
};

use crate::catalog::{Catalog, ClusterInfo, FullName, ItemInfo};
use crate::plan::{ItemDefinition, TableDefinition};

/// A catalog of tables in `materialize.public`.
pub(crate) struct TestCatalog {
    items: Vec<Arc<ItemInfo>>,
}

impl TestCatalog {
    /// `t(a int, b int, c text)`, `u(a int, d int)`, `v(d int, e text)`, `n(x numeric, y bigint not null)`, all nullable but `y`.
    pub(crate) fn new() -> Self {
        let int = || ScalarType::Int32.nullable(true);
        let text = || ScalarType::String.nullable(true);
        let mut catalog = TestCatalog { items: vec![] };
        catalog.table("t", &[("a", int()), ("b", int()), ("c", text())]);
        catalog.table("u", &[("a", int()), ("d", int())]);
        catalog.table("v", &[("d", int()), ("e", text())]);
        catalog.table(
            "n",
            &[("x", ScalarType::NUMERIC.nullable(true)), ("y", ScalarType::Int64.nullable(false))],
        );
        catalog
    }

    /// Adds a table.
    pub(crate) fn table(&mut self, name: &str, columns: &[(&str, ColumnType)]) {
        let mut desc = RelationDesc::empty();
        let mut defaults = vec![];
        for (name, typ) in columns {
            desc = desc.with_column(*name, typ.clone());
            defaults.push(HirScalarExpr::null(typ.scalar_type.clone()));
        }
        let n = self.items.len() as u64 + 1;
        let definition =
            ItemDefinition::Table(TableDefinition { desc, defaults, source: None, temporary: false });
        self.items.push(Arc::new(ItemInfo {
            id: GlobalId::User(n),
            oid: 20_000 + n as u32,
            schema_id: SchemaId::User(1),
            name: FullName {
                database: Some("materialize".into()),
                schema: "public".into(),
                item: name.into(),
            },
            owner: RoleId::User(1),
            create_sql: String::new(),
            definition,
            uses: BTreeSet::new(),
            used_by: BTreeSet::new(),
        }));
    }

    /// The tables that most of `sql-tests/pg_compat/query` is about, `t`, `u`, `w` and the empty `e`, and `j` of other types.
    pub(crate) fn of_pg_compat() -> (Self, Data) {
        let (int, text) = (ScalarType::Int32, ScalarType::String);
        let mut catalog = TestCatalog { items: vec![] };
        let mut data = Data::new();
        let mut table = |name: &str, columns: &[(&str, ScalarType)], rows: &[&str]| {
            let nullable: Vec<_> = columns.iter().map(|(n, t)| (*n, t.clone().nullable(true))).collect();
            catalog.table(name, &nullable);
            let mut bag = Bag::new();
            for row in rows {
                let arena = RowArena::new();
                let values = row.split('|').zip(columns).map(|(v, (_, t))| match v {
                    "NULL" => Datum::Null,
                    v => hw_repr::text::decode(v, t, &arena).unwrap(),
                });
                add(&mut bag, Row::pack(values), 1);
            }
            data.insert(catalog.id(name), bag);
        };
        let columns = [
            ("id", int.clone()),
            ("k", int.clone()),
            ("a", int.clone()),
            ("b", ScalarType::Int64),
            ("n", ScalarType::NUMERIC),
            ("x", ScalarType::Float64),
            ("s", text.clone()),
            ("d", ScalarType::Date),
            ("p", ScalarType::Bool),
        ];
        table(
            "t",
            &columns,
            &[
                "1|1|10|100|1.50|0.5|apple|2024-01-01|t",
                "2|1|20|NULL|2.25|1.5|Banana|2024-01-15|f",
                "3|2|NULL|300|NULL|-2|cherry|NULL|NULL",
                "4|2|10|400|-3.75|NULL|NULL|2023-06-30|t",
                "5|NULL|30|500|0|4.25|apple|2024-02-29|f",
                "6|3|20|600|1.50|8||2022-12-31|NULL",
                "7|3|NULL|NULL|NULL|NULL|NULL|NULL|t",
                "8|1|10|100|9.99|0.25|date|2024-01-01|t",
            ],
        );
        let columns = [("id", int.clone()), ("k", int.clone()), ("v", text.clone()), ("w", int.clone())];
        table("u", &columns, &["1|1|one|5", "2|2|two|15", "3|2|deux|NULL", "4|4|four|25", "5|NULL|none|10"]);
        table(
            "w",
            &[("k", int.clone()), ("z", ScalarType::NUMERIC)],
            &["1|0.5", "2|NULL", "3|7.25", "NULL|1"],
        );
        table("e", &[("id", int.clone()), ("k", int.clone())], &[]);
        let columns = [
            ("id", int),
            ("doc", ScalarType::Jsonb),
            ("tags", text.array_of()),
            ("r", ScalarType::Range(Box::new(ScalarType::Int32))),
            ("ts", ScalarType::TIMESTAMP),
            ("iv", ScalarType::Interval),
        ];
        table(
            "j",
            &columns,
            &[
                "1|{\"a\": 1, \"b\": [1,2]}|{x,y}|[1,5)|2024-01-01 10:00|1 day",
                "2|[\"a\",\"b\"]|{}|empty|2024-03-01 00:00|02:00",
                "3|NULL|NULL|NULL|NULL|NULL",
                "4|\"a\"|{x,NULL}|[3,)|2024-01-31 23:59:59|-1 mon",
            ],
        );
        (catalog, data)
    }

    /// The id of a table.
    pub(crate) fn id(&self, name: &str) -> GlobalId {
        self.items.iter().find(|i| i.name.item == name).unwrap().id
    }
}

impl Catalog for TestCatalog {
    fn database(&self, name: &str) -> Option<DatabaseId> {
        (name == "materialize").then_some(DatabaseId::User(1))
    }
    fn database_name(&self, _: DatabaseId) -> Option<String> {
        Some("materialize".into())
    }
    fn schema(&self, database: Option<DatabaseId>, name: &str) -> Option<SchemaId> {
        match (database, name) {
            (Some(_), "public") => Some(SchemaId::User(1)),
            (None, "pg_catalog") => Some(SchemaId::System(1)),
            (None, "mz_catalog") => Some(SchemaId::System(2)),
            _ => None,
        }
    }
    fn schema_name(&self, _: SchemaId) -> Option<(Option<DatabaseId>, String)> {
        Some((Some(DatabaseId::User(1)), "public".into()))
    }
    fn schemas(&self) -> Vec<(Option<DatabaseId>, SchemaId, String)> {
        vec![]
    }
    fn databases(&self) -> Vec<(DatabaseId, String)> {
        vec![]
    }
    fn item_by_name(&self, schema: SchemaId, name: &str) -> Option<Arc<ItemInfo>> {
        self.items.iter().find(|i| i.schema_id == schema && i.name.item == name).cloned()
    }
    fn type_by_name(&self, _: SchemaId, _: &str) -> Option<Arc<ItemInfo>> {
        None
    }
    fn item(&self, id: GlobalId) -> Option<Arc<ItemInfo>> {
        self.items.iter().find(|i| i.id == id).cloned()
    }
    fn items_in_schema(&self, _: SchemaId) -> Vec<Arc<ItemInfo>> {
        self.items.clone()
    }
    fn cluster_by_name(&self, _: &str) -> Option<Arc<ClusterInfo>> {
        None
    }
    fn cluster(&self, _: ClusterId) -> Option<Arc<ClusterInfo>> {
        None
    }
    fn clusters(&self) -> Vec<Arc<ClusterInfo>> {
        vec![]
    }
    fn role(&self, _: &str) -> Option<RoleId> {
        None
    }
    fn role_name(&self, _: RoleId) -> Option<String> {
        None
    }
    fn replica_sizes(&self) -> Vec<(String, usize)> {
        vec![]
    }
    fn system_parameter(&self, _: &str) -> Option<String> {
        None
    }
}

/// A multiset of rows.
pub(crate) type Bag = BTreeMap<Row, i64>;
/// The contents of tables.
pub(crate) type Data = BTreeMap<GlobalId, Bag>;

fn add(bag: &mut Bag, row: Row, n: i64) {
    let total = bag.entry(row.clone()).or_default();
    *total += n;
    if *total == 0 {
        bag.remove(&row);
    }
}

fn concat(a: &Row, b: &Row) -> Row {
    Row::pack(a.iter().chain(b.iter()))
}

/// Evaluates an aggregate over rows of arguments, in which each row stands as often as it occurs.
fn aggregate(
    func: &AggregateFunc,
    order_by: &[ColumnOrder],
    distinct: bool,
    rows: Vec<Row>,
) -> Result<Row, EvalError> {
    let mut rows = rows;
    rows.sort();
    if distinct {
        rows.dedup();
    }
    let mut unpacked: Vec<Vec<Datum<'_>>> = rows.iter().map(|r| r.unpack()).collect();
    unpacked.sort_by(|x, y| compare_rows_by(order_by, x, y, || x.cmp(y)));
    let arena = RowArena::new();
    Ok(Row::pack_slice(&[func.eval(&arena, &unpacked)?]))
}

/// Evaluates a decorrelated plan.
pub(crate) fn eval_mir(e: &MirRelationExpr, data: &Data) -> Result<Bag, EvalError> {
    Mir { data, locals: BTreeMap::new() }.eval(e)
}

struct Mir<'d> {
    data: &'d Data,
    locals: BTreeMap<LocalId, Bag>,
}

fn eval_scalar(e: &MirScalarExpr, row: &Row) -> Result<Row, EvalError> {
    let arena = RowArena::new();
    let datums = row.unpack();
    Ok(Row::pack_slice(&[e.eval(&datums, &arena)?]))
}

fn is_true(e: &MirScalarExpr, row: &Row) -> Result<bool, EvalError> {
    Ok(eval_scalar(e, row)?.unpack_first() == Datum::Bool(true))
}

impl Mir<'_> {
    fn eval(&mut self, e: &MirRelationExpr) -> Result<Bag, EvalError> {
        let mut out = Bag::new();
        match e {
            MirRelationExpr::Constant { rows, .. } => {
                for (r, n) in rows.clone()? {
                    add(&mut out, r, n);
                }
            }
            MirRelationExpr::Get { id: Id::Global(id), .. } => out = self.data[id].clone(),
            MirRelationExpr::Get { id: Id::Local(id), .. } => out = self.locals[id].clone(),
            MirRelationExpr::Let { id, value, body } => {
                let value = self.eval(value)?;
                self.locals.insert(*id, value);
                out = self.eval(body)?;
            }
            MirRelationExpr::LetRec { ids, values, body, .. } => {
                for id in ids {
                    self.locals.insert(*id, Bag::new());
                }
                for _ in 0..100 {
                    let before: Vec<Bag> = ids.iter().map(|id| self.locals[id].clone()).collect();
                    for (id, value) in ids.iter().zip(values) {
                        let value = self.eval(value)?;
                        self.locals.insert(*id, value);
                    }
                    if ids.iter().zip(&before).all(|(id, b)| self.locals[id] == *b) {
                        break;
                    }
                }
                out = self.eval(body)?;
            }
            MirRelationExpr::Project { input, outputs } => {
                for (r, n) in self.eval(input)? {
                    let d = r.unpack();
                    add(&mut out, Row::pack(outputs.iter().map(|o| d[*o])), n);
                }
            }
            MirRelationExpr::Map { input, scalars } => {
                for (mut r, n) in self.eval(input)? {
                    for s in scalars {
                        let v = eval_scalar(s, &r)?;
                        r = concat(&r, &v);
                    }
                    add(&mut out, r, n);
                }
            }
            MirRelationExpr::FlatMap { input, func, exprs } => {
                for (r, n) in self.eval(input)? {
                    let args = exprs.iter().map(|e| eval_scalar(e, &r)).collect::<Result<Vec<_>, _>>()?;
                    let args: Vec<Datum<'_>> = args.iter().map(|r| r.unpack_first()).collect();
                    let arena = RowArena::new();
                    for item in func.eval(&arena, &args)? {
                        let (row, m) = item?;
                        add(&mut out, concat(&r, &row), n * m);
                    }
                }
            }
            MirRelationExpr::Filter { input, predicates } => {
                let all = MirScalarExpr::And(predicates.clone());
                for (r, n) in self.eval(input)? {
                    if is_true(&all, &r)? {
                        add(&mut out, r, n);
                    }
                }
            }
            MirRelationExpr::Join { inputs, equivalences, .. } => {
                let mut acc: Vec<(Row, i64)> = vec![(Row::default(), 1)];
                for input in inputs {
                    let bag = self.eval(input)?;
                    acc = acc
                        .iter()
                        .flat_map(|(l, n)| bag.iter().map(move |(r, m)| (concat(l, r), n * m)))
                        .collect();
                }
                'rows: for (r, n) in acc {
                    for class in equivalences {
                        let first = eval_scalar(&class[0], &r)?;
                        for e in &class[1..] {
                            if eval_scalar(e, &r)? != first {
                                continue 'rows;
                            }
                        }
                    }
                    add(&mut out, r, n);
                }
            }
            MirRelationExpr::Reduce { input, group_key, aggregates, .. } => {
                let mut groups: BTreeMap<Row, Vec<Row>> = BTreeMap::new();
                for (r, n) in self.eval(input)? {
                    assert!(n > 0, "reduce of a negative multiplicity");
                    let key = group_key.iter().map(|k| eval_scalar(k, &r)).collect::<Result<Vec<_>, _>>()?;
                    let key = Row::pack(key.iter().map(|k| k.unpack_first()));
                    groups.entry(key).or_default().extend(std::iter::repeat_n(r, n as usize));
                }
                for (key, rows) in groups {
                    let mut result = key;
                    for a in aggregates {
                        result = concat(&result, &mir_aggregate(a, &rows)?);
                    }
                    add(&mut out, result, 1);
                }
            }
            MirRelationExpr::TopK { input, group_key, order_key, limit, offset, .. } => {
                let mut groups: BTreeMap<Row, Vec<Row>> = BTreeMap::new();
                for (r, n) in self.eval(input)? {
                    let d = r.unpack();
                    let key = Row::pack(group_key.iter().map(|k| d[*k]));
                    groups.entry(key).or_default().extend(std::iter::repeat_n(r.clone(), n as usize));
                }
                for (_, mut rows) in groups {
                    rows.sort_by(|x, y| compare_rows_by(order_key, &x.unpack(), &y.unpack(), || x.cmp(y)));
                    let take = match limit {
                        None => usize::MAX,
                        Some(l) => match eval_scalar(l, &rows[0])?.unpack_first() {
                            Datum::Int64(n) => n as usize,
                            _ => usize::MAX,
                        },
                    };
                    rows.into_iter().skip(*offset).take(take).for_each(|r| add(&mut out, r, 1));
                }
            }
            MirRelationExpr::Negate { input } => {
                out = self.eval(input)?.into_iter().map(|(r, n)| (r, -n)).collect()
            }
            MirRelationExpr::Threshold { input } => {
                out = self.eval(input)?.into_iter().filter(|(_, n)| *n > 0).collect();
            }
            MirRelationExpr::Union { inputs } => {
                for input in inputs {
                    for (r, n) in self.eval(input)? {
                        add(&mut out, r, n);
                    }
                }
            }
            MirRelationExpr::ArrangeBy { input, .. } => out = self.eval(input)?,
        }
        Ok(out)
    }
}

fn mir_aggregate(a: &AggregateExpr, rows: &[Row]) -> Result<Row, EvalError> {
    let mut args = vec![];
    for r in rows {
        if let Some(f) = &a.filter
            && !is_true(f, r)?
        {
            continue;
        }
        let values = a.args.iter().map(|e| eval_scalar(e, r)).collect::<Result<Vec<_>, _>>()?;
        args.push(Row::pack(values.iter().map(|v| v.unpack_first())));
    }
    aggregate(&a.func, &a.order_by, a.distinct, args)
}

/// Evaluates a correlated expression by nested loops.
pub(crate) fn eval_hir(e: &HirRelationExpr, data: &Data) -> Result<Vec<Row>, EvalError> {
    Hir { data, scopes: vec![], locals: BTreeMap::new() }.rel(e)
}

struct Hir<'d> {
    data: &'d Data,
    scopes: Vec<Row>,
    locals: BTreeMap<LocalId, Vec<Row>>,
}

impl Hir<'_> {
    fn inside<R>(&mut self, row: &Row, f: impl FnOnce(&mut Self) -> R) -> R {
        self.scopes.push(row.clone());
        let r = f(self);
        self.scopes.pop();
        r
    }

    /// The scalar with columns and subqueries replaced by their values.
    fn closed(&mut self, e: &HirScalarExpr, row: &Row) -> MirScalarExpr {
        let literal = |d: Datum<'_>| MirScalarExpr::literal(d, ScalarType::Int32);
        let error = |e| MirScalarExpr::Literal(Err(e), ScalarType::Int32.nullable(true));
        match e {
            HirScalarExpr::Column(c) if c.level == 0 => literal(row.unpack()[c.column]),
            HirScalarExpr::Column(c) => literal(self.scopes[self.scopes.len() - c.level].unpack()[c.column]),
            HirScalarExpr::Exists(r) => match self.inside(row, |this| this.rel(r)) {
                Ok(rows) => literal(Datum::Bool(!rows.is_empty())),
                Err(e) => error(e),
            },
            HirScalarExpr::Select(r) => match self.inside(row, |this| this.rel(r)) {
                Ok(rows) if rows.is_empty() => literal(Datum::Null),
                Ok(rows) if rows.len() == 1 => literal(rows[0].unpack_first()),
                Ok(_) => error(EvalError::MultipleRowsFromSubquery),
                Err(e) => error(e),
            },
            HirScalarExpr::Call { func, args } => {
                MirScalarExpr::call(func.clone(), args.iter().map(|a| self.closed(a, row)).collect())
            }
            HirScalarExpr::And(v) => MirScalarExpr::And(v.iter().map(|a| self.closed(a, row)).collect()),
            HirScalarExpr::Or(v) => MirScalarExpr::Or(v.iter().map(|a| self.closed(a, row)).collect()),
            HirScalarExpr::Coalesce(v) => {
                MirScalarExpr::Coalesce(v.iter().map(|a| self.closed(a, row)).collect())
            }
            HirScalarExpr::Not(e) => self.closed(e, row).not(),
            HirScalarExpr::IsNull(e) => self.closed(e, row).is_null(),
            HirScalarExpr::If { cond, then, els } => {
                let (c, t, e) = (self.closed(cond, row), self.closed(then, row), self.closed(els, row));
                c.if_then_else(t, e)
            }
            other => crate::lowering::lower_scalar(other.clone()).unwrap(),
        }
    }

    fn scalar(&mut self, e: &HirScalarExpr, row: &Row) -> Result<Row, EvalError> {
        eval_scalar(&self.closed(e, row), &Row::default())
    }

    fn all_true(&mut self, predicates: &[HirScalarExpr], row: &Row) -> Result<bool, EvalError> {
        let all = MirScalarExpr::And(predicates.iter().map(|p| self.closed(p, row)).collect());
        is_true(&all, &Row::default())
    }

    fn aggregate(&mut self, a: &HirAggregateExpr, rows: &[Row]) -> Result<Row, EvalError> {
        let mut args = vec![];
        for r in rows {
            if let Some(f) = &a.filter
                && self.scalar(f, r)?.unpack_first() != Datum::Bool(true)
            {
                continue;
            }
            let values = a.args.iter().map(|e| self.scalar(e, r)).collect::<Result<Vec<_>, _>>()?;
            args.push(Row::pack(values.iter().map(|v| v.unpack_first())));
        }
        if args.is_empty() {
            let nullable = a.func.output_type().nullable;
            return Ok(Row::pack_slice(&[if nullable { Datum::Null } else { Datum::Int64(0) }]));
        }
        aggregate(&a.func, &a.order_by, a.distinct, args)
    }

    fn rel(&mut self, e: &HirRelationExpr) -> Result<Vec<Row>, EvalError> {
        Ok(match e {
            HirRelationExpr::Constant { rows, .. } => rows.clone(),
            HirRelationExpr::Get { id: Id::Global(id), .. } => {
                self.data[id].iter().flat_map(|(r, n)| std::iter::repeat_n(r.clone(), *n as usize)).collect()
            }
            HirRelationExpr::Get { id: Id::Local(id), .. } => self.locals[id].clone(),
            HirRelationExpr::Let { id, value, body, .. } => {
                let value = self.rel(value)?;
                let old = self.locals.insert(*id, value);
                let result = self.rel(body)?;
                if let Some(old) = old {
                    self.locals.insert(*id, old);
                }
                result
            }
            HirRelationExpr::LetRec { bindings, body, .. } => {
                for (_, id, _, _) in bindings {
                    self.locals.insert(*id, vec![]);
                }
                for _ in 0..100 {
                    let before: Vec<_> =
                        bindings.iter().map(|(_, id, _, _)| self.locals[id].clone()).collect();
                    for (_, id, value, _) in bindings {
                        let mut value = self.rel(value)?;
                        value.sort();
                        self.locals.insert(*id, value);
                    }
                    if bindings.iter().zip(&before).all(|((_, id, _, _), b)| self.locals[id] == *b) {
                        break;
                    }
                }
                self.rel(body)?
            }
            HirRelationExpr::Project { input, outputs } => {
                let rows = self.rel(input)?;
                let pick = |r: &Row| {
                    let d = r.unpack();
                    Row::pack(outputs.iter().map(|o| d[*o]))
                };
                rows.iter().map(pick).collect()
            }
            HirRelationExpr::Map { input, scalars } => {
                let mut rows = self.rel(input)?;
                for s in scalars {
                    let values = match s {
                        HirScalarExpr::Windowing(w) => self.window(w, &rows)?,
                        s => rows.iter().map(|r| self.scalar(s, r)).collect::<Result<Vec<_>, _>>()?,
                    };
                    rows = rows.iter().zip(&values).map(|(r, v)| concat(r, v)).collect();
                }
                rows
            }
            HirRelationExpr::CallTable { func, exprs } => {
                let args =
                    exprs.iter().map(|e| self.scalar(e, &Row::default())).collect::<Result<Vec<_>, _>>()?;
                let args: Vec<Datum<'_>> = args.iter().map(|r| r.unpack_first()).collect();
                let arena = RowArena::new();
                let rows: Result<Vec<_>, _> = func.eval(&arena, &args)?.collect();
                rows?.into_iter().flat_map(|(r, n)| std::iter::repeat_n(r, n as usize)).collect()
            }
            HirRelationExpr::Filter { input, predicates } => {
                let mut out = vec![];
                for r in self.rel(input)? {
                    if self.all_true(predicates, &r)? {
                        out.push(r);
                    }
                }
                out
            }
            HirRelationExpr::Join { left, right, on, kind } => self.join(left, right, on, *kind)?,
            HirRelationExpr::Reduce { input, group_key, aggregates, .. } => {
                let mut groups: BTreeMap<Row, Vec<Row>> = BTreeMap::new();
                if group_key.is_empty() {
                    groups.insert(Row::default(), vec![]);
                }
                for r in self.rel(input)? {
                    let d = r.unpack();
                    let key = Row::pack(group_key.iter().map(|k| d[*k]));
                    groups.entry(key).or_default().push(r.clone());
                }
                let mut out = vec![];
                for (key, rows) in groups {
                    let mut result = key;
                    for a in aggregates {
                        result = concat(&result, &self.aggregate(a, &rows)?);
                    }
                    out.push(result);
                }
                out
            }
            HirRelationExpr::Distinct { input } => {
                let set: BTreeSet<Row> = self.rel(input)?.into_iter().collect();
                set.into_iter().collect()
            }
            HirRelationExpr::TopK { input, group_key, order_key, limit, offset, .. } => {
                let mut rows = self.rel(input)?;
                rows.sort_by(|x, y| compare_rows_by(order_key, &x.unpack(), &y.unpack(), || x.cmp(y)));
                let mut count = |e: &Option<Box<HirScalarExpr>>, default| -> Result<usize, EvalError> {
                    let Some(e) = e else { return Ok(default) };
                    Ok(match self.scalar(e, &Row::default())?.unpack_first() {
                        Datum::Int64(n) => n as usize,
                        _ => default,
                    })
                };
                let (limit, offset) = (count(limit, usize::MAX)?, count(offset, 0)?);
                let mut seen: BTreeMap<Row, usize> = BTreeMap::new();
                let keep = |r: &Row| {
                    let d = r.unpack();
                    let n = seen.entry(Row::pack(group_key.iter().map(|k| d[*k]))).or_default();
                    *n += 1;
                    *n > offset && *n - offset <= limit
                };
                let mut keep = keep;
                rows.retain(|r| keep(r));
                rows
            }
            HirRelationExpr::Union { .. }
            | HirRelationExpr::Negate { .. }
            | HirRelationExpr::Threshold { .. } => {
                let bag = self.bag(e)?;
                bag.into_iter()
                    .flat_map(|(r, n)| std::iter::repeat_n(r, usize::try_from(n).unwrap()))
                    .collect()
            }
        })
    }

    fn bag(&mut self, e: &HirRelationExpr) -> Result<Bag, EvalError> {
        let mut out = Bag::new();
        match e {
            HirRelationExpr::Union { inputs } => {
                for i in inputs {
                    for (r, n) in self.bag(i)? {
                        add(&mut out, r, n);
                    }
                }
            }
            HirRelationExpr::Negate { input } => {
                out = self.bag(input)?.into_iter().map(|(r, n)| (r, -n)).collect()
            }
            HirRelationExpr::Threshold { input } => {
                out = self.bag(input)?.into_iter().filter(|(_, n)| *n > 0).collect();
            }
            other => {
                for r in self.rel(other)? {
                    add(&mut out, r, 1);
                }
            }
        }
        Ok(out)
    }

    fn join(
        &mut self,
        left: &HirRelationExpr,
        right: &HirRelationExpr,
        on: &HirScalarExpr,
        kind: JoinKind,
    ) -> Result<Vec<Row>, EvalError> {
        let (left_rows, mut out) = (self.rel(left)?, vec![]);
        let null_row = |n: usize| Row::pack(std::iter::repeat_n(Datum::Null, n));
        let mut right_matched: BTreeSet<usize> = BTreeSet::new();
        let mut right_rows = vec![];
        for l in &left_rows {
            right_rows = self.inside(l, |this| this.rel(right))?;
            let mut matched = false;
            for (i, r) in right_rows.iter().enumerate() {
                let both = concat(l, r);
                if self.all_true(std::slice::from_ref(on), &both)? {
                    matched = true;
                    right_matched.insert(i);
                    out.push(both);
                }
            }
            if !matched && matches!(kind, JoinKind::LeftOuter | JoinKind::FullOuter) {
                out.push(concat(l, &null_row(right.arity())));
            }
        }
        if matches!(kind, JoinKind::RightOuter | JoinKind::FullOuter) {
            if left_rows.is_empty() {
                // The right side does not look at the left.
                right_rows = self.inside(&null_row(left.arity()), |this| this.rel(right))?;
            }
            for (i, r) in right_rows.iter().enumerate() {
                if !right_matched.contains(&i) {
                    out.push(concat(&null_row(left.arity()), r));
                }
            }
        }
        Ok(out)
    }

    /// Evaluates one window function at a time over each partition; the values are in the order of the rows.
    fn window(&mut self, w: &hw_expr::hir::WindowExpr, rows: &[Row]) -> Result<Vec<Row>, EvalError> {
        let mut partitions: BTreeMap<Row, Vec<usize>> = BTreeMap::new();
        for (i, r) in rows.iter().enumerate() {
            let key = w.partition_by.iter().map(|e| self.scalar(e, r)).collect::<Result<Vec<_>, _>>()?;
            partitions.entry(Row::pack(key.iter().map(|k| k.unpack_first()))).or_default().push(i);
        }
        let mut values = vec![Row::default(); rows.len()];
        for indices in partitions.into_values() {
            let mut lists = vec![];
            for i in &indices {
                let r = &rows[*i];
                let mut all: Vec<Row> = vec![];
                let exprs: Vec<&HirScalarExpr> =
                    w.order_by.iter().map(|(e, _)| e).chain(&w.args).chain(&w.frame_offsets).collect();
                for e in exprs {
                    all.push(self.scalar(e, r)?);
                }
                // The row itself first, so that ties are broken as the plan breaks them; then which row it was.
                let index = Row::pack_slice(&[Datum::Int64(*i as i64)]);
                let list = all.iter().fold(concat(r, &index), |acc, v| concat(&acc, v));
                lists.push(list);
            }
            let width = rows[0].iter().count() + 1;
            let order = w.order_by.len();
            let bound = |b: &FrameBound| match b {
                FrameBound::Preceding(i) => FrameBound::Preceding(width + order + w.args.len() + i),
                FrameBound::Following(i) => FrameBound::Following(width + order + w.args.len() + i),
                other => other.clone(),
            };
            let frame =
                WindowFrame { start: bound(&w.frame.start), end: bound(&w.frame.end), ..w.frame.clone() };
            let call = WindowCall {
                func: w.func.clone(),
                args: (0..w.args.len()).map(|i| width + order + i).collect(),
                filter: None,
                frame,
                typ: w.typ.clone(),
            };
            let order_by = w.order_by.iter().enumerate();
            let order_by =
                order_by.map(|(i, (_, o))| ColumnOrder { column: width + i, ..o.clone() }).collect();
            let carried = vec![ScalarType::Int32.nullable(true); width];
            let spec = WindowSpec { carried, order_by, functions: vec![call] };
            let arena = RowArena::new();
            let unpacked: Vec<Vec<Datum<'_>>> = lists.iter().map(|r| r.unpack()).collect();
            let result = spec.eval(&arena, &unpacked)?;
            for record in result.unwrap_list().iter() {
                let fields: Vec<Datum<'_>> = record.unwrap_list().iter().collect();
                let Datum::Int64(i) = fields[width - 1] else { panic!("the row's number") };
                values[i as usize] = Row::pack_slice(&[fields[width]]);
            }
        }
        Ok(values)
    }
}
