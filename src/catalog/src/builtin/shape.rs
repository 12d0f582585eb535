//! Relations in PostgreSQL's shape: their columns come from a list, their rows from a query that gives the columns that mean
//! something here. What it leaves out is NULL or, where NULL must not be, the type's zero.

use std::collections::BTreeSet;

use hw_expr::func::CastContext;
use hw_expr::{HirRelationExpr, HirScalarExpr, cast};
use hw_repr::{ColumnType, Datum, GlobalId, RelationDesc, RelationType, ScalarType, SchemaId};
use hw_sql::PlanError;

use super::{INFORMATION_SCHEMA_ID, PG_CATALOG_SCHEMA_ID, information_schema, pg_catalog};
use crate::ops::ItemPlanner;
use crate::state::CatalogState;

/// A relation's place and columns.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) id: u64,
    pub(super) schema: SchemaId,
    pub(super) name: &'static str,
    /// PostgreSQL's own number for it, if clients know one.
    pub(super) oid: Option<u32>,
    pub(super) desc: RelationDesc,
    /// Its rows; none for a relation that is always empty.
    pub(super) sql: Option<&'static str>,
}

/// All of them, each after those that it uses.
pub(super) fn shapes() -> Vec<Shape> {
    let catalog = parse(
        include_str!("pg_catalog.shapes"),
        PG_CATALOG_SCHEMA_ID,
        &[pg_catalog::OBJECTS, pg_catalog::PROGRAM, pg_catalog::SESSION],
    );
    let standard =
        parse(include_str!("information_schema.shapes"), INFORMATION_SCHEMA_ID, &[information_schema::ROWS]);
    catalog.into_iter().chain(standard).collect()
}

/// The relations of a list: those that are empty, then those with queries in the queries' order.
fn parse(text: &'static str, schema: SchemaId, queries: &[&[(&str, &'static str)]]) -> Vec<Shape> {
    let lines = text.lines().filter(|l| !l.starts_with('#'));
    let mut shapes: Vec<(usize, Shape)> = lines
        .filter_map(|line| {
            let mut shape = line_shape(line, schema)?;
            let found =
                queries.iter().copied().flatten().enumerate().find(|(_, (name, _))| *name == shape.name);
            shape.sql = found.map(|(_, (_, sql))| *sql);
            Some((found.map_or(0, |(i, _)| i + 1), shape))
        })
        .collect();
    shapes.sort_by_key(|(order, _)| *order);
    shapes.into_iter().map(|(_, shape)| shape).collect()
}

fn line_shape(line: &'static str, schema: SchemaId) -> Option<Shape> {
    let (head, columns) = line.split_once(": ")?;
    let mut head = head.split(' ');
    let (id, name, oid) = (head.next()?.parse().ok()?, head.next()?, head.next()?.parse().ok()?);
    let mut desc = RelationDesc::empty();
    for column in columns.split(", ") {
        let (name, typ) = column.split_once(' ')?;
        desc = desc.with_column(name, column_type(typ)?);
    }
    Some(Shape { id, schema, name, oid: Some(oid).filter(|o| *o != 0), desc, sql: None })
}

fn column_type(text: &str) -> Option<ColumnType> {
    let name = text.trim_end_matches('!');
    let typ = match name {
        "char" => ScalarType::PgLegacyChar,
        "char[]" => ScalarType::PgLegacyChar.array_of(),
        other => ScalarType::from_name(other)?,
    };
    Some(typ.nullable(name.len() == text.len()))
}

/// The plan of a relation, its columns as they are, and what it reads.
pub(super) fn plan(
    shape: &Shape,
    state: &CatalogState,
    planner: &dyn ItemPlanner,
) -> Result<(HirRelationExpr, RelationDesc, BTreeSet<GlobalId>), PlanError> {
    let Some(sql) = shape.sql else {
        let typ = RelationType::new(shape.desc.typ().column_types.clone());
        return Ok((HirRelationExpr::Constant { rows: vec![], typ }, shape.desc.clone(), BTreeSet::new()));
    };
    let (expr, desc, uses) = planner.plan_builtin_view(state, sql)?;
    let unknown = desc.names().iter().find(|n| !shape.desc.names().contains(n));
    if let Some(name) = unknown {
        return Err(PlanError::new("42703", format!("{} has no column {name}", shape.name)));
    }
    let arity = desc.arity();
    let columns = shape.desc.iter().map(|(name, typ)| match desc.iter().position(|(n, _)| n == name) {
        None => Ok(default_of(typ)),
        Some(i) => {
            let from = &desc.typ().column_types[i].scalar_type;
            brought_to(HirScalarExpr::column(i), from, &typ.scalar_type).ok_or_else(|| {
                PlanError::new("42846", format!("{}.{name} cannot be made a {}", shape.name, typ.scalar_type))
            })
        }
    });
    let columns = columns.collect::<Result<Vec<_>, PlanError>>()?;
    let expr = expr.map(columns).project((arity..arity + shape.desc.arity()).collect());
    // NULL is possible where the query says so, whatever PostgreSQL promises.
    let known = expr.column_types(&mut vec![]);
    let types = shape.desc.iter().zip(known).map(|((_, t), k)| t.scalar_type.clone().nullable(k.nullable));
    let desc = RelationDesc::new(RelationType::new(types.collect()), shape.desc.names().to_vec());
    Ok((expr, desc, uses))
}

fn brought_to(value: HirScalarExpr, from: &ScalarType, to: &ScalarType) -> Option<HirScalarExpr> {
    cast::cast_expr(value, from, to, CastContext::Explicit, HirScalarExpr::call, HirScalarExpr::literal)
}

/// What a column is that has no meaning here.
fn default_of(typ: &ColumnType) -> HirScalarExpr {
    let scalar = typ.scalar_type.clone();
    if typ.nullable {
        return HirScalarExpr::null(scalar);
    }
    let zero = match &scalar {
        ScalarType::Bool => Datum::Bool(false),
        ScalarType::Int16 => Datum::Int16(0),
        ScalarType::Int32 => Datum::Int32(0),
        ScalarType::Int64 => Datum::Int64(0),
        ScalarType::UInt32 => Datum::UInt32(0),
        ScalarType::Float32 => Datum::from(0f32),
        t if t.is_oid_like() => Datum::UInt32(0),
        t if t.is_stored_as_string() => Datum::String(""),
        _ => return HirScalarExpr::null(scalar),
    };
    HirScalarExpr::literal(zero, scalar)
}
