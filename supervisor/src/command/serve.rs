//! `headcount serve`: the merged metrics of a directory that somebody else's workers write.

use std::error::Error;
use std::process::ExitCode;

use headcount_store::directory::Directory;

use super::Done;
use super::dump::WriteError;
use crate::address::NamedAddress;
use crate::cli::ServeArgs;
use crate::exporter::{Scraper, Textfile, WebOptions, check_web_config, serve_until_told};
use crate::sockets::{BindError, ListenOptions, Listener, take_passed};

pub(super) fn serve(args: &ServeArgs) -> Done {
    // They have their numbers, which nothing else may get.
    let passed = if args.web.systemd_socket { Some(take_passed()?) } else { None };
    let directory = Directory::open(&args.dir)?;
    let named = |address: &_| NamedAddress { name: "metrics".to_owned(), address: Clone::clone(address) };
    let web = WebOptions::from(args.web.clone());
    web.config.as_deref().map_or(Ok(()), check_web_config)?;
    let textfile = args.textfile.textfile.clone().map(|path| {
        Ok::<_, Box<dyn Error>>(Textfile::new(path, args.textfile.interval, Directory::open(&args.dir)?))
    });
    let textfile = textfile.transpose()?;
    let push = args.push.clone().into_push()?;
    let bind = |address| Listener::bind(&named(address), &ListenOptions::default());
    let listeners = match passed {
        Some(passed) if passed.is_empty() => return Err(BindError::NonePassed.into()),
        Some(passed) => passed,
        None => args.addresses().iter().map(bind).collect::<Result<_, _>>()?,
    };
    for listener in &listeners {
        tracing::info!(address = %listener.address, "serving metrics");
    }
    if let (Some(textfile), Some(path)) = (&textfile, &args.textfile.textfile) {
        // What cannot be written at all is told at once.
        textfile.write().map_err(|source| WriteError { path: path.display().to_string(), source })?;
        tracing::info!(path = %path.display(), "writing metrics");
    }
    let scraper = Scraper::reader(directory).judging_by(args.liveness.liveness.into());
    serve_until_told(&listeners, scraper, &web, textfile.as_ref(), push)?;
    Ok(ExitCode::SUCCESS)
}
