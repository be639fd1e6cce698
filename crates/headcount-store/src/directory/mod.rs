//! The directory: what its files are called, and what may be done with them.
//!
//! `name` parses file names; `open` lists and opens files without being led astray; `lock` is
//! the owner's; `stamp` tells whether names have changed, and `watch` whether files were closed or have other lengths;
//! `wipe` empties the directory before a start; `bury` moves a dead process's files out of the way before its PID can be
//! used again; `fold` puts an archive in the place of many of them.

mod bury;
mod fold;
mod lock;
mod name;
mod open;
mod stamp;
mod watch;
mod wipe;

pub use bury::{Buried, BuryError, is_locked};
pub use fold::{FoldError, FoldRight};
pub use lock::{LockError, OwnerLock};
pub use name::{FileName, LOCK_NAME, PeerName, PeerType};
pub use open::{Directory, OpenError, from_environment, open_regular};
pub use stamp::Stamp;
pub use watch::Watch;
pub use wipe::{Mistake, WipeError};
