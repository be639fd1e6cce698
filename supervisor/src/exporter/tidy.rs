//! Between scrapes: what dead processes have left is buried and folded, a little at a time. And however long nobody
//! scrapes, deleted files do not stay open.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use headcount_merge::Folded;

use super::Scraper;
use super::scrape::lock;

/// So long a step may keep a scrape waiting.
const STEP: Duration = Duration::from_millis(50);
/// Between two steps while there is more to do: scrapes come in between.
const PAUSE: Duration = Duration::from_millis(20);
/// Between two looks while processes die …
const BUSY: Duration = Duration::from_millis(200);
/// … and while they live.
const IDLE: Duration = Duration::from_secs(1);
/// How many files of dead processes are worth a fold at once …
const MANY: usize = 8;
/// … and after how many looks any are.
const LOOKS: u32 = 60;

/// Never returns. A step waits for the end of a scrape that is being answered, and a scrape that comes
/// meanwhile for the end of the step.
pub(super) async fn tidy_for_ever(scraper: &Arc<Mutex<Scraper>>) {
    let mut looks: u32 = 0;
    loop {
        looks += 1;
        let at_least = if looks >= LOOKS { 1 } else { MANY };
        let folded = tidy_once(scraper, at_least).await;
        let pause = match folded {
            Folded { is_more: true, .. } => PAUSE,
            Folded { files: 0, .. } => IDLE,
            Folded { .. } => BUSY,
        };
        if at_least == 1 || folded.files > 0 {
            looks = 0;
        }
        tokio::time::sleep(pause).await;
    }
}

async fn tidy_once(scraper: &Arc<Mutex<Scraper>>, at_least: usize) -> Folded {
    let scraper = Arc::clone(scraper);
    let step = move || lock(&scraper).tidy(at_least, STEP);
    tokio::task::spawn_blocking(step).await.unwrap_or_default()
}
