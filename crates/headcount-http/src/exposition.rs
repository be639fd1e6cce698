//! What a scraper gets: the merge of all processes, or this process's own metrics.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use headcount::Registry;
use headcount_merge::{Format, Merger};
use headcount_store::directory::{Directory, from_environment};

/// Why a directory could not be opened.
pub use headcount_store::directory::OpenError;
/// The content type of an exposition.
pub use headcount_store::text::CONTENT_TYPE;

/// Makes expositions, one after the other: the first learns what the directory holds, every later one reads
/// little but values.
pub struct Exposition {
    source: Source,
    merger: Mutex<Merger>,
}

enum Source {
    Directory(Directory),
    /// This process, in a registry; in the default one, if there is none.
    Process(Option<Registry>),
}

impl Exposition {
    /// The merge of the directory that `PROMETHEUS_MULTIPROC_DIR` names; without it, this process's own.
    ///
    /// # Errors
    ///
    /// When the directory cannot be opened.
    pub fn from_environment() -> Result<Self, OpenError> {
        from_environment().map_or_else(|| Ok(Self::of_process()), Self::of_directory)
    }

    /// The merge of a directory.
    ///
    /// # Errors
    ///
    /// When it cannot be opened.
    pub fn of_directory(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Ok(Self::of(Source::Directory(Directory::open(path.as_ref())?)))
    }

    /// What this process alone has recorded in the default registry.
    #[must_use]
    pub fn of_process() -> Self {
        Self::of(Source::Process(None))
    }

    /// What this process alone has recorded in a registry.
    #[must_use]
    pub fn of_registry(registry: Registry) -> Self {
        Self::of(Source::Process(Some(registry)))
    }

    fn of(source: Source) -> Self {
        Self { source, merger: Mutex::default() }
    }

    /// The exposition in the text format, whose content type is [`CONTENT_TYPE`]. Reads files: call it where a
    /// millisecond does not matter.
    ///
    /// # Errors
    ///
    /// When the directory cannot be listed, or what this process records cannot be read.
    pub fn render(&self) -> io::Result<Vec<u8>> {
        self.write(&headcount_merge::Exposition::new(Format::Text))
    }

    /// The exposition in the format that a header `Accept` wants most, in as many lines as it has, and its content type:
    /// exemplars come in OpenMetrics and protobuf, native histograms in protobuf.
    ///
    /// # Errors
    ///
    /// When the directory cannot be listed, or what this process records cannot be read.
    pub fn render_for<'a>(
        &self,
        accept: impl IntoIterator<Item = &'a str>,
    ) -> io::Result<(Vec<u8>, Cow<'static, str>)> {
        let wanted = headcount_merge::Exposition::accepted(accept);
        Ok((self.write(&wanted)?, wanted.content_type().into()))
    }

    fn write(&self, wanted: &headcount_merge::Exposition<'_>) -> io::Result<Vec<u8>> {
        let mut merger = self.merger.lock().unwrap_or_else(PoisonError::into_inner);
        let merged = match &self.source {
            Source::Directory(directory) => merger.merge(directory)?,
            Source::Process(registry) => {
                let registry = registry.map_or_else(Registry::global, Ok).map_err(io::Error::other)?;
                merger.merge_process(&registry.open()?)?
            }
        };
        Ok(merged.encode(wanted))
    }
}

impl fmt::Debug for Exposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.source {
            Source::Directory(_) => "Exposition(directory)",
            Source::Process(_) => "Exposition(process)",
        })
    }
}
