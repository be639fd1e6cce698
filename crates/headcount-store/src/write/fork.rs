//! What happens to the files of a process when it forks.
//!
//! A metric that was created before the fork must count into the child's own file from the child's
//! first increment on, without a check in the increment. So the child, before `fork` returns in it,
//! creates a file with the same descriptions and zeroed cells, and maps it over the same addresses.
//! A child that only execs leaves that file behind without its lock, empty: whoever sweeps the
//! directory removes it. `posix_spawn` and `vfork` do not come this way.
//!
//! # Safety
//!
//! One rule: the handlers run in the thread that forks, in the order prepare, then parent or child. The
//! lock that `prepare` takes is given back by exactly one of the other two in each process.
#![expect(unsafe_code, reason = "pthread_atfork is the only way to be asked")]

use std::cell::UnsafeCell;
use std::io;
use std::sync::{MutexGuard, Once};

use super::memory::forget_allocated;
use super::naming::{NewFile, create_in_memory};
use super::slab::own_slab;
use super::state::{Backing, State, StoreState};
use super::store::OnFork;
use crate::process::ProcessId;

/// Installs the handlers, once in a process.
pub(super) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // SAFETY: the three functions are of the right type and live as long as the process. The call
        // can only fail for want of memory, and then a child shares its parent's file.
        unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) };
    });
}

/// The state's lock between `prepare` and its counterpart.
struct Held(UnsafeCell<Option<MutexGuard<'static, State>>>);

// SAFETY: only the thread that holds the lock touches the cell.
unsafe impl Sync for Held {}

static HELD: Held = Held(UnsafeCell::new(None));

extern "C" fn prepare() {
    let guard = State::lock();
    // SAFETY: this thread holds the lock, so no other thread is between `prepare` and its counterpart.
    unsafe { *HELD.0.get() = Some(guard) };
}

extern "C" fn parent() {
    drop(take_held());
}

extern "C" fn child() {
    if let Some(mut state) = take_held() {
        move_to_own_files(&mut state);
    }
}

fn take_held() -> Option<MutexGuard<'static, State>> {
    // SAFETY: runs in the thread that ran `prepare` and holds the lock.
    unsafe { (*HELD.0.get()).take() }
}

fn move_to_own_files(state: &mut State) {
    let process = ProcessId::own();
    let slab = own_slab();
    forget_allocated();
    for store in &mut state.stores {
        let follows = store.on_fork == OnFork::Follow && !store.writer.is_abandoned();
        if !follows || follow(store, process, slab).is_err() {
            // If even this fails, the child would add to its parent's counts. There is no better place
            // for it to stop.
            store.writer.abandon().unwrap_or_else(|_| std::process::abort());
        }
    }
    state.move_slabs(slab).unwrap_or_else(|_| std::process::abort());
}

fn follow(store: &mut StoreState, process: ProcessId, slab: Option<u32>) -> io::Result<()> {
    match &store.backing {
        Backing::Memory => store.writer.move_to(create_in_memory()?, process, slab),
        Backing::Directory(directory) => {
            let mut new = NewFile::create(directory, process)?;
            store.writer.move_to(new.take()?, process, slab)?;
            new.publish()
        }
    }
}
