//! Numbers and columns for a terminal.

use std::time::Duration;

/// Columns as wide as they need to be: words to the left, numbers to the right. The first row has the names.
pub(super) fn table(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.first().map_or(0, Vec::len);
    let cells = |column: usize| rows.iter().filter_map(move |row| row.get(column));
    let widths: Vec<_> = (0..columns).map(|n| cells(n).map(String::len).max().unwrap_or(0)).collect();
    let is_word = |cell: &String| cell.starts_with(|c: char| c.is_ascii_lowercase());
    let words: Vec<_> = (0..columns).map(|column| cells(column).skip(1).any(is_word)).collect();
    let cell = |column: usize, cell: &String| match (words[column], widths[column]) {
        (true, width) => format!("{cell:<width$}"),
        (false, width) => format!("{cell:>width$}"),
    };
    let line = |row: &Vec<String>| {
        let cells: Vec<_> = row.iter().enumerate().map(|(column, text)| cell(column, text)).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// A time in its two largest units: `12s`, `3m05s`, `2h07m`, `4d03h`.
pub(super) fn time(time: Duration) -> String {
    let seconds = time.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{minutes}m{:02}s", seconds % 60),
        3600..86_400 => format!("{hours}h{:02}m", minutes % 60),
        _ => format!("{days}d{:02}h", hours % 24),
    }
}

/// A short time, down to hundredths of a second.
pub(super) fn fine_time(fine: Duration) -> String {
    if fine < Duration::from_secs(60) { format!("{:.2}s", fine.as_secs_f64()) } else { time(fine) }
}

/// A size in the unit that leaves at most four digits: `812K`, `35.1M`.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(super) fn size(bytes: u64) -> String {
    let units = ["B", "K", "M", "G", "T"];
    let mut size = bytes as f64;
    let mut unit = 0;
    while size >= 1000.0 && unit + 1 < units.len() {
        size /= 1024.0;
        unit += 1;
    }
    let decimals = usize::from(unit > 0 && size < 100.0);
    format!("{size:.decimals$}{}", units[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_their_two_largest_units() {
        let check = |seconds, spelled| assert_eq!(time(Duration::from_secs(seconds)), spelled);
        check(0, "0s");
        check(59, "59s");
        check(185, "3m05s");
        check(7620, "2h07m");
        check(356_400, "4d03h");
        assert_eq!(fine_time(Duration::from_millis(1234)), "1.23s");
        assert_eq!(fine_time(Duration::from_secs(61)), "1m01s");
    }

    #[test]
    fn sizes_have_few_digits() {
        let check = |bytes, spelled| assert_eq!(size(bytes), spelled);
        check(0, "0B");
        check(999, "999B");
        check(1000, "1.0K");
        check(36_805_017, "35.1M");
        check(512 << 20, "512M");
        check(u64::MAX, "16777216T");
    }

    #[test]
    fn columns_stand_below_each_other() {
        let row = |cells: &str| cells.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let rows = ["SLOT STATE CPU", "0 ready 1.5s", "10 backing_off -"].map(row);
        assert_eq!(
            table(&rows),
            ["SLOT  STATE         CPU", "   0  ready        1.5s", "  10  backing_off     -"]
        );
    }
}
