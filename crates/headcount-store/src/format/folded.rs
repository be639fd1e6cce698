//! What the series of many dead processes are in an archive, where a process's own shapes do not do.
//!
//! Integers stay integers there, in the shapes that processes write. The rest is for what a process does
//! not have: peers' floats in buckets and counts, names as they stand, and gauges, whose values may be
//! asked for in any mode as long as some living process may declare another one.

use super::family::Native;
use super::record::{Body, PROCESS, TooLong, encode_record, put_text};
use super::u64_at;
use crate::error::FileError;
use crate::metric::{GaugeMode, Kind};

/// What a family's series consist of, in an archive only.
#[derive(Clone, Debug, PartialEq)]
pub enum Folded {
    /// One summed cell, a float, of a counter that is exposed without `_total` behind its name.
    NamedCounter,
    /// Five shared cells, as of gauges: the sum of all values, the least, the greatest, the one that was
    /// set last, and when that was.
    Gauge(GaugeMode),
    /// One shared cell: the value of one process, which is shown by itself.
    GaugeOf {
        /// The mode.
        mode: GaugeMode,
        /// The number of the process in this archive.
        process: u16,
    },
    /// A histogram all of whose summed cells are floats.
    Histogram {
        /// Upper bounds, ascending; the bucket `+Inf` is implied behind the last.
        bounds: Vec<f64>,
    },
    /// A summary both of whose summed cells are floats.
    Summary,
    /// No cell, as of an info: what one process was.
    InfoOf {
        /// The number of the process in this archive.
        process: u16,
    },
    /// Of histograms that were native, what those of their processes have that other histograms have not: summed
    /// cells for the number of observations in all their buckets with bounds, for the zero bucket and for what is no
    /// number, and those of the table's places. Sums and buckets with bounds are beside, in another shape.
    NativeHistogram(Native),
}

impl Folded {
    /// The type that this is exposed as.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::NamedCounter => Kind::Counter,
            Self::Gauge(_) | Self::GaugeOf { .. } => Kind::Gauge,
            Self::Histogram { .. } | Self::NativeHistogram(_) => Kind::Histogram,
            Self::Summary => Kind::Summary,
            Self::InfoOf { .. } => Kind::Info,
        }
    }

    /// How many cells one series has.
    #[must_use]
    pub fn cells(&self) -> usize {
        match self {
            Self::InfoOf { .. } => 0,
            Self::NamedCounter | Self::GaugeOf { .. } => 1,
            Self::Gauge(_) => 5,
            Self::Histogram { bounds } => bounds.len() + 2,
            Self::Summary => 2,
            Self::NativeHistogram(_) => 3,
        }
    }
}

/// A dead process of which an archive keeps values by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoldedProcess<'a> {
    /// What the label `pid` says of it.
    pub name: &'a str,
    /// The inode of its PID namespace; 0 if that is not known.
    pub pid_namespace: u64,
    /// Of several with one name, the greatest counts.
    pub order: u64,
    /// The number that its file got when it was buried: the greater, the later.
    pub buried: u64,
}

impl<'a> FoldedProcess<'a> {
    /// Appends the record of this process to `out`.
    ///
    /// # Errors
    ///
    /// When it is longer than [`MAX_BODY`](super::record::MAX_BODY); `out` is then as it was.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        encode_record(PROCESS, out, |body| {
            for number in [self.pid_namespace, self.order, self.buried] {
                body.extend(number.to_le_bytes());
            }
            put_text(body, self.name);
        })
    }

    pub(super) fn decode(mut body: Body<'a>) -> Result<Self, FileError> {
        let numbers = body.take(24)?;
        Ok(Self {
            pid_namespace: u64_at(numbers, 0),
            order: u64_at(numbers, 8),
            buried: u64_at(numbers, 16),
            name: body.text()?,
        })
    }
}
