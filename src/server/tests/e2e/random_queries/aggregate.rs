//! GROUP BY, HAVING and aggregates.

use super::generator::{Column, Generator};
use super::types::Ty;

impl Generator<'_> {
    /// GROUP BY and HAVING; afterwards keys and aggregates are in scope instead of the columns. With an upper bound of the
    /// number of groups.
    pub(crate) fn group(&mut self, types: &[Ty], depth: usize) -> (String, usize) {
        self.choices.open();
        let mut keys: Vec<Column> = Vec::new();
        for _ in 0..self.choices.weighted(&[15, 50, 25, 10]) {
            let key = self.group_key();
            if keys.iter().all(|k| k.sql != key.sql) {
                keys.push(key);
            }
        }
        let mut aggregates: Vec<Column> = Vec::new();
        for ty in types {
            if self.choices.chance(75) {
                aggregates.push(Column::computed(self.aggregate(*ty, depth.min(1)), *ty));
            }
        }
        aggregates.push(Column::computed("count(*)".to_owned(), Ty::Big));
        let by = self.grouping(&keys);
        let rows = if keys.is_empty() { 1 } else { usize::MAX };
        keys.extend(aggregates);
        *self.local_mut() = keys;
        let having = match self.choices.chance(20) {
            true => format!(" HAVING {}", self.predicate(depth.min(2))),
            false => String::new(),
        };
        self.choices.close();
        (format!("{by}{having}"), rows)
    }

    fn group_key(&mut self) -> Column {
        let of = self.local().to_vec();
        let column = self.choices.one_of(&of).clone();
        if !self.choices.chance(25) {
            return column;
        }
        // Subqueries may not refer to a key that is an expression, nor may a key be a bare constant.
        let c = &column.sql;
        let (sql, ty) = match column.ty {
            Ty::Int => (format!("({c} % 2)"), Ty::Int),
            Ty::Text => (format!("upper({c})"), Ty::Text),
            Ty::Date => (format!("({c} + 1)"), Ty::Date),
            Ty::Num => (format!("round({c}, 0)"), Ty::Num),
            Ty::Ts => (format!("date_trunc('month', {c})"), Ty::Ts),
            _ => (format!("({c} IS NULL)"), Ty::Bool),
        };
        Column::computed(sql, ty)
    }

    fn grouping(&mut self, keys: &[Column]) -> String {
        let names: Vec<&str> = keys.iter().map(|k| k.sql.as_str()).collect();
        let list = names.join(", ");
        if names.is_empty() {
            return if self.choices.chance(20) { " GROUP BY ()".to_owned() } else { String::new() };
        }
        if keys.iter().any(|k| !k.plain) || !self.choices.chance(15) {
            return format!(" GROUP BY {list}");
        }
        match self.choices.below(3) {
            0 => format!(" GROUP BY ROLLUP ({list})"),
            1 => format!(" GROUP BY CUBE ({list})"),
            _ => {
                let mut sets = vec![format!("({list})"), "()".to_owned()];
                sets.extend(names.iter().map(|n| format!("({n})")));
                let count = 1 + self.choices.below(sets.len());
                format!(" GROUP BY GROUPING SETS ({})", sets[..count].join(", "))
            }
        }
    }

    /// An aggregate of this type over the columns in scope. Its argument refers to no query around this one: that could
    /// make it an aggregate of the other query.
    fn aggregate(&mut self, ty: Ty, depth: usize) -> String {
        self.choices.open();
        let floor = std::mem::replace(&mut self.floor, self.scope.len().saturating_sub(1));
        let call = self.aggregate_call(ty, depth);
        let filter = match self.choices.chance(18) {
            true => format!(" FILTER (WHERE {})", self.predicate(depth)),
            false => String::new(),
        };
        self.floor = floor;
        self.choices.close();
        format!("{call}{filter}")
    }

    fn aggregate_call(&mut self, ty: Ty, depth: usize) -> String {
        match ty {
            Ty::Text if self.choices.chance(50) => {
                let (distinct, x) = (self.distinct(), self.expr(Ty::Text, depth));
                format!("string_agg({distinct}{x}, ',' ORDER BY {x})")
            }
            Ty::Arr => {
                let x = self.expr(Ty::Int, depth);
                if self.choices.chance(30) {
                    return format!("array_agg(DISTINCT {x} ORDER BY {x} DESC)");
                }
                let by = self.expr(Ty::Text, depth);
                format!("array_agg({x} ORDER BY {by} NULLS FIRST, {x})")
            }
            Ty::Json => {
                let of = *self.choices.one_of(&[Ty::Int, Ty::Text, Ty::Bool, Ty::Date]);
                let x = self.expr(of, depth);
                format!("jsonb_agg({x} ORDER BY {x} DESC)")
            }
            Ty::Bool => {
                format!(
                    "{}({})",
                    self.choices.one_of(&["bool_and", "bool_or", "every"]),
                    self.predicate(depth)
                )
            }
            ty => {
                let (f, of) = self.simple_aggregate(ty);
                match f {
                    "count(*)" => f.to_owned(),
                    _ => format!("{f}({}{})", self.distinct(), self.expr(of, depth)),
                }
            }
        }
    }

    fn distinct(&mut self) -> &'static str {
        if self.choices.chance(15) { "DISTINCT " } else { "" }
    }

    /// An aggregate function of one argument with a result of this type, and the argument's type.
    pub(crate) fn simple_aggregate(&mut self, ty: Ty) -> (&'static str, Ty) {
        let some = self.some_type();
        let of: &[(&str, Ty)] = match ty {
            Ty::Big => {
                &[("count(*)", some), ("count", some), ("sum", Ty::Int), ("min", Ty::Big), ("max", Ty::Big)]
            }
            Ty::Num => &[
                ("sum", Ty::Num),
                ("avg", Ty::Int),
                ("avg", Ty::Num),
                ("sum", Ty::Big),
                ("min", Ty::Num),
                ("max", Ty::Num),
                ("var_pop", Ty::Int),
            ],
            Ty::Dbl => &[("sum", Ty::Dbl), ("avg", Ty::Dbl), ("min", Ty::Dbl), ("max", Ty::Dbl)],
            Ty::Bool => &[("bool_or", Ty::Bool), ("bool_and", Ty::Bool)],
            ty => return (*self.choices.one_of(&["min", "max"]), ty),
        };
        *self.choices.one_of(of)
    }

    /// An aggregate over all rows of a FROM clause, as a scalar subquery.
    pub(crate) fn aggregate_subquery(&mut self, ty: Ty, depth: usize) -> String {
        self.scope.push(vec![]);
        let work = self.work;
        let from = self.tables_in_scope(depth);
        self.work = work.saturating_mul(from.rows.max(1));
        let condition = match self.choices.chance(75) {
            true => format!(" WHERE {}", self.predicate(depth.min(2))),
            false => String::new(),
        };
        let aggregate = self.aggregate(ty, depth.min(1));
        self.work = work;
        self.scope.pop();
        format!("(SELECT {aggregate} FROM {}{condition})", from.sql)
    }
}
