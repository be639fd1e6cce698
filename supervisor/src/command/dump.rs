//! `headcount dump`: merge once, print or write.
#![expect(clippy::print_stderr, reason = "what was skipped is told beside the result")]

use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitCode;

use headcount_merge::{Buckets, Exposition, Merger};
use headcount_store::directory::Directory;

use super::Done;
use super::print::print;
use crate::cli::DumpArgs;

/// A file could not be written; what was there before is there still.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {path}")]
struct WriteError {
    path: String,
    source: io::Error,
}

pub(super) fn dump(args: &DumpArgs) -> Done {
    let mut merger = Merger::default();
    let merged = merger.merge(&Directory::open(&args.dir.dir)?)?;
    merged.report().skipped.iter().for_each(|skipped| eprintln!("{skipped}"));
    merged.report().conflicts.iter().for_each(|conflict| eprintln!("{conflict}"));
    let text = if args.no_accumulate {
        merged.to_text(Buckets::PerBucket)
    } else {
        merged.encode(&Exposition::new(args.format.into()))
    };
    match &args.output {
        None => print(&text)?,
        Some(path) => write_at_once(path, &text)
            .map_err(|source| WriteError { path: path.display().to_string(), source })?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Whoever reads the file meanwhile finds the old contents or the new, and never a part.
fn write_at_once(path: &Path, text: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().permissions(Permissions::from_mode(0o644)).tempfile_in(folder)?;
    file.write_all(text)?;
    file.persist(path)?;
    Ok(())
}
