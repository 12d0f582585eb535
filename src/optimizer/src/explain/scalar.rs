//! Scalar expressions as text.
//!
//! A column is `#0{name}`, or `#0` where it has no name. With names off it is always `#0`.

use hw_expr::func::FuncKind;
use hw_expr::window::WindowFunc;
use hw_expr::{AggregateExpr, AggregateFunc, Func, MirScalarExpr, UnmaterializableFunc};
use hw_repr::{ColumnOrder, Datum, Row, ScalarType};

/// The names of a plan's columns, where they have one.
pub(crate) type Columns = Vec<Option<String>>;

/// Writes expressions over the columns of one plan.
#[derive(Clone, Copy)]
pub(crate) struct Scalars<'a> {
    pub(crate) columns: &'a [Option<String>],
    /// Whether literals are hidden.
    pub(crate) redacted: bool,
}

impl<'a> Scalars<'a> {
    /// The same over other columns.
    pub(crate) fn over<'b>(self, columns: &'b [Option<String>]) -> Scalars<'b> {
        Scalars { columns, redacted: self.redacted }
    }

    pub(crate) fn column(&self, c: usize) -> String {
        match self.columns.get(c) {
            Some(Some(name)) => format!("#{c}{{{name}}}"),
            _ => format!("#{c}"),
        }
    }

    pub(crate) fn columns(&self, v: impl IntoIterator<Item = usize>) -> Vec<String> {
        v.into_iter().map(|c| self.column(c)).collect()
    }

    /// The expression.
    pub(crate) fn text(&self, e: &MirScalarExpr) -> String {
        stacker::maybe_grow(64 << 10, 1 << 20, || self.text_here(e))
    }

    fn text_here(&self, e: &MirScalarExpr) -> String {
        match e {
            MirScalarExpr::Column(c) => self.column(*c),
            MirScalarExpr::Literal(Ok(row), typ) => self.literal(row.unpack_first(), &typ.scalar_type),
            MirScalarExpr::Literal(Err(e), _) => format!("error({:?})", e.to_string()),
            MirScalarExpr::Unmaterializable(f) => context_function(f),
            MirScalarExpr::Call { func, args } => call(func, &self.each(args)),
            MirScalarExpr::And(v) => joined(self.each(v), " AND ", "true"),
            MirScalarExpr::Or(v) => joined(self.each(v), " OR ", "false"),
            MirScalarExpr::Not(e) => match &**e {
                MirScalarExpr::IsNull(e) => format!("({}) IS NOT NULL", self.text(e)),
                other => format!("NOT({})", self.text(other)),
            },
            MirScalarExpr::IsNull(e) => format!("({}) IS NULL", self.text(e)),
            MirScalarExpr::Coalesce(v) => format!("coalesce({})", self.list(v)),
            MirScalarExpr::If { cond, then, els } => {
                format!("case when {} then {} else {} end", self.text(cond), self.text(then), self.text(els))
            }
        }
    }

    /// Each expression.
    pub(crate) fn each<'e>(&self, v: impl IntoIterator<Item = &'e MirScalarExpr>) -> Vec<String> {
        v.into_iter().map(|e| self.text(e)).collect()
    }

    /// Expressions with commas.
    pub(crate) fn list(&self, v: &[MirScalarExpr]) -> String {
        self.each(v).join(", ")
    }

    /// Map expressions, each of which may use those before it: their texts, and all columns' names.
    pub(crate) fn mapped(&self, scalars: &[MirScalarExpr], arity: usize) -> (Vec<String>, Columns) {
        let mut columns: Columns = self.columns.to_vec();
        columns.resize(arity, None);
        let mut out = vec![];
        for s in scalars {
            out.push(self.over(&columns).text(s));
            let name = match s {
                MirScalarExpr::Column(c) => columns.get(*c).cloned().flatten(),
                _ => None,
            };
            columns.push(name);
        }
        (out, columns)
    }

    /// A value.
    pub(crate) fn literal(&self, datum: Datum<'_>, typ: &ScalarType) -> String {
        if self.redacted {
            return "█".to_owned();
        }
        match datum {
            Datum::Null => "null".to_owned(),
            Datum::Bool(b) => b.to_string(),
            Datum::Int16(_) | Datum::Int32(_) | Datum::Int64(_) | Datum::Numeric(_) | Datum::Float64(_) => {
                hw_repr::text::to_string(datum, typ)
            }
            Datum::String(s) => format!("{s:?}"),
            other => format!("{:?}", hw_repr::text::to_string(other, typ)),
        }
    }

    /// Values of a key: their types are those that the values have themselves.
    pub(crate) fn key_value(&self, row: &Row) -> String {
        let values = row.iter().map(|d| match own_type(d) {
            Some(typ) => self.literal(d, &typ),
            None if self.redacted => "█".to_owned(),
            None => format!("{d:?}"),
        });
        let values: Vec<String> = values.collect();
        format!("({})", values.join(", "))
    }

    /// An order.
    pub(crate) fn order(&self, o: &ColumnOrder) -> String {
        order_text(o, &self.column(o.column))
    }

    /// An aggregate.
    pub(crate) fn aggregate(&self, a: &AggregateExpr) -> String {
        let order = a.order_by.iter().map(|o| {
            let arg = a.args.get(o.column).map_or_else(|| format!("#{}", o.column), |e| self.text(e));
            order_text(o, &arg)
        });
        let (name, args) = match &a.func {
            AggregateFunc::Def(def, _) => {
                let shown = a.args.len().min(def.params.len());
                (def.name.to_owned(), self.list(&a.args[..shown]))
            }
            AggregateFunc::Window(spec) => {
                let calls = spec.functions.iter().map(|call| {
                    let args: Vec<String> =
                        call.args.iter().filter_map(|i| a.args.get(*i)).map(|e| self.text(e)).collect();
                    format!("{}({})", window_name(&call.func), args.join(", "))
                });
                let order = spec
                    .order_by
                    .iter()
                    .filter_map(|o| Some(order_text(o, &self.text(a.args.get(o.column)?))));
                let (calls, order): (Vec<String>, Vec<String>) = (calls.collect(), order.collect());
                let order = match order.is_empty() {
                    true => String::new(),
                    false => format!(" order_by=[{}]", order.join(", ")),
                };
                return format!("window[{}]{order}", calls.join(", "));
            }
        };
        aggregate_text(&name, a.distinct, args, order.collect(), a.filter.as_ref().map(|f| self.text(f)))
    }
}

/// `name(distinct args order_by=[…]) filter=…`
pub(super) fn aggregate_text(
    name: &str,
    distinct: bool,
    args: String,
    order: Vec<String>,
    filter: Option<String>,
) -> String {
    let distinct = if distinct { "distinct " } else { "" };
    let args = if args.is_empty() { "*".to_owned() } else { args };
    let order = if order.is_empty() { String::new() } else { format!(" order_by=[{}]", order.join(", ")) };
    let filter = filter.map_or(String::new(), |f| format!(" filter={f}"));
    format!("{name}({distinct}{args}{order}){filter}")
}

/// What is sorted by, and how.
pub(super) fn order_text(o: &ColumnOrder, what: &str) -> String {
    let direction = if o.desc { " desc" } else { " asc" };
    let nulls = if o.nulls_last { " nulls_last" } else { " nulls_first" };
    format!("{what}{direction}{nulls}")
}

/// The SQL name of a window function.
pub(super) fn window_name(f: &WindowFunc) -> &str {
    match f {
        WindowFunc::RowNumber => "row_number",
        WindowFunc::Rank => "rank",
        WindowFunc::DenseRank => "dense_rank",
        WindowFunc::PercentRank => "percent_rank",
        WindowFunc::CumeDist => "cume_dist",
        WindowFunc::Ntile => "ntile",
        WindowFunc::Lag => "lag",
        WindowFunc::Lead => "lead",
        WindowFunc::FirstValue => "first_value",
        WindowFunc::LastValue => "last_value",
        WindowFunc::NthValue => "nth_value",
        WindowFunc::Aggregate(AggregateFunc::Def(def, _)) => def.name,
        WindowFunc::Aggregate(AggregateFunc::Window(_)) => "window",
    }
}

/// A function of the context, as it is written.
pub(super) fn context_function(f: &UnmaterializableFunc) -> String {
    use UnmaterializableFunc as F;
    match f {
        F::MzNow => "mz_now()",
        F::Now => "now()",
        F::CurrentUser => "current_user()",
        F::SessionUser => "session_user()",
        F::CurrentDatabase => "current_database()",
        F::CurrentSchema => "current_schema()",
        F::CurrentSchemas { include_implicit: true } => "current_schemas(true)",
        F::CurrentSchemas { include_implicit: false } => "current_schemas(false)",
        F::CurrentSetting(name) => return format!("current_setting({name:?})"),
        F::PgBackendPid => "pg_backend_pid()",
        F::EnvironmentId => "mz_environment_id()",
        F::MzVersion => "mz_version()",
        F::Uptime => "mz_uptime()",
        F::SessionId => "mz_session_id()",
        F::Version => "version()",
        F::Parameter(n, _) => return format!("${n}"),
        F::PostmasterStartTime => "pg_postmaster_start_time()",
    }
    .to_owned()
}

/// A call, its arguments as text.
pub(super) fn call(func: &Func, args: &[String]) -> String {
    let def = func.def();
    match (def.kind, args) {
        (FuncKind::Operator, [x, y]) => format!("({x} {} {y})", def.name),
        (FuncKind::Operator, [x]) => format!("({} {x})", def.name),
        (FuncKind::Cast(_), [x, ..]) => format!("({x})::{}", func.types().ret),
        (FuncKind::Internal, _) => {
            format!("{}({})", def.key.split('(').next().unwrap_or_default(), args.join(", "))
        }
        _ => format!("{}({})", def.name, args.join(", ")),
    }
}

/// Operands of a conjunction or disjunction.
pub(super) fn joined(parts: Vec<String>, by: &str, none: &str) -> String {
    if parts.is_empty() {
        return none.to_owned();
    }
    format!("({})", parts.join(by))
}

/// The type of a value that shows it by itself.
fn own_type(d: Datum<'_>) -> Option<ScalarType> {
    Some(match d {
        Datum::Bool(_) => ScalarType::Bool,
        Datum::Int16(_) => ScalarType::Int16,
        Datum::Int32(_) => ScalarType::Int32,
        Datum::Int64(_) => ScalarType::Int64,
        Datum::UInt16(_) => ScalarType::UInt16,
        Datum::UInt32(_) => ScalarType::UInt32,
        Datum::UInt64(_) => ScalarType::UInt64,
        Datum::Float32(_) => ScalarType::Float32,
        Datum::Float64(_) => ScalarType::Float64,
        Datum::Numeric(_) => ScalarType::NUMERIC,
        Datum::Bytes(_) => ScalarType::Bytes,
        Datum::Date(_) => ScalarType::Date,
        Datum::Time(_) => ScalarType::Time,
        Datum::Timestamp(_) => ScalarType::TIMESTAMP,
        Datum::TimestampTz(_) => ScalarType::TIMESTAMPTZ,
        Datum::Interval(_) => ScalarType::Interval,
        Datum::Uuid(_) => ScalarType::Uuid,
        Datum::MzTimestamp(_) => ScalarType::MzTimestamp,
        Datum::JsonNull
        | Datum::JsonArray(_)
        | Datum::List(_)
        | Datum::Map(_)
        | Datum::Array(_)
        | Datum::Range(_) => return None,
        Datum::String(_) | Datum::Null => ScalarType::String,
    })
}
