//! What keeps this process alive when a file that it has mapped is truncated.
//!
//! A page that the file no longer has raises SIGBUS when it is touched, which ends a process. The handler here puts
//! zeros in the place of the whole mapping and marks it, as compositors do with memory that clients share with them. Any
//! other SIGBUS goes to whatever was there before.
//!
//! The handler is installed when something is first mapped, and never taken away. Nothing here waits for another
//! thread, so that a process may fork at any time; its child has the mappings, their marks, and the handler.
//!
//! # Safety
//!
//! One rule: while an address is in [`PLACES`], the memory there is a mapping of this module's callers, which only read it
//! word by word. The handler calls nothing but the kernel, and what was there before it.
#![expect(unsafe_code, reason = "a signal's handler has no safe interface")]

use std::mem::{MaybeUninit, transmute};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU64, AtomicUsize, Ordering, fence};

use libc::{c_int, c_void, sigaction, siginfo_t, sigset_t};
use nix::errno::Errno;

/// As many mappings are guarded at the same time.
const COUNT: usize = 4096;
static PLACES: [Place; COUNT] = [const { Place::new() }; COUNT];
/// Where one is likely to be free.
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// A mapping, for the handler.
#[derive(Debug)]
struct Place {
    /// Both in one word, so that no handler sees one of them without the other: the start in units of [`UNIT`], and in the
    /// last [`LEN_BITS`] the length. 0 if nothing is mapped.
    range: AtomicU64,
    is_cut: AtomicBool,
}

/// No machine has smaller pages.
const UNIT: u64 = 1 << 12;
const LEN_BITS: u32 = 19;

impl Place {
    const fn new() -> Self {
        Self { range: AtomicU64::new(0), is_cut: AtomicBool::new(false) }
    }

    /// Start and length in bytes.
    fn range(&self) -> (u64, u64) {
        let range = self.range.load(Ordering::Acquire);
        ((range >> LEN_BITS) * UNIT, (range & ((1 << LEN_BITS) - 1)) * UNIT)
    }
}

/// A mapping is guarded for as long as this is there.
#[derive(Debug)]
pub(super) struct Guard(&'static Place);

impl Guard {
    /// Guards a mapping, which is to be released after this; `None` if it is too long, or there are too many, or the
    /// handler cannot be installed.
    pub(super) fn new(start: *const u8, len: usize) -> Option<Self> {
        if !is_installed() {
            return None;
        }
        let (start, len) = (start.addr() as u64, (len as u64).div_ceil(UNIT));
        if len == 0 || len >> LEN_BITS != 0 || (start / UNIT) >> (u64::BITS - LEN_BITS) != 0 {
            return None;
        }
        let range = (start / UNIT) << LEN_BITS | len;
        let first = NEXT.load(Ordering::Relaxed);
        for at in (first..first + COUNT).map(|at| at % COUNT) {
            let place = &PLACES[at];
            if place.range.compare_exchange(0, range, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                NEXT.store(at + 1, Ordering::Relaxed);
                return Some(Self(place));
            }
        }
        None
    }

    /// Whether zeros have been put in the mapping's place, perhaps before anything that was loaded until now.
    pub(super) fn is_cut(&self) -> bool {
        // Loads before it stay before it.
        fence(Ordering::Acquire);
        self.0.is_cut.load(Ordering::Relaxed)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // In this order: who has the place next finds it without a mark.
        self.0.is_cut.store(false, Ordering::Relaxed);
        self.0.range.store(0, Ordering::Release);
    }
}

/// How far the handler is installed.
static STATE: AtomicU8 = AtomicU8::new(ABSENT);
const ABSENT: u8 = 0;
const UNDER_WAY: u8 = 1;
const INSTALLED: u8 = 2;
const FAILED: u8 = 3;

/// What was there before.
static PREVIOUS: AtomicPtr<sigaction> = AtomicPtr::new(ptr::null_mut());

/// Whether the handler is installed, which it is from the first call on. While another thread installs it, it is not.
fn is_installed() -> bool {
    match STATE.compare_exchange(ABSENT, UNDER_WAY, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => {
            let is_installed = install();
            STATE.store(if is_installed { INSTALLED } else { FAILED }, Ordering::Release);
            is_installed
        }
        Err(state) => state == INSTALLED,
    }
}

fn install() -> bool {
    let Some(previous) = current() else { return false };
    // For as long as the process lives: the handler may run at any time.
    PREVIOUS.store(Box::leak(Box::new(previous)), Ordering::Release);
    let mut action = blank();
    action.sa_sigaction = on_bus_error as *const () as usize;
    // A thread whose stack is used up may be the one that somebody else's handler is for.
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: the action is whole, and its handler keeps to what a handler may do (the rule of this module).
    unsafe { sigaction(libc::SIGBUS, &raw const action, ptr::null_mut()) == 0 }
}

/// Whether a fault of the calling thread comes to the handler: another may have been installed in its place since, and
/// the thread may have the signal blocked.
pub(super) fn is_in_force() -> bool {
    let is_ours =
        || current().is_some_and(|action| action.sa_sigaction == on_bus_error as *const () as usize);
    is_installed() && is_ours() && !is_blocked()
}

fn blank() -> sigaction {
    // SAFETY: all fields are numbers and sets of bits, of which zero says nothing.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

fn current() -> Option<sigaction> {
    let mut action = blank();
    // SAFETY: nothing is installed, and there is room for what is.
    let asked = unsafe { sigaction(libc::SIGBUS, ptr::null(), &raw mut action) };
    (asked == 0).then_some(action)
}

fn is_blocked() -> bool {
    // SAFETY: a set of signals is made of bits.
    let mut blocked: sigset_t = unsafe { MaybeUninit::zeroed().assume_init() };
    // SAFETY: nothing is blocked, and there is room for what is.
    let asked = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, ptr::null(), &raw mut blocked) };
    // SAFETY: the set was filled in.
    asked != 0 || unsafe { libc::sigismember(&raw const blocked, libc::SIGBUS) } != 0
}

/// The address was in a mapping, and what is mapped has no such page.
const BUS_ADRERR: c_int = 2;

extern "C" fn on_bus_error(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let errno = Errno::last_raw();
    // SAFETY: the kernel gives a handler that asked for it what it knows of the signal.
    let known = unsafe { &*info };
    // SAFETY: of what was sent by a process something else is there, which then is not looked at.
    let address = unsafe { known.si_addr() }.addr() as u64;
    if known.si_code != BUS_ADRERR || !blank_around(address) {
        pass_on(signal, known.si_code, info, context);
    }
    Errno::set_raw(errno);
}

/// Puts zeros in the place of the mapping that an address is in; `false` if it is in none.
fn blank_around(address: u64) -> bool {
    let is_in = |place: &&Place| {
        let (start, len) = place.range();
        address.wrapping_sub(start) < len
    };
    let Some(place) = PLACES.iter().find(is_in) else { return false };
    let (start, len) = place.range();
    // First, so that whoever loads one of the zeros finds the mark.
    place.is_cut.store(true, Ordering::Release);
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
    // SAFETY: the mapping stays until this thread's load from it is done, and is read by words (the rule of this module),
    // which zeros are as well. The call is the kernel's alone, as a library's may wait for a lock.
    let mapped = unsafe { libc::syscall(libc::SYS_mmap, start, len, libc::PROT_READ, flags, -1, 0) };
    mapped != -1
}

/// Does what would have been done without this handler.
fn pass_on(signal: c_int, code: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: it was leaked before the handler was installed.
    let previous = unsafe { PREVIOUS.load(Ordering::Acquire).as_ref() };
    let (handler, flags) =
        previous.map_or((libc::SIG_DFL, 0), |action| (action.sa_sigaction, action.sa_flags));
    // What the kernel has raised, and not another process, cannot be ignored.
    let is_sent = code <= 0;
    match handler {
        libc::SIG_IGN if is_sent => {}
        libc::SIG_DFL | libc::SIG_IGN => {
            let action = blank();
            // SAFETY: the default has no handler that could be wrong.
            unsafe { sigaction(signal, &raw const action, ptr::null_mut()) };
            if is_sent {
                // SAFETY: it has a number only. It is blocked here, and comes when the handler has returned, as
                // a fault does that is met again.
                unsafe { libc::raise(signal) };
            }
        }
        handler if flags & libc::SA_SIGINFO != 0 => {
            let handler = ptr::with_exposed_provenance::<()>(handler);
            // SAFETY: whoever installed it said that it is a function which takes these three.
            let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) = unsafe { transmute(handler) };
            handler(signal, info, context);
        }
        handler => {
            let handler = ptr::with_exposed_provenance::<()>(handler);
            // SAFETY: whoever installed it said that it is a function which takes this one.
            let handler: extern "C" fn(c_int) = unsafe { transmute(handler) };
            handler(signal);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt;
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, ExitStatus};

    use memmap2::MmapRaw;

    use super::super::{Mapped, may_map};
    use super::COUNT;

    /// Says to the process that a test starts of itself what it is to do.
    const CHILD: &str = "HEADCOUNT_TEST_CHILD";
    const OF_THE_APPLICATION: i32 = 42;

    /// What becomes of a process that maps a file and then touches a page that is gone of another mapping.
    fn run(doing: &str) -> ExitStatus {
        let test = "read::guard::tests::a_signal_for_another_mapping_goes_to_whom_it_went_before";
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", test]).env(CHILD, doing).output().unwrap().status
    }

    extern "C" fn end(_: libc::c_int) {
        // SAFETY: it may be called by a handler.
        unsafe { libc::_exit(OF_THE_APPLICATION) }
    }

    fn handle(handler: libc::sighandler_t) {
        // SAFETY: the handler only ends the process.
        unsafe { libc::signal(libc::SIGBUS, handler) };
    }

    fn one_page() -> File {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&[7; 4096], 0).unwrap();
        file
    }

    /// The child has the mapping and the handler, and marks of its own.
    fn fork_and_read() {
        let file = one_page();
        assert!(may_map());
        let mapped = Mapped::new(&file).unwrap();
        file.set_len(0).unwrap();
        let mut outcome = 0;
        // SAFETY: the child does nothing that may wait for another thread.
        match unsafe { libc::fork() } {
            0 => {
                let is_survived = may_map() && mapped.copy(0, &mut [0; 8]) && mapped.is_cut();
                // SAFETY: it ends here, as it may.
                unsafe { libc::_exit(if is_survived { 0 } else { 1 }) }
            }
            // SAFETY: there is room for the outcome.
            child => assert_eq!(unsafe { libc::waitpid(child, &raw mut outcome, 0) }, child),
        }
        assert_eq!(outcome, 0);
        assert!(!mapped.is_cut() && mapped.copy(0, &mut [0; 8]) && mapped.is_cut());
    }

    fn live_and_fault(doing: &str) {
        match doing {
            "forked" => return fork_and_read(),
            "too many" => {
                let file = one_page();
                let mapped: Vec<_> = (0..=COUNT).map_while(|_| Mapped::new(&file)).collect();
                assert_eq!(mapped.len(), COUNT);
                assert!(Mapped::new(&file).is_none());
            }
            "with a handler" => handle(end as *const () as libc::sighandler_t),
            "as by default" => handle(libc::SIG_DFL),
            "ignored" => handle(libc::SIG_IGN),
            _ => {}
        }
        let (guarded, foreign) = (one_page(), one_page());
        assert!(may_map());
        let mapped = Mapped::new(&guarded).unwrap();
        let theirs = MmapRaw::map_raw(&foreign).unwrap();
        [&guarded, &foreign].iter().for_each(|file| file.set_len(0).unwrap());
        assert!(mapped.copy(0, &mut [0; 8]) && mapped.is_cut());
        if doing == "sent" {
            // SAFETY: a number.
            unsafe { libc::raise(libc::SIGBUS) };
        } else {
            // SAFETY: the page is mapped, and nobody else knows of it.
            unsafe { theirs.as_ptr().read_volatile() };
        }
    }

    #[test]
    fn a_signal_for_another_mapping_goes_to_whom_it_went_before() {
        if let Ok(doing) = std::env::var(CHILD) {
            return live_and_fault(&doing);
        }
        for doing in ["as the test is", "as by default", "ignored"] {
            assert_eq!(run(doing).signal(), Some(libc::SIGBUS), "{doing}");
        }
        assert_eq!(run("with a handler").code(), Some(OF_THE_APPLICATION));
        // The standard library's takes no notice of what was sent.
        assert_eq!(run("sent").code(), Some(0));
        assert_eq!(run("forked").code(), Some(0));
        assert_eq!(run("too many").signal(), Some(libc::SIGBUS), "places are free again");
    }

    #[test]
    fn where_a_fault_would_not_come_to_the_handler_nothing_is_to_be_mapped() {
        let of_signal = |how| {
            // SAFETY: a set of signals is made of bits.
            let mut signals = unsafe { std::mem::zeroed() };
            // SAFETY: there is room for a set, and the number is a signal's.
            unsafe { libc::sigaddset(&raw mut signals, libc::SIGBUS) };
            // SAFETY: the set was filled in.
            unsafe { libc::pthread_sigmask(how, &raw const signals, std::ptr::null_mut()) };
        };
        assert!(may_map());
        of_signal(libc::SIG_BLOCK);
        assert!(!may_map());
        of_signal(libc::SIG_UNBLOCK);
        assert!(may_map());
    }
}
