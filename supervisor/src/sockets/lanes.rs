//! A port with a queue for each lane: `SO_REUSEPORT`.
//!
//! The master binds all of a port's sockets and keeps them, so that what waits in a queue outlives the worker, and
//! so that the kernel's numbers of them never change. A lane that nobody is to serve any more stays open, but
//! gets no new connections; what may have come too late for its last worker is closed.

use std::io;
use std::time::Duration;

use super::{BindError, ListenOptions, Listener, Refusal, steering, tcp};
use crate::address::{Address, NamedAddress};
use crate::chain;
use crate::pool::Lane;

/// The sockets of one port.
#[derive(Debug)]
pub struct LaneSockets {
    /// By lane; there is always one.
    listeners: Vec<Listener>,
    backlog: u32,
    /// The lanes to which new connections go; none if that was left to the kernel.
    steered: Vec<u32>,
}

impl LaneSockets {
    /// Binds a port for the first lane. No other process may have it; the same user's processes may join later,
    /// if they ask for that.
    ///
    /// # Errors
    ///
    /// When the port is taken, or the system refuses.
    pub fn bind_in_time(
        wanted: &NamedAddress,
        options: &ListenOptions,
        pause: &mut dyn FnMut(Duration) -> bool,
    ) -> Result<Self, BindError> {
        let options = ListenOptions { reuse_port: true, ..*options };
        let first = Listener::bind_in_time(wanted, &options, pause)?;
        Ok(Self::inherited(vec![first], options.backlog))
    }

    /// Takes over a port's sockets, in the order of their lanes; there is at least one.
    #[must_use]
    pub fn inherited(listeners: Vec<Listener>, backlog: u32) -> Self {
        Self { listeners, backlog, steered: Vec::new() }
    }

    /// All sockets, by lane.
    #[must_use]
    pub fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    /// Binds the port for all lanes up to this one.
    pub(super) fn open(&mut self, lane: u32) -> Result<(), BindError> {
        let first = &self.listeners[0];
        let (name, address, wanted) = (first.name.clone(), first.address.clone(), first.wanted.clone());
        let Address::Tcp(tcp) = address else { return Ok(()) };
        while self.listeners.len() <= lane as usize {
            let join = || -> Result<_, Refusal> {
                let socket = tcp::join(tcp)?;
                socket.listen(i32::try_from(self.backlog).unwrap_or(i32::MAX))?;
                Ok(socket)
            };
            let socket = join().map_err(|refusal| refusal.of(&address))?;
            let (name, address, wanted) = (name.clone(), address.clone(), wanted.clone());
            self.listeners.push(Listener { name, address, wanted, socket, file: None });
        }
        Ok(())
    }

    /// Lets new connections go to the lanes that are served; if none is, to those that are to be.
    pub(super) fn steer(&mut self, lanes: &[Lane]) {
        let of_kind = |kind| -> Vec<u32> {
            let open = (0..).zip(&self.listeners);
            open.zip(lanes).filter(|(_, lane)| **lane == kind).map(|((number, _), _)| number).collect()
        };
        let served = Some(of_kind(Lane::Served)).filter(|served| !served.is_empty());
        let wanted = served.unwrap_or_else(|| of_kind(Lane::Held));
        if wanted != self.steered && !wanted.is_empty() {
            if let Err(error) = steering::steer(&self.listeners[0], &wanted) {
                tracing::warn!(error = %chain(&error), "connections may go to workers that do not serve");
            }
            self.steered = wanted;
        }
        let left = |number: usize| lanes.get(number).is_none_or(|lane| *lane == Lane::Left);
        for (_, listener) in self.listeners.iter().enumerate().filter(|(number, _)| left(*number)) {
            hang_up(listener);
        }
    }
}

/// Closes what waits in a queue that nobody serves any more: better than to let it wait for ever.
fn hang_up(listener: &Listener) {
    let close_all = || -> io::Result<usize> {
        listener.socket.set_nonblocking(true)?;
        let closed = std::iter::from_fn(|| listener.socket.accept().ok()).count();
        // Its next worker is to find it as any other does.
        listener.socket.set_nonblocking(false)?;
        Ok(closed)
    };
    // It can be asked that, and there is nothing to be done if not.
    if let Ok(closed @ 1..) = close_all() {
        tracing::warn!(address = %listener.address, closed, "connections came too late for a worker that has ended");
    }
}
