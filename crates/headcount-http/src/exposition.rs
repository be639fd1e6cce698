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
pub struct Exposition(Source);

enum Source {
    Directory(Box<(Directory, Mutex<Merger>)>),
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
        let directory = Directory::open(path.as_ref())?;
        Ok(Self(Source::Directory(Box::new((directory, Mutex::default())))))
    }

    /// What this process alone has recorded in the default registry.
    #[must_use]
    pub fn of_process() -> Self {
        Self(Source::Process(None))
    }

    /// What this process alone has recorded in a registry.
    #[must_use]
    pub fn of_registry(registry: Registry) -> Self {
        Self(Source::Process(Some(registry)))
    }

    /// The exposition in the text format, whose content type is [`CONTENT_TYPE`]. Reads files: call it where a
    /// millisecond does not matter.
    ///
    /// # Errors
    ///
    /// When the directory cannot be listed.
    pub fn render(&self) -> io::Result<Vec<u8>> {
        self.write(&headcount_merge::Exposition::new(Format::Text))
    }

    /// The exposition in the format that a header `Accept` wants most, in as many lines as it has, and its content type:
    /// exemplars come in OpenMetrics and protobuf, native histograms in protobuf. What this process alone has
    /// recorded is text, whatever is wanted.
    ///
    /// # Errors
    ///
    /// When the directory cannot be listed.
    pub fn render_for<'a>(
        &self,
        accept: impl IntoIterator<Item = &'a str>,
    ) -> io::Result<(Vec<u8>, Cow<'static, str>)> {
        let wanted = headcount_merge::Exposition::accepted(accept);
        let content_type = match self.0 {
            Source::Directory(_) => wanted.content_type().into(),
            Source::Process(_) => CONTENT_TYPE.into(),
        };
        Ok((self.write(&wanted)?, content_type))
    }

    fn write(&self, wanted: &headcount_merge::Exposition<'_>) -> io::Result<Vec<u8>> {
        match &self.0 {
            Source::Directory(directory) => {
                let (directory, merger) = &**directory;
                let mut merger = merger.lock().unwrap_or_else(PoisonError::into_inner);
                Ok(merger.merge(directory)?.encode(wanted))
            }
            Source::Process(registry) => {
                Ok(registry.map_or_else(headcount::render, Registry::render).into_bytes())
            }
        }
    }
}

impl fmt::Debug for Exposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Source::Directory(_) => "Exposition(directory)",
            Source::Process(_) => "Exposition(process)",
        })
    }
}
