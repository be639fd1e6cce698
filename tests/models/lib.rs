//! The lock-free parts, run in every order of their steps that may be, by loom.
//!
//! The modules under test are those of the crates, by their paths: they take all that threads share from
//! `crate::sync`, which here gives them loom's. What they stand on is replaced by as little as will do. So what is
//! released is what was modelled, and knows nothing of it.
//!
//! A library, and no test itself: then the modules' own tests would be built, too, and have no model around them.
#![cfg(not(test))]
#![allow(unreachable_pub, reason = "what is public in its crate")]
#![expect(clippy::print_stdout, reason = "the list of models is the result")]

#[allow(dead_code, reason = "models need less than programs")]
#[path = "../../crates/headcount/src/entry.rs"]
mod entry;
mod format;
#[allow(dead_code, reason = "models need less than programs")]
#[path = "../../crates/headcount/src/labels.rs"]
mod labels;
#[allow(dead_code, reason = "models need less than programs")]
#[path = "../../crates/headcount/src/native_table.rs"]
mod native_table;
#[allow(dead_code, reason = "models need less than programs")]
#[path = "../../crates/headcount/src/part.rs"]
mod part;
mod read;
mod registration;
mod sync;
#[allow(dead_code, reason = "models need less than programs")]
#[path = "../../crates/headcount/src/table.rs"]
mod table;
mod tables;
mod write;

// What the modules under test call the crate below them.
extern crate self as headcount_store;
// What is modelled in no part, and as it is.
use store::{cell, error, exponential, process};

/// Runs all models.
///
/// # Panics
///
/// With an order of steps in which one fails.
pub fn check() {
    let models = [tables::MODELS, write::models::MODELS, write::natives::MODELS, write::publishing::MODELS];
    for (name, model) in models.concat() {
        println!("model: {name}");
        // Two changes of threads that nobody asked for find nearly all there is to find, in seconds.
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(2);
        builder.check(model);
    }
}
