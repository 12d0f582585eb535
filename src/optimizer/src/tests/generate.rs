//! Random plans and tables from a seed.

use hw_expr::{AggregateExpr, AggregateFunc, Func, LocalId, MirRelationExpr as R, MirScalarExpr as S};
use hw_repr::{ColumnOrder, Datum, GlobalId, RelationType, Row, ScalarType};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::Tables;

struct Gen {
    rng: StdRng,
    tables: Tables,
    next: u64,
    /// Bindings in scope, with the number of columns.
    scope: Vec<(LocalId, RelationType)>,
    /// Whether expressions may fail. Those of a join's classes may be evaluated for rows of one input alone, and do not.
    may_fail: bool,
}

/// A plan over tables of int8 columns. Its own columns are all int8.
pub(crate) fn plan(seed: u64) -> (Tables, R) {
    let mut g = Gen {
        rng: StdRng::seed_from_u64(seed),
        tables: Tables::default(),
        next: 0,
        scope: vec![],
        may_fail: true,
    };
    for t in 0..3 {
        g.table(GlobalId::User(t));
    }
    let depth = g.rng.random_range(1..6);
    let plan = g.relation(depth);
    (g.tables, plan)
}

pub(crate) fn op(symbol: &str, x: S, y: S) -> S {
    S::call(Func::operator(symbol, vec![ScalarType::Int64, ScalarType::Int64]).unwrap(), vec![x, y])
}

pub(crate) fn int(i: i64) -> S {
    S::literal(Datum::Int64(i), ScalarType::Int64)
}

impl Gen {
    fn table(&mut self, id: GlobalId) {
        let arity = self.rng.random_range(1..4);
        let keyed = self.rng.random_bool(0.5);
        let nullable: Vec<bool> =
            (0..arity).map(|c| !(keyed && c == 0) && self.rng.random_bool(0.6)).collect();
        let mut typ = RelationType::new(nullable.iter().map(|n| ScalarType::Int64.nullable(*n)).collect());
        let rows = self.rng.random_range(0..6);
        let mut out = vec![];
        for i in 0..rows {
            let datums: Vec<Datum<'_>> = (0..arity)
                .map(|c| match c {
                    0 if keyed => Datum::Int64(i),
                    c if nullable[c] && self.rng.random_bool(0.3) => Datum::Null,
                    _ => Datum::Int64(self.rng.random_range(0..4)),
                })
                .collect();
            out.push((Row::pack(datums), 1));
        }
        if keyed {
            typ = typ.with_key(vec![0]);
        }
        for i in 0..self.rng.random_range(0..3u64) {
            let GlobalId::User(t) = id else { continue };
            let c = self.rng.random_range(0..arity);
            let key = if self.rng.random_bool(0.2) {
                (0..arity).map(S::Column).collect()
            } else {
                vec![S::Column(c)]
            };
            self.tables.indexes.push((GlobalId::User(100 + t * 10 + i), id, key));
        }
        self.tables.tables.insert(id, (typ, crate::transform::eval::consolidated(out)));
    }

    fn leaf(&mut self) -> R {
        if !self.scope.is_empty() && self.rng.random_bool(0.4) {
            let i = self.rng.random_range(0..self.scope.len());
            let (id, typ) = self.scope[i].clone();
            return R::local_get(id, typ);
        }
        if self.rng.random_bool(0.1) {
            let n = self.rng.random_range(0..3);
            let rows = (0..n).map(|i| Row::pack_slice(&[Datum::Int64(i), Datum::Null])).collect();
            let types = vec![ScalarType::Int64.nullable(false), ScalarType::Int64.nullable(true)];
            return R::constant(rows, RelationType::new(types));
        }
        let id = GlobalId::User(self.rng.random_range(0..3));
        R::global_get(id, self.tables.tables[&id].0.clone())
    }

    fn number(&mut self, arity: usize, depth: usize) -> S {
        match self.rng.random_range(0..8) {
            0 if depth > 0 => {
                // Division fails now and then.
                let symbol = if self.may_fail && self.rng.random_bool(0.3) { "/" } else { "+" };
                op(symbol, self.number(arity, depth - 1), self.number(arity, depth - 1))
            }
            1 if depth > 0 => {
                let (c, t, e) = (
                    self.truth(arity, depth - 1),
                    self.number(arity, depth - 1),
                    self.number(arity, depth - 1),
                );
                c.if_then_else(t, e)
            }
            2 if depth > 0 => S::Coalesce(vec![self.number(arity, depth - 1), self.number(arity, depth - 1)]),
            3 => int(self.rng.random_range(0..4)),
            4 if self.rng.random_bool(0.3) => S::null(ScalarType::Int64),
            _ if arity > 0 => S::Column(self.rng.random_range(0..arity)),
            _ => int(1),
        }
    }

    fn truth(&mut self, arity: usize, depth: usize) -> S {
        match self.rng.random_range(0..9) {
            0 if depth > 0 => S::And(vec![self.truth(arity, depth - 1), self.truth(arity, depth - 1)]),
            1 if depth > 0 => S::Or(vec![self.truth(arity, depth - 1), self.truth(arity, depth - 1)]),
            2 if depth > 0 => self.truth(arity, depth - 1).not(),
            3 => self.number(arity, depth.min(1)).is_null(),
            4 => self.number(arity, depth.min(1)).is_null().not(),
            5 => op("<", self.number(arity, depth.min(1)), self.number(arity, depth.min(1))),
            6 if arity > 0 => {
                op("=", S::Column(self.rng.random_range(0..arity)), int(self.rng.random_range(0..4)))
            }
            _ => op("=", self.number(arity, depth.min(1)), self.number(arity, depth.min(1))),
        }
    }

    fn columns(&mut self, arity: usize, count: usize) -> Vec<usize> {
        if arity == 0 {
            return vec![];
        }
        (0..count).map(|_| self.rng.random_range(0..arity)).collect()
    }

    /// The same with that many columns.
    fn shaped(&mut self, e: R, count: usize) -> R {
        let arity = e.arity();
        if arity == 0 {
            return e.map(vec![int(7); count]);
        }
        let columns = self.columns(arity, count);
        e.project(columns)
    }

    fn relation(&mut self, depth: usize) -> R {
        if depth == 0 {
            return self.leaf();
        }
        match self.rng.random_range(0..14) {
            0 | 1 => {
                let input = self.relation(depth - 1);
                let arity = input.arity();
                let n = self.rng.random_range(1..3);
                let predicates = (0..n).map(|_| self.truth(arity, 2)).collect();
                input.filter(predicates)
            }
            2 => {
                let input = self.relation(depth - 1);
                let arity = input.arity();
                let n = self.rng.random_range(1..3);
                let scalars = (0..n).map(|i| self.number(arity + i, 2)).collect();
                input.map(scalars)
            }
            3 => {
                let input = self.relation(depth - 1);
                let n = self.rng.random_range(0..4);
                let columns = self.columns(input.arity(), n);
                input.project(columns)
            }
            4..=6 => self.join(depth),
            7 => {
                let input = self.relation(depth - 1);
                let arity = input.arity();
                let n = self.rng.random_range(0..3);
                let key = (0..n).map(|_| self.number(arity, 1)).collect();
                let n = self.rng.random_range(0..3);
                let aggregates = (0..n).map(|_| self.aggregate(arity)).collect();
                input.reduce(key, aggregates)
            }
            8 => self.relation(depth - 1).distinct(),
            9 => {
                let input = self.relation(depth - 1);
                let arity = input.arity();
                let n = self.rng.random_range(0..2);
                let group_key = self.columns(arity, n);
                let n = self.rng.random_range(0..2);
                let order_key = self
                    .columns(arity, n)
                    .into_iter()
                    .map(|column| ColumnOrder {
                        column,
                        desc: self.rng.random_bool(0.5),
                        nulls_last: self.rng.random_bool(0.5),
                    })
                    .collect();
                let limit = self.rng.random_bool(0.8).then(|| int(self.rng.random_range(0..3)));
                R::TopK {
                    input: Box::new(input),
                    group_key,
                    order_key,
                    limit,
                    offset: self.rng.random_range(0..2),
                    monotonic: false,
                    expected_group_size: None,
                }
            }
            10 => {
                let (a, b) = (self.relation(depth - 1), self.relation(depth - 1));
                let n = self.rng.random_range(1..3);
                let (a, b) = (self.shaped(a, n), self.shaped(b, n));
                a.union(b)
            }
            11 => {
                let (a, b) = (self.relation(depth - 1), self.relation(depth - 1));
                let n = self.rng.random_range(1..3);
                let (a, b) = (self.shaped(a, n), self.shaped(b, n));
                a.union(b.negate()).threshold()
            }
            12 => {
                let value = self.relation(depth - 1);
                let id = LocalId(self.next);
                self.next += 1;
                self.scope.push((id, RelationType::new(value.column_types())));
                let body = self.relation(depth - 1);
                self.scope.pop();
                R::Let { id, value: Box::new(value), body: Box::new(body) }
            }
            _ => self.semijoin(depth),
        }
    }

    fn join(&mut self, depth: usize) -> R {
        let n = self.rng.random_range(1..4);
        let inputs: Vec<R> = (0..n).map(|_| self.relation(depth - 1)).collect();
        let arity: usize = inputs.iter().map(R::arity).sum();
        let classes = self.rng.random_range(0..3);
        self.may_fail = false;
        let equivalences = (0..classes)
            .map(|_| {
                let members = self.rng.random_range(2..4);
                (0..members)
                    .map(|_| {
                        let depth = usize::from(self.rng.random_bool(0.2));
                        self.number(arity, depth)
                    })
                    .collect()
            })
            .collect();
        self.may_fail = true;
        let joined = R::join(inputs, equivalences);
        if arity > 1 && self.rng.random_bool(0.5) {
            let (a, b) = (self.rng.random_range(0..arity), self.rng.random_range(0..arity));
            return joined.filter(vec![op("=", S::Column(a), S::Column(b))]);
        }
        joined
    }

    /// A plan joined with distinct columns of itself, as decorrelation does.
    fn semijoin(&mut self, depth: usize) -> R {
        let outer = self.relation(depth - 1);
        let arity = outer.arity();
        if arity == 0 {
            return outer;
        }
        let n = self.rng.random_range(1..3);
        let columns = self.columns(arity, n);
        let mut copy = outer.clone();
        crate::inline::rename_locals(&mut copy, &mut self.next);
        let mut inner = copy.project(columns.clone()).distinct();
        if self.rng.random_bool(0.3) {
            inner = inner.filter(vec![self.truth(columns.len(), 1)]);
        }
        let classes =
            columns.iter().enumerate().map(|(i, c)| vec![S::Column(*c), S::Column(arity + i)]).collect();
        R::join(vec![outer, inner], classes)
    }

    fn aggregate(&mut self, arity: usize) -> AggregateExpr {
        let (key, args) = match self.rng.random_range(0..4) {
            0 => ("count()", vec![]),
            1 => ("count(Any)", vec![self.number(arity, 1)]),
            2 => ("min(AnyElement)", vec![self.number(arity, 1)]),
            _ => ("max(AnyElement)", vec![self.number(arity, 1)]),
        };
        let types = vec![ScalarType::Int64; args.len()];
        let func = AggregateFunc::by_key(key, types).unwrap_or_else(|| panic!("no aggregate {key}"));
        let filter = self.rng.random_bool(0.2).then(|| self.truth(arity, 1));
        let distinct = !args.is_empty() && self.rng.random_bool(0.3);
        AggregateExpr { func, args, order_by: vec![], distinct, filter }
    }
}
