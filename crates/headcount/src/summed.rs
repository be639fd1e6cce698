//! What metrics have in common that are nothing but summed cells: counters, summaries, gauges of differences.

use headcount_store::format::family::Shape;
use headcount_store::write::{LifeCell, Registration, SeriesCells, SpaceError, Store, SumCells};

use crate::family::sealed;

/// A metric that is its cells.
pub trait Summed: Copy + Send + Sync + 'static {
    /// How many it has.
    const CELLS: u32;

    /// The metric with these cells.
    fn of(cells: SumCells) -> Self;

    /// Its cells.
    fn cells(self) -> SumCells;
}

impl<M: Summed> sealed::Metric for M {
    type Common = ();

    fn common(_: &Shape) {}

    fn create(
        (): &'static (),
        registration: &mut Registration,
        store: Store,
        family: u32,
        values: &[&str],
    ) -> Result<(Self, LifeCell), SpaceError> {
        let (cells, life) = registration.add_summed(store, family, values, M::CELLS)?;
        Ok((M::of(cells), life))
    }

    fn cells(self, (): &'static ()) -> SeriesCells {
        SeriesCells::Summed(Summed::cells(self), M::CELLS)
    }

    fn lost((): &'static (), store: Store) -> Self {
        M::of(store.lost_cells())
    }
}
