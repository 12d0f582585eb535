//! The times at which dataflows are rendered: plain timestamps, and, where there is recursion, timestamps with a stack of
//! iteration counters.

use differential_dataflow::dynamic::pointstamp::PointStamp;
use differential_dataflow::lattice::Lattice;
use hw_repr::Timestamp;
use timely::order::Product;
use timely::progress::timestamp::Refines;

use crate::render::{Context, Stage};

/// A timestamp with iteration counters, one for each enclosing `LetRec`.
pub(crate) type IterTime = Product<Timestamp, PointStamp<u64>>;

/// A time of rendered collections.
pub(crate) trait RenderTime: timely::progress::Timestamp + Lattice + Refines<Timestamp> + Ord {
    /// The timestamp.
    fn system(&self) -> Timestamp;
    /// The timestamp, to be changed.
    fn system_mut(&mut self) -> &mut Timestamp;
    /// A time strictly before this one and every time that a delta join compares with it strictly, see
    /// [`crate::render::half_join`].
    fn step_back(&self) -> Self;
    /// Renders a `LetRec`: binds its names in the context.
    fn render_let_rec(context: &mut Context<'_, Self>, stage: Stage<'_>);
}

impl RenderTime for Timestamp {
    fn system(&self) -> Timestamp {
        *self
    }

    fn system_mut(&mut self) -> &mut Timestamp {
        self
    }

    fn step_back(&self) -> Self {
        self.saturating_sub(1)
    }

    fn render_let_rec(_: &mut Context<'_, Self>, _: Stage<'_>) {
        // Dataflows with recursion are rendered at `IterTime`.
        unreachable!("recursion is rendered with iteration counters")
    }
}

impl RenderTime for IterTime {
    fn system(&self) -> Timestamp {
        self.outer
    }

    fn system_mut(&mut self) -> &mut Timestamp {
        &mut self.outer
    }

    fn step_back(&self) -> Self {
        Product::new(self.outer.saturating_sub(1), PointStamp::default())
    }

    fn render_let_rec(context: &mut Context<'_, Self>, stage: Stage<'_>) {
        crate::render::let_rec::render(context, stage);
    }
}
