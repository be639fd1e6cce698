//! The terminal, if there is one: drawn over and over, and left as it was.

use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};

/// Another screen, and no cursor on it; and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// Where something is drawn until somebody has seen enough.
#[derive(Debug)]
pub(super) struct Screen {
    is_terminal: bool,
    /// What the keyboard was like.
    keyboard: Option<Termios>,
    signals: SignalFd,
}

/// What comes after a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Another drawing.
    Draw,
    /// Somebody has seen enough.
    Quit,
}

impl Screen {
    pub(super) fn open() -> io::Result<Self> {
        let ends: SigSet =
            [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT].into_iter().collect();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&ends), None)?;
        let signals = SignalFd::with_flags(&ends, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        let is_terminal = io::stdout().is_terminal();
        let keyboard = tcgetattr(io::stdin()).ok().filter(|_| is_terminal);
        if let Some(keyboard) = &keyboard {
            let mut by_key = keyboard.clone();
            by_key.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO);
            tcsetattr(io::stdin(), SetArg::TCSANOW, &by_key)?;
        }
        let screen = Self { is_terminal, keyboard, signals };
        if is_terminal {
            write(ENTER)?;
        }
        Ok(screen)
    }

    pub(super) fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// How many lines there is room for, if there is an end to it.
    pub(super) fn height(&self) -> Option<usize> {
        self.size().map(|(_, height)| height)
    }

    fn size(&self) -> Option<(usize, usize)> {
        let (width, height) = terminal_size::terminal_size().filter(|_| self.is_terminal)?;
        Some((width.0.into(), height.0.into()))
    }

    /// Draws over what was there; without a terminal, prints below it.
    pub(super) fn draw(&self, lines: &[String]) -> io::Result<()> {
        let Some((width, height)) = self.size() else {
            return write(&lines.iter().map(|line| format!("{line}\n")).collect::<String>());
        };
        // Not the last column: what is erased behind it would be in it.
        let fitting = |line: &String| line.chars().take(width.saturating_sub(1)).collect::<String>();
        let lines: Vec<_> = lines.iter().take(height).map(fitting).collect();
        write(&format!("\x1b[H{}\x1b[K\x1b[J", lines.join("\x1b[K\n")))
    }

    /// Waits for this long, or until somebody has seen enough.
    pub(super) fn pause(&self, time: Duration) -> io::Result<Next> {
        let end = Instant::now() + time;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Next::Draw);
            }
            let timeout = PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
            let (stdin, readable) = (io::stdin(), PollFlags::POLLIN);
            let mut descriptors = vec![PollFd::new(self.signals.as_fd(), readable)];
            descriptors.extend(self.keyboard.as_ref().map(|_| PollFd::new(stdin.as_fd(), readable)));
            match poll(&mut descriptors, timeout) {
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
            let is_ready: Vec<_> = descriptors.iter().map(|ready| ready.any().unwrap_or(false)).collect();
            if is_ready[0] || (is_ready.get(1) == Some(&true) && is_quit()) {
                return Ok(Next::Quit);
            }
        }
    }
}

/// Whether the keys that wait say so, or the terminal is gone.
fn is_quit() -> bool {
    let mut keys = [0; 64];
    nix::unistd::read(io::stdin(), &mut keys).map_or(true, |read| read == 0 || keys[..read].contains(&b'q'))
}

fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

impl Drop for Screen {
    fn drop(&mut self) {
        // There is nobody left to tell.
        if self.is_terminal {
            let _ = write(LEAVE);
        }
        if let Some(keyboard) = &self.keyboard {
            let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, keyboard);
        }
    }
}
