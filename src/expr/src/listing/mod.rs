//! The registry as the system catalog lists it: functions, operators and casts with numbers.
//!
//! Numbers are PostgreSQL's range for what `initdb` makes (10000 to 16383), given in the order of names, so that they are
//! the same in every process of one version; nothing durable refers to them. Entries for one type of many are listed as
//! PostgreSQL lists them: comparisons, `min` and `max` for each type, everything else with its pseudo-types.

mod kinds;
mod polymorphic;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use hw_repr::{RelationDesc, ScalarType};

pub(crate) use self::kinds::io_name;
use self::polymorphic::{desc_type, param_oid, return_oid};
use crate::func::{CastContext, FuncDef, FuncKind, ParamType, Registry, Role, Volatility, registry};

/// The first number that is given.
const FIRST_OID: u32 = 10_000;

/// A function, aggregate or window function.
#[derive(Debug, Clone)]
pub struct Proc {
    /// Its number.
    pub oid: u32,
    /// Its name.
    pub name: String,
    /// `pg_proc.prokind`: f, a or w.
    pub kind: char,
    /// The types of its parameters, the array of a variadic one last.
    pub args: Vec<u32>,
    /// The element type of a variadic parameter, 0 for none.
    pub variadic: u32,
    /// The type of its result, or of each row.
    pub ret: u32,
    /// Whether it gives rows.
    pub set: bool,
    /// The names and types of the columns of its rows, if there are several.
    pub columns: Vec<(String, u32)>,
    /// Whether a NULL argument makes the result NULL.
    pub strict: bool,
    /// When the result may be kept.
    pub volatility: Volatility,
    /// Its query, if it is one.
    pub query: Option<&'static str>,
}

/// An operator for two types.
#[derive(Debug, Clone)]
pub struct Operator {
    /// Its number.
    pub oid: u32,
    /// Its symbol.
    pub name: &'static str,
    /// The type of the left operand, 0 for a prefix operator.
    pub left: u32,
    /// The type of the right operand.
    pub right: u32,
    /// The type of the result.
    pub ret: u32,
    /// Whether it is an equality, by which values can be sorted and hashed.
    pub equality: bool,
    /// The number of the operator that does the same with its operands swapped, 0 for none.
    pub commutator: u32,
    /// The number of the operator whose result is the negation, 0 for none.
    pub negator: u32,
}

/// A cast.
#[derive(Debug, Clone)]
pub struct Cast {
    /// Its number.
    pub oid: u32,
    /// From this type.
    pub source: u32,
    /// To this type.
    pub target: u32,
    /// Where it is applied.
    pub context: CastContext,
}

/// All that the catalog lists.
#[derive(Debug, Default)]
pub struct Listing {
    /// Functions, by number.
    pub procs: Vec<Proc>,
    /// Operators, by number.
    pub operators: Vec<Operator>,
    /// Casts, by number.
    pub casts: Vec<Cast>,
    by_name: BTreeMap<String, Vec<u32>>,
}

/// The list of this process.
pub fn listing() -> &'static Listing {
    static LISTING: LazyLock<Listing> = LazyLock::new(|| Listing::new(registry()));
    &LISTING
}

/// Whether a name is of planning's own and cannot be called by people.
fn is_hidden(name: &str) -> bool {
    name.starts_with("hw_")
}

impl Listing {
    fn new(r: &Registry) -> Listing {
        let mut list = Listing::default();
        let mut next = FIRST_OID;
        for mut proc in scalar_functions(r).chain(aggregates(r)).chain(table_functions(r)).chain(kinds::all())
        {
            proc.oid = next;
            next += 1;
            list.by_name.entry(proc.name.clone()).or_default().push(proc.oid);
            list.procs.push(proc);
        }
        list.procs.sort_by_key(|p| p.oid);
        for operator in r.operators.values().flatten().flat_map(|d| operators_of(d)) {
            list.operators.push(Operator { oid: next, ..operator });
            next += 1;
        }
        list.relate_operators();
        for (source, target, context) in casts(r) {
            list.casts.push(Cast { oid: next, source, target, context });
            next += 1;
        }
        list
    }

    /// The function of a number.
    pub fn proc(&self, oid: u32) -> Option<&Proc> {
        let at = usize::try_from(oid.checked_sub(FIRST_OID)?).ok()?;
        self.procs.get(at)
    }

    /// The numbers of the functions of a name.
    pub fn procs_named(&self, name: &str) -> &[u32] {
        self.by_name.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// How `regproc` prints a function: by its name, with the schema when there are several of that name.
    pub fn regproc_name(&self, oid: u32) -> Option<String> {
        let name = &self.proc(oid)?.name;
        Some(if self.procs_named(name).len() == 1 { name.clone() } else { format!("pg_catalog.{name}") })
    }

    fn relate_operators(&mut self) {
        let by_key: BTreeMap<(&str, u32, u32), u32> =
            self.operators.iter().map(|o| ((o.name, o.left, o.right), o.oid)).collect();
        let found = |name: Option<&str>, left: u32, right: u32| {
            name.and_then(|n| by_key.get(&(n, left, right))).copied().unwrap_or(0)
        };
        let related: Vec<(u32, u32)> = self
            .operators
            .iter()
            .map(|o| (found(swapped(o.name), o.right, o.left), found(negated(o.name), o.left, o.right)))
            .collect();
        for (operator, (commutator, negator)) in self.operators.iter_mut().zip(related) {
            (operator.commutator, operator.negator) = (commutator, negator);
        }
    }
}

fn swapped(symbol: &str) -> Option<&'static str> {
    Some(match symbol {
        "=" => "=",
        "<>" => "<>",
        "<" => ">",
        ">" => "<",
        "<=" => ">=",
        ">=" => "<=",
        "@>" => "<@",
        "<@" => "@>",
        "&&" => "&&",
        _ => return None,
    })
}

fn negated(symbol: &str) -> Option<&'static str> {
    Some(match symbol {
        "=" => "<>",
        "<>" => "=",
        "<" => ">=",
        ">=" => "<",
        ">" => "<=",
        "<=" => ">",
        "~~" => "!~~",
        "!~~" => "~~",
        "~~*" => "!~~*",
        "!~~*" => "~~*",
        "~" => "!~",
        "!~" => "~",
        "~*" => "!~*",
        "!~*" => "~*",
        _ => return None,
    })
}

/// The parameters' numbers, and that of a variadic parameter.
fn parameters(params: &[ParamType], variadic: Option<&ParamType>) -> (Vec<u32>, u32) {
    let mut args: Vec<u32> = params.iter().map(param_oid).collect();
    let element = variadic.map_or(0, param_oid);
    if let Some(v) = variadic {
        args.push(match v {
            ParamType::Type(t) => t.array_oid(),
            ParamType::AnyCompatible => param_oid(&ParamType::AnyCompatibleArray),
            other => param_oid(other),
        });
    }
    (args, element)
}

fn scalar_functions(r: &Registry) -> impl Iterator<Item = Proc> {
    r.functions.values().flatten().filter(|d| !is_hidden(d.name)).map(|d| {
        let (args, variadic) = parameters(&d.params, d.variadic.as_ref());
        Proc {
            oid: 0,
            name: d.name.to_owned(),
            kind: 'f',
            args,
            variadic,
            ret: return_oid(&d.params, d.ret),
            set: false,
            columns: vec![],
            strict: d.strict,
            volatility: d.volatility,
            query: if let FuncKind::Query(sql) = d.kind { Some(sql) } else { None },
        }
    })
}

/// The types for which comparisons and extremes are listed one by one.
fn ordered_types() -> impl Iterator<Item = ScalarType> {
    let ranges_apart = |t: &ScalarType| !matches!(t, ScalarType::Range(_) | ScalarType::Int2Vector);
    ScalarType::builtins().filter(ranges_apart)
}

fn aggregates(r: &Registry) -> impl Iterator<Item = Proc> {
    r.aggregates.values().flatten().filter(|d| !is_hidden(d.name)).flat_map(|d| {
        let each = matches!(d.name, "min" | "max") && d.params == [ParamType::AnyElement];
        let signatures: Vec<(Vec<u32>, u32)> = if each {
            let arrays = ParamType::AnyArray;
            let types = ordered_types().map(|t| t.oid()).chain([param_oid(&arrays)]);
            types.map(|oid| (vec![oid], oid)).collect()
        } else {
            vec![(d.params.iter().map(param_oid).collect(), return_oid(&d.params, d.ret))]
        };
        signatures.into_iter().map(|(args, ret)| Proc {
            oid: 0,
            name: d.name.to_owned(),
            kind: 'a',
            args,
            variadic: 0,
            ret,
            set: false,
            columns: vec![],
            strict: false,
            volatility: Volatility::Immutable,
            query: None,
        })
    })
}

fn table_functions(r: &Registry) -> impl Iterator<Item = Proc> {
    r.tables.values().flatten().filter(|d| !is_hidden(d.name)).map(|d| {
        let (args, variadic) = parameters(&d.params, d.variadic.as_ref());
        let (ret, columns) = desc_type(&d.params, d.desc);
        Proc {
            oid: 0,
            name: d.name.to_owned(),
            kind: 'f',
            args,
            variadic,
            ret,
            set: true,
            columns,
            strict: d.strict,
            volatility: Volatility::Immutable,
            query: None,
        }
    })
}

fn operators_of(def: &FuncDef) -> Vec<Operator> {
    let equality = def.role == Some(Role::Eq);
    let one = |left, right, ret| Operator {
        oid: 0,
        name: def.name,
        left,
        right,
        ret,
        equality,
        commutator: 0,
        negator: 0,
    };
    let ret = return_oid(&def.params, def.ret);
    match def.params.as_slice() {
        [ParamType::AnyCompatible, ParamType::AnyCompatible] if def.role.is_some() => {
            let pseudo = [ParamType::AnyArray, ParamType::AnyRange, ParamType::AnyRecord];
            let types = ordered_types().map(|t| t.oid()).chain(pseudo.iter().map(param_oid));
            types.map(|oid| one(oid, oid, ret)).collect()
        }
        [operand] => vec![one(0, param_oid(operand), ret)],
        [left, right] => vec![one(param_oid(left), param_oid(right), ret)],
        _ => vec![],
    }
}

/// The casts between two types, without those that only apply a modifier.
fn casts(r: &Registry) -> Vec<(u32, u32, CastContext)> {
    let of = |d: &&'static FuncDef| match (d.params.as_slice(), d.kind) {
        ([ParamType::Type(from)], FuncKind::Cast(context)) => {
            Some((from.oid(), return_oid(&d.params, d.ret), context))
        }
        _ => None,
    };
    let mut found: Vec<_> = r.casts.iter().filter_map(of).collect();
    found.sort();
    found.dedup_by_key(|(source, target, _)| (*source, *target));
    found
}

/// The columns of a description as numbers of types.
fn columns_of(desc: &RelationDesc) -> Vec<(String, u32)> {
    desc.iter().map(|(name, typ)| (name.clone(), typ.scalar_type.oid())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_unique_and_in_the_range() {
        let list = listing();
        let procs = list.procs.iter().map(|p| p.oid);
        let oids = procs.chain(list.operators.iter().map(|o| o.oid)).chain(list.casts.iter().map(|c| c.oid));
        let all: Vec<u32> = oids.collect();
        let unique: std::collections::BTreeSet<u32> = all.iter().copied().collect();
        assert_eq!(unique.len(), all.len());
        assert!(unique.iter().all(|oid| (FIRST_OID..16_384).contains(oid)), "{:?}", unique.last());
        assert!(list.procs.iter().all(|p| list.proc(p.oid).is_some_and(|q| q.name == p.name)));
    }

    #[test]
    fn all_types_are_known() {
        let list = listing();
        let procs = list.procs.iter().flat_map(|p| p.args.iter().copied().chain([p.ret]));
        let operators = list.operators.iter().flat_map(|o| [o.left, o.right, o.ret]);
        for oid in procs.chain(operators).filter(|oid| *oid != 0) {
            assert!(ScalarType::name_of_oid(oid).is_some(), "{oid}");
        }
    }

    #[test]
    fn results_follow_from_pseudo_types() {
        let ret = |name: &str| {
            let oids = listing().procs_named(name);
            let of = |oid: &u32| ScalarType::name_of_oid(listing().proc(*oid)?.ret);
            oids.iter().filter_map(of).map(|n| n.into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(ret("array_append"), ["anycompatiblearray"]);
        assert_eq!(ret("array_agg"), ["anyarray"]);
        assert_eq!(ret("range_merge"), ["anyrange"]);
        assert_eq!(ret("list_append"), ["list"]);
        assert!(ret("max").contains(&"integer".to_owned()) && ret("max").contains(&"anyarray".to_owned()));
        assert!(listing().procs_named("hw_record").is_empty());
    }
}
