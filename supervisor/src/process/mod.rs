//! Forking, executing and waiting, each wrapped once.
//!
//! * `descriptors`: what is passed by number.
//! * `signal`: signals to others, and dispositions.
//! * `program`: what is executed.
//! * `fork`: children, and what they are before they do anything.
//! * `dead`: children that have died.

mod dead;
mod descriptors;
mod fork;
mod program;
mod signal;

pub use dead::{next_dead_child, reap};
pub use descriptors::{close_in_child, inherit};
pub(crate) use descriptors::{own, redirect_output};
pub use fork::{ThreadsError, check_threads, fork_child, set_environment};
pub use program::{Program, ProgramError};
pub use signal::{SI_QUEUE, catches, queue_signal};

/// What a child exits with when its program cannot be executed.
pub const CANNOT_EXECUTE: i32 = 127;
