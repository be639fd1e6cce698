//! Why a metric could not be created, and what comes of it.
//!
//! In the field nothing: [`OrNoop::or_noop`](crate::OrNoop::or_noop) puts a metric in its place that works and
//! records nothing, and one line says so. In tests and development, [strict] mode panics.

use std::error::Error;
use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use headcount_store::format::exemplar::ExemplarError;
use headcount_store::metric::{GaugeMode, Kind, NameError};
use headcount_store::write::{CreateError, SpaceError};

use crate::buckets::BucketError;
use crate::state_set::StatesError;

/// A metric could not be created, and what to do about it.
///
/// ```
/// use headcount::{Counter, RegisterError};
///
/// let error = Counter::new("jobs-done", "").unwrap_err();
/// assert!(matches!(error, RegisterError::Name(_)));
/// assert_eq!(error.to_string(), "`jobs-done` contains `-`: a name consists of letters, digits and underscores");
/// ```
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// The name of the metric or of a label breaks a rule of Prometheus.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A label that the merge itself puts on samples of this kind.
    #[error("label `{label}` of `{name}` is taken: a {kind} puts it on its samples itself")]
    ReservedLabel {
        /// The metric.
        name: String,
        /// The label.
        label: String,
        /// The metric's kind.
        kind: Kind,
    },
    /// The same label twice.
    #[error("`{name}` has the label `{label}` twice")]
    DuplicateLabel {
        /// The metric.
        name: String,
        /// The label.
        label: String,
    },
    /// Bucket bounds that make no histogram.
    #[error("the buckets of `{name}` make no histogram")]
    Buckets {
        /// The metric.
        name: String,
        /// What is wrong with them.
        source: BucketError,
    },
    /// States that make no set.
    #[error("the states of `{name}` make no set")]
    States {
        /// The metric.
        name: String,
        /// What is wrong with them.
        source: StatesError,
    },
    /// A state set was set to what is none of its states.
    #[error("`{state}` is none of the states that the set was created with")]
    UnknownState {
        /// What it was set to.
        state: String,
    },
    /// A gauge of differences in a mode that is no sum.
    #[error(
        "`{name}` records differences, which are summed: its mode is `livesum` or `sum`, and not `{mode}`"
    )]
    NoSum {
        /// The metric.
        name: String,
        /// The mode that was given.
        mode: GaugeMode,
    },
    /// There is a metric of that name, and it is another one.
    #[error("`{name}` exists already, with another {difference}")]
    Different {
        /// The metric.
        name: String,
        /// What differs: the kind, the help text, the labels.
        difference: &'static str,
    },
    /// A sample of this metric would have the name of another metric's.
    #[error("`{name}` would expose `{sample}`, which is a sample of `{other}`")]
    Taken {
        /// The metric.
        name: String,
        /// The sample's name.
        sample: String,
        /// The metric that has it.
        other: String,
    },
    /// The limit of bytes that the environment names is none.
    #[error("`HEADCOUNT_BYTES_LIMIT={value}` is no number of bytes, such as 64M: the default holds")]
    BytesLimit {
        /// What the variable holds.
        value: String,
    },
    /// There is no file to record it in.
    #[error(transparent)]
    Create(#[from] CreateError),
    /// There is no space in the file.
    #[error("`{name}` cannot be recorded")]
    Space {
        /// The metric.
        name: String,
        /// Why not.
        source: SpaceError,
    },
    /// An exemplar was not kept.
    #[error("an exemplar was not kept")]
    Exemplar(#[source] ExemplarError),
    /// The registry could not be created, so none of its metrics can.
    #[error("`{name}` has no registry: it could not be created")]
    NoRegistry {
        /// The metric.
        name: String,
    },
    /// The directory was to be chosen after the first metric had chosen it.
    #[error("metrics are in use already: choose the directory before the first one is created")]
    TooLate,
}

/// The variable that switches [strict] mode on, with any value but `0` and nothing.
const STRICT: &str = "HEADCOUNT_STRICT";

/// Set by [`strict`].
static IS_STRICT: AtomicBool = AtomicBool::new(false);

static REPORTER: OnceLock<fn(&RegisterError)> = OnceLock::new();

/// From here on, a metric that cannot be created panics where a no-op would have taken its place: for tests and
/// development. The variable `HEADCOUNT_STRICT=1` does the same.
///
/// ```should_panic
/// use headcount::{Counter, OrNoop};
///
/// headcount::error::strict();
/// Counter::new("requests-total", "Requests.").or_noop();
/// ```
pub fn strict() {
    IS_STRICT.store(true, Ordering::Relaxed);
}

/// Has errors told to `reporter` that nobody has been given, instead of by a line on standard error: into the
/// application's log, for instance. The first call counts.
///
/// ```
/// use headcount::{Counter, OrNoop};
///
/// headcount::error::report_to(|error| println!("level=warn error=\"{error}\""));
/// Counter::new("requests-total", "Requests.").or_noop().inc();
/// ```
pub fn report_to(reporter: fn(&RegisterError)) {
    let _ = REPORTER.set(reporter);
}

/// Tells of a metric that is now a no-op.
#[cold]
pub(crate) fn report(error: &RegisterError) {
    if is_strict() {
        panic!("{}", chain(error));
    }
    let reporter = REPORTER.get().copied().unwrap_or(|error| {
        // One write is one line, whoever else writes. If nobody reads it, nobody wants to know.
        let _ = std::io::stderr().write_all(format!("headcount: {}\n", chain(error)).as_bytes());
    });
    reporter(error);
}

/// Tells of what is lost at an update, once in a process: how many series is in `headcount_lost_series_total`.
#[cold]
pub(crate) fn report_lost(error: &RegisterError) {
    static TOLD: AtomicBool = AtomicBool::new(false);
    if !TOLD.swap(true, Ordering::Relaxed) || is_strict() {
        report(error);
    }
}

/// Tells of an exemplar that was refused, once in a process: how many is in `headcount_lost_exemplars_total`.
#[cold]
pub(crate) fn report_refused(error: ExemplarError) {
    static TOLD: AtomicBool = AtomicBool::new(false);
    if !TOLD.swap(true, Ordering::Relaxed) || is_strict() {
        report(&RegisterError::Exemplar(error));
    }
}

fn is_strict() -> bool {
    let by_variable = || std::env::var_os(STRICT).is_some_and(|value| !value.is_empty() && value != "0");
    IS_STRICT.load(Ordering::Relaxed) || by_variable()
}

fn chain(error: &RegisterError) -> String {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    causes.fold(error.to_string(), |chain, cause| format!("{chain}: {cause}"))
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Output};

    use crate::noop::OrNoop;
    use crate::registry::Registry;

    /// Set in the process that a test starts of itself.
    const CHILD: &str = "HEADCOUNT_TEST_CHILD";

    fn run_again(test: &str, variables: &[(&str, &str)]) -> Output {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", test, "--nocapture"]).env(CHILD, "1").env_remove(super::STRICT);
        command.envs(variables.iter().copied()).output().unwrap()
    }

    #[test]
    fn what_cannot_be_created_is_told_by_one_line_or_in_strict_mode_by_a_panic() {
        if std::env::var_os(CHILD).is_some() {
            let registry = Registry::private().unwrap();
            registry.counter("good", "").or_noop().inc();
            return registry.counter("bad-name", "").or_noop().inc();
        }
        let test = "error::tests::what_cannot_be_created_is_told_by_one_line_or_in_strict_mode_by_a_panic";
        let line = "`bad-name` contains `-`: a name consists of letters, digits and underscores";
        for lenient in [&[][..], &[(super::STRICT, "0")]] {
            let output = run_again(test, lenient);
            assert!(output.status.success(), "{output:?}");
            assert_eq!(String::from_utf8_lossy(&output.stderr), format!("headcount: {line}\n"));
        }
        let output = run_again(test, &[(super::STRICT, "1")]);
        assert!(!output.status.success());
        assert!(String::from_utf8_lossy(&output.stderr).contains(line), "{output:?}");
    }
}
