//! Which bucket a value belongs to.
//!
//! Values come at random, so a search that branches on them guesses wrong about once an observation, which
//! costs more than all the rest. Up to sixteen bounds that lie apart are therefore found by the highest bits of the
//! value, and one comparison; others, if so few, are all compared, by a few vector instructions; more are halved
//! without branches.
//!
//! # Safety
//!
//! One rule: instructions that not every processor of an architecture has are not used.
#![cfg_attr(
    any(target_arch = "aarch64", target_arch = "x86_64"),
    expect(unsafe_code, reason = "vector instructions are functions of an architecture")
)]

use std::sync::{Mutex, PoisonError};

/// Bounds that are compared at once.
const FEW: usize = 16;

/// Aligned as vectors are.
#[derive(Debug)]
#[repr(align(16))]
struct Few([f64; FEW]);

/// The bounds of a histogram, ready to be searched.
#[derive(Debug)]
pub struct Search {
    /// All bounds and then +Inf, if there are so few.
    few: Few,
    bounds: Box<[f64]>,
    cells: Option<Cells>,
}

/// Cells that a value's highest bits name, each with one bound at most.
#[derive(Debug)]
#[repr(C)]
struct Cells {
    /// The first bound, and its cell.
    lowest: f64,
    first: u64,
    /// Of each cell from there on the first bound that a value in it could lie above or not; beyond all bounds, the
    /// last one.
    bounds: [u8; CELLS],
}

/// An eighth of a power of two each, and thirty-two of these.
const CELLS: usize = 256;

/// All bits but the exponent's and three more.
const FINE: u32 = 49;

impl Search {
    pub(crate) fn new(bounds: &[f64]) -> Self {
        let mut few = [f64::INFINITY; FEW];
        few.iter_mut().zip(bounds).for_each(|(place, &bound)| *place = bound);
        Self { few: Few(few), bounds: bounds.into(), cells: Cells::of(bounds) }
    }

    /// One for all histograms with these bounds, whose searches then need no more of a processor's cache than those of one.
    pub(crate) fn shared(bounds: &[f64]) -> &'static Self {
        static ALL: Mutex<Vec<&Search>> = Mutex::new(Vec::new());
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        match all.iter().find(|search| *search.bounds == *bounds) {
            Some(search) => search,
            None => {
                let search = Box::leak(Box::new(Self::new(bounds)));
                all.push(search);
                search
            }
        }
    }

    /// How many bounds there are.
    pub(crate) fn len(&self) -> usize {
        self.bounds.len()
    }

    /// The first bound that is not less than `value`, or one beyond the last. That is where what is not a
    /// number belongs, too.
    #[inline]
    pub(crate) fn bucket(&self, value: f64) -> u32 {
        match &self.cells {
            Some(cells) => cells.bucket(value, &self.few),
            None if self.bounds.len() <= FEW => self.among_few(value),
            None => self.among_many(value),
        }
    }

    #[inline]
    fn among_few(&self, value: f64) -> u32 {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: every x86-64 has SSE2.
        let above = unsafe { count_above_sse2(value, &self.few) };
        #[cfg(target_arch = "aarch64")]
        // SAFETY: every processor that Rust's 64-bit ARM targets of Linux run on has NEON.
        let above = unsafe { count_above_neon(value, &self.few) };
        #[cfg(not(any(target_arch = "aarch64", target_arch = "x86_64")))]
        let above = count_above(value, &self.few);
        #[expect(clippy::cast_possible_truncation, reason = "at most 16")]
        let len = self.bounds.len() as u32;
        // Only what is not a number lies above the padding, too.
        above.min(len)
    }

    #[inline]
    fn among_many(&self, value: f64) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "a record holds fewer than 65,536 bounds")]
        let bucket = self.bounds.partition_point(|&bound| is_above(value, bound)) as u32;
        bucket
    }
}

impl Cells {
    /// `None` for bounds that are too many, below or at 0, too near each other or too far apart.
    fn of(bounds: &[f64]) -> Option<Self> {
        let (&lowest, &highest) = (bounds.first()?, bounds.last()?);
        if bounds.len() > FEW || lowest <= 0.0 || highest.is_infinite() {
            return None;
        }
        let (first, beyond) = (cell(lowest), cell(highest) + 1);
        let cells = first..=beyond;
        if beyond - first >= CELLS as u64 || bounds.windows(2).any(|two| cell(two[0]) == cell(two[1])) {
            return None;
        }
        let last = u8::try_from(bounds.len() - 1).ok()?;
        let mut starts = [last; CELLS];
        for (start, at) in starts.iter_mut().zip(cells) {
            let below = bounds.iter().filter(|&&bound| cell(bound) < at).count();
            *start = last.min(u8::try_from(below).ok()?);
        }
        Some(Self { lowest, first, bounds: starts })
    }

    #[inline]
    fn bucket(&self, value: f64, Few(bounds): &Few) -> u32 {
        // Written so that a NaN stays one, which is beyond all cells and above every bound.
        let value = if self.lowest > value { self.lowest } else { value };
        #[expect(clippy::cast_possible_truncation, reason = "64 bits wide")]
        let at = cell(value).wrapping_sub(self.first) as usize;
        let bound = self.bounds[at.min(CELLS - 1)];
        u32::from(bound) + u32::from(is_above(value, bounds[usize::from(bound) % FEW]))
    }
}

/// The cell of a number that is not negative, or no number.
#[inline]
fn cell(value: f64) -> u64 {
    // Without the sign, which a NaN may have.
    (value.to_bits() << 1) >> (FINE + 1)
}

/// How many of the ascending bounds `value` lies above. Addresses are those of all bounds, and not of one of them: two are
/// read at once.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse2")]
#[inline]
fn count_above_sse2(value: f64, Few(bounds): &Few) -> u32 {
    use std::arch::x86_64::*;
    let value = _mm_set1_pd(value);
    let two = |at: usize| {
        // SAFETY: there are two numbers at that place, which is aligned: `at` is even, and `Few` is aligned.
        let bounds = unsafe { _mm_load_pd(bounds.as_ptr().wrapping_add(at)) };
        _mm_castpd_si128(_mm_cmpnle_pd(value, bounds))
    };
    let four = |at: usize| _mm_packs_epi32(two(at), two(at + 2));
    let eight = |at: usize| _mm_packs_epi32(four(at), four(at + 4));
    let sixteen = _mm_packs_epi16(eight(0), eight(8));
    // A bit for each bound, the first the lowest: whatever lies above one lies above all before it.
    _mm_movemask_epi8(sixteen).trailing_ones()
}

/// The same, for processors of the other architecture.
#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon")]
#[inline]
fn count_above_neon(value: f64, Few(bounds): &Few) -> u32 {
    use std::arch::aarch64::*;
    let value = vdupq_n_f64(value);
    // -1 for each bound that is not less, so that the bounds need not be in order.
    let two = |at: usize| {
        // SAFETY: there are two numbers at that place: `at` is even, and less than their number.
        let bounds = unsafe { vld1q_f64(bounds.as_ptr().wrapping_add(at)) };
        vreinterpretq_s64_u64(vcleq_f64(value, bounds))
    };
    let four = |at: usize| vaddq_s64(two(at), two(at + 2));
    let eight = |at: usize| vaddq_s64(four(at), four(at + 4));
    let above = FEW as i64 + vaddvq_s64(vaddq_s64(eight(0), eight(8)));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 16")]
    let above = above as u32;
    above
}

/// The same in plain Rust, for other processors: the compiler makes vectors of it.
#[cfg(any(test, not(any(target_arch = "aarch64", target_arch = "x86_64"))))]
#[inline]
fn count_above(value: f64, Few(bounds): &Few) -> u32 {
    // As long as the lanes that are compared, so that nothing is narrowed between.
    let above: u64 = bounds.iter().map(|&bound| u64::from(is_above(value, bound))).sum();
    #[expect(clippy::cast_possible_truncation, reason = "at most 16")]
    let above = above as u32;
    above
}

#[inline]
fn is_above(value: f64, bound: f64) -> bool {
    // Written so that a NaN is above every bound.
    #[expect(clippy::neg_cmp_op_on_partial_ord, reason = "a NaN belongs to no finite bucket")]
    let above = !(value <= bound);
    above
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bounds_have_cells_of_their_own_unless_they_are_too_many_too_near_or_too_far() {
        let has_cells = |bounds: &[f64]| Search::new(bounds).cells.is_some();
        assert!(has_cells(crate::buckets::Buckets::default().bounds()));
        assert!(has_cells(&[1e-300]) && has_cells(&[1e-3, 1e6]) && has_cells(&[f64::MAX]));
        assert!(!has_cells(&[]) && !has_cells(&[0.0, 1.0]) && !has_cells(&[-1.0, 1.0]));
        assert!(!has_cells(&[1.0, 1.01]) && !has_cells(&[1e-3, 1e9]) && !has_cells(&[f64::INFINITY]));
        assert!(!has_cells(&std::array::from_fn::<_, 17, _>(|n| (n as f64).exp2())));
    }

    /// Bounds as histograms have them, and values that are often one of them.
    fn cases() -> impl Strategy<Value = (Vec<f64>, f64)> {
        let number = prop_oneof![-10_i8..10, 0_i8..40].prop_map(|n| f64::from(n) / 2.0);
        let near = prop::collection::btree_set(-40_i8..40, 1..=40);
        // Most of these have cells.
        let apart = prop::collection::btree_set(1_i8..16, 1..=16);
        let bounds = prop_oneof![near, apart];
        let bounds = bounds.prop_map(|set| set.into_iter().map(|n| f64::from(n) / 2.0).collect());
        let odd = prop::sample::select(vec![f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0]);
        (bounds, prop_oneof![4 => number, 4 => any::<f64>(), 1 => odd])
    }

    proptest! {
        #[test]
        fn every_search_finds_what_looking_at_one_bound_after_the_other_finds((bounds, value) in cases()) {
            let found = bounds.iter().position(|&bound| value <= bound).unwrap_or(bounds.len());
            let search = Search::new(&bounds);
            prop_assert_eq!(search.bucket(value) as usize, found);
            prop_assert_eq!(search.among_many(value) as usize, found);
            if bounds.len() <= FEW {
                let few = count_above(value, &search.few) as usize;
                prop_assert_eq!(few.min(bounds.len()), found);
                prop_assert_eq!(search.among_few(value) as usize, found);
            }
        }
    }
}
