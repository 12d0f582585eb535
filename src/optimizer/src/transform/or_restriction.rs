//! What a disjunction over several inputs of a join says of each of them alone.
//!
//! ```text
//! Filter (a.x = 1 AND b.y = 2 OR a.x = 3 AND b.y = 4) (Join(a, b))
//!     Filter (…) AND (a.x = 1 OR a.x = 3) AND (b.y = 2 OR b.y = 4) (Join(a, b))
//! ```
//!
//! The disjunction stays; what is derived moves into the inputs with the next pushdown, which runs in the same round, so
//! that a later round derives nothing new.

use hw_expr::{JoinImplementation, MirRelationExpr, MirScalarExpr};

/// Applies the rule everywhere.
pub(crate) fn apply(expr: &mut MirRelationExpr) {
    super::rewrite_post(expr, &mut |e| {
        let MirRelationExpr::Filter { input, predicates } = e else { return };
        let MirRelationExpr::Join { inputs, implementation: JoinImplementation::Unimplemented, .. } =
            &**input
        else {
            return;
        };
        let mut ends = vec![];
        for input in inputs {
            ends.push(ends.last().copied().unwrap_or(0) + input.arity());
        }
        let derived: Vec<MirScalarExpr> = predicates.iter().flat_map(|p| derive(p, &ends)).collect();
        for p in derived {
            if !predicates.contains(&p) {
                predicates.push(p);
            }
        }
    });
}

/// The weaker predicates, each over one input, that follow from a disjunction over several.
fn derive(predicate: &MirScalarExpr, ends: &[usize]) -> Vec<MirScalarExpr> {
    let MirScalarExpr::Or(cases) = predicate else { return vec![] };
    if predicate.could_error() || input_of(predicate, ends).is_some() {
        return vec![];
    }
    let of_input = |i: usize| -> Option<MirScalarExpr> {
        let own = cases.iter().map(|case| {
            let conjuncts = match case {
                MirScalarExpr::And(all) => all.as_slice(),
                other => std::slice::from_ref(other),
            };
            let own: Vec<_> = conjuncts.iter().filter(|c| input_of(c, ends) == Some(i)).cloned().collect();
            match own.len() {
                0 => None,
                1 => own.into_iter().next(),
                _ => Some(MirScalarExpr::And(own)),
            }
        });
        let mut cases: Vec<MirScalarExpr> = own.collect::<Option<_>>()?;
        cases.sort();
        cases.dedup();
        (cases.len() > 1).then_some(MirScalarExpr::Or(cases))
    };
    (0..ends.len()).filter_map(of_input).collect()
}

/// The only input whose columns an expression uses.
fn input_of(e: &MirScalarExpr, ends: &[usize]) -> Option<usize> {
    let support = e.support();
    let (first, last) = (support.first()?, support.last()?);
    let input = ends.iter().position(|end| first < end)?;
    (*last < ends[input]).then_some(input)
}

#[cfg(test)]
mod tests {
    use hw_expr::MirRelationExpr as R;
    use hw_expr::MirScalarExpr as S;
    use hw_repr::{GlobalId, RelationType, ScalarType};

    use crate::tests::generate::{int, op};

    fn table(id: u64) -> R {
        let types = vec![ScalarType::Int64.nullable(true); 2];
        R::global_get(GlobalId::User(id), RelationType::new(types))
    }

    fn equal(column: usize, value: i64) -> S {
        op("=", S::Column(column), int(value))
    }

    fn predicates(e: &R) -> Vec<S> {
        match e {
            R::Filter { predicates, .. } => predicates.clone(),
            other => panic!("a filter, not {other:?}"),
        }
    }

    #[test]
    fn each_input_learns_its_part() {
        let case = |a, b| S::And(vec![equal(0, a), equal(3, b)]);
        let whole = S::Or(vec![case(1, 2), case(3, 4)]);
        let mut e = table(1).product(table(2)).filter(vec![whole.clone()]);
        super::apply(&mut e);
        let parts = [whole, S::Or(vec![equal(0, 1), equal(0, 3)]), S::Or(vec![equal(3, 2), equal(3, 4)])];
        let found = predicates(&e);
        assert!(found.len() == 3 && parts.iter().all(|p| found.contains(p)), "{found:?}");
    }

    #[test]
    fn a_case_without_a_word_on_an_input_restricts_it_in_nothing() {
        let cases = vec![S::And(vec![equal(0, 1), equal(3, 2)]), equal(0, 3)];
        let mut e = table(1).product(table(2)).filter(vec![S::Or(cases)]);
        super::apply(&mut e);
        let found = predicates(&e);
        assert!(found.len() == 2 && found.contains(&S::Or(vec![equal(0, 1), equal(0, 3)])), "{found:?}");
    }
}
