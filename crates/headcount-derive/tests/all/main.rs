//! The macros, as programs use them.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod functions;
mod labels;
mod metrics;
