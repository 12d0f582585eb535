//! The context in which a statement is planned.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hw_repr::{GlobalId, ScalarType};
use sqlparser::tokenizer::{Location, Span};

use crate::catalog::Catalog;
use crate::error::PlanError;
use crate::parser::Extensions;

/// What planning needs to know of the session.
#[derive(Debug, Clone)]
pub struct SessionInfo {
    /// The user.
    pub user: String,
    /// The current database.
    pub database: String,
    /// The search path as set; the implicit schemas (`mz_catalog`, `pg_catalog`, temporary) are added by resolution.
    pub search_path: Vec<String>,
    /// The current cluster.
    pub cluster: String,
    /// Session settings by lower-case name.
    pub vars: Arc<BTreeMap<String, String>>,
}

impl Default for SessionInfo {
    fn default() -> Self {
        SessionInfo {
            user: "materialize".into(),
            database: "materialize".into(),
            search_path: vec!["public".into()],
            cluster: "quickstart".into(),
            vars: Arc::default(),
        }
    }
}

/// The context in which one statement is planned. Not shared between threads.
pub struct StatementContext<'a> {
    /// Existing objects.
    pub catalog: &'a dyn Catalog,
    /// The session.
    pub session: &'a SessionInfo,
    /// Parts of the text that `sqlparser` cannot express.
    pub extensions: &'a Extensions,
    /// The types of parameters `$1`, `$2`, …: given, or inferred while planning; `None` is not known yet.
    pub param_types: RefCell<Vec<Option<ScalarType>>>,
    /// Uses of parameters that say nothing of their types, such as `$1 IS NULL`.
    pub open_params: RefCell<Vec<(usize, Span)>>,
    /// The items that the statement has been found to refer to.
    pub uses: RefCell<BTreeSet<GlobalId>>,
    /// Whether parameters are allowed.
    pub allow_params: bool,
    /// Whether names of the form that [`crate::names::id_name`] gives refer by id: the SQL comes from the catalog.
    pub names_are_ids: bool,
    /// The statement's text, in which the parser's spans count lines and columns; empty when positions do not matter.
    pub text: &'a str,
}

impl<'a> StatementContext<'a> {
    /// A context without parameters.
    pub fn new(catalog: &'a dyn Catalog, session: &'a SessionInfo, extensions: &'a Extensions) -> Self {
        StatementContext {
            catalog,
            session,
            extensions,
            param_types: RefCell::new(vec![]),
            open_params: RefCell::new(vec![]),
            uses: RefCell::new(BTreeSet::new()),
            allow_params: false,
            names_are_ids: false,
            text: "",
        }
    }

    /// The same with the statement's text, so that errors can say where.
    pub fn with_text(mut self, text: &'a str) -> Self {
        self.text = text;
        self
    }

    /// The position of a place in the text: characters from its start, from 1 (spans count characters on one line). `None` for
    /// places that are nowhere.
    pub fn position(&self, location: Location) -> Option<usize> {
        if location.line == 0 || location.column == 0 {
            return None;
        }
        usize::try_from(location.column).ok()
    }

    /// The types of the parameters, when all that is planned has been.
    ///
    /// # Errors
    /// 42P18 for one of which nothing says the type, 42P08 for a use that does not know the type that is found elsewhere.
    pub fn settled_params(&self) -> Result<Vec<ScalarType>, PlanError> {
        let undetermined = |sqlstate, n| {
            PlanError::new(sqlstate, format!("could not determine data type of parameter ${n}"))
        };
        let types = self.param_types.borrow();
        for (n, span) in self.open_params.borrow().iter() {
            if types.get(n - 1).is_some_and(Option::is_some) {
                let e = undetermined("42P08", *n);
                return Err(self.position(span.start).map_or(e.clone(), |p| e.at(p)));
            }
        }
        let typed =
            types.iter().enumerate().map(|(i, t)| t.clone().ok_or_else(|| undetermined("42P18", i + 1)));
        typed.collect()
    }

    /// A context whose parameters have these types as far as given.
    pub fn with_params(mut self, types: Vec<Option<ScalarType>>) -> Self {
        self.param_types = RefCell::new(types);
        self.allow_params = true;
        self
    }
}
