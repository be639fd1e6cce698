//! What Python's own client writes is merged as Python merges it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use headcount_tests::{binary, peers, text};

fn script(name: &str) -> std::path::PathBuf {
    binary::workspace().join("tests/python").join(name)
}

fn dump(directory: &Path) -> String {
    let output = Command::new(binary::headcount()).arg("dump").arg(directory).output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "nothing is skipped");
    String::from_utf8(output.stdout).unwrap()
}

/// Lines of help and type.
fn metadata(text: &str) -> BTreeSet<&str> {
    text.lines().filter(|line| line.starts_with('#')).collect()
}

fn check(mut python: Command) {
    let directory = tempfile::tempdir().unwrap();
    let output = python
        .arg(script("write_metrics.py"))
        .env("PROMETHEUS_MULTIPROC_DIR", directory.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let theirs = String::from_utf8(output.stdout).unwrap();
    let ours = dump(directory.path());
    assert_eq!(metadata(&ours), metadata(&theirs));
    let (ours, theirs) = (text::samples(&ours), text::samples(&theirs));
    assert!(theirs.len() > 300, "{} samples", theirs.len());
    for (key, value) in &theirs {
        let own = ours.get(key).copied();
        // Equal to the bit, or both no number.
        let same =
            own.is_some_and(|own| own.to_bits() == value.to_bits() || (own.is_nan() && value.is_nan()));
        assert!(same, "{key}: {own:?}, not {value}");
    }
    assert_eq!(ours.len(), theirs.len());
}

#[test]
fn a_directory_of_the_newest_client_is_merged_exactly_as_python_does() {
    check(Command::new(peers::python()));
}

#[test]
fn directories_of_older_clients_are_merged_exactly_as_they_do() {
    for release in ["0.18.0", "0.17.1", "0.16.0"] {
        check(peers::python_with(release));
    }
}

#[test]
fn the_clients_own_tests_pass_with_our_merge() {
    let output = Command::new(peers::python())
        .arg(script("own_tests.py"))
        .arg(peers::python_sources())
        .arg(binary::headcount())
        .output()
        .unwrap();
    let (said, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{log}");
    assert!(said.contains("33 tests") && said.contains(" 0 skipped"), "{said}");
    let merges: u32 = said.split(' ').nth(2).unwrap().parse().unwrap();
    assert!(merges > 30, "{said}");
}
