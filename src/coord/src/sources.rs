//! Running sources: the description that a worker is given follows from the catalog.

use hw_catalog::CatalogState;
use hw_plan::source::{ExportDetails, SourceDescription, SourceExport, UpstreamDescription};
use hw_repr::GlobalId;
use hw_sql::plan::{ItemDefinition, SourceKind};

use crate::coordinator::Coordinator;
use crate::error::AdapterError;

impl Coordinator {
    /// Runs a source with all of its tables as the catalog has them now, or changes it to that.
    pub(crate) fn start_source(&mut self, id: GlobalId) -> Result<(), AdapterError> {
        let state = self.catalog.state();
        let Some(item) = hw_sql::Catalog::item(&*state, id) else { return Ok(()) };
        let ItemDefinition::Source(source) = &item.definition else { return Ok(()) };
        let Some(cluster) = source.cluster else { return Ok(()) };
        let (upstream, progress) = match &source.kind {
            SourceKind::MySql { connection, progress } => {
                (UpstreamDescription::MySql(self.mysql_connection(*connection)?), *progress)
            }
            SourceKind::LoadGenerator { generator, progress } => {
                (UpstreamDescription::LoadGenerator(generator.clone()), *progress)
            }
            SourceKind::Subsource { .. } | SourceKind::Progress => return Ok(()),
        };
        let progress_shard = self.controller.shard(progress);
        let progress_shard =
            progress_shard.ok_or_else(|| AdapterError::internal("source without progress shard"))?;
        let mut exports = self.exports_of(&state, id);
        if matches!(source.kind, SourceKind::LoadGenerator { .. })
            && let (Some(shard), Some(desc)) = (self.controller.shard(id), &source.desc)
        {
            let details = ExportDetails::LoadGenerator;
            exports.push(SourceExport { id, shard: shard.into(), desc: desc.clone(), details });
        }
        let parameter = |name: &str, default: u64| {
            let set = hw_sql::Catalog::system_parameter(&*state, name).and_then(|v| v.parse().ok());
            set.unwrap_or(default)
        };
        let description = SourceDescription {
            id,
            name: item.name.to_string(),
            upstream,
            progress_id: progress,
            progress_shard: progress_shard.into(),
            exports,
            epoch: 0,
            tick_floor_ms: parameter("source_tick_floor", 10),
            tick_idle_ms: parameter("source_tick_idle", 250),
        };
        self.controller.run_source(cluster, description);
        Ok(())
    }

    fn exports_of(&self, state: &CatalogState, source: GlobalId) -> Vec<SourceExport> {
        let mut exports = Vec::new();
        for item in state.items() {
            let details = match &item.definition {
                ItemDefinition::Table(t) => t.source.as_ref().filter(|(s, _)| *s == source).map(|(_, d)| d),
                ItemDefinition::Source(s) => match &s.kind {
                    SourceKind::Subsource { source: of, details } if *of == source => Some(details),
                    _ => None,
                },
                _ => None,
            };
            if let (Some(details), Some(desc), Some(shard)) =
                (details, item.desc(), self.controller.shard(item.id))
            {
                let (desc, details) = (desc.clone(), details.clone());
                exports.push(SourceExport { id: item.id, shard: shard.into(), desc, details });
            }
        }
        exports
    }

    /// The ids of all sources that run (not their tables).
    fn running_sources(&self) -> Vec<GlobalId> {
        let state = self.catalog.state();
        let runs = |d: &ItemDefinition| matches!(d, ItemDefinition::Source(s) if s.cluster.is_some());
        state.items().filter(|i| runs(&i.definition)).map(|i| i.id).collect()
    }

    /// Tells workers of new settings.
    pub(crate) fn restart_all_sources(&mut self) {
        for id in self.running_sources() {
            if let Err(e) = self.start_source(id) {
                tracing::warn!(%id, error = %e, "source is not restarted");
            }
        }
    }

    /// Tells workers of a secret's new value.
    pub(crate) fn restart_sources_using(&mut self, secret: GlobalId) {
        let state = self.catalog.state();
        for id in self.running_sources() {
            let Some(item) = hw_sql::Catalog::item(&*state, id) else { continue };
            let connections = item.uses.iter().filter_map(|u| hw_sql::Catalog::item(&*state, *u));
            if connections.into_iter().any(|c| c.uses.contains(&secret))
                && let Err(e) = self.start_source(id)
            {
                tracing::warn!(%id, error = %e, "source is not restarted");
            }
        }
    }
}
