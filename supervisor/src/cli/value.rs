//! Values that flags take.

use std::time::Duration;

use headcount_merge::Format;

use crate::address::Address;

/// An address, or none.
#[derive(Clone, Debug)]
pub struct MetricsAddress(pub Option<Address>);

impl std::str::FromStr for MetricsAddress {
    type Err = crate::address::AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "none" { Ok(Self(None)) } else { text.parse().map(|address| Self(Some(address))) }
    }
}

/// A format that metrics are printed in.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
pub enum DumpFormat {
    /// Prometheus' text, version 0.0.4
    #[default]
    Text,
    /// OpenMetrics text, version 1.0.0
    #[value(name = "openmetrics")]
    OpenMetrics,
    /// io.prometheus.client.MetricFamily, each after its length
    Protobuf,
    /// JSON
    Json,
}

impl From<DumpFormat> for Format {
    fn from(format: DumpFormat) -> Self {
        match format {
            DumpFormat::Text => Self::Text,
            DumpFormat::OpenMetrics => Self::OpenMetrics,
            DumpFormat::Protobuf => Self::Protobuf,
            DumpFormat::Json => Self::Json,
        }
    }
}

/// A time such as `30s`, `500ms`, `2m` or `1h`; a bare number is seconds.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let at = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let scale = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("unknown unit `{unit}` (the units are ms, s, m, h)")),
    };
    let seconds =
        number.parse::<f64>().map_err(|_| "expected a time such as 30s or 500ms".to_owned())? * scale;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|time| *time <= MAX_TIME)
        .ok_or_else(|| "longer than a day".to_owned())
}

/// A size such as `512M`, `2G` or `800K`; a bare number is bytes.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let shift = match unit {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        _ => return Err(format!("unknown unit `{unit}` (the units are K, M, G)")),
    };
    let number: u64 = number.parse().map_err(|_| "expected a size such as 512M".to_owned())?;
    number.checked_mul(1 << shift).ok_or_else(|| "more than there can be".to_owned())
}

/// A mask of permissions in octal, such as `027`.
pub(super) fn mask(text: &str) -> Result<u32, String> {
    let mask = u32::from_str_radix(text, 8).ok().filter(|mask| *mask <= 0o777 && !text.starts_with('+'));
    mask.ok_or_else(|| "expected an octal number up to 777, such as 027".to_owned())
}

const MAX_TIME: Duration = Duration::from_secs(24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        let check = |text, milliseconds| assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)));
        check("30", 30_000);
        check("1.5s", 1500);
        check("250ms", 250);
        check("2m", 120_000);
        check("1h", 3_600_000);
        for bad in ["", "s", "5d", "-1s", "1e3s", "48h"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(size("512M"), Ok(512 << 20));
        assert_eq!(size("2G"), Ok(2 << 30));
        assert_eq!(size("4096"), Ok(4096));
        for bad in ["", "M", "1.5G", "5T", "-1K", "99999999999G"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }
    #[test]
    fn masks_are_octal() {
        assert_eq!(mask("022"), Ok(0o22));
        assert_eq!(mask("0777"), Ok(0o777));
        for bad in ["", "1000", "8", "-1", "+1", "rwx"] {
            assert!(mask(bad).is_err(), "{bad}");
        }
    }
}
