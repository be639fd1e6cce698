//! `headcount check`: what is wrong in a directory.
#![expect(clippy::print_stdout, reason = "the findings are the result")]

use std::process::ExitCode;

use headcount_merge::Merger;
use headcount_store::directory::Directory;

use super::Done;
use crate::cli::DirArg;

pub(super) fn check(args: &DirArg) -> Done {
    let mut merger = Merger::default();
    let merged = merger.merge(&Directory::open(&args.dir)?)?;
    let report = merged.report();
    for skipped in &report.skipped {
        println!("{skipped}");
    }
    for conflict in &report.conflicts {
        println!("{conflict}");
    }
    if report.lost.series > 0 || report.lost.updates > 0 {
        println!("no space for {} new series and {} updates", report.lost.series, report.lost.updates);
    }
    let files = report.files;
    println!(
        "{}: {} families in {} files ({} of Headcount, {} of Python, {} of Ruby), {} skipped",
        args.dir.display(),
        merged.families().count(),
        files.own + files.python + files.ruby,
        files.own,
        files.python,
        files.ruby,
        report.skipped.len()
    );
    let sound = report.skipped.is_empty() && report.conflicts.is_empty() && report.lost == Default::default();
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
