//! How a call ended.

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As it was meant to.
    Success,
    /// With an error.
    Error,
    /// It took too long.
    Timeout,
    /// It was given up: what it was for is gone.
    Cancelled,
    /// By a panic.
    Panic,
    /// A cache had it.
    Hit,
    /// A cache did not have it.
    Miss,
}

impl Outcome {
    /// Its name, the value of the label `outcome`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Error => "error",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::Panic => "panic",
            Self::Hit => "hit",
            Self::Miss => "miss",
        }
    }
}
