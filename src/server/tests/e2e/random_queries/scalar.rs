//! Scalar expressions of a wanted type.

use super::generator::Generator;
use super::types::Ty;

impl Generator<'_> {
    /// An expression of exactly this type.
    pub(crate) fn expr(&mut self, ty: Ty, depth: usize) -> String {
        self.choices.open();
        let sql = self.any_expr(ty, depth);
        self.choices.close();
        sql
    }

    fn any_expr(&mut self, ty: Ty, depth: usize) -> String {
        if depth == 0 {
            return self.leaf(ty);
        }
        match self.choices.weighted(&[40, 36, 8, 5, 3, 2, 6]) {
            0 => self.leaf(ty),
            1 => self.operation(ty, depth - 1),
            2 => self.case(ty, depth - 1),
            3 => format!("coalesce({}, {})", self.expr(ty, depth - 1), self.expr(ty, depth - 1)),
            4 => format!("nullif({}, {})", self.expr(ty, depth - 1), self.expr(ty, depth - 1)),
            5 if !matches!(ty, Ty::Json | Ty::Arr) => {
                let f = *self.choices.one_of(&["greatest", "least"]);
                format!("{f}({}, {})", self.expr(ty, depth - 1), self.expr(ty, depth - 1))
            }
            _ => self.scalar_subquery(ty, depth - 1).unwrap_or_else(|| self.leaf(ty)),
        }
    }

    /// A column or a literal.
    pub(crate) fn leaf(&mut self, ty: Ty) -> String {
        match self.choices.weighted(&[20, 60, 15, 5]) {
            1 => self.local_column(ty).or_else(|| self.outer_column(ty)),
            2 => self.outer_column(ty).or_else(|| self.local_column(ty)),
            3 => Some(ty.null()),
            _ => None,
        }
        .unwrap_or_else(|| ty.literal(self.choices))
    }

    fn case(&mut self, ty: Ty, depth: usize) -> String {
        let (condition, first) = (self.predicate(depth), self.expr(ty, depth));
        if self.choices.chance(25) {
            let of = self.some_type();
            let (subject, a, b) = (self.expr(of, depth), of.literal(self.choices), self.leaf(of));
            let other = self.expr(ty, depth);
            return format!("CASE {subject} WHEN {a} THEN {first} WHEN {b} THEN {other} END");
        }
        let other = match self.choices.chance(70) {
            true => format!(" ELSE {}", self.expr(ty, depth)),
            false => String::new(),
        };
        format!("CASE WHEN {condition} THEN {first}{other} END")
    }

    fn operation(&mut self, ty: Ty, depth: usize) -> String {
        match ty {
            Ty::Int => self.int(depth),
            Ty::Big => self.big(depth),
            Ty::Num => self.numeric(depth),
            Ty::Dbl => self.double(depth),
            Ty::Text => self.text(depth),
            Ty::Bool => self.predicate(depth),
            Ty::Date => self.date(depth),
            Ty::Ts => self.timestamp(depth),
            Ty::Itv => format!("({} - {})", self.expr(Ty::Ts, depth), self.expr(Ty::Ts, depth)),
            Ty::Arr => self.array(depth),
            Ty::Json => self.json(depth),
        }
    }

    fn int(&mut self, depth: usize) -> String {
        let kind = self.choices.below(15);
        if kind < 5 {
            let x = self.expr(Ty::Int, depth);
            return match kind {
                0 => format!("({x} + {})", self.expr(Ty::Int, depth)),
                1 => format!("({x} - {})", self.expr(Ty::Int, depth)),
                2 => format!("({x} * {})", self.choices.one_of(&["0", "2", "3", "(-1)"])),
                3 => format!("({x} % {})", self.choices.one_of(&["2", "3", "(-4)"])),
                _ => format!("({x} / {})", self.choices.one_of(&["2", "3", "(-2)"])),
            };
        }
        match kind {
            5 => format!("abs({})", self.expr(Ty::Int, depth)),
            6 => format!("(- {})", self.expr(Ty::Int, depth)),
            7 => format!("length({})", self.expr(Ty::Text, depth)),
            8 => format!("position('b' in {})", self.expr(Ty::Text, depth)),
            9 => format!("({} - {})", self.expr(Ty::Date, depth), self.expr(Ty::Date, depth)),
            10 => format!("cardinality({})", self.expr(Ty::Arr, depth)),
            11 => format!("({})[{}]", self.expr(Ty::Arr, depth), self.leaf(Ty::Int)),
            12 => format!("extract(day from {})::int", self.expr(Ty::Date, depth)),
            13 => format!("({})::int", self.expr(Ty::Bool, depth)),
            _ => format!("({} % 1000)::int", self.expr(Ty::Big, depth)),
        }
    }

    fn big(&mut self, depth: usize) -> String {
        let x = self.expr(Ty::Big, depth);
        match self.choices.below(7) {
            0 => format!("({})::bigint", self.expr(Ty::Int, depth)),
            1 => format!("({x} + {})", self.expr(Ty::Int, depth)),
            2 => format!("({x} - {})", self.expr(Ty::Big, depth)),
            3 => format!("({x} * {})", self.choices.one_of(&["1", "2", "(-1)"])),
            4 => format!("({x} % {})", self.choices.one_of(&["2", "5", "(-3)"])),
            5 => format!("abs({x})"),
            _ => format!("({x} / {})", self.choices.one_of(&["2", "7"])),
        }
    }

    fn numeric(&mut self, depth: usize) -> String {
        if self.choices.chance(30) {
            let of = *self.choices.one_of(&[Ty::Int, Ty::Big]);
            return format!("({})::numeric", self.expr(of, depth));
        }
        let x = self.expr(Ty::Num, depth);
        match self.choices.below(9) {
            0 => format!("({x} + {})", self.expr(Ty::Num, depth)),
            1 => format!("({x} - {})", self.expr(Ty::Num, depth)),
            2 => format!("({x} * {})", self.choices.one_of(&["2", "0.5", "(-1.5)"])),
            3 => format!("({x} / {})", self.choices.one_of(&["2", "4.0", "(-8)"])),
            4 => format!("({x} % {})", self.choices.one_of(&["2", "0.7"])),
            5 => format!("round({x}, {})", self.choices.one_of(&["0", "1", "2"])),
            6 => format!("{}({x})", self.choices.one_of(&["floor", "ceil", "trunc", "abs", "round", "sign"])),
            7 => format!("({x} + {})", self.expr(Ty::Int, depth)),
            _ => format!("extract(month from {})", self.expr(Ty::Date, depth)),
        }
    }

    /// Without results of -0, and exact: no products and no quotients but by powers of two.
    fn double(&mut self, depth: usize) -> String {
        match self.choices.below(5) {
            0 => format!("({})::double precision", self.expr(Ty::Int, depth)),
            1 => format!("({} + {})", self.expr(Ty::Dbl, depth), self.expr(Ty::Dbl, depth)),
            2 => format!("({} - {})", self.expr(Ty::Dbl, depth), self.expr(Ty::Int, depth)),
            3 => format!("abs({})", self.expr(Ty::Dbl, depth)),
            _ => format!("({} / 2)", self.expr(Ty::Dbl, depth)),
        }
    }

    fn text(&mut self, depth: usize) -> String {
        // Not numeric: the scale of equal values may differ.
        let printable = [Ty::Int, Ty::Bool, Ty::Big, Ty::Date, Ty::Ts, Ty::Arr, Ty::Json, Ty::Dbl, Ty::Itv];
        let kind = self.choices.below(14);
        match kind {
            0 | 1 => {
                let of = *self.choices.one_of(&printable);
                return format!("({})::text", self.expr(of, depth));
            }
            2 => {
                let of = *self.choices.one_of(&[Ty::Int, Ty::Bool, Ty::Date]);
                return format!("concat({}, {})", self.expr(Ty::Text, depth), self.expr(of, depth));
            }
            3 => return format!("({} ->> 'a')", self.expr(Ty::Json, depth)),
            4 => return format!("to_char({}, 'YYYY-MM')", self.expr(Ty::Date, depth)),
            _ => {}
        }
        let x = self.expr(Ty::Text, depth);
        match kind {
            5 | 6 => format!("({x} || {})", self.expr(Ty::Text, depth)),
            7 => format!("upper({x})"),
            8 => format!("lower({x})"),
            9 => format!("substr({x}, {}, 2)", self.choices.one_of(&["1", "2", "0"])),
            10 => format!("replace({x}, 'a', {})", self.leaf(Ty::Text)),
            11 => format!("left({x}, {})", self.choices.one_of(&["1", "2", "(-1)"])),
            12 => format!("{}({x})", self.choices.one_of(&["trim", "ltrim", "reverse", "initcap", "md5"])),
            _ => format!("split_part({x}, 'b', {})", self.choices.one_of(&["1", "2"])),
        }
    }

    fn date(&mut self, depth: usize) -> String {
        match self.choices.below(4) {
            0 => format!("({} + {} % 100)", self.expr(Ty::Date, depth), self.expr(Ty::Int, depth)),
            1 => format!("({} - {})", self.expr(Ty::Date, depth), self.choices.one_of(&["1", "30", "(-2)"])),
            2 => format!("({})::date", self.expr(Ty::Ts, depth)),
            _ => format!("date_trunc('month', {})::date", self.expr(Ty::Ts, depth)),
        }
    }

    fn timestamp(&mut self, depth: usize) -> String {
        match self.choices.below(4) {
            0 => format!("({})::timestamp", self.expr(Ty::Date, depth)),
            1 => format!("({} + {})", self.expr(Ty::Ts, depth), Ty::Itv.literal(self.choices)),
            2 => {
                let unit = *self.choices.one_of(&["day", "hour", "month", "week", "year"]);
                format!("date_trunc('{unit}', {})", self.expr(Ty::Ts, depth))
            }
            _ => format!("({} - interval '1 month')", self.expr(Ty::Date, depth)),
        }
    }

    fn array(&mut self, depth: usize) -> String {
        match self.choices.below(5) {
            0 => format!("ARRAY[{}, {}]", self.expr(Ty::Int, depth), self.expr(Ty::Int, depth)),
            1 => format!("array_append({}, {})", self.expr(Ty::Arr, depth), self.expr(Ty::Int, depth)),
            2 => format!("({} || {})", self.expr(Ty::Arr, depth), self.expr(Ty::Arr, depth)),
            3 => format!("array_remove({}, {})", self.expr(Ty::Arr, depth), self.expr(Ty::Int, depth)),
            _ => self.array_subquery(depth),
        }
    }

    fn json(&mut self, depth: usize) -> String {
        let of = *self.choices.one_of(&[Ty::Int, Ty::Text, Ty::Bool, Ty::Date, Ty::Arr]);
        match self.choices.below(6) {
            0 => format!("to_jsonb({})", self.expr(of, depth)),
            1 => format!("({} -> 'a')", self.expr(Ty::Json, depth)),
            2 => format!("({} -> 'b' -> 0)", self.expr(Ty::Json, depth)),
            3 => format!("jsonb_build_object('a', {})", self.expr(of, depth)),
            4 => {
                let (x, y) = (self.expr(of, depth), self.expr(Ty::Json, depth));
                format!("jsonb_build_array({x}, {y})")
            }
            _ => format!("({} || '{{\"z\": 1}}'::jsonb)", self.expr(Ty::Json, depth)),
        }
    }
}
