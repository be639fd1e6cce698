//! What merging a directory costs, beside Python's client and the floor: the table and the plot of
//! `docs/performance.md`.
//!
//! `workers`, `natives` and `python` write what is merged, `floor` and `exporter` are what ours is compared with and what is asked
//! over HTTP, and `memory` is a merge in a process of its own. `cases` are the rows of the `table`, `growth` is how
//! cost grows, and `plot` draws that.

mod cases;
mod exporter;
mod floor;
mod growth;
mod memory;
mod natives;
mod plot;
mod python;
mod table;
mod workers;

pub(crate) use memory::be_told;

use crate::document::{self, machine};

/// Where the plot is, beside the document.
const PLOT: &str = "merge-growth.svg";

/// Runs all; the results are put into the documentation, if they are to be kept.
pub(crate) fn run(is_kept: bool) {
    let cases = cases::run();
    let growth = growth::run();
    if is_kept {
        let how = format!("Medians of interleaved rounds, on {}.", machine());
        document::write("merges", &format!("{how}\n\n{cases}"));
        document::write("growth", &growth::table(&growth));
        document::write_beside(PLOT, &plot::draw(&growth));
    }
}
