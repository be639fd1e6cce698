//! What `docs/merge-rules.md` says of processes that do not agree, of Ruby's files and of odd texts.

use std::path::Path;

use headcount::{Buckets as Bounds, GaugeMode, Registry};
use headcount_merge::{Buckets, DirectoryCollector, Merger};
use headcount_store::directory::Directory;
use prometheus::TextEncoder;

use crate::peer_file::file_bytes;

/// A directory with files of peers: a name, and keys with values.
fn directory(files: &[(&str, &[(&str, f64)])]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, entries) in files {
        let bytes = file_bytes(entries.iter().map(|&(key, value)| (key, value, None)));
        std::fs::write(directory.path().join(name), bytes).unwrap();
    }
    directory
}

/// The exposition, and what was left out of it.
fn merge(directory: &Path) -> (String, Vec<String>) {
    let mut merger = Merger::default().keeping_files_open();
    let merged = merger.merge(&Directory::open(directory).unwrap()).unwrap();
    assert!(merged.report().skipped.is_empty(), "{:?}", merged.report());
    let conflicts = merged.report().conflicts.iter().map(ToString::to_string).collect();
    (String::from_utf8(merged.to_text(Buckets::Cumulative)).unwrap(), conflicts)
}

/// Everything but the lines of help.
fn without_help(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.starts_with("# HELP")).collect()
}

#[test]
fn families_that_would_expose_the_same_samples_are_shown_once() {
    let registries = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    // In whichever order the files come.
    for (at, directory) in registries.iter().enumerate() {
        let mut steps: [fn(&Registry); 3] = [
            |registry| registry.gauge("load", "", GaugeMode::Sum).unwrap().set(3.0),
            |registry| registry.histogram("load", "", Bounds::new([1.0]).unwrap()).unwrap().observe(0.5),
            |registry| registry.gauge("load_count", "", GaugeMode::Sum).unwrap().set(9.0),
        ];
        if at == 1 {
            steps.reverse();
        }
        steps.iter().for_each(|step| step(&Registry::in_directory(directory.path()).unwrap()));
        let (text, mut conflicts) = merge(directory.path());
        conflicts.sort_unstable();
        assert_eq!(
            without_help(&text),
            [
                "# TYPE load histogram",
                "load_sum 0.5",
                "load_bucket{le=\"1.0\"} 1",
                "load_bucket{le=\"+Inf\"} 1",
                "load_count 1"
            ]
        );
        assert_eq!(
            conflicts,
            [
                "left out gauge load: histogram load has samples of the same name",
                "left out gauge load_count: histogram load has samples of the same name"
            ]
        );
    }
}

#[test]
fn of_two_modes_the_chosen_one_prevails() {
    let key = r#"["g", "g", {}, ""]"#;
    let mixed = directory(&[("gauge_all_1.db", &[(key, 1.0)]), ("gauge_max_2.db", &[(key, 5.0)])]);
    assert_eq!(without_help(&merge(mixed.path()).0), ["# TYPE g gauge", "g 5"]);
}

#[test]
fn histograms_of_different_buckets_have_the_buckets_of_all() {
    let entry = |sample: &str, le: &str| format!(r#"["h", "{sample}", {{"le": "{le}"}}, ""]"#);
    let sum = r#"["h", "h_sum", {}, ""]"#;
    let (one, two, infinity) = (entry("h_bucket", "1.0"), entry("h_bucket", "2"), entry("h_bucket", "+Inf"));
    let mixed = directory(&[
        ("histogram_1.db", &[(sum, 4.5), (&one, 1.0), (&infinity, 2.0)]),
        // This one has been written in the spelling of another client, and has no +Inf.
        ("histogram_2.db", &[(sum, 1.5), (&two, 4.0)]),
    ]);
    assert_eq!(
        without_help(&merge(mixed.path()).0),
        [
            "# TYPE h histogram",
            "h_sum 6",
            "h_bucket{le=\"1.0\"} 1",
            "h_bucket{le=\"2.0\"} 5",
            "h_bucket{le=\"+Inf\"} 7",
            "h_count 7"
        ]
    );
}

#[test]
fn files_of_rubys_client_are_summed_and_their_buckets_are_cumulated_already() {
    let bucket = |le: &str| format!(r#"["h","h_bucket",["action","le"],["show","{le}"]]"#);
    let (small, large, infinity) = (bucket("0.5"), bucket("1"), bucket("+Inf"));
    let sum = r#"["h","h_sum",["action"],["show"]]"#;
    let count = r#"["h","h_count",["action"],["show"]]"#;
    let counter = r#"["hits","hits",["code"],[200]]"#;
    let gauge = r#"["g","g",[],[]]"#;
    let of_worker = [(sum, 2.0), (&*small, 1.0), (&*large, 3.0), (&*infinity, 4.0), (count, 4.0)];
    let puma = directory(&[
        ("histogram_puma_1-0.db", &of_worker),
        ("histogram_puma_2-0.db", &of_worker),
        ("counter_puma_1-0.db", &[(counter, 2.0)]),
        ("counter_puma_2-0.db", &[(counter, 3.0)]),
        ("gauge_all_puma_1-0.db", &[(gauge, 7.0)]),
        ("gauge_all_puma_2-0.db", &[(gauge, 8.0)]),
    ]);
    let (text, conflicts) = merge(puma.path());
    assert_eq!(
        text.lines().collect::<Vec<_>>(),
        [
            "# HELP g Multiprocess metric",
            "# TYPE g gauge",
            "g{pid=\"puma_1\"} 7",
            "g{pid=\"puma_2\"} 8",
            "# HELP h Multiprocess metric",
            "# TYPE h histogram",
            "h_sum{action=\"show\"} 4",
            "h_bucket{action=\"show\",le=\"0.5\"} 2",
            "h_bucket{action=\"show\",le=\"1.0\"} 6",
            "h_bucket{action=\"show\",le=\"+Inf\"} 8",
            "h_count{action=\"show\"} 8",
            "# HELP hits Multiprocess metric",
            "# TYPE hits counter",
            "hits{code=\"200\"} 5",
        ]
    );
    assert!(conflicts.is_empty());
}

#[test]
fn texts_of_any_kind_stay_within_their_line() {
    let odd = directory(&[(
        "gauge_sum_1.db",
        &[(
            r#"["größe.in m²", "größe.in m²", {"9a": "a\"b\\c\nd", "é": "ü"}, "two\nlines \\ \"quoted\""]"#,
            1.5,
        )],
    )]);
    assert_eq!(
        merge(odd.path()).0,
        "# HELP gr__e_in_m_ two\\nlines \\\\ \"quoted\"\n# TYPE gr__e_in_m_ gauge\n\
         gr__e_in_m_{_a=\"a\\\"b\\\\c\\nd\",_=\"ü\"} 1.5\n"
    );
}

#[test]
fn no_line_is_exposed_twice_whatever_the_labels_are_called() {
    let alike = directory(&[(
        "gauge_all_1.db",
        &[
            (r#"["g", "g", {"a.b": "1"}, ""]"#, 1.0),
            (r#"["g", "g", {"a-b": "1"}, ""]"#, 2.0),
            (r#"["g", "g", {"a.b": "1", "a_b": "2"}, ""]"#, 3.0),
            (r#"["g", "g", {"a.b": "2"}, ""]"#, 4.0),
        ],
    )]);
    let (text, _) = merge(alike.path());
    assert_eq!(
        without_help(&text),
        ["# TYPE g gauge", "g{a_b=\"1\",pid=\"1\"} 2", "g{a_b=\"2\",pid=\"1\"} 4"]
    );
}

#[test]
fn an_application_that_gathers_a_directory_sees_what_the_merge_does() {
    let directory = directory(&[
        ("counter_1.db", &[(r#"["c", "c_total", {"a": "1"}, "C."]"#, 3.0)]),
        ("gauge_all_1.db", &[(r#"["g", "g", {}, "G."]"#, -0.5)]),
        ("summary_1.db", &[(r#"["s", "s_sum", {}, "S."]"#, 2.5), (r#"["s", "s_count", {}, "S."]"#, 2.0)]),
    ]);
    let own = Registry::in_directory(directory.path()).unwrap();
    own.histogram("h", "H.", Bounds::new([1.0, 2.0]).unwrap()).unwrap().observe(1.5);
    own.counter_family("c", "C.", ["a"]).unwrap().with(["1"]).add(4);
    let collector = || DirectoryCollector::new(Directory::open(directory.path()).unwrap());
    let keeps_open = collector().with_merger(Merger::default().keeping_files_open());
    let registries = [collector(), keeps_open].map(|collector| {
        let registry = prometheus::Registry::new();
        registry.register(Box::new(collector)).unwrap();
        registry
    });
    for registry in registries.iter().chain(&registries) {
        let theirs = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        let sorted = |text: &str| {
            // The two differ in the order within a histogram and in how bounds are spelled.
            let mut lines: Vec<_> = text.lines().map(|line| line.replace(".0\"}", "\"}")).collect();
            lines.sort_unstable();
            lines
        };
        assert_eq!(sorted(&theirs), sorted(&merge(directory.path()).0));
    }
}
