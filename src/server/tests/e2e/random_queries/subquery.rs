//! Subqueries in expressions, most of them correlated.

use super::generator::Generator;
use super::types::Ty;

impl Generator<'_> {
    /// Whether another block may be nested here; takes it if so.
    fn take_block(&mut self) -> bool {
        if self.blocks == 0 || self.room() < 12 {
            return false;
        }
        self.blocks -= 1;
        true
    }

    /// A scalar subquery, with one row at most by construction.
    pub(crate) fn scalar_subquery(&mut self, ty: Ty, depth: usize) -> Option<String> {
        if !self.take_block() {
            return None;
        }
        Some(match self.choices.below(3) {
            0 => self.aggregate_subquery(ty, depth),
            _ => {
                let nulls = *self.choices.one_of(&["", " DESC", " NULLS FIRST", " DESC NULLS LAST"]);
                let offset = if self.choices.chance(20) { " OFFSET 1" } else { "" };
                let body = self.select(&[ty], depth).sql;
                format!("({body} ORDER BY 1{nulls} LIMIT 1{offset})")
            }
        })
    }

    /// The elements in order, as an array.
    pub(crate) fn array_subquery(&mut self, depth: usize) -> String {
        if !self.take_block() {
            return self.leaf(Ty::Arr);
        }
        let body = self.select(&[Ty::Int], depth).sql;
        format!("ARRAY({body} ORDER BY 1)")
    }

    /// EXISTS, IN, ANY or ALL.
    pub(crate) fn subquery_predicate(&mut self, depth: usize) -> Option<String> {
        if !self.take_block() {
            return None;
        }
        Some(match self.choices.weighted(&[40, 30, 15, 15]) {
            0 => {
                let not = self.not();
                format!("({not}EXISTS ({}))", self.query(&[Ty::Int], depth).sql)
            }
            1 => {
                let ty = self.some_type();
                let (x, not) = (self.expr(ty, depth.min(1)), self.not());
                format!("({x} {not}IN ({}))", self.query(&[ty], depth).sql)
            }
            2 => {
                let ty = self.some_type();
                let x = self.expr(ty, depth.min(1));
                let op = *self.choices.one_of(&["=", "<>", "<", ">=", ">"]);
                let of = *self.choices.one_of(&["ANY", "ALL", "SOME"]);
                format!("({x} {op} {of} ({}))", self.query(&[ty], depth).sql)
            }
            _ => {
                let types = [self.some_type(), self.some_type()];
                let left = format!("({}, {})", self.expr(types[0], depth.min(1)), self.leaf(types[1]));
                let not = self.not();
                format!("({left} {not}IN ({}))", self.query(&types, depth).sql)
            }
        })
    }
}
