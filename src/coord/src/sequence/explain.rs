//! EXPLAIN.

use hw_expr::{MirRelationExpr, RowSetFinishing};
use hw_repr::{Datum, GlobalId, RelationDesc, Row, ScalarType};
use hw_sql::plan::{ExplainPlan, ExplainStage, ExplainTarget, ItemDefinition, SelectPlan};

use super::select::{applies_transforms, peek_inputs};
use super::settings::constant_rows;
use crate::coordinator::{Coordinator, ExecuteContext};
use crate::error::AdapterError;
use crate::session::Session;

impl Coordinator {
    pub(crate) fn sequence_explain(&mut self, ctx: ExecuteContext, plan: ExplainPlan, params: Row) {
        let result = self.explain(&ctx, plan, &params).map(|text| {
            let desc = RelationDesc::empty().with_column("Physical Plan", ScalarType::String.nullable(false));
            constant_rows(desc, vec![Row::pack_slice(&[Datum::String(&text)])], "EXPLAIN")
        });
        ctx.retire(result);
    }

    fn explain(
        &mut self,
        ctx: &ExecuteContext,
        plan: ExplainPlan,
        params: &Row,
    ) -> Result<String, AdapterError> {
        let names = self.object_names();
        let (hir, cluster, finishing) = match &plan.target {
            ExplainTarget::Select(SelectPlan { expr, finishing, .. }) => {
                (crate::hir::bind(expr.clone(), params)?, None, Some(finishing.clone()))
            }
            ExplainTarget::Item(id) => {
                let state = self.catalog.state();
                let item = hw_sql::Catalog::item(&*state, *id)
                    .ok_or_else(|| AdapterError::internal("EXPLAIN of nothing"))?;
                explained(&state, &item.definition)?
            }
            ExplainTarget::Create(item) => explained(&self.catalog.state(), &item.definition)?,
        };
        let is_query = matches!(plan.target, ExplainTarget::Select(_));
        let options = hw_optimizer::ExplainOptions { json: plan.json, with: plan.options };
        if plan.stage == ExplainStage::Raw {
            return Ok(format!("{hir:#?}"));
        }
        let mut mir = hw_sql::lowering::lower(hir)?;
        if plan.stage == ExplainStage::Decorrelated {
            return Ok(hw_optimizer::explain_mir(&mir, &names, &options));
        }
        self.replace_context_functions(&ctx.session, &mut mir);
        if plan.stage == ExplainStage::LocallyOptimized {
            let local =
                hw_optimizer::optimize_local(mir).map_err(|e| AdapterError::internal(e.to_string()))?;
            return Ok(hw_optimizer::explain_mir(local.expr(), &names, &options));
        }
        let cluster = match cluster {
            Some(cluster) => cluster,
            None => self.read_cluster(&ctx.session, &mir)?,
        };
        let finishing = finishing.unwrap_or_else(|| RowSetFinishing::trivial(mir.arity()));
        // What is maintained always goes through the transforms.
        let transforms = !is_query || applies_transforms(&ctx.session);
        match plan.stage {
            ExplainStage::Timestamp => {
                self.explain_timestamp(&ctx.session, cluster, mir, finishing, transforms)
            }
            stage => {
                let views = self.expand_for(&ctx.session, &mir, cluster)?.views;
                let ids = (self.transient_id(), self.transient_id());
                let state = self.catalog.state();
                let context = crate::dataflow::ClusterContext { state, coord: self, cluster, transforms };
                let mut finishing = finishing;
                let physical = stage == ExplainStage::Physical;
                hw_optimizer::explain_peek(
                    mir,
                    views,
                    &context,
                    &mut finishing,
                    ids,
                    physical,
                    &names,
                    &options,
                )
                .map_err(|e| AdapterError::internal(e.to_string()))
            }
        }
    }

    fn explain_timestamp(
        &mut self,
        session: &Session,
        cluster: hw_repr::ClusterId,
        mir: MirRelationExpr,
        mut finishing: RowSetFinishing,
        transforms: bool,
    ) -> Result<String, AdapterError> {
        let names = self.object_names();
        let plan = self.plan_peek(session, cluster, mir, &mut finishing, transforms)?;
        let inputs = peek_inputs(&plan);
        let mut out = String::new();
        out.push_str(&format!("     oracle read timestamp: {:>13}\n", self.oracle.read_ts()));
        out.push_str(&format!(
            "least valid read (since): {:>13}\n",
            self.controller.least_valid_read(&inputs)
        ));
        out.push_str(&format!(
            "      complete (upper - 1): {:>13}\n",
            self.controller.least_upper(&inputs).saturating_sub(1)
        ));
        for id in inputs {
            if let Some(f) = self.controller.frontiers(id) {
                out.push_str(&format!(
                    "\nsource {} ({id}):\n  read frontier: {:>13}\n write frontier: {:>13}\n",
                    names(id),
                    f.since,
                    f.upper
                ));
            }
        }
        Ok(out)
    }

    /// Names of objects as people wrote them.
    fn object_names(&self) -> impl Fn(GlobalId) -> String + use<> {
        let state = self.catalog.state();
        move |id| hw_sql::Catalog::item(&*state, id).map_or(id.to_string(), |i| i.name.to_string())
    }
}

type Explained = (hw_expr::HirRelationExpr, Option<hw_repr::ClusterId>, Option<RowSetFinishing>);

fn explained(
    state: &hw_catalog::CatalogState,
    definition: &ItemDefinition,
) -> Result<Explained, AdapterError> {
    match definition {
        ItemDefinition::View(v) => Ok((v.expr.clone(), None, None)),
        ItemDefinition::MaterializedView(v) => Ok((v.expr.clone(), Some(v.cluster), None)),
        ItemDefinition::Index(i) => {
            let on = hw_sql::Catalog::item(state, i.on)
                .ok_or_else(|| AdapterError::internal("index on nothing"))?;
            let typ = on.desc().map(|d| d.typ().clone()).unwrap_or_default();
            let get = hw_expr::HirRelationExpr::Get { id: hw_expr::Id::Global(i.on), typ };
            Ok((get, Some(i.cluster), None))
        }
        _ => Err(AdapterError::new(
            "42809",
            "only views, materialized views, indexes and queries can be explained",
        )),
    }
}
