//! Children by what their labels' type numbers them: a place for each that there can be.
//!
//! A look-up reads a child's place and nothing else, so a place has only what the look-up is for.

use std::sync::atomic::{AtomicU32, Ordering};

use headcount_store::write::Registration;

use crate::place::Place;
use crate::series::Child;

/// See the module.
pub(crate) struct Numbered<M> {
    metrics: Box<[Place<M>]>,
    /// The number that each child has in its family. Written and read only under a [`Registration`].
    children: Box<[AtomicU32]>,
}

impl<M: Copy> Numbered<M> {
    /// Places for so many.
    pub(crate) fn new(count: usize) -> Self {
        Self {
            metrics: (0..count).map(|_| Place::new()).collect(),
            children: (0..count).map(|_| AtomicU32::new(0)).collect(),
        }
    }

    /// The metric of the child that is there. A type may say what it will: a place that does not exist is empty.
    #[inline]
    pub(crate) fn get(&self, index: usize) -> Option<M> {
        self.metrics.get(index)?.get()
    }

    /// Puts a child into its place.
    pub(crate) fn set(&self, registration: &mut Registration, index: usize, child: Child<M>) {
        if let Some(place) = self.metrics.get(index) {
            self.children[index].store(child.number, Ordering::Relaxed);
            place.set(registration, child.metric);
        }
    }

    /// Forgets all children that are `gone`.
    pub(crate) fn forget_all(&self, registration: &mut Registration, gone: &dyn Fn(&Child<M>) -> bool) {
        for (place, number) in self.metrics.iter().zip(&self.children) {
            let number = number.load(Ordering::Relaxed);
            place.leave(registration, |&metric| gone(&Child { metric, number }));
        }
    }
}
