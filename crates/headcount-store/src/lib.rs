//! The metrics directory that the processes of a host share.
//!
//! Every process writes one file; readers in other processes see its values change without locks. Read
//! this crate from left to right:
//!
//! * [`metric`]: what a metric is, in the words of Prometheus and of Python's client.
//! * [`text`]: the text exposition format, line by line.
//! * [`cell`]: what the eight bytes of a cell stand for.
//! * [`exponential`]: the buckets of native histograms.
//! * [`format`](mod@format): the bytes of our files.
//! * [`process`]: which process a file belongs to, and [`writers`]: whether any could still write to it.
//! * [`read`]: reading one of our files.
//! * [`mod@write`]: writing it, from many threads, across `fork`.
//! * [`peer`]: reading the files of the Python and Ruby clients.
//! * [`directory`]: names, opening, the owner's lock, wiping, burying the dead.

pub mod cell;
pub mod directory;
pub mod error;
pub mod exponential;
pub mod format;
pub mod metric;
pub mod peer;
pub mod process;
pub mod read;
mod sync;
pub mod text;
pub mod write;
pub mod writers;

pub use error::FileError;

#[cfg(not(all(target_os = "linux", target_endian = "little", target_pointer_width = "64")))]
compile_error!("Headcount needs 64-bit little-endian Linux: processes share memory in that layout");
