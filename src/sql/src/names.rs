//! Resolution of names to ids.
//!
//! A name of one part is looked up in the implicit schemas and the search path, of two parts in the current database's
//! schemas (or the system's), of three in the named database. In normalised SQL (what the catalog stores) a reference to an item is
//! one quoted identifier of the form `"[u12 AS materialize.public.t]"`: the id decides, the name is for people. Such names are
//! understood only when [`StatementContext::names_are_ids`] is set, that is for SQL that comes from the catalog.

use std::sync::Arc;

use hw_repr::{DatabaseId, GlobalId, SchemaId};

use crate::catalog::{FullName, ItemInfo};
use crate::context::StatementContext;
use crate::error::PlanError;

/// Schemas that are searched before the search path.
pub const IMPLICIT_SCHEMAS: [&str; 2] = ["mz_catalog", "pg_catalog"];

/// The schema of a session's temporary objects, and how PostgreSQL calls it.
const TEMP_SCHEMAS: [&str; 2] = ["mz_temp", "pg_temp"];

/// Quotes an identifier if it has to be.
pub fn quote_ident(s: &str) -> String {
    let plain = s.chars().next().is_some_and(|c| c.is_ascii_lowercase() || c == '_')
        && s.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !is_reserved(s);
    if plain { s.to_owned() } else { format!("\"{}\"", s.replace('"', "\"\"")) }
}

/// Words that cannot be identifiers unless quoted (PostgreSQL manual, appendix C, reserved).
pub fn is_reserved(word: &str) -> bool {
    const RESERVED: &[&str] = &[
        "all",
        "analyse",
        "analyze",
        "and",
        "any",
        "array",
        "as",
        "asc",
        "asymmetric",
        "both",
        "case",
        "cast",
        "check",
        "collate",
        "column",
        "constraint",
        "create",
        "current_catalog",
        "current_date",
        "current_role",
        "current_time",
        "current_timestamp",
        "current_user",
        "default",
        "deferrable",
        "desc",
        "distinct",
        "do",
        "else",
        "end",
        "except",
        "false",
        "fetch",
        "for",
        "foreign",
        "from",
        "grant",
        "group",
        "having",
        "in",
        "initially",
        "intersect",
        "into",
        "lateral",
        "leading",
        "limit",
        "localtime",
        "localtimestamp",
        "not",
        "null",
        "offset",
        "on",
        "only",
        "or",
        "order",
        "placing",
        "primary",
        "references",
        "returning",
        "select",
        "session_user",
        "some",
        "symmetric",
        "table",
        "then",
        "to",
        "trailing",
        "true",
        "union",
        "unique",
        "user",
        "using",
        "variadic",
        "when",
        "where",
        "window",
        "with",
    ];
    RESERVED.binary_search(&word).is_ok()
}

/// The text of an identifier that refers to an item by id.
pub fn id_name(id: GlobalId, name: &FullName) -> String {
    format!("[{id} AS {name}]")
}

/// The id in a text made by [`id_name`].
pub fn parse_id_name(text: &str) -> Option<GlobalId> {
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    inner.split_once(" AS ").map_or(inner, |(id, _)| id).parse().ok()
}

impl StatementContext<'_> {
    /// The current database, if it exists.
    pub fn current_database(&self) -> Option<DatabaseId> {
        self.catalog.database(&self.session.database)
    }

    /// The schemas that a one-part name is looked up in, in order.
    pub fn search_schemas(&self) -> Vec<SchemaId> {
        let path = &self.session.search_path;
        let given = |s: &str| path.iter().any(|p| p == s);
        let temp = if TEMP_SCHEMAS.iter().any(|s| given(s)) { None } else { self.temp_schema() };
        let implicit = IMPLICIT_SCHEMAS.iter().filter(|s| !given(s));
        let implicit = implicit.filter_map(|s| self.catalog.schema(None, s));
        temp.into_iter().chain(implicit).chain(path.iter().filter_map(|s| self.schema_named(s))).collect()
    }

    /// The names of the schemas in the search path that exist, in order: `current_schemas`.
    pub fn search_schema_names(&self, include_implicit: bool) -> Vec<String> {
        let path = self.session.search_path.iter();
        let ids: Vec<SchemaId> = if include_implicit {
            // The temporary schema is there only for those who use it.
            self.search_schemas().into_iter().filter(|s| Some(*s) != self.temp_schema()).collect()
        } else {
            path.filter_map(|s| self.schema_named(s)).collect()
        };
        ids.into_iter().filter_map(|s| self.catalog.schema_name(s).map(|(_, name)| name)).collect()
    }

    /// The schema of the session's temporary objects.
    pub fn temp_schema(&self) -> Option<SchemaId> {
        self.catalog.schema(None, TEMP_SCHEMAS[0])
    }

    /// The schema of that name in the current database, or the system's.
    fn schema_named(&self, name: &str) -> Option<SchemaId> {
        if TEMP_SCHEMAS.contains(&name) {
            return self.temp_schema();
        }
        let own = self.current_database().and_then(|d| self.catalog.schema(Some(d), name));
        own.or_else(|| self.catalog.schema(None, name))
    }

    /// The schema in which an object with a name of these qualifiers is made.
    pub fn resolve_schema_for_create(&self, qualifiers: &[String]) -> Result<SchemaId, PlanError> {
        match qualifiers {
            [] => {
                let database =
                    self.current_database().ok_or_else(|| unknown_database(&self.session.database))?;
                let temporary = |s: &str| TEMP_SCHEMAS.contains(&s).then(|| self.temp_schema()).flatten();
                let mut path = self.session.search_path.iter();
                path.find_map(|s| temporary(s).or_else(|| self.catalog.schema(Some(database), s))).ok_or_else(
                    || {
                        PlanError::new("3F000", "no schema has been selected to create in")
                            .with_hint("the search path names no existing schema of the current database")
                    },
                )
            }
            _ => self.resolve_schema(qualifiers),
        }
    }

    /// The schema named by one or two parts.
    pub fn resolve_schema(&self, parts: &[String]) -> Result<SchemaId, PlanError> {
        let unknown = |s: &str| PlanError::new("3F000", format!("schema \"{s}\" does not exist"));
        match parts {
            [schema] => self.schema_named(schema).ok_or_else(|| unknown(schema)),
            [database, schema] => {
                let id = self.catalog.database(database).ok_or_else(|| unknown_database(database))?;
                let own = self.catalog.schema(Some(id), schema);
                own.or_else(|| self.catalog.schema(None, schema)).ok_or_else(|| unknown(&parts.join(".")))
            }
            _ => Err(PlanError::syntax(format!(
                "improper qualified name (too many dotted names): {}",
                parts.join(".")
            ))),
        }
    }

    /// The item named by one to three parts, if there is one.
    pub fn lookup_item(&self, parts: &[String]) -> Option<Arc<ItemInfo>> {
        let (name, qualifiers) = parts.split_last()?;
        if self.names_are_ids
            && let Some(id) = parse_id_name(name)
        {
            return self.catalog.item(id);
        }
        if qualifiers.is_empty() {
            return self.search_schemas().into_iter().find_map(|s| self.catalog.item_by_name(s, name));
        }
        self.catalog.item_by_name(self.resolve_schema(qualifiers).ok()?, name)
    }

    /// The item named by one to three parts, noted as used.
    pub fn resolve_item(&self, parts: &[String]) -> Result<Arc<ItemInfo>, PlanError> {
        let item = self.lookup_item(parts).ok_or_else(|| PlanError::unknown_relation(parts.join(".")))?;
        self.uses.borrow_mut().insert(item.id);
        Ok(item)
    }

    /// The type named by one to three parts, if there is one.
    pub fn lookup_type(&self, parts: &[String]) -> Option<Arc<ItemInfo>> {
        let (name, qualifiers) = parts.split_last()?;
        if self.names_are_ids
            && let Some(id) = parse_id_name(name)
        {
            return self.catalog.item(id);
        }
        if qualifiers.is_empty() {
            return self.search_schemas().into_iter().find_map(|s| self.catalog.type_by_name(s, name));
        }
        self.catalog.type_by_name(self.resolve_schema(qualifiers).ok()?, name)
    }
}

/// The error for an unknown database.
pub fn unknown_database(name: &str) -> PlanError {
    PlanError::new("3D000", format!("database \"{name}\" does not exist"))
}
