//! `headcount serve`: the merged metrics of a directory that somebody else's workers write.

use std::process::ExitCode;

use headcount_store::directory::Directory;

use super::Done;
use crate::address::NamedAddress;
use crate::cli::ServeArgs;
use crate::exporter::{Scraper, WebOptions, check_web_config, serve_until_told};
use crate::sockets::{ListenOptions, Listener};

pub(super) fn serve(args: &ServeArgs) -> Done {
    let directory = Directory::open(&args.dir)?;
    let named = |address: &_| NamedAddress { name: "metrics".to_owned(), address: Clone::clone(address) };
    let web = WebOptions::from(args.web.clone());
    web.config.as_deref().map_or(Ok(()), check_web_config)?;
    let bind = |address| Listener::bind(&named(address), &ListenOptions::default());
    let listeners = args.listen.iter().map(bind).collect::<Result<Vec<_>, _>>()?;
    for listener in &listeners {
        tracing::info!(address = %listener.address, "serving metrics");
    }
    serve_until_told(&listeners, Scraper::reader(directory), &web)?;
    Ok(ExitCode::SUCCESS)
}
