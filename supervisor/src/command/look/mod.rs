//! `headcount status` and `headcount top`: a supervisor and its workers, from its directory and `/proc` alone.
//!
//! [`Standing`] is what both show; `spell`, how numbers and columns look. For `top`: `rates`, what families count a
//! second; `by_process`, what each worker has counted; `screen`, the terminal.

mod by_process;
mod rates;
mod screen;
mod spell;
mod standing;
mod status;
mod top;

pub(super) use status::status;
pub(super) use top::top;

use standing::Standing;
