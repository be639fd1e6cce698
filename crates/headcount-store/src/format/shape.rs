//! What the series of a family consist of, by its kind.

use super::folded::Folded;
use crate::exponential::Scale;
use crate::metric::{GaugeMerge, GaugeMode, Kind};

/// What a family's series consist of.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// One summed cell, an unsigned integer.
    Counter,
    /// One summed cell, a float.
    FloatCounter,
    /// One shared cell, or two for the `mostrecent` modes.
    Gauge(GaugeMode),
    /// A summed cell for the sum (a float) and one for each bucket (integers).
    Histogram {
        /// Upper bounds, ascending and finite; the bucket `+Inf` is implied behind the last.
        bounds: Vec<f64>,
    },
    /// A summed cell for the sum (a float) and one for the count (an integer).
    Summary,
    /// One summed cell, a float: a gauge of which only differences are recorded.
    UpDown(GaugeMode),
    /// A shared cell for the sum and one for each bucket, all as of gauges.
    GaugeHistogram {
        /// Upper bounds, as of a histogram.
        bounds: Vec<f64>,
    },
    /// No cell: that it is described says all. It holds no more once its life cell says so.
    Info,
    /// One shared cell, with a [bit for each state](crate::cell::encode_states).
    StateSet {
        /// The names of the states, at most [`MAX_STATES`](crate::cell::MAX_STATES).
        states: Vec<String>,
    },
    /// Summed cells for the sum (a float), the zero bucket and what is no number, one for each bucket with a bound
    /// that was declared, and one for each place of a [table](super::table), whose keys are shared cells.
    NativeHistogram(Native),
    /// What several dead processes' series have become, in an archive.
    Folded(Folded),
}

/// What a native histogram was declared with.
#[derive(Clone, Debug, PartialEq)]
pub struct Native {
    /// How finely observations are to be told apart, and from 0. A [table](super::table) may be coarser.
    pub scale: Scale,
    /// How many buckets are exposed at most, if that can be.
    pub limit: u16,
    /// Upper bounds of buckets that there are beside, ascending and finite, the bucket `+Inf` implied behind the
    /// last; without any, there is no such bucket.
    pub bounds: Vec<f64>,
}

impl Native {
    /// How many buckets with bounds there are.
    #[must_use]
    pub fn classic_buckets(&self) -> u32 {
        // A record holds fewer than 65,536 bounds.
        if self.bounds.is_empty() { 0 } else { u32::try_from(self.bounds.len() + 1).unwrap_or(u32::MAX) }
    }

    /// The number, among the summed cells of a series, of that of the zero bucket. The first is the sum.
    pub const ZERO: u32 = 1;
    /// That of what is no number.
    pub const NOWHERE: u32 = 2;
    /// That of the first bucket with a bound, if there is one.
    pub const CLASSIC: u32 = 3;

    /// That of the first place.
    #[must_use]
    pub fn first_place(&self) -> u32 {
        Self::CLASSIC + self.classic_buckets()
    }
}

impl Shape {
    /// The type that this shape is exposed as.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Counter | Self::FloatCounter => Kind::Counter,
            Self::Gauge(_) | Self::UpDown(_) => Kind::Gauge,
            Self::Histogram { .. } | Self::NativeHistogram(_) => Kind::Histogram,
            Self::Summary => Kind::Summary,
            Self::GaugeHistogram { .. } => Kind::GaugeHistogram,
            Self::Info => Kind::Info,
            Self::StateSet { .. } => Kind::StateSet,
            Self::Folded(folded) => folded.kind(),
        }
    }

    /// How many cells one series has, the places of a native histogram's table aside.
    #[must_use]
    pub fn cells(&self) -> usize {
        match self {
            Self::Counter | Self::FloatCounter => 1,
            Self::Gauge(mode) if mode.merge() == GaugeMerge::MostRecent => 2,
            Self::Gauge(_) | Self::UpDown(_) | Self::StateSet { .. } => 1,
            Self::Info => 0,
            Self::Histogram { bounds } | Self::GaugeHistogram { bounds } => bounds.len() + 2,
            Self::Summary => 2,
            Self::NativeHistogram(native) => native.first_place() as usize,
            Self::Folded(folded) => folded.cells(),
        }
    }

    /// Whether its cells are those that all threads share, and not of each slab.
    #[must_use]
    pub fn has_shared_cells(&self) -> bool {
        matches!(
            self,
            Self::Gauge(_)
                | Self::GaugeHistogram { .. }
                | Self::StateSet { .. }
                | Self::Folded(Folded::Gauge(_) | Folded::GaugeOf { .. })
        )
    }

    /// Upper bounds of buckets, without `+Inf`; none for what is no histogram.
    #[must_use]
    pub fn bounds(&self) -> &[f64] {
        match self {
            Self::Histogram { bounds }
            | Self::GaugeHistogram { bounds }
            | Self::NativeHistogram(Native { bounds, .. })
            | Self::Folded(Folded::Histogram { bounds }) => bounds,
            _ => &[],
        }
    }

    /// The names of states; none for what is no state set.
    pub(super) fn states(&self) -> &[String] {
        match self {
            Self::StateSet { states } => states,
            _ => &[],
        }
    }

    /// What it was declared with, if it is a native histogram.
    #[must_use]
    pub fn native(&self) -> Option<&Native> {
        match self {
            Self::NativeHistogram(native) | Self::Folded(Folded::NativeHistogram(native)) => Some(native),
            _ => None,
        }
    }
}
