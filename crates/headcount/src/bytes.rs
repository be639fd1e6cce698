//! How many bytes all metrics of a process may take, on top of how many series each may have.
//!
//! What counts is what has been allocated in files, the slabs of all threads included: memory, on a tmpfs. Beyond
//! the limit, label sets that are new go to the overflow of their metric. A thread that counts in series that are
//! there still gets its slab: nothing is lost for the limit.

use std::sync::atomic::{AtomicU64, Ordering};

use headcount_store::write::allocated_bytes;

use crate::error::{RegisterError, report};

/// How many bytes all metrics of a process may take, unless it says otherwise: 128 MiB.
pub const BYTES_LIMIT: u64 = 128 << 20;

/// The variable that says otherwise: a number of bytes, or one with `K`, `M` or `G` behind it.
const VARIABLE: &str = "HEADCOUNT_BYTES_LIMIT";

/// The limit; 0 as long as nobody has asked.
static LIMIT: AtomicU64 = AtomicU64::new(0);

/// Lets all metrics of this process take `bytes`, instead of [`BYTES_LIMIT`] or what `HEADCOUNT_BYTES_LIMIT` says.
///
/// Beyond that, label sets that are new share the overflow series of their metric, as beyond the
/// [limit of series](crate::Family::limited_to), and `headcount_bytes_overflows_total` counts how often one of them
/// was asked for. Metrics and series that are there go on, and so do metrics without labels.
///
/// ```
/// headcount::limit_bytes(16 << 20);
/// ```
pub fn limit_bytes(bytes: u64) {
    LIMIT.store(bytes.max(1), Ordering::Relaxed);
}

/// Whether there is no more room for label sets.
pub(crate) fn are_used_up() -> bool {
    let limit = match LIMIT.load(Ordering::Relaxed) {
        0 => from_environment(),
        limit => limit,
    };
    allocated_bytes() >= limit
}

#[cold]
fn from_environment() -> u64 {
    let value = std::env::var(VARIABLE).unwrap_or_default();
    let limit = if value.is_empty() { Some(BYTES_LIMIT) } else { parse(&value) };
    let limit = limit.unwrap_or_else(|| {
        report(&RegisterError::BytesLimit { value });
        BYTES_LIMIT
    });
    limit_bytes(limit);
    limit
}

fn parse(value: &str) -> Option<u64> {
    let shift = match value.bytes().last()? {
        b'K' => 10,
        b'M' => 20,
        b'G' => 30,
        _ => 0,
    };
    let digits = if shift == 0 { value } else { &value[..value.len() - 1] };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_number_of_bytes_or_of_more() {
        for (value, bytes) in [("65536", 65536), ("64K", 65536), ("2M", 2 << 20), ("1G", 1 << 30), ("0", 0)] {
            assert_eq!(parse(value), Some(bytes), "{value}");
        }
        for value in ["K", "1.5M", "-1", "1T", "M1", "99999999999999G", "é"] {
            assert_eq!(parse(value), None, "{value}");
        }
    }
}
