//! The rows of `pg_type`, `pg_proc`, `pg_operator`, `pg_cast` and `pg_range` that follow from the types and functions of
//! the program. The system views are made over these.

use hw_repr::adt::timezone::{abbreviations, zones_at};
use hw_repr::adt::{CivilTimestamp, Interval};
use hw_repr::{
    Datum, LIST_OID, MAP_OID, MZ_CATALOG_OID, PG_CATALOG_OID, PSEUDO_TYPES, RECORD_OID, RelationDesc, Row,
    RowPacker, ScalarType,
};

use super::{rows, table};
use crate::func::{CastContext, Registry, Volatility};
use crate::functions::type_info::{align, is_collatable};
use crate::listing::{Proc, io_name, listing};

/// A description of columns that are never NULL unless their name ends with a question mark.
fn desc(columns: &[(&str, ScalarType)]) -> RelationDesc {
    columns.iter().fold(RelationDesc::empty(), |desc, (name, typ)| match name.strip_suffix('?') {
        Some(name) => desc.with_column(name, typ.clone().nullable(true)),
        None => desc.with_column(*name, typ.clone().nullable(false)),
    })
}

const NAME: ScalarType = ScalarType::PgLegacyName;
const CHAR: ScalarType = ScalarType::PgLegacyChar;
const OID: ScalarType = ScalarType::Oid;
const BOOL: ScalarType = ScalarType::Bool;

pub(super) fn register(r: &mut Registry) {
    r.add_table(table("hw_pg_type()", |_| type_desc(), |_, _, _| rows(type_rows())));
    r.add_table(table(
        "hw_pg_range()",
        |_| desc(&[("rngtypid", OID), ("rngsubtype", OID)]),
        |_, _, _| rows(range_rows()),
    ));
    r.add_table(table("hw_pg_proc()", |_| proc_desc(), |_, _, _| rows(listing().procs.iter().map(proc_row))));
    r.add_table(table("hw_pg_operator()", |_| operator_desc(), |_, _, _| rows(operator_rows())));
    r.add_table(table(
        "hw_pg_cast()",
        |_| desc(&[("oid", OID), ("castsource", OID), ("casttarget", OID), ("castcontext", CHAR)]),
        |_, _, _| rows(cast_rows()),
    ));
    const TEXT: ScalarType = ScalarType::String;
    r.add_table(table(
        "hw_pg_timezone_names(timestamptz)",
        |_| desc(&[("name", TEXT), ("abbrev", TEXT), ("utc_offset", ScalarType::Interval), ("is_dst", BOOL)]),
        |_, _, a| rows(zone_rows(a[0].unwrap_timestamptz())),
    ));
    r.add_table(table(
        "hw_pg_timezone_abbrevs()",
        |_| desc(&[("abbrev", TEXT), ("utc_offset", ScalarType::Interval), ("is_dst", BOOL)]),
        |_, _, _| rows(abbreviation_rows()),
    ));
}

fn type_desc() -> RelationDesc {
    desc(&[
        ("oid", OID),
        ("typname", NAME),
        ("typlen", ScalarType::Int16),
        ("typtype", CHAR),
        ("typcategory", CHAR),
        ("typispreferred", BOOL),
        ("typelem", OID),
        ("typarray", OID),
        ("typinput", ScalarType::RegProc),
        ("typreceive", ScalarType::RegProc),
        ("typalign", CHAR),
        ("typcollation", OID),
    ])
}

/// A type as `pg_type` has it, besides what [`type_info`](crate::functions::type_info) knows.
struct TypeEntry<'a> {
    oid: u32,
    name: &'a str,
    len: i16,
    kind: &'a str,
    category: char,
    preferred: bool,
    elem: u32,
    array: u32,
    /// The name before `in` and `recv` in its functions' names.
    io: &'a str,
    align: &'a str,
    collatable: bool,
}

impl TypeEntry<'_> {
    fn row(&self) -> Row {
        let input = |form| listing().procs_named(&io_name(self.io, form)).first().copied().unwrap_or(0);
        Row::pack_slice(&[
            Datum::UInt32(self.oid),
            Datum::String(self.name),
            Datum::Int16(self.len),
            Datum::String(self.kind),
            Datum::String(self.category.encode_utf8(&mut [0; 4])),
            Datum::Bool(self.preferred),
            Datum::UInt32(self.elem),
            Datum::UInt32(self.array),
            Datum::UInt32(input("in")),
            Datum::UInt32(input("recv")),
            Datum::String(self.align),
            Datum::UInt32(if self.collatable { 100 } else { 0 }),
        ])
    }
}

/// A type that has values.
fn real(typ: &ScalarType) -> Row {
    let name = typ.pg_name();
    let (kind, elem, array, io) = match typ {
        ScalarType::Array(element) => ("b", element.oid(), 0, "array"),
        ScalarType::Range(_) => ("r", 0, typ.array_oid(), "range"),
        ScalarType::Int2Vector => ("b", ScalarType::Int16.oid(), typ.array_oid(), name),
        _ => ("b", 0, typ.array_oid(), name),
    };
    TypeEntry {
        oid: typ.oid(),
        name,
        len: typ.typlen(),
        kind,
        category: typ.category(),
        preferred: typ.is_preferred(),
        elem,
        array,
        io,
        align: align(typ),
        collatable: is_collatable(typ),
    }
    .row()
}

fn pseudo(oid: u32, name: &str) -> Row {
    let unknown = oid == 705;
    TypeEntry {
        oid,
        name,
        len: if unknown || oid == 2275 { -2 } else { -1 },
        // Lists and maps have values; that their elements are of any type makes them no pseudo-types.
        kind: if matches!(oid, LIST_OID | MAP_OID) { "b" } else { "p" },
        category: if matches!(oid, LIST_OID | MAP_OID) {
            'U'
        } else if unknown {
            'X'
        } else {
            'P'
        },
        preferred: false,
        elem: 0,
        array: match oid {
            RECORD_OID => 2287,
            LIST_OID => 16_386,
            MAP_OID => 16_387,
            _ => 0,
        },
        io: name,
        align: "i",
        collatable: false,
    }
    .row()
}

fn type_rows() -> impl Iterator<Item = Row> {
    let plain = ScalarType::builtins().map(|t| real(&t));
    // Records, lists and maps have no entry but as pseudo-types; their arrays have.
    let containers = [
        ScalarType::Record { fields: vec![], custom_id: None },
        ScalarType::String.list_of(),
        ScalarType::Map { value: Box::new(ScalarType::String), custom_id: None },
    ];
    let arrays = ScalarType::builtins().chain(containers).map(|t| real(&t.array_of()));
    plain.chain(arrays).chain(PSEUDO_TYPES.iter().map(|(oid, name)| pseudo(*oid, name)))
}

fn range_rows() -> impl Iterator<Item = Row> {
    ScalarType::builtins().filter_map(|t| match &t {
        ScalarType::Range(element) => {
            Some(Row::pack_slice(&[Datum::UInt32(t.oid()), Datum::UInt32(element.oid())]))
        }
        _ => None,
    })
}

fn proc_desc() -> RelationDesc {
    desc(&[
        ("oid", OID),
        ("proname", NAME),
        ("pronamespace", OID),
        ("prolang", OID),
        ("prorows", ScalarType::Float32),
        ("provariadic", OID),
        ("prokind", CHAR),
        ("proisstrict", BOOL),
        ("proretset", BOOL),
        ("provolatile", CHAR),
        ("pronargs", ScalarType::Int16),
        ("prorettype", OID),
        ("proargtypes", OID.array_of()),
        ("proallargtypes?", OID.array_of()),
        ("proargmodes?", CHAR.array_of()),
        ("proargnames?", ScalarType::String.array_of()),
        ("prosrc", ScalarType::String),
    ])
}

fn oids(packer: &mut RowPacker<'_>, oids: impl Iterator<Item = u32>) {
    packer.push_array(oids.map(Datum::UInt32));
}

fn proc_row(p: &Proc) -> Row {
    // The languages `internal` and `sql`.
    let (language, source) = match p.query {
        Some(sql) => (14, sql),
        None => (12, p.name.as_str()),
    };
    let namespace = if p.name.starts_with("mz_") { MZ_CATALOG_OID } else { PG_CATALOG_OID };
    let mut row = Row::default();
    let mut packer = row.packer();
    for datum in [
        Datum::UInt32(p.oid),
        Datum::String(&p.name),
        Datum::UInt32(namespace),
        Datum::UInt32(language),
        Datum::from(if p.set { 1000f32 } else { 0f32 }),
        Datum::UInt32(p.variadic),
        Datum::String(p.kind.encode_utf8(&mut [0; 4])),
        Datum::Bool(p.strict),
        Datum::Bool(p.set),
        Datum::String(match p.volatility {
            Volatility::Immutable => "i",
            Volatility::Stable => "s",
            Volatility::Volatile => "v",
        }),
        Datum::Int16(i16::try_from(p.args.len()).unwrap_or(i16::MAX)),
        Datum::UInt32(p.ret),
    ] {
        packer.push(datum);
    }
    oids(&mut packer, p.args.iter().copied());
    if p.columns.is_empty() && p.variadic == 0 {
        (0..3).for_each(|_| packer.push(Datum::Null));
    } else {
        let last = p.args.len().saturating_sub(1);
        let input = |i: usize| if p.variadic != 0 && i == last { "v" } else { "i" };
        oids(&mut packer, p.args.iter().copied().chain(p.columns.iter().map(|(_, oid)| *oid)));
        let modes = (0..p.args.len()).map(input).chain(p.columns.iter().map(|_| "t"));
        packer.push_array(modes.map(Datum::String));
        let names = p.args.iter().map(|_| "").chain(p.columns.iter().map(|(name, _)| name.as_str()));
        packer.push_array(names.map(Datum::String));
    }
    packer.push(Datum::String(source));
    row
}

fn operator_desc() -> RelationDesc {
    desc(&[
        ("oid", OID),
        ("oprname", NAME),
        ("oprkind", CHAR),
        ("oprcanmerge", BOOL),
        ("oprcanhash", BOOL),
        ("oprleft", OID),
        ("oprright", OID),
        ("oprresult", OID),
        ("oprcom", OID),
        ("oprnegate", OID),
    ])
}

fn operator_rows() -> impl Iterator<Item = Row> {
    listing().operators.iter().map(|o| {
        Row::pack_slice(&[
            Datum::UInt32(o.oid),
            Datum::String(o.name),
            Datum::String(if o.left == 0 { "l" } else { "b" }),
            Datum::Bool(o.equality),
            Datum::Bool(o.equality),
            Datum::UInt32(o.left),
            Datum::UInt32(o.right),
            Datum::UInt32(o.ret),
            Datum::UInt32(o.commutator),
            Datum::UInt32(o.negator),
        ])
    })
}

fn cast_rows() -> impl Iterator<Item = Row> {
    listing().casts.iter().map(|c| {
        Row::pack_slice(&[
            Datum::UInt32(c.oid),
            Datum::UInt32(c.source),
            Datum::UInt32(c.target),
            Datum::String(match c.context {
                CastContext::Implicit => "i",
                CastContext::Assignment => "a",
                CastContext::Explicit => "e",
            }),
        ])
    })
}

fn offset(seconds: i32) -> Datum<'static> {
    Datum::Interval(Interval { months: 0, days: 0, micros: i64::from(seconds) * 1_000_000 })
}

fn zone_rows(now: CivilTimestamp) -> impl Iterator<Item = Row> {
    zones_at(now).map(|(name, abbrev, seconds, dst)| {
        Row::pack_slice(&[Datum::String(name), Datum::String(&abbrev), offset(seconds), Datum::Bool(dst)])
    })
}

fn abbreviation_rows() -> impl Iterator<Item = Row> {
    abbreviations().map(|(abbrev, seconds, dst)| {
        Row::pack_slice(&[Datum::String(&abbrev), offset(seconds), Datum::Bool(dst)])
    })
}
