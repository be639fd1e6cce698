//! Results in `docs/performance.md`: each table stands between two markers, and what stands there is replaced.
//!
//! `<!-- NAME: COMMAND -->` before it, `<!-- end of NAME -->` behind it. Only who is asked to writes there: a run
//! on a machine that does something else has no figures to keep.

use std::path::{Path, PathBuf};

/// Puts `table` in the place of the one of that name.
pub(crate) fn write(name: &str, table: &str) {
    let path = path();
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, replaced(&text, name, table)).unwrap();
    println!("\nwritten to {}", path.display());
}

/// Writes a file that the document shows.
#[allow(dead_code, reason = "for whoever has a plot")]
pub(crate) fn write_beside(name: &str, contents: &str) {
    std::fs::write(path().with_file_name(name), contents).unwrap();
}

fn path() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().find_map(|folder| {
        let path = folder.join("docs/performance.md");
        path.exists().then_some(path)
    });
    path.unwrap()
}

/// The processors that this runs on, in words.
pub(crate) fn machine() -> String {
    let known = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let of = |key: &str| {
        let line = known.lines().find(|line| line.starts_with(key));
        line.and_then(|line| line.split_once(": ")).map_or("unknown", |(_, value)| value).to_owned()
    };
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{count} × {} at {} MHz", of("model name"), of("cpu MHz"))
}

fn replaced(text: &str, name: &str, table: &str) -> String {
    let begin = text.find(&format!("<!-- {name}: ")).unwrap();
    let begin = begin + text[begin..].find("-->\n").unwrap() + "-->\n".len();
    let end = begin + text[begin..].find(&format!("<!-- end of {name} -->")).unwrap();
    format!("{}\n{}\n\n{}", &text[..begin], table.trim_end(), &text[end..])
}
