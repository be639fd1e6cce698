//! The merge as its users see it: directories in, expositions out.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod alone;
mod any_file;
mod estate;
mod every_format;
mod exemplars;
mod fold;
mod host;
mod hostile;
mod lives;
mod native;
mod open_files;
mod oracle;
mod peer_file;
mod rules;
mod sequences;
mod shapes;
mod watched;
