//! The programs under test, built if need be.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// The folder of the workspace.
#[must_use]
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The folder that holds what was built with this test: `target/debug`, or `release`.
fn folder() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    // An integration test is in `deps`, one further down.
    own.ancestors().find(|folder| folder.join("deps").is_dir()).unwrap().to_owned()
}

fn build(package: &str, what: &str) {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(workspace()).args(["build", "--quiet", "--locked", "--package", package, what]);
    if folder().ends_with("release") {
        command.arg("--release");
    }
    assert!(command.status().unwrap().success(), "cannot build {package}");
}

/// The binary `headcount`.
#[must_use]
pub fn headcount() -> &'static Path {
    static BUILT: LazyLock<PathBuf> = LazyLock::new(|| {
        build("headcount-supervisor", "--bins");
        folder().join("headcount")
    });
    &BUILT
}

/// One of the example programs.
#[must_use]
pub fn example(name: &str) -> PathBuf {
    static BUILT: LazyLock<()> = LazyLock::new(|| build("headcount-examples", "--bins"));
    LazyLock::force(&BUILT);
    folder().join(name)
}

/// The library that counts, for other languages to load.
#[must_use]
pub fn plugin() -> PathBuf {
    static BUILT: LazyLock<()> = LazyLock::new(|| build("headcount-tests", "--examples"));
    LazyLock::force(&BUILT);
    folder().join("examples/libplugin.so")
}
