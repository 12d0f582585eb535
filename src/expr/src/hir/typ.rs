//! Types of correlated expressions.

use hw_repr::{ColumnType, ScalarType};

use super::{HirAggregateExpr, HirRelationExpr, HirScalarExpr, JoinKind};

/// The columns of the enclosing scopes, outermost first.
pub type OuterTypes = Vec<Vec<ColumnType>>;

impl HirScalarExpr {
    /// The type of the value, over `input` and within `outers`. A column that is in none of the scopes (a placeholder while
    /// a query is being planned) counts as an unknown, nullable one.
    pub fn typ(&self, outers: &mut OuterTypes, input: &[ColumnType]) -> ColumnType {
        stacker::maybe_grow(64 << 10, 1 << 20, || self.typ_here(outers, input))
    }

    fn typ_here(&self, outers: &mut OuterTypes, input: &[ColumnType]) -> ColumnType {
        match self {
            HirScalarExpr::Column(c) => {
                let scope = match c.level {
                    0 => Some(input),
                    level => outers.len().checked_sub(level).map(|i| outers[i].as_slice()),
                };
                let found = scope.and_then(|s| s.get(c.column));
                found.cloned().unwrap_or(ColumnType { scalar_type: ScalarType::String, nullable: true })
            }
            HirScalarExpr::Parameter(_, typ) => typ.clone().nullable(true),
            HirScalarExpr::Literal(_, typ) => typ.clone(),
            HirScalarExpr::Unmaterializable(f) => f.typ(),
            HirScalarExpr::Call { func, args } => {
                let def = func.def();
                let nullable =
                    def.introduces_null || (def.strict && args.iter().any(|a| a.typ(outers, input).nullable));
                func.types().ret.clone().nullable(nullable)
            }
            HirScalarExpr::And(v) | HirScalarExpr::Or(v) => {
                ScalarType::Bool.nullable(v.iter().any(|e| e.typ(outers, input).nullable))
            }
            HirScalarExpr::Not(e) => ScalarType::Bool.nullable(e.typ(outers, input).nullable),
            HirScalarExpr::IsNull(_) | HirScalarExpr::Exists(_) => ScalarType::Bool.nullable(false),
            HirScalarExpr::Coalesce(v) => {
                let types: Vec<_> = v.iter().map(|e| e.typ(outers, input)).collect();
                types[0].scalar_type.clone().nullable(types.iter().all(|t| t.nullable))
            }
            HirScalarExpr::If { then, els, .. } => {
                let (t, e) = (then.typ(outers, input), els.typ(outers, input));
                t.scalar_type.nullable(t.nullable || e.nullable)
            }
            HirScalarExpr::Select(r) => {
                outers.push(input.to_vec());
                let types = r.column_types(outers);
                outers.pop();
                types[0].scalar_type.clone().nullable(true)
            }
            HirScalarExpr::Windowing(w) => w.typ.clone(),
        }
    }
}

impl HirAggregateExpr {
    /// The type of the result.
    pub fn typ(&self) -> ColumnType {
        self.func.output_type()
    }
}

impl HirRelationExpr {
    /// How many columns there are.
    pub fn arity(&self) -> usize {
        match self {
            HirRelationExpr::Constant { typ, .. } | HirRelationExpr::Get { typ, .. } => typ.arity(),
            HirRelationExpr::Let { body, .. } | HirRelationExpr::LetRec { body, .. } => body.arity(),
            HirRelationExpr::Project { outputs, .. } => outputs.len(),
            HirRelationExpr::Map { input, scalars } => input.arity() + scalars.len(),
            HirRelationExpr::CallTable { func, .. } => func.desc().arity(),
            HirRelationExpr::Filter { input, .. }
            | HirRelationExpr::Distinct { input }
            | HirRelationExpr::TopK { input, .. }
            | HirRelationExpr::Negate { input }
            | HirRelationExpr::Threshold { input } => input.arity(),
            HirRelationExpr::Join { left, right, .. } => left.arity() + right.arity(),
            HirRelationExpr::Reduce { group_key, aggregates, .. } => group_key.len() + aggregates.len(),
            HirRelationExpr::Union { inputs } => inputs[0].arity(),
        }
    }

    /// The types of the columns, within `outers`.
    pub fn column_types(&self, outers: &mut OuterTypes) -> Vec<ColumnType> {
        stacker::maybe_grow(64 << 10, 1 << 20, || self.column_types_here(outers))
    }

    fn column_types_here(&self, outers: &mut OuterTypes) -> Vec<ColumnType> {
        match self {
            HirRelationExpr::Constant { typ, .. } | HirRelationExpr::Get { typ, .. } => {
                typ.column_types.clone()
            }
            HirRelationExpr::Let { body, .. } | HirRelationExpr::LetRec { body, .. } => {
                body.column_types(outers)
            }
            HirRelationExpr::Project { input, outputs } => {
                let types = input.column_types(outers);
                outputs.iter().map(|o| types[*o].clone()).collect()
            }
            HirRelationExpr::Map { input, scalars } => {
                let mut types = input.column_types(outers);
                for s in scalars {
                    let t = s.typ(outers, &types);
                    types.push(t);
                }
                types
            }
            HirRelationExpr::CallTable { func, .. } => func.desc().typ().column_types.clone(),
            HirRelationExpr::Filter { input, .. }
            | HirRelationExpr::Distinct { input }
            | HirRelationExpr::TopK { input, .. }
            | HirRelationExpr::Negate { input }
            | HirRelationExpr::Threshold { input } => input.column_types(outers),
            HirRelationExpr::Join { left, right, kind, .. } => {
                let mut types = left.column_types(outers);
                outers.push(types.clone());
                let mut right = right.column_types(outers);
                outers.pop();
                if matches!(kind, JoinKind::RightOuter | JoinKind::FullOuter) {
                    types.iter_mut().for_each(|t| t.nullable = true);
                }
                if matches!(kind, JoinKind::LeftOuter | JoinKind::FullOuter) {
                    right.iter_mut().for_each(|t| t.nullable = true);
                }
                types.extend(right);
                types
            }
            HirRelationExpr::Reduce { input, group_key, aggregates, .. } => {
                let types = input.column_types(outers);
                let keys = group_key.iter().map(|k| types[*k].clone());
                keys.chain(aggregates.iter().map(HirAggregateExpr::typ)).collect()
            }
            HirRelationExpr::Union { inputs } => {
                let mut types = inputs[0].column_types(outers);
                for input in &inputs[1..] {
                    for (t, other) in types.iter_mut().zip(input.column_types(outers)) {
                        t.nullable |= other.nullable;
                        if t.scalar_type != other.scalar_type {
                            t.scalar_type = t.scalar_type.without_modifiers();
                        }
                    }
                }
                types
            }
        }
    }
}
