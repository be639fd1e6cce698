//! A program for the kernel: to which socket of a port that was bound several times a new connection goes.
//!
//! The kernel numbers the sockets of a port in the order in which they began to listen, as we do. The program
//! takes one of those that are served, at random. What waits in a queue already is not touched.

use std::io;
use std::os::fd::AsFd;

use libc::{sock_filter, sock_fprog};
use nix::sys::socket::{setsockopt, sockopt};

/// Lets new connections go to these sockets of a port only. The numbers are ascending, and at least one.
pub(super) fn steer(port: impl AsFd, served: &[u32]) -> io::Result<()> {
    let mut program = program(served);
    let len = u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    // The kernel copies it.
    let program = sock_fprog { len, filter: program.as_mut_ptr() };
    setsockopt(&port, sockopt::AttachReusePortCbpf, &program).map_err(io::Error::from)
}

/// Classic BPF. The numbers are runs, such as 0-2 and 5-7: a random number below the count of all is moved up by
/// what is left out before the run into which it falls.
fn program(served: &[u32]) -> Vec<sock_filter> {
    let count = u32::try_from(served.len()).unwrap_or(u32::MAX).max(1);
    // A negative offset means no byte of the packet, but something else: here, a random number.
    let random = (libc::SKF_AD_OFF + libc::SKF_AD_RANDOM).cast_unsigned();
    let mut program = vec![
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, random, 0),
        instruction(libc::BPF_ALU | libc::BPF_MOD | libc::BPF_K, count, 0),
    ];
    let mut below = 0;
    for run in served.chunk_by(|one, next| one + 1 == *next) {
        let left_out = run[0] - below;
        below += u32::try_from(run.len()).unwrap_or(u32::MAX);
        if below < count {
            // To the next run.
            program.push(instruction(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, below, 2));
        }
        program.push(instruction(libc::BPF_ALU | libc::BPF_ADD | libc::BPF_K, left_out, 0));
        program.push(instruction(libc::BPF_RET | libc::BPF_A, 0, 0));
    }
    program
}

/// `jump` instructions are skipped if a comparison holds.
fn instruction(code: u32, k: u32, jump: u8) -> sock_filter {
    sock_filter { code: u16::try_from(code).unwrap_or_default(), jt: jump, jf: 0, k }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel would do, for a random number.
    fn run(program: &[sock_filter], random: u32) -> u32 {
        let (mut accumulator, mut at) = (random, 1);
        loop {
            let sock_filter { code, jt, k, .. } = program[at];
            at += 1;
            match u32::from(code) & 0xf7 {
                0x94 => accumulator %= k,
                0x04 => accumulator += k,
                0x35 => at += if accumulator >= k { usize::from(jt) } else { 0 },
                0x16 => return accumulator,
                code => panic!("unknown instruction {code:#x}"),
            }
        }
    }

    #[test]
    fn every_socket_that_is_served_gets_its_share_and_no_other_gets_any() {
        for served in [&[0][..], &[4], &[0, 1, 2], &[0, 2], &[1, 2, 5, 7, 8, 9]] {
            let program = program(served);
            let mut count = std::collections::BTreeMap::new();
            (0..600).for_each(|random| *count.entry(run(&program, random)).or_insert(0) += 1);
            assert!(count.keys().eq(served), "{served:?}: {count:?}");
            let share = 600 / served.len();
            assert!(count.values().all(|&n| n == share), "{served:?}: {count:?}");
        }
    }
}
