//! Between scrapes: what dead processes have left is buried and folded, a little at a time.

use std::sync::{Arc, Mutex, TryLockError};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::Scraper;

/// How often there is a look at what there is to do.
const PERIOD: Duration = Duration::from_secs(1);
/// The pause between two steps while there is more to do: scrapes come in between.
const PAUSE: Duration = Duration::from_millis(20);
/// How many files of dead processes are worth a fold at once …
const MANY: usize = 8;
/// … and after how many looks any are.
const LOOKS: u32 = 60;

/// Never returns. A step is not begun while a scrape is answered, and one that comes then waits for its end:
/// some milliseconds.
pub(super) async fn tidy_for_ever(scraper: &Arc<Mutex<Scraper>>) {
    let mut looks = interval(PERIOD);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut look: u32 = 0;
    loop {
        looks.tick().await;
        look = look.wrapping_add(1);
        let at_least = if look.is_multiple_of(LOOKS) { 1 } else { MANY };
        while tidy_once(scraper, at_least).await {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Tells whether there is more to do.
async fn tidy_once(scraper: &Arc<Mutex<Scraper>>, at_least: usize) -> bool {
    let scraper = Arc::clone(scraper);
    let step = move || match scraper.try_lock() {
        Ok(mut scraper) => scraper.tidy(at_least),
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner().tidy(at_least),
        // A scrape comes first.
        Err(TryLockError::WouldBlock) => true,
    };
    tokio::task::spawn_blocking(step).await.unwrap_or(false)
}
