//! The plot of the documentation: for each thing that grows a chart with logarithmic scales, as SVG.

use std::fmt::Write as _;

use super::growth::{Growth, Point};

const WIDTH: f64 = 300.0;
const HEIGHT: f64 = 240.0;
/// Around each chart, for the numbers.
const MARGIN: f64 = 50.0;

/// A scale from one power of ten to another.
#[derive(Clone, Copy)]
struct Scale {
    first: i32,
    last: i32,
    /// Where the first is, and the last.
    from: f64,
    to: f64,
}

impl Scale {
    /// A scale on which all values are.
    fn of(values: impl Iterator<Item = f64> + Clone, from: f64, to: f64) -> Self {
        let exponents = values.map(f64::log10);
        let [least, greatest] = [
            exponents.clone().fold(f64::INFINITY, f64::min).floor(),
            exponents.fold(f64::NEG_INFINITY, f64::max).ceil(),
        ];
        #[expect(clippy::cast_possible_truncation, reason = "powers of ten that somebody has waited for")]
        let [first, last] = [least, greatest].map(|exponent| exponent as i32);
        Self { first, last: last.max(first + 1), from, to }
    }

    fn place(self, value: f64) -> f64 {
        let part = (value.log10() - f64::from(self.first)) / f64::from(self.last - self.first);
        self.from + part * (self.to - self.from)
    }

    fn powers(self) -> impl Iterator<Item = f64> {
        (self.first..=self.last).map(|exponent| 10_f64.powi(exponent))
    }
}

pub(super) fn draw(growth: &[Growth]) -> String {
    let (width, height) = ((WIDTH + 2.0 * MARGIN) * growth.len() as f64, HEIGHT + 2.0 * MARGIN);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for (at, growth) in growth.iter().enumerate() {
        let left = at as f64 * (WIDTH + 2.0 * MARGIN) + MARGIN;
        chart(&mut out, growth, left, MARGIN);
    }
    out.push_str("</svg>\n");
    out
}

/// What does not exist yet stands at the left edge: a logarithm of zero there is not.
fn count(point: &Point) -> f64 {
    point.count.max(1) as f64
}

fn chart(out: &mut String, Growth { of, points, .. }: &Growth, left: f64, top: f64) {
    let (right, bottom) = (left + WIDTH, top + HEIGHT);
    let x = Scale::of(points.iter().map(count), left, right);
    let times = points.iter().flat_map(|point| [Some(point.headcount), point.python]).flatten();
    let y = Scale::of(times, bottom, top);
    for power in x.powers() {
        let at = x.place(power);
        line(out, (at, top), (at, bottom));
        text(out, (at, bottom + 16.0), "middle", "black", &power.to_string());
    }
    for power in y.powers() {
        let at = y.place(power);
        line(out, (left, at), (right, at));
        text(out, (left - 6.0, at + 4.0), "end", "black", &power.to_string());
    }
    text(out, (left + WIDTH / 2.0, bottom + 34.0), "middle", "black", of);
    text(out, (left - 6.0, top - 14.0), "start", "black", "ms");
    let ours = points.iter().map(|point| (count(point), point.headcount)).collect();
    let pythons = points.iter().filter_map(|point| Some((count(point), point.python?))).collect();
    for (name, color, curve) in [("Headcount", "#0b6e4f", ours), ("Python's client", "#b23a48", pythons)] {
        let curve: Vec<(f64, f64)> = curve;
        let places: Vec<_> = curve.iter().map(|&(count, time)| (x.place(count), y.place(time))).collect();
        let path: Vec<_> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        writeln!(
            out,
            "<polyline fill=\"none\" stroke=\"{color}\" stroke-width=\"2\" points=\"{}\"/>",
            path.join(" ")
        )
        .unwrap();
        for (x, y) in &places {
            writeln!(out, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{color}\"/>").unwrap();
        }
        if let Some(&(x, y)) = places.first() {
            text(out, (x + 6.0, y - 8.0), "start", color, name);
        }
    }
}

fn line(out: &mut String, from: (f64, f64), to: (f64, f64)) {
    let ((x1, y1), (x2, y2)) = (from, to);
    writeln!(out, "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"#dddddd\"/>")
        .unwrap();
}

fn text(out: &mut String, (x, y): (f64, f64), anchor: &str, color: &str, text: &str) {
    writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"{color}\">{text}</text>")
        .unwrap();
}
