//! `headcount demo`: a prefork HTTP server with some traffic of its own, to look at.
//!
//! The master is the ordinary one, and the worker is this same binary: it takes the socket that was
//! passed to it, counts what it answers, and asks itself for something now and then.
#![expect(clippy::print_stdout, reason = "where to look is the result")]

mod traffic;
mod worker;

use std::process::ExitCode;
use std::time::Duration;

use super::Done;
use super::run::supervise;
use crate::address::{DEFAULT_NAME, NamedAddress};
use crate::children::Work;
use crate::cli::{DemoArgs, MetricsAddress, SupervisorArgs};
use crate::master::Master;
use crate::options::RunOptions;

pub(super) use worker::work;

/// Tells a worker where to send its traffic.
const TARGET: &str = "HEADCOUNT_DEMO_TARGET";

pub(super) fn demo(args: DemoArgs) -> Done {
    let own_binary = std::env::current_exe()?;
    let mut supervisor = SupervisorArgs::default();
    supervisor.pool.workers = Some(args.workers);
    supervisor.pool.graceful_timeout = Duration::from_secs(5);
    supervisor.listen.bind = vec![NamedAddress { name: DEFAULT_NAME.to_owned(), address: args.bind }];
    supervisor.listen.metrics = vec![MetricsAddress(Some(args.metrics))];
    let options = RunOptions::new(supervisor)?;
    let work = Work::Execute(options.find_program(&[own_binary.into(), "demo-worker".into()])?);
    let Some(mut master) = Master::start(options, work)? else {
        return Ok(ExitCode::SUCCESS);
    };
    let server = master.addresses().next().map(|(_, address)| address.to_string()).unwrap_or_default();
    let metrics = master.metrics_address().map(ToString::to_string).unwrap_or_default();
    println!("{} workers serve http://{server}/, and send each other some requests.", args.workers);
    println!("What all of them have counted, merged:");
    println!();
    println!("    curl http://{metrics}/metrics");
    println!();
    println!("Kill any of them and look again. Stop with Ctrl-C.");
    master.add_environment(TARGET, server);
    supervise(master)
}
