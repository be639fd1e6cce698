//! What the documents say of the code, compared with it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use headcount_tests::binary;

/// Every Rust file below a folder, but for what was built.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() {
            if entry.file_name() != "target" {
                sources(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Whether a line says that what follows is unsafe.
fn says_so(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    let words = code.split("unsafe").skip(1);
    words
        .map(str::trim_start)
        .any(|rest| ["{", "(", "impl ", "fn ", "extern "].iter().any(|next| rest.starts_with(next)))
}

#[test]
fn every_island_of_unsafe_code_is_named() {
    let workspace = binary::workspace();
    let mut found = Vec::new();
    for folder in ["crates", "supervisor", "tests", "benches", "examples"] {
        sources(&workspace.join(folder), &mut found);
    }
    let islands: BTreeSet<_> = found
        .iter()
        .filter(|path| std::fs::read_to_string(path).unwrap().lines().any(says_so))
        .map(|path| path.strip_prefix(workspace).unwrap().to_str().unwrap().to_owned())
        .collect();
    let architecture = std::fs::read_to_string(workspace.join("ARCHITECTURE.md")).unwrap();
    let section = architecture.split("\n## ").find(|section| section.starts_with("Unsafe code")).unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    assert_eq!(rows.map(|(path, _)| path.to_owned()).collect::<BTreeSet<_>>(), islands);
}
