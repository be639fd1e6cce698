//! A deflate stream of samples, in which values can be exchanged.
//!
//! * `codes`: which bits stand for what.
//! * `stream`: bits, one after the other.
//! * `lines`: where values stand in lines, and what one line has of another.
//! * `samples`: what is made of lines; `exchange`: what becomes of that when values change.

mod codes;
mod exchange;
mod lines;
mod samples;
mod stream;

pub(super) use samples::SampleDeflater;
