//! Unions.

use differential_dataflow::collection::concatenate;
use timely::dataflow::Scope;

use super::Collection;
use crate::time::RenderTime;

/// Renders `Union`.
pub(crate) fn render<'scope, T: RenderTime>(
    scope: Scope<'scope, T>,
    inputs: Vec<Collection<'scope, T>>,
    consolidate: bool,
) -> Collection<'scope, T> {
    let (oks, errs): (Vec<_>, Vec<_>) = inputs.into_iter().map(|c| (c.oks, c.errs)).unzip();
    let oks = concatenate(scope, oks);
    Collection { oks: if consolidate { oks.consolidate() } else { oks }, errs: concatenate(scope, errs) }
}
