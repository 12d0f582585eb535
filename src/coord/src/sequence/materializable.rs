//! What may be maintained: views and indexes whose rows depend on nothing but collections and time.

use hw_catalog::CatalogState;
use hw_expr::func::Volatility;
use hw_expr::{MirRelationExpr, MirScalarExpr, UnmaterializableFunc};
use hw_sql::plan::ItemDefinition;

use crate::coordinator::Coordinator;
use crate::error::AdapterError;

impl Coordinator {
    /// What is maintained cannot depend on the statement's context, `mz_now()` excepted, nor can the views that it reads.
    pub(crate) fn check_materializable(
        &self,
        state: &CatalogState,
        definition: &ItemDefinition,
    ) -> Result<(), AdapterError> {
        let (mir, cluster) = match definition {
            ItemDefinition::MaterializedView(view) => {
                (hw_sql::lowering::lower(view.expr.clone())?, view.cluster)
            }
            ItemDefinition::Index(index) => {
                let item = hw_sql::Catalog::item(state, index.on);
                let Some(typ) = item.and_then(|i| i.desc().map(|d| d.typ().clone())) else { return Ok(()) };
                (MirRelationExpr::global_get(index.on, typ), index.cluster)
            }
            _ => return Ok(()),
        };
        let views = self.expand_in(state, &mir, cluster)?.views;
        let mut found = None;
        for mut mir in views.into_iter().map(|(_, view)| view).chain([mir]) {
            visit_scalars(&mut mir, &mut |scalar| {
                found = found.take().or_else(|| context_function(scalar).map(|f| name_of(&f)));
                found = found.take().or_else(|| volatile_function(scalar));
            });
        }
        found.map_or(Ok(()), |name| Err(not_materializable(name)))
    }
}

/// What changes over time for no reason cannot be maintained: when a row goes, its former value is not known any more.
pub(crate) fn check_not_volatile(
    plans: &mut [(hw_repr::GlobalId, MirRelationExpr)],
) -> Result<(), AdapterError> {
    let mut found = None;
    for (_, mir) in plans {
        visit_scalars(mir, &mut |scalar| found = found.take().or_else(|| volatile_function(scalar)));
    }
    found.map_or(Ok(()), |name| Err(not_materializable(name)))
}

fn visit_scalars(mir: &mut MirRelationExpr, f: &mut impl FnMut(&MirScalarExpr)) {
    mir.visit_mut_post(&mut |e| e.scalars_mut().into_iter().for_each(|scalar| f(scalar)));
}

fn not_materializable(name: &str) -> AdapterError {
    AdapterError::new("0A000", format!("cannot materialize call to {name}"))
        .with_hint("Use mz_now() in place of functions of the current time.")
}

fn volatile_function(scalar: &MirScalarExpr) -> Option<&'static str> {
    let mut found = None;
    scalar.visit_post(&mut |s| {
        if let MirScalarExpr::Call { func, .. } = s
            && func.def().volatility == Volatility::Volatile
        {
            found = Some(func.def().name);
        }
    });
    found
}

fn context_function(scalar: &MirScalarExpr) -> Option<UnmaterializableFunc> {
    let mut found = None;
    scalar.visit_post(&mut |s| {
        if let MirScalarExpr::Unmaterializable(f) = s
            && *f != UnmaterializableFunc::MzNow
        {
            found = Some(f.clone());
        }
    });
    found
}

fn name_of(f: &UnmaterializableFunc) -> &'static str {
    use UnmaterializableFunc as F;
    match f {
        F::MzNow => "mz_now",
        F::Now => "current_timestamp",
        F::CurrentUser => "current_user",
        F::SessionUser => "session_user",
        F::CurrentDatabase => "current_database",
        F::CurrentSchema => "current_schema",
        F::CurrentSchemas { .. } => "current_schemas",
        F::CurrentSetting(_) => "current_setting",
        F::PgBackendPid => "pg_backend_pid",
        F::EnvironmentId => "mz_environment_id",
        F::MzVersion => "mz_version",
        F::Uptime => "mz_uptime",
        F::SessionId => "mz_session_id",
        F::Version => "version",
        F::Parameter(..) => "parameter",
        F::PostmasterStartTime => "pg_postmaster_start_time",
    }
}
