//! A port that only one of several processes serves.
//!
//! Who binds it has it, and the system gives it back when that process dies, however. So nobody is elected: all others
//! try again from time to time.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

/// How long after the death of the process that had the port another one has it, at most.
const INTERVAL: Duration = Duration::from_millis(250);

/// The listener of a port that only one process at a time serves, when it is this one's turn: a future for any runtime.
///
/// The listener does not block, as runtimes want it. To drop the future gives the turn up.
#[derive(Debug)]
#[must_use = "nothing listens until it is awaited"]
pub struct SoleListener {
    address: SocketAddr,
    turn: Option<Arc<Mutex<Turn>>>,
}

#[derive(Debug, Default)]
struct Turn {
    listener: Option<io::Result<TcpListener>>,
    waker: Option<Waker>,
}

impl SoleListener {
    /// Of this address. Its port has to be a certain one: with port 0 every process has one of its own.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, turn: None }
    }
}

impl Future for SoleListener {
    /// An error is anything but that another process has the port: the address is not this machine's, or the port is
    /// for root.
    type Output = io::Result<TcpListener>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let address = self.address;
        if self.turn.is_none() {
            if let Some(listener) = try_to_listen(address) {
                return Poll::Ready(listener);
            }
            let turn = Arc::default();
            let waiting = Arc::downgrade(&turn);
            // Not a task of the runtime's: this crate knows none.
            thread::Builder::new().name("sole listener".to_owned()).spawn(move || wait(address, &waiting))?;
            self.turn = Some(turn);
        }
        let Some(turn) = &self.turn else { return Poll::Pending };
        let mut turn = lock(turn);
        if let Some(listener) = turn.listener.take() {
            return Poll::Ready(listener);
        }
        turn.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

/// Tries until it is this process's turn, or until nobody waits for it any more.
fn wait(address: SocketAddr, waiting: &Weak<Mutex<Turn>>) {
    loop {
        thread::sleep(INTERVAL);
        let Some(turn) = waiting.upgrade() else { return };
        if let Some(listener) = try_to_listen(address) {
            let mut turn = lock(&turn);
            turn.listener = Some(listener);
            if let Some(waker) = turn.waker.take() {
                waker.wake();
            }
            return;
        }
    }
}

/// Listens, or `None` if another process does.
fn try_to_listen(address: SocketAddr) -> Option<io::Result<TcpListener>> {
    // Without `SO_REUSEPORT`: the system lets one socket alone listen.
    let listen = || -> io::Result<TcpListener> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    match listen() {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => None,
        listener => Some(listener),
    }
}

fn lock(turn: &Mutex<Turn>) -> MutexGuard<'_, Turn> {
    turn.lock().unwrap_or_else(PoisonError::into_inner)
}
