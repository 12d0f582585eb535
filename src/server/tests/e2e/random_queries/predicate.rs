//! Boolean expressions.

use super::generator::Generator;
use super::types::Ty;

const COMPARISONS: &[&str] = &["=", "<>", "<", "<=", ">", ">="];

impl Generator<'_> {
    /// A condition.
    pub(crate) fn predicate(&mut self, depth: usize) -> String {
        self.choices.open();
        let sql = if depth == 0 { self.simple_predicate(0) } else { self.compound_predicate(depth - 1) };
        self.choices.close();
        sql
    }

    fn compound_predicate(&mut self, depth: usize) -> String {
        match self.choices.weighted(&[4, 30, 14, 18, 10, 20]) {
            0 => ["true", "false", "NULL::boolean"][self.choices.weighted(&[60, 20, 20])].to_owned(),
            1 => self.simple_predicate(depth),
            2 => format!("({} AND {})", self.predicate(depth), self.predicate(depth)),
            3 => format!("({} OR {})", self.predicate(depth), self.predicate(depth)),
            4 => format!("(NOT {})", self.predicate(depth)),
            _ => self.subquery_predicate(depth).unwrap_or_else(|| self.simple_predicate(depth)),
        }
    }

    fn simple_predicate(&mut self, depth: usize) -> String {
        match self.choices.weighted(&[10, 50, 10, 6, 6, 6, 6, 4, 4]) {
            0 => self.leaf(Ty::Bool),
            1 => self.comparison(depth),
            2 => self.null_test(depth),
            3 => {
                let ty = self.ordered_type();
                let not = self.not();
                let (x, low, high) = (self.expr(ty, depth), self.leaf(ty), self.leaf(ty));
                format!("({x} {not}BETWEEN {low} AND {high})")
            }
            4 => {
                let ty = self.some_type();
                let (not, x) = (self.not(), self.expr(ty, depth));
                let list: Vec<String> = (0..1 + self.choices.below(3)).map(|_| self.leaf(ty)).collect();
                format!("({x} {not}IN ({}))", list.join(", "))
            }
            5 => {
                let not = self.not();
                let like = *self.choices.one_of(&["LIKE", "ILIKE"]);
                let pattern = *self.choices.one_of(&["a%", "%b%", "_", "%", "a\\_c", "", "__"]);
                format!("({} {not}{like} '{pattern}')", self.expr(Ty::Text, depth))
            }
            6 => self.row_comparison(depth),
            7 => self.container_test(depth),
            _ => {
                let test = *self.choices.one_of(&["TRUE", "FALSE", "UNKNOWN", "NOT TRUE", "NOT FALSE"]);
                format!("({} IS {test})", self.expr(Ty::Bool, depth))
            }
        }
    }

    pub(crate) fn not(&mut self) -> &'static str {
        if self.choices.chance(35) { "NOT " } else { "" }
    }

    /// A type whose order is worth comparing by.
    fn ordered_type(&mut self) -> Ty {
        match self.some_type() {
            Ty::Json | Ty::Arr => Ty::Int,
            ty => ty,
        }
    }

    fn comparison(&mut self, depth: usize) -> String {
        let ty = self.some_type();
        let op = match self.choices.weighted(&[35, 55, 10]) {
            0 => "=",
            1 => *self.choices.one_of(COMPARISONS),
            _ => *self.choices.one_of(&["IS NOT DISTINCT FROM", "IS DISTINCT FROM"]),
        };
        let other = match ty {
            // Numbers of different types meet too.
            ty if ty.is_number() && self.choices.chance(25) => {
                *self.choices.one_of(&[Ty::Int, Ty::Big, Ty::Num, Ty::Dbl])
            }
            Ty::Date if self.choices.chance(25) => Ty::Ts,
            ty => ty,
        };
        format!("({} {op} {})", self.expr(ty, depth), self.expr(other, depth))
    }

    fn null_test(&mut self, depth: usize) -> String {
        let ty = self.some_type();
        let not = self.not();
        if self.choices.chance(15) {
            return format!("(({}, {}) IS {not}NULL)", self.leaf(ty), self.leaf(Ty::Int));
        }
        format!("({} IS {not}NULL)", self.expr(ty, depth))
    }

    fn row_comparison(&mut self, depth: usize) -> String {
        let (a, b) = (self.ordered_type(), self.ordered_type());
        let left = format!("({}, {})", self.expr(a, depth), self.leaf(b));
        match self.choices.below(4) {
            0 => {
                let op = *self.choices.one_of(COMPARISONS);
                format!("({left} {op} ({}, {}))", self.leaf(a), self.leaf(b))
            }
            1 => format!("({left} IS {}DISTINCT FROM ({}, {}))", self.not(), self.leaf(a), self.leaf(b)),
            _ => {
                let not = self.not();
                let rows: Vec<String> =
                    (0..2).map(|_| format!("({}, {})", self.leaf(a), self.leaf(b))).collect();
                format!("({left} {not}IN ({}))", rows.join(", "))
            }
        }
    }

    fn container_test(&mut self, depth: usize) -> String {
        match self.choices.below(6) {
            0 => {
                let op = *self.choices.one_of(COMPARISONS);
                let of = *self.choices.one_of(&["ANY", "ALL"]);
                format!("({} {op} {of} ({}))", self.expr(Ty::Int, depth), self.expr(Ty::Arr, depth))
            }
            1 => format!("({} @> {})", self.expr(Ty::Arr, depth), self.leaf(Ty::Arr)),
            2 => format!("({} && {})", self.expr(Ty::Arr, depth), self.leaf(Ty::Arr)),
            3 => format!("({} @> {})", self.expr(Ty::Json, depth), self.leaf(Ty::Json)),
            4 => format!("(jsonb_typeof({}) = 'object')", self.expr(Ty::Json, depth)),
            _ => format!("starts_with({}, {})", self.expr(Ty::Text, depth), self.leaf(Ty::Text)),
        }
    }
}
