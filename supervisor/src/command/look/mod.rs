//! `headcount status` and `headcount top`: a supervisor and its workers, from its directory and `/proc` alone.
//!
//! [`standing`](Standing) is what both show; `spell`, how a terminal gets it.

mod spell;
mod standing;
mod status;

pub(super) use status::status;

use standing::Standing;
