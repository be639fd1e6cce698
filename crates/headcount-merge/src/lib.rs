//! Merges the metrics that many processes have written into one directory.
//!
//! ```no_run
//! use headcount_merge::{Buckets, Merger};
//! use headcount_store::directory::Directory;
//!
//! let directory = Directory::open("/run/metrics".as_ref())?;
//! let mut merger = Merger::default();
//! let merged = merger.merge(&directory)?;
//! print!("{}", String::from_utf8_lossy(&merged.to_text(Buckets::Cumulative)));
//! for skipped in &merged.report().skipped {
//!     eprintln!("{skipped}");
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Read the modules in this order, which is that of the work:
//!
//! * `labels`: a label set as bytes that compare as the labels do.
//! * `process`: whose values they are, and whether it lives.
//! * `liveness`: whether peers' processes live, as far as can be seen.
//! * `index`: each family and series once, however many processes have it.
//! * `totals`: what is summed, by slot; `native_buckets`: the buckets that native histograms have beside, `native_totals`, what is counted in these, and `native`, what of them
//!   is shown.
//! * `gauge`: what is not summed, by the rules of its mode, and `reading`, where each process is shown.
//! * `lives`: since when series are, and which have been removed.
//! * `exemplars`: of several processes' for one bucket, the newest.
//! * `report`: what there is to say beside; `tally`: all that one gather has found of these.
//! * `shared_cells`: those of a file, taken over; `sum_layout`: where the summed cells of a file go; `gauge_layout`: where the cells of gauges go, and of what is merged as they are; `native_layout`: where those of
//!   tables go, and `native_places`, as far as that is known; `layout`: where all cells of one of our files go; `described`: its descriptions, which say so.
//! * `values` and `plan`: the values of a peer's file, and where they go.
//! * `new_keys`: keys of peers' files, taken apart, with most of them spelled after a `template`; `sequence`: which keys a file has, and `keys`, all that are known.
//! * `own` and `peer`: what a file contributes, ours and the peers'.
//! * `marks`: what is still described when files have gone.
//! * `roster`: which files a directory has, and `files`, what is kept of each.
//! * `ahead`: peers' files read several at a time.
//! * `estate`: what the dead have left, with which every gather begins.
//! * `known`: what files describe, kept from one merge to the next.
//! * `gather`: a whole directory, while processes die and are born.
//! * `fold`: many dead processes' files become one, and `archive`, what is in it.
//! * `conflict`: which families are exposed, where not all can be.
//! * `figures`: the numbers of an exposition, and which have changed.
//! * `page`: an exposition page by page, as far as it has not changed the same as before.
//! * `rendering`: what of expositions stays the same from one merge to the next.
//! * `merged`: the result, with each `histogram`, and `text`, an exposition of it for writing back.
//! * `encode`: the result in every other format, and `accept`, which of them a client wants.
//! * `collector`: a directory as a `prometheus::core::Collector`.
#![forbid(unsafe_code)]

mod accept;
mod ahead;
mod archive;
mod collector;
mod conflict;
mod described;
mod encode;
mod estate;
mod exemplars;
mod figures;
mod files;
mod fold;
mod gather;
mod gauge;
mod gauge_layout;
mod histogram;
mod index;
mod keys;
mod known;
mod labels;
mod layout;
mod liveness;
mod lives;
mod marks;
mod merged;
mod native;
mod native_buckets;
mod native_layout;
mod native_places;
mod native_totals;
mod new_keys;
mod own;
mod page;
mod peer;
mod plan;
mod process;
mod reading;
mod rendering;
mod report;
mod roster;
mod sequence;
mod shared_cells;
mod sum_layout;
mod tally;
mod template;
mod text;
mod totals;
mod values;

pub use accept::Clause;
pub use collector::{CollectorError, DirectoryCollector};
pub use conflict::Conflict;
pub use encode::{Escaping, Exposition, Format, Otlp};
pub use exemplars::Exemplar;
pub use fold::{Folded, Folder, FolderError, Foreign};
pub use gather::{Gather, Merger};
pub use histogram::Histogram;
pub use liveness::Liveness;
pub use merged::{Family, Merged, Series, SeriesValue};
pub use native::NativeHistogram;
pub use page::{Compressed, Compression, Content, Outdated, Page, Pages, Place};
pub use report::{FileCounts, Lost, Report, Skipped};
pub use text::Buckets;
