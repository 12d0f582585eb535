//! Constants.

use differential_dataflow::AsCollection;
use hw_expr::EvalError;
use hw_repr::{Diff, Row};
use timely::dataflow::operators::vec::ToStream;

use super::{Collection, Context};
use crate::time::RenderTime;

impl<'scope, T: RenderTime> Context<'scope, T> {
    /// Rows, or an error, from the dataflow's beginning on. The first worker brings them.
    pub(crate) fn constant(&self, rows: &Result<Vec<(Row, Diff)>, EvalError>) -> Collection<'scope, T> {
        let here = self.scope.index() == 0 && self.as_of < self.until;
        let time = T::to_inner(self.as_of);
        let (mut oks, mut errs) = (Vec::new(), Vec::new());
        if here {
            match rows {
                Ok(rows) => oks.extend(rows.iter().map(|(r, d)| (r.clone(), time.clone(), *d))),
                Err(e) => errs.push((e.clone(), time, 1)),
            }
        }
        Collection {
            oks: oks.into_iter().to_stream(self.scope).as_collection(),
            errs: errs.into_iter().to_stream(self.scope).as_collection(),
        }
    }
}
