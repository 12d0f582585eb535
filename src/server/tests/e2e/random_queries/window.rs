//! Window functions whose results do not depend on the order of peers.

use super::generator::Generator;
use super::types::Ty;

/// More columns than this are not sorted by.
const MAX_ORDER: usize = 9;

impl Generator<'_> {
    /// A window function with a result of this type. Rows that are equal in everything get different values of some functions,
    /// and nothing says which row gets which: only the `first` of a SELECT may be such a function, as two could be paired
    /// in several ways.
    pub(crate) fn window(&mut self, ty: Ty, depth: usize, first: bool) -> String {
        self.choices.open();
        let total = first && self.local().len() <= MAX_ORDER && self.choices.chance(60);
        let sql = if total { self.over_total_order(ty, depth) } else { self.over_peers(ty, depth) };
        self.choices.close();
        sql
    }

    fn partition(&mut self) -> String {
        if !self.choices.chance(60) {
            return String::new();
        }
        let columns = self.local().to_vec();
        format!("PARTITION BY {} ", self.choices.one_of(&columns).sql)
    }

    fn direction(&mut self) -> &'static str {
        const DIRECTIONS: [&str; 4] = ["", " DESC", " NULLS FIRST", " DESC NULLS LAST"];
        DIRECTIONS[self.choices.below(DIRECTIONS.len())]
    }

    /// All columns in scope, so that peers are equal in everything.
    fn total_order(&mut self) -> String {
        let mut columns = self.local().to_vec();
        let first = self.choices.below(columns.len());
        columns.swap(0, first);
        let keys: Vec<String> = columns.iter().map(|c| format!("{}{}", c.sql, self.direction())).collect();
        format!("ORDER BY {}", keys.join(", "))
    }

    fn over_total_order(&mut self, ty: Ty, depth: usize) -> String {
        let function = match self.choices.weighted(&[40, 30, 30]) {
            1 if ty == Ty::Big => {
                (*self.choices.one_of(&["row_number()", "rank()", "dense_rank()"])).to_owned()
            }
            1 if ty == Ty::Int => format!("ntile({})", self.choices.one_of(&["2", "3", "1"])),
            2 if !matches!(ty, Ty::Arr | Ty::Json) => self.aggregate_over(ty, depth),
            _ => {
                let x = self.expr(ty, depth);
                match self.choices.below(6) {
                    0 => format!("lag({x})"),
                    1 => format!("lead({x})"),
                    2 => format!("lag({x}, {}, {})", self.choices.one_of(&["2", "1", "0"]), self.leaf(ty)),
                    3 => format!("first_value({x})"),
                    4 => format!("last_value({x})"),
                    _ => format!("nth_value({x}, 2)"),
                }
            }
        };
        let (partition, order, frame) = (self.partition(), self.total_order(), self.frame("ROWS"));
        format!("{function} OVER ({partition}{order}{frame})")
    }

    /// Functions that give all peers the same, over any order.
    fn over_peers(&mut self, ty: Ty, depth: usize) -> String {
        let rank = ty == Ty::Big && self.choices.chance(40);
        let function = match ty {
            _ if rank => (*self.choices.one_of(&["rank()", "dense_rank()"])).to_owned(),
            Ty::Arr | Ty::Json => return self.leaf(ty),
            ty => self.aggregate_over(ty, depth),
        };
        let partition = self.partition();
        let by = self.local().iter().find(|c| c.ty == Ty::Int).cloned();
        let (order, frame) = match self.choices.below(3) {
            0 => (String::new(), String::new()),
            1 => {
                let columns = self.local().to_vec();
                let key = self.choices.one_of(&columns).sql.clone();
                let units = *self.choices.one_of(&["GROUPS", "RANGE"]);
                let frame = if units == "GROUPS" { self.frame(units) } else { String::new() };
                (format!("ORDER BY {key}{}", self.direction()), frame)
            }
            _ => match by {
                Some(column) => (format!("ORDER BY {}{}", column.sql, self.direction()), self.frame("RANGE")),
                None => (String::new(), String::new()),
            },
        };
        format!("{function} OVER ({partition}{order}{frame})")
    }

    fn aggregate_over(&mut self, ty: Ty, depth: usize) -> String {
        let (f, of) = self.simple_aggregate(ty);
        let call = if f == "count(*)" { f.to_owned() } else { format!("{f}({})", self.expr(of, depth)) };
        // Over groups the aggregates in scope are not allowed in FILTER.
        let is_grouped = self.local().iter().any(|c| !c.plain);
        match !is_grouped && self.choices.chance(12) {
            true => format!("{call} FILTER (WHERE {})", self.predicate(depth)),
            false => call,
        }
    }

    fn frame(&mut self, units: &str) -> String {
        let bounds = match self.choices.below(8) {
            0 | 1 => return String::new(),
            2 => "UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING",
            3 => "1 PRECEDING AND 1 FOLLOWING",
            4 => "CURRENT ROW AND UNBOUNDED FOLLOWING",
            5 => "2 PRECEDING AND 1 PRECEDING",
            6 => "UNBOUNDED PRECEDING AND 1 FOLLOWING",
            _ => "1 FOLLOWING AND 2 FOLLOWING",
        };
        format!(" {units} BETWEEN {bounds}")
    }
}
