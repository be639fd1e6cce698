//! The merge as a file, for node-exporter's textfile collector and whatever else reads files.

use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use headcount_merge::{Exposition, Format};
use headcount_store::directory::Directory;

use super::Scraper;
use super::scrape::lock;

/// A file that is written over and over.
#[derive(Clone, Debug)]
pub struct Textfile {
    path: PathBuf,
    interval: Duration,
    scraper: Arc<Mutex<Scraper>>,
}

impl Textfile {
    /// The merge of `directory`, written to `path` at once and after each interval. What is said of this process
    /// is left out: whoever reads the file says the same of itself, under the same names.
    #[must_use]
    pub fn new(path: PathBuf, interval: Duration, directory: Directory) -> Self {
        let scraper = Arc::new(Mutex::new(Scraper::reader(directory).without_own_process()));
        Self { path, interval, scraper }
    }

    /// Writes the file once.
    ///
    /// # Errors
    ///
    /// When the directory cannot be read, or the file not be written.
    pub fn write(&self) -> io::Result<()> {
        let mut scraper = lock(&self.scraper);
        let text = scraper.scrape(|merged| merged.encode(&Exposition::new(Format::Text)))?;
        write_at_once(&self.path, &text)
    }

    /// Never returns. What fails is tried again the next time.
    pub(super) async fn write_for_ever(&self) {
        loop {
            let textfile = self.clone();
            let written = tokio::task::spawn_blocking(move || textfile.write()).await;
            if let Err(error) = written.unwrap_or_else(|panicked| Err(io::Error::other(panicked))) {
                tracing::error!(path = %self.path.display(), %error, "cannot write the metrics");
            }
            tokio::time::sleep(self.interval).await;
        }
    }
}

/// Whoever reads the file meanwhile finds the old contents or the new, and never a part.
///
/// # Errors
///
/// When the new contents cannot be written; what was there before is there still.
pub fn write_at_once(path: &Path, contents: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().permissions(Permissions::from_mode(0o644)).tempfile_in(folder)?;
    file.write_all(contents)?;
    file.persist(path)?;
    Ok(())
}
