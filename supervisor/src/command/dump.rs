//! `headcount dump`: merge once, print or write.
#![expect(clippy::print_stderr, reason = "what was skipped is told beside the result")]

use std::io;
use std::process::ExitCode;

use headcount_merge::{Buckets, Exposition, Merger};
use headcount_store::directory::Directory;

use super::Done;
use super::print::print;
use crate::cli::DumpArgs;
use crate::exporter::write_at_once;

/// A file could not be written; what was there before is there still.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {path}")]
pub(super) struct WriteError {
    pub(super) path: String,
    pub(super) source: io::Error,
}

pub(super) fn dump(args: &DumpArgs) -> Done {
    // Mapped, large files of ours are not copied, also if it is once only.
    let mut merger = Merger::default().keeping_files_open();
    let merged = merger.merge(&Directory::open(&args.dir.dir)?)?;
    merged.report().skipped.iter().for_each(|skipped| eprintln!("{skipped}"));
    merged.report().conflicts.iter().for_each(|conflict| eprintln!("{conflict}"));
    let text = if args.no_accumulate {
        merged.to_text(Buckets::PerBucket)
    } else {
        let created_samples = args.created_samples;
        merged.encode(&Exposition { created_samples, ..Exposition::new(args.format.into()) })
    };
    match &args.output {
        None => print(&text)?,
        Some(path) => write_at_once(path, &text)
            .map_err(|source| WriteError { path: path.display().to_string(), source })?,
    }
    Ok(ExitCode::SUCCESS)
}
