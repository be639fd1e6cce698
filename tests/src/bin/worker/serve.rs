//! A server that answers with its PID.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::time::Duration;

use headcount::Counter;
use headcount::worker::{Drain, Worker};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::ready;

/// A listening socket of either kind.
enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    fn take(worker: &mut Worker, is_unix: bool) -> Self {
        if is_unix {
            let listener = worker.take_unix_listener("http").unwrap();
            listener.set_nonblocking(true).unwrap();
            return Self::Unix(listener);
        }
        let listener = worker.take_tcp_listener("http").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self::Tcp(listener)
    }

    fn accept(&self) -> std::io::Result<File> {
        match self {
            Self::Tcp(listener) => listener.accept().map(|(stream, _)| OwnedFd::from(stream).into()),
            Self::Unix(listener) => listener.accept().map(|(stream, _)| OwnedFd::from(stream).into()),
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Unix(listener) => listener.as_fd(),
        }
    }
}

/// Answers requests with its PID: at once, or for `/sleep/MS` after so many milliseconds.
pub(crate) fn serve(is_unix: bool) {
    let mut worker = Worker::from_environment().unwrap();
    let listener = Listener::take(&mut worker, is_unix);
    let requests = Counter::new("test_requests", "Requests answered.").unwrap();
    let drain = ready(&worker);
    let mut answering = Vec::new();
    loop {
        match listener.accept() {
            Ok(stream) => {
                worker.count_requests(1).unwrap();
                answering.push(std::thread::spawn(move || answer(stream, requests)));
            }
            // Nobody waits. What was queued before the signal has been taken.
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                if drain.is_requested() {
                    break;
                }
                worker.alive().unwrap();
                wait_for(&listener, &drain, worker.watchdog());
            }
            Err(error) => panic!("{error}"),
        }
    }
    drop(listener);
    answering.into_iter().for_each(|thread| thread.join().unwrap());
}

/// Waits for a connection, for the end, or until it is time to say something.
fn wait_for(listener: &Listener, drain: &Drain, watchdog: Option<Duration>) {
    let mut descriptors =
        [listener.as_fd(), drain.as_fd()].map(|descriptor| PollFd::new(descriptor, PollFlags::POLLIN));
    let timeout = watchdog.map_or(PollTimeout::NONE, |time| PollTimeout::try_from(time / 3).unwrap());
    let _ = poll(&mut descriptors, timeout);
}

fn answer(mut stream: File, requests: Counter) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let Some(Ok(request)) = lines.next() else { return };
    let path = request.split(' ').nth(1).unwrap_or("/").to_owned();
    lines.take_while(|line| line.as_ref().is_ok_and(|line| !line.is_empty())).for_each(drop);
    if let Some(milliseconds) = path.strip_prefix("/sleep/") {
        std::thread::sleep(Duration::from_millis(milliseconds.parse().unwrap()));
    }
    requests.inc();
    let body = std::process::id().to_string();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let _ = stream.write_all((head + &body).as_bytes());
}
