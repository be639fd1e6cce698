//! A deflate stream of samples, in which values can be exchanged.
//!
//! * `codes`: which bits stand for what.
//! * `stream`: bits, one after the other.
//! * `samples`: what is made of lines.

mod codes;
mod samples;
mod stream;

pub(super) use samples::SampleDeflater;
