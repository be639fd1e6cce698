//! `headcount status`: once, as a table or as JSON.

use std::process::ExitCode;

use headcount_merge::Merger;
use serde_json::{Value, json};

use super::Standing;
use super::spell::{fine_time, size, table, time};
use super::standing::Worker;
use crate::cli::StatusArgs;
use crate::command::Done;
use crate::command::print::print;
use crate::owner::Owner;

pub(in crate::command) fn status(args: &StatusArgs) -> Done {
    let owner = Owner::find(args.owner.dir.as_deref())?;
    let standing = Standing::of(&owner, &Merger::default().merge(&owner.directory)?);
    let shown = if args.json {
        format!("{:#}\n", as_json(&standing))
    } else {
        standing.headlines().iter().chain(&as_table(&standing)).map(|line| format!("{line}\n")).collect()
    };
    print(shown)?;
    Ok(ExitCode::SUCCESS)
}

fn as_table(standing: &Standing) -> Vec<String> {
    let names = ["SLOT", "PID", "STATE", "GENERATION", "UPTIME", "CPU", "RSS", "RESTARTS"];
    let row = |worker: &Worker| {
        let mut row = worker.identity();
        row.push(worker.used(|usage| time(usage.uptime)));
        row.push(worker.used(|usage| fine_time(usage.cpu)));
        row.push(worker.used(|usage| size(usage.resident)));
        row.push(worker.slot.restarts.to_string());
        row
    };
    let names = names.map(str::to_owned).to_vec();
    table(&std::iter::once(names).chain(standing.workers.iter().map(row)).collect::<Vec<_>>())
}

fn as_json(standing: &Standing) -> Value {
    let Standing { pid, directory, uptime, view, workers } = standing;
    let worker = |Worker { slot, usage }: &Worker| {
        json!({
            "slot": slot.slot,
            "pid": slot.pid,
            "state": slot.state,
            "generation": slot.pid.map(|_| slot.generation),
            "uptime_seconds": usage.map(|usage| usage.uptime.as_secs_f64()),
            "cpu_seconds": usage.map(|usage| usage.cpu.as_secs_f64()),
            "resident_bytes": usage.map(|usage| usage.resident),
            "restarts": slot.restarts,
        })
    };
    json!({
        "supervisor": {
            "pid": pid.as_raw(),
            "directory": directory.to_string_lossy(),
            "uptime_seconds": uptime.map(|uptime| uptime.as_secs_f64()),
            "generation": view.generation,
            "wanted_workers": view.wanted,
            "workers": view.workers,
            "reload_in_progress": view.is_reloading,
            "last_reload_successful": view.last_reload,
            "last_reload_success_timestamp_seconds": view.last_success,
            "reloads": { "success": view.reloads.success, "failure": view.reloads.failure },
        },
        "workers": workers.iter().map(worker).collect::<Vec<_>>(),
    })
}
