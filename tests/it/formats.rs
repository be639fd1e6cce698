//! Every format, read back by parsers that are not ours: whatever the files say, all are valid and say the same.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use headcount_merge::{Escaping, Exposition, Format, Merger, Otlp};
use headcount_store::directory::Directory;
use headcount_tests::exposition::{Sample, read_json, read_protobuf};
use headcount_tests::otlp::Request;
use headcount_tests::supervisor::Headcount;
use headcount_tests::{binary, http, peer_file, peers};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use prost::Message;

use crate::any_directory;
use crate::any_file::{any_name, any_text, any_value};

/// How many directories are written and read.
const DIRECTORIES: usize = 120;

/// A process's files of Python's client: names, and entries.
type Files = Vec<(String, Vec<(String, f64)>)>;

fn any_python_file() -> impl Strategy<Value = (String, Vec<(String, f64)>)> {
    let label = (any_name(), any_text());
    let entry =
        (any_name(), prop::collection::vec(label, 0..3), any_text(), prop::collection::vec(any_value(), 4));
    let kind = prop::sample::select(vec!["counter", "gauge_sum", "gauge_all", "histogram", "summary"]);
    (kind, prop::collection::vec(entry, 1..6)).prop_map(|(kind, entries)| {
        let entries = entries.into_iter().flat_map(|(name, labels, help, values)| {
            let labels: BTreeMap<_, _> = labels.into_iter().collect();
            let key = |sample: &str, le: Option<&str>| {
                let mut labels = labels.clone();
                labels.extend(le.map(|le| ("le".to_owned(), le.to_owned())));
                serde_json::to_string(&(&name, sample, labels, &help)).unwrap()
            };
            let of = |suffix: &str| key(&format!("{name}{suffix}"), None);
            let keys = match kind {
                "counter" if name.len() % 2 == 0 => vec![of("_total")],
                "counter" => vec![of("")],
                "summary" => vec![of("_count"), of("_sum")],
                "histogram" => {
                    let bucket = |le| key(&format!("{name}_bucket"), Some(le));
                    vec![
                        of("_sum"),
                        bucket("1"),
                        bucket(if help.is_empty() { "-2.5" } else { "1e7" }),
                        bucket("+Inf"),
                    ]
                }
                _ => vec![of("")],
            };
            keys.into_iter().zip(values).collect::<Vec<_>>()
        });
        (kind.to_owned(), entries.collect())
    })
}

fn write(directory: &Path, files: &Files) {
    for (pid, (kind, entries)) in files.iter().enumerate() {
        let bytes = peer_file::python(entries.iter().map(|(key, value)| (key, *value, 0.0)));
        std::fs::write(directory.join(format!("{kind}_{}.db", pid + 1000)), bytes).unwrap();
    }
}

/// A sample, its value as its bits.
type Bits = (String, BTreeMap<String, String>, u64);

/// The samples of files that Python's parsers have read, by the files' names.
pub(crate) fn read_with_python(folder: &Path) -> BTreeMap<String, Vec<Sample>> {
    let script = binary::workspace().join("tests/python/read_expositions.py");
    let output = Command::new(peers::python()).arg(script).arg(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = output.stdout.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let (name, samples): (String, Vec<Bits>) = serde_json::from_slice(line).unwrap();
            let sample = |(name, labels, bits)| (name, labels, f64::from_bits(bits));
            (name, samples.into_iter().map(sample).collect())
        })
        .collect()
}

/// Samples in an order that all formats share, with bounds as numbers and values as text.
pub(crate) fn sorted(samples: &[Sample]) -> Vec<String> {
    let spell = |(name, labels, value): &Sample| {
        let mut labels = labels.clone();
        if let Some(le) = labels.get_mut("le")
            && let Ok(bound) = le.replace("Inf", "inf").parse::<f64>()
        {
            *le = bound.to_string();
        }
        format!("{name:?} {labels:?} {value:?}")
    };
    let mut spelled: Vec<_> = samples.iter().map(spell).collect();
    spelled.sort_unstable();
    spelled
}

/// Counts, as a format has them that counts in integers.
fn with_whole_counts(samples: &[Sample]) -> Vec<Sample> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "what is no count saturates")]
    #[expect(clippy::cast_precision_loss, reason = "as Prometheus stores it")]
    let whole = |value: f64| value.round() as u64 as f64;
    let sample = |(name, labels, value): &Sample| {
        let is_count = ["_count", "_gcount", "_bucket"].into_iter().any(|ending| name.ends_with(ending));
        (name.clone(), labels.clone(), if is_count { whole(*value) } else { *value })
    };
    samples.iter().map(sample).collect()
}

const SCHEMES: [Escaping; 4] = [Escaping::AllowUtf8, Escaping::Underscores, Escaping::Dots, Escaping::Values];

/// Has every format of so many directories read by parsers that are not ours, and compares what they have read. `fill`
/// writes a directory's files, and gives what has to be held for as long as they are read.
pub(crate) fn check_formats<T>(directories: usize, fill: impl Fn(&Path, &mut TestRunner) -> T) {
    let expositions = tempfile::tempdir().unwrap();
    let mut others = BTreeMap::new();
    let mut runner = TestRunner::deterministic();
    for number in 0..directories {
        let directory = tempfile::tempdir().unwrap();
        let _held = fill(directory.path(), &mut runner);
        let mut merger = Merger::default();
        let merged = merger.merge(&Directory::open(directory.path()).unwrap()).unwrap();
        assert!(merged.report().skipped.is_empty(), "{:?}", merged.report());
        for escaping in SCHEMES {
            let encode = |format| merged.encode(&Exposition { escaping, ..Exposition::new(format) });
            let name = format!("{number}-{}", escaping.as_str());
            let file = |kind: &str| expositions.path().join(format!("{name}.{kind}"));
            std::fs::write(file("text"), encode(Format::TextV1)).unwrap();
            std::fs::write(file("openmetrics"), encode(Format::OpenMetrics)).unwrap();
            others.insert(name, (read_protobuf(&encode(Format::Protobuf)), read_json(&encode(Format::Json))));
        }
        Request::decode(&*merged.to_otlp(&Otlp { resource: &[], start: 0, time: 7 })).unwrap();
        check_with_promtool(&merged.encode(&Exposition::new(Format::Text)));
    }
    let read = read_with_python(expositions.path());
    assert_eq!(read.len(), 2 * others.len());
    let mut count = 0;
    for (name, (protobuf, mut json)) in others {
        let text = &read[&format!("{name}.text")];
        assert_same(&name, text, &read[&format!("{name}.openmetrics")]);
        assert_same(&name, &with_whole_counts(text), &with_whole_counts(&protobuf));
        if name.ends_with("allow-utf-8") {
            json.iter_mut().for_each(|(_, labels, _)| drop(labels.remove("__name__")));
            assert_same(&name, text, &json);
        }
        assert_eq!(text.len(), json.len(), "{name}");
        count += text.len();
    }
    assert!(count > 10 * directories, "only {count} samples");
}

fn assert_same(name: &str, one: &[Sample], other: &[Sample]) {
    let (one, other) = (sorted(one), sorted(other));
    let differences = one.iter().zip(&other).filter(|(one, other)| one != other).take(5).collect::<Vec<_>>();
    assert!(differences.is_empty() && one.len() == other.len(), "{name}: {differences:#?}");
}

#[test]
fn all_formats_are_valid_and_say_the_same_whatever_is_in_pythons_files() {
    check_formats(DIRECTORIES, |directory, runner| {
        let files = prop::collection::vec(any_python_file(), 1..5).new_tree(runner).unwrap().current();
        write(directory, &files);
    });
}

#[test]
fn all_formats_are_valid_and_say_the_same_whatever_workers_write() {
    check_formats(DIRECTORIES, any_directory::write);
}

/// Prometheus' tool may dislike it, but reads it.
pub(crate) fn check_with_promtool(text: &[u8]) {
    let mut promtool = Command::new(peers::promtool())
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    promtool.stdin.take().unwrap().write_all(text).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(0 | 3)), "{said}{}", String::from_utf8_lossy(text));
}

#[test]
fn what_was_damaged_is_seen_by_the_parsers() {
    let folder = tempfile::tempdir().unwrap();
    let cut = b"# HELP x X.\n# TYPE x gauge\nx 1\n";
    std::fs::write(folder.path().join("1.openmetrics"), cut).unwrap();
    let read = std::panic::catch_unwind(|| read_with_python(folder.path()));
    assert!(read.is_err(), "the end is missing");
}

/// Fills a directory with everything that makes formats invalid.
pub(crate) fn write_odd(directory: &Path) {
    let mut runner = TestRunner::deterministic();
    write(directory, &prop::collection::vec(any_python_file(), 60).new_tree(&mut runner).unwrap().current());
}

/// A directory with a counter, a histogram with labels, and a gauge whose name not every reader knows.
pub(crate) fn small_directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    write_small(directory.path());
    directory
}

/// Fills one with these.
pub(crate) fn write_small(directory: &Path) {
    let counter = r#"["hits", "hits_total", {}, "Hits, \"all\"."]"#;
    let part = |sample: &str, le: &str| format!(r#"["h", "{sample}", {{"l": "x"{le}}}, "H."]"#);
    let bucket = |le: &str| part("h_bucket", &format!(r#", "le": "{le}""#));
    let gauge = r#"["room.temp", "room.temp", {"wo": "Küche", "floor.no": "1"}, "T."]"#;
    let files = [
        ("counter".to_owned(), vec![(counter.to_owned(), 3.0)]),
        ("histogram".to_owned(), vec![(part("h_sum", ""), 2.5), (bucket("1"), 1.0), (bucket("+Inf"), 1.0)]),
        ("gauge_sum".to_owned(), vec![(gauge.to_owned(), 21.5)]),
    ];
    write(directory, &files.to_vec());
}

const OPENMETRICS: &str = "# HELP h H.
# TYPE h histogram
h_sum{l=\"x\"} 2.5
h_bucket{l=\"x\",le=\"1.0\"} 1
h_bucket{l=\"x\",le=\"+Inf\"} 2
h_count{l=\"x\"} 2
# HELP hits Hits, \\\"all\\\".
# TYPE hits counter
hits_total 3
# HELP room_temp T.
# TYPE room_temp gauge
room_temp{floor_no=\"1\",wo=\"Küche\"} 21.5
# EOF
";

const JSON: &str = r#"[
{"name":"h","help":"H.","type":"HISTOGRAM","metrics":[
{"labels":{"l":"x"},"sum":"2.5","buckets":{"1.0":"1","+Inf":"2"},"count":"2"}]},
{"name":"hits_total","help":"Hits, \"all\".","type":"COUNTER","metrics":[
{"value":"3"}]},
{"name":"room.temp","help":"T.","type":"GAUGE","metrics":[
{"labels":{"floor.no":"1","wo":"Küche"},"value":"21.5"}]}]
"#;

#[test]
fn a_dump_is_in_the_format_that_is_asked_for() {
    let directory = small_directory();
    let dump = |arguments: &[&str]| {
        let output =
            Command::new(binary::headcount()).arg("dump").arg(directory.path()).args(arguments).output();
        output.unwrap()
    };
    assert_eq!(String::from_utf8(dump(&["--format", "openmetrics"]).stdout).unwrap(), OPENMETRICS);
    assert_eq!(String::from_utf8(dump(&["--format", "json"]).stdout).unwrap(), JSON);
    assert_eq!(dump(&["--format", "text"]).stdout, dump(&[]).stdout);
    let samples = read_protobuf(&dump(&["--format", "protobuf"]).stdout);
    assert_eq!(samples.len(), 6);
    assert_eq!(samples[4], ("hits_total".to_owned(), BTreeMap::new(), 3.0));
    assert_eq!(dump(&["--format", "json", "--no-accumulate"]).status.code(), Some(2));
}

#[test]
fn a_scraper_gets_the_format_and_the_names_that_it_wants() {
    let directory = small_directory();
    let path = directory.path().to_str().unwrap();
    let headcount = Headcount::start(["serve", "--dir", path, "--web.listen-address", "127.0.0.1:0"]);
    let address = headcount.metrics();
    let get = |method: &str, path: &str, accept: &str| {
        http::request(&address, method, path, &[&format!("Accept: {accept}")]).unwrap()
    };
    let own = "name[]=room.temp&name%5B%5D=hits&name[]=h_count&name[]=nothing";
    let answer = get("GET", &format!("/metrics?{own}"), "application/openmetrics-text;version=1.0.0");
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores";
    assert_eq!((answer.header("content-type"), answer.text()), (Some(content_type), OPENMETRICS));
    assert_eq!(answer.header("vary"), Some("Accept, Accept-Encoding"));
    let json = get("GET", &format!("/api/v1/metrics?{own}"), "*/*");
    assert_eq!((json.header("content-type"), json.text()), (Some("application/json"), JSON));
    let none = get("GET", "/metrics?name[]=nothing", "*/*");
    assert_eq!((none.status, none.text()), (200, ""));
    let quoted = get("GET", "/metrics?name[]=room_temp", "text/plain;version=1.0.0;escaping=allow-utf-8");
    assert_eq!(quoted.text(), "", "this is not its name here");
    let quoted = get("GET", "/metrics?name[]=room.temp", "text/plain;version=1.0.0;escaping=allow-utf-8");
    assert_eq!(
        quoted.header("content-type"),
        Some("text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8")
    );
    assert!(
        quoted.text().ends_with("\n{\"room.temp\",\"floor.no\"=\"1\",wo=\"Küche\"} 21.5\n"),
        "{}",
        quoted.text()
    );
    let protobuf =
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
    let answer = get("GET", &format!("/metrics?{own}"), protobuf);
    assert!(answer.header("content-type").unwrap().starts_with("application/vnd.google.protobuf; proto="));
    assert_eq!(read_protobuf(&answer.body).len(), 6);
    let head = get("HEAD", "/metrics", protobuf);
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-type"), answer.header("content-type"));
}
