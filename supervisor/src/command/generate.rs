//! `headcount completions` and `headcount man`: what the command line says of itself, in others' forms.

use std::process::ExitCode;

use clap::{Command, CommandFactory};
use clap_complete::generate;
use clap_mangen::Man;

use super::Done;
use super::print::print;
use crate::cli::{Cli, CompletionsArgs, ManArgs};

/// There is no such page.
#[derive(Debug, thiserror::Error)]
#[error("there is no command `{0}`: `headcount --help` lists them")]
struct NoSuchCommand(String);

pub(super) fn completions(args: &CompletionsArgs) -> Done {
    let mut script = Vec::new();
    let mut command = public();
    let name = command.get_name().to_owned();
    generate(args.shell, &mut command, name, &mut script);
    print(script)?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn man(args: &ManArgs) -> Done {
    let mut command = public();
    // So that subcommands know their whole names.
    command.build();
    let page = match &args.command {
        None => command,
        Some(name) => command.find_subcommand(name).cloned().ok_or_else(|| NoSuchCommand(name.clone()))?,
    };
    let mut text = Vec::new();
    Man::new(page).source(concat!("headcount ", env!("CARGO_PKG_VERSION"))).render(&mut text)?;
    print(text)?;
    Ok(ExitCode::SUCCESS)
}

/// The command line without what is nobody's to type.
fn public() -> Command {
    let all = Cli::command();
    Command::new("headcount")
        .version(env!("CARGO_PKG_VERSION"))
        .about(all.get_about().cloned().unwrap_or_default())
        .disable_help_subcommand(true)
        .args(all.get_arguments())
        .subcommands(all.get_subcommands().filter(|command| !command.is_hide_set()))
}
