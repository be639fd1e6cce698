//! What threads share, as loom has it.
//!
//! # Safety
//!
//! One rule: loom runs all threads of a model in one thread of the system, one at a time.
#![expect(
    unsafe_code,
    reason = "a lock that is set once, and thread-locals that outlive other thread-locals"
)]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, PoisonError};

use loom::cell::UnsafeCell;
use loom::sync::atomic;
pub(crate) use loom::sync::atomic::Ordering;
use loom::thread;

/// So small that it grows with the second entry.
pub(crate) const FIRST: usize = 1;

/// As many as loom has in a model, the main thread among them.
const THREADS: usize = loom::MAX_THREADS;

/// Who has loaded an atomic: loom knows of each object only who came last, so that a thread that loads and then stores
/// hides from it that another had loaded before. Here each thread has an object for its loads, and whoever stores
/// comes to all of them. They are read and written at once, so that there is nothing but the latest to read.
#[derive(Debug)]
struct Loads(Vec<atomic::AtomicUsize>);

impl Loads {
    fn new() -> Self {
        Self((0..THREADS).map(|_| atomic::AtomicUsize::new(0)).collect())
    }

    fn note_load(&self) {
        if let Some(loads) = self.0.get(number(&own())) {
            loads.fetch_add(0, Relaxed);
        }
    }

    fn note_store(&self) {
        for loads in &self.0 {
            loads.fetch_add(0, Relaxed);
        }
    }
}

macro_rules! atomics {
    ($($name:ident $value:ty,)*) => {$(
        /// As `std` has it.
        #[derive(Debug)]
        pub(crate) struct $name(atomic::$name, Loads);

        impl $name {
            pub(crate) fn new(value: $value) -> Self {
                Self(atomic::$name::new(value), Loads::new())
            }

            pub(crate) fn load(&self, ordering: Ordering) -> $value {
                self.1.note_load();
                self.0.load(ordering)
            }

            pub(crate) fn store(&self, value: $value, ordering: Ordering) {
                self.1.note_store();
                self.0.store(value, ordering);
            }
        }
    )*};
}

atomics! { AtomicU64 u64, AtomicUsize usize, }

impl AtomicU64 {
    pub(crate) fn compare_exchange(
        &self,
        current: u64,
        new: u64,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u64, u64> {
        self.1.note_load();
        self.1.note_store();
        self.0.compare_exchange(current, new, success, failure)
    }

    /// One that nobody loads who stores, and only one who does not: that needs no note of who loads.
    pub(crate) fn of_one_side(value: u64) -> Self {
        Self(atomic::AtomicU64::new(value), Loads(Vec::new()))
    }
}

const EMPTY: usize = 0;
const BUSY: usize = 1;
const SET: usize = 2;

/// As `std` has it, for one that sets at a time.
pub(crate) struct OnceLock<T> {
    state: AtomicUsize,
    value: UnsafeCell<Option<T>>,
}

impl<T> OnceLock<T> {
    pub(crate) fn new() -> Self {
        Self { state: AtomicUsize::new(EMPTY), value: UnsafeCell::new(None) }
    }

    pub(crate) fn get(&self) -> Option<&T> {
        // SAFETY: nobody writes once it is set, and loom notes this access to find out who does.
        let value = || self.value.with(|value| unsafe { (*value).as_ref() });
        (self.state.load(Ordering::Acquire) == SET).then(value).flatten()
    }

    pub(crate) fn set(&self, new: T) -> Result<(), T> {
        if self.state.load(Ordering::Acquire) != EMPTY {
            return Err(new);
        }
        self.state.store(BUSY, Relaxed);
        // SAFETY: one sets at a time, under a lock, and loom notes if that is not so; nobody reads yet.
        self.value.with_mut(|value| unsafe { *value = Some(new) });
        self.state.store(SET, Ordering::Release);
        Ok(())
    }

    pub(crate) fn get_or_init(&self, new: impl FnOnce() -> T) -> &T {
        if self.get().is_none() {
            assert!(self.set(new()).is_ok(), "nobody else sets what is set under the lock");
        }
        self.get().expect("it was set")
    }
}

// SAFETY: as for that of `std`.
unsafe impl<T: Send + Sync> Sync for OnceLock<T> {}

impl<T> fmt::Debug for OnceLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnceLock").finish_non_exhaustive()
    }
}

/// Counts runs of models: in each, threads have the same numbers.
static RUN: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

/// Begins a run: no thread has anything yet.
pub(crate) fn begin() {
    RUN.fetch_add(1, Relaxed);
}

/// The run, and what loom calls the thread.
type Thread = (u64, String);

fn own() -> Thread {
    (RUN.load(Relaxed), format!("{:?}", thread::current().id()))
}

/// The numbers of the threads of the latest run.
static NUMBERS: Mutex<Vec<Thread>> = Mutex::new(Vec::new());

fn number(thread: &Thread) -> usize {
    let mut numbers = NUMBERS.lock().unwrap_or_else(PoisonError::into_inner);
    numbers.retain(|known| known.0 == thread.0);
    numbers.iter().position(|known| known == thread).unwrap_or_else(|| {
        numbers.push(thread.clone());
        numbers.len() - 1
    })
}

/// A thread of a model, which at its end drops what it has while all that has no destructor is still there, as threads
/// of the system do. Those of loom take everything away first.
pub(crate) fn spawn<R: 'static>(work: impl FnOnce() -> R + 'static) -> thread::JoinHandle<R> {
    thread::spawn(|| {
        let result = work();
        let ends = ENDS.lock().unwrap_or_else(PoisonError::into_inner).remove(&own());
        ends.into_iter().flatten().for_each(|end| end.0());
        result
    })
}

/// What is to be dropped at the end of which thread.
static ENDS: Mutex<BTreeMap<Thread, Vec<End>>> = Mutex::new(BTreeMap::new());

struct End(Box<dyn FnOnce()>);

// SAFETY: see the rule of this module.
unsafe impl Send for End {}

/// A thread-local.
pub(crate) struct Local<T: 'static> {
    new: fn() -> T,
    values: Mutex<BTreeMap<Thread, &'static RefCell<Option<T>>>>,
}

// SAFETY: what a modelled thread has is shown to no other.
unsafe impl<T> Sync for Local<T> {}

/// A thread-local has been dropped.
#[derive(Debug)]
pub(crate) struct Gone;

impl<T> Local<T> {
    pub(crate) const fn new(new: fn() -> T) -> Self {
        Self { new, values: Mutex::new(BTreeMap::new()) }
    }

    pub(crate) fn with<R>(&'static self, use_it: impl FnOnce(&T) -> R) -> R {
        self.try_with(use_it).expect("it is not dropped while others use it")
    }

    pub(crate) fn try_with<R>(&'static self, use_it: impl FnOnce(&T) -> R) -> Result<R, Gone> {
        let value =
            *self.values.lock().unwrap_or_else(PoisonError::into_inner).entry(own()).or_insert_with(|| {
                let value: &RefCell<Option<T>> = Box::leak(Box::new(RefCell::new(Some((self.new)()))));
                if std::mem::needs_drop::<T>() {
                    let end = End(Box::new(|| drop(value.take())));
                    ENDS.lock().unwrap_or_else(PoisonError::into_inner).entry(own()).or_default().push(end);
                }
                value
            });
        value.borrow().as_ref().map(use_it).ok_or(Gone)
    }
}

macro_rules! locals {
    ($($(#[$_about:meta])* static $name:ident: $of:ty = const { $new:expr };)*) => {
        $(static $name: crate::sync::Local<$of> = crate::sync::Local::new(|| $new);)*
    };
}
pub(crate) use locals as thread_local;
