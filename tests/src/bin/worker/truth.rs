//! What a process has counted, beside the metric that says it.

use std::fs::OpenOptions;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use memmap2::MmapRaw;

/// Two places that survive a kill: one is written before the metric and one
/// after, so that the metric must stand between the two.
pub(crate) struct Truth([MmapRaw; 2]);

impl Truth {
    pub(crate) fn open(folder: &Path) -> Self {
        Self(["before", "after"].map(|when| {
            let path = folder.join(format!("{when}-{}", std::process::id()));
            // A PID that comes again goes on counting.
            let file =
                OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).unwrap();
            file.set_len(8).unwrap();
            MmapRaw::map_raw(&file).unwrap()
        }))
    }

    pub(crate) fn around(&self, update: impl FnOnce()) {
        let [before, after] = &self.0;
        increment(before);
        update();
        increment(after);
    }
}

#[expect(unsafe_code, reason = "the truth must survive a kill, as the counter does")]
fn increment(cell: &MmapRaw) {
    // SAFETY: the mapping is eight bytes long, aligned to a page, and written by this thread alone.
    let cell = unsafe { &*cell.as_mut_ptr().cast::<AtomicU64>() };
    cell.fetch_add(1, Ordering::SeqCst);
}
