//! What workers with native histograms observe, so that a test knows it too.

/// The `n`th of numbers as durations of requests are: most about 10 ms, a few a hundred times as long or as short.
#[must_use]
pub fn duration(n: u32) -> f64 {
    // Four numbers between 0 and 1, whose sum is nearly normal.
    let sum: f64 = (0..4).map(|part| f64::from(scattered(n * 4 + part)) / f64::from(u32::MAX)).sum();
    0.01 * ((sum - 2.0) * 4.0).exp()
}

/// Any number, but the same for the same `n`: the end of `SplitMix`.
fn scattered(n: u32) -> u32 {
    let mut bits = u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    u32::try_from((bits ^ bits >> 31) >> 32).unwrap_or(0)
}
