//! What workers may use of what the system limits for each process: `nofile=65536`, `core=0:unlimited`.

use std::str::FromStr;

use nix::sys::resource::{RLIM_INFINITY, Resource, rlim_t};

/// A limit of one resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What is limited.
    pub resource: Resource,
    /// What holds, until the process raises it.
    pub soft: rlim_t,
    /// How far it can raise it.
    pub hard: rlim_t,
}

/// A text names no limit.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum LimitError {
    /// Something is missing.
    #[error("expected NAME=NUMBER or NAME=SOFT:HARD, such as nofile=65536")]
    Form,
    /// There is no such resource.
    #[error("unknown resource `{0}` (there are {names})", names = NAMES.map(|(name, _)| name).join(", "))]
    Name(String),
    /// A number is none.
    #[error("`{0}` is neither a number nor `unlimited`")]
    Number(String),
    /// The limits contradict each other.
    #[error("the soft limit is above the hard one")]
    Order,
}

/// By the names that shells and systemd have for them.
const NAMES: [(&str, Resource); 16] = [
    ("as", Resource::RLIMIT_AS),
    ("core", Resource::RLIMIT_CORE),
    ("cpu", Resource::RLIMIT_CPU),
    ("data", Resource::RLIMIT_DATA),
    ("fsize", Resource::RLIMIT_FSIZE),
    ("locks", Resource::RLIMIT_LOCKS),
    ("memlock", Resource::RLIMIT_MEMLOCK),
    ("msgqueue", Resource::RLIMIT_MSGQUEUE),
    ("nice", Resource::RLIMIT_NICE),
    ("nofile", Resource::RLIMIT_NOFILE),
    ("nproc", Resource::RLIMIT_NPROC),
    ("rss", Resource::RLIMIT_RSS),
    ("rtprio", Resource::RLIMIT_RTPRIO),
    ("rttime", Resource::RLIMIT_RTTIME),
    ("sigpending", Resource::RLIMIT_SIGPENDING),
    ("stack", Resource::RLIMIT_STACK),
];

impl FromStr for Limit {
    type Err = LimitError;

    fn from_str(text: &str) -> Result<Self, LimitError> {
        let (name, numbers) = text.split_once('=').ok_or(LimitError::Form)?;
        let resource = NAMES.iter().find(|(known, _)| *known == name).map(|(_, resource)| *resource);
        let resource = resource.ok_or_else(|| LimitError::Name(name.to_owned()))?;
        let (soft, hard) = numbers.split_once(':').unwrap_or((numbers, numbers));
        let (soft, hard) = (number(soft)?, number(hard)?);
        // The largest number stands for no limit.
        if soft > hard { Err(LimitError::Order) } else { Ok(Self { resource, soft, hard }) }
    }
}

fn number(text: &str) -> Result<rlim_t, LimitError> {
    match text {
        "unlimited" | "infinity" => Ok(RLIM_INFINITY),
        text => text.parse().map_err(|_| LimitError::Number(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_one_number_or_two() {
        let check = |text: &str, resource, soft, hard| {
            assert_eq!(text.parse(), Ok(Limit { resource, soft, hard }));
        };
        check("nofile=65536", Resource::RLIMIT_NOFILE, 65536, 65536);
        check("core=0:unlimited", Resource::RLIMIT_CORE, 0, RLIM_INFINITY);
        check("nproc=5:7", Resource::RLIMIT_NPROC, 5, 7);
    }

    #[test]
    fn what_is_no_limit_is_refused() {
        let refusal = |text: &str| text.parse::<Limit>().unwrap_err();
        assert_eq!(refusal("nofile"), LimitError::Form);
        assert_eq!(refusal("files=1"), LimitError::Name("files".to_owned()));
        assert!(refusal("files=1").to_string().contains("memlock, msgqueue, nice, nofile, nproc"));
        for bad in ["nofile=", "nofile=many", "nofile=1:", "nofile=-1", "nofile=1:2:3"] {
            assert!(matches!(refusal(bad), LimitError::Number(_)), "{bad}");
        }
        assert_eq!(refusal("nofile=2:1"), LimitError::Order);
        assert_eq!(refusal("core=unlimited:0"), LimitError::Order);
    }
}
