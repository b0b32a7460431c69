//! Pictures: lines over logarithmic axes, as SVG. Written out by hand, for it is little: a file of a
//! few kilobytes that any browser shows, in the same look every time.

use std::fmt::Write as _;
use std::path::Path;

/// Several panels of lines over the same axes.
#[derive(Debug)]
pub(crate) struct Chart {
    pub(crate) title: String,
    /// What was varied, and the unit.
    pub(crate) x: String,
    /// What was measured, and the unit.
    pub(crate) y: String,
    /// Whether the x axis is logarithmic; the y axis is.
    pub(crate) log_x: bool,
    /// Ticks of the x axis, in order.
    pub(crate) ticks: Vec<f64>,
    /// Side by side; all have lines of the same names in the same order.
    pub(crate) panels: Vec<Panel>,
}

#[derive(Debug)]
pub(crate) struct Panel {
    pub(crate) title: String,
    pub(crate) lines: Vec<Series>,
}

#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) look: Look,
    pub(crate) points: Vec<Point>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) x: f64,
    /// What never happened is drawn above everything else.
    pub(crate) y: f64,
    /// Whether all nodes had it in the end; where not, the dot is hollow.
    pub(crate) complete: bool,
}

/// Who is who is the same in all pictures: the colour says which system, the line what is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) who: Who,
    pub(crate) what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Basefs,
    Baseline,
    Published,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// A full line with dots.
    Median,
    /// A dashed line.
    Worst,
}

impl Who {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Basefs => "basefs, simulated",
            Self::Baseline => "Serf + log sync, simulated",
            Self::Published => "original BaseFS, published",
        }
    }

    /// For tables.
    pub(crate) const fn id(self) -> &'static str {
        match self {
            Self::Basefs => "basefs",
            Self::Baseline => "baseline",
            Self::Published => "published",
        }
    }

    /// Colours that eyes of any kind can tell apart, and that stay apart in print.
    const fn class(self) -> &'static str {
        match self {
            Self::Basefs => "b",
            Self::Baseline => "s",
            Self::Published => "p",
        }
    }
}

impl What {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Median => "median",
            Self::Worst => "worst",
        }
    }
}

const STYLE: &str = "\
text{font:13px sans-serif;fill:#222}.t{font-size:16px;font-weight:bold}.m{text-anchor:middle}\
.e{text-anchor:end}.g{stroke:#ddd}.a{stroke:#444;fill:none}.l{fill:none;stroke-width:2}\
.w{fill:none;stroke-width:1.4;stroke-dasharray:5 4}\
.b{stroke:#005ab5}.s{stroke:#d9601a}.p{stroke:#777}circle.b{fill:#005ab5}circle.s{fill:#d9601a}\
circle.p{fill:#777}circle.h{fill:#fff}";

/// Of one panel, in pixels, without what is around it.
const PLOT: (f64, f64) = (400.0, 310.0);
const LEFT: f64 = 66.0;
const RIGHT: f64 = 18.0;
const TOP: f64 = 58.0;
/// Labels, name of the axis, legend.
const BOTTOM: f64 = 112.0;

/// Where a panel's values are on the picture.
struct Frame {
    left: f64,
    x: (f64, f64),
    log_x: bool,
    y: (f64, f64),
}

impl Frame {
    fn at_x(&self, x: f64) -> f64 {
        let (low, high) = self.x;
        let share =
            if self.log_x { (x / low).ln() / (high / low).ln() } else { (x - low) / (high - low) };
        // A little air at both ends.
        self.left + PLOT.0 * (0.04 + 0.92 * share)
    }

    fn at_y(&self, y: f64) -> f64 {
        let (low, high) = self.y;
        let share = (y / low).ln() / (high / low).ln();
        TOP + PLOT.1 * (1.0 - share.clamp(0.0, 1.0))
    }
}

impl Chart {
    /// Writes the picture.
    pub(crate) fn write(&self, path: &Path) -> std::io::Result<()> {
        std::fs::write(path, self.svg().map_err(std::io::Error::other)?)
    }

    fn svg(&self) -> Result<String, std::fmt::Error> {
        let column = LEFT + PLOT.0 + RIGHT;
        // A single panel leaves too little room for the legend below it.
        let width = (column * self.panels.len() as f64).max(900.0);
        let height = TOP + PLOT.1 + BOTTOM;
        let mut svg = String::new();
        writeln!(
            svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
             width=\"{width:.0}\" height=\"{height:.0}\">\n<style>{STYLE}</style>\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>"
        )?;
        text(&mut svg, "t", 14.0, 24.0, &self.title)?;
        let lines = || self.panels.iter().flat_map(|panel| &panel.lines);
        let values = || lines().flat_map(|line| &line.points).map(|point| point.y);
        let stretch = if self.panels.len() == 1 { (width - LEFT - RIGHT) / PLOT.0 } else { 1.0 };
        for (number, panel) in (0_u8..).zip(&self.panels) {
            let frame = Frame {
                left: LEFT + column * f64::from(number),
                x: bounds(lines().flat_map(|line| &line.points).map(|point| point.x)),
                log_x: self.log_x,
                y: decades(values()),
            };
            // The panel that is alone fills the picture.
            let frame = Stretched { frame, stretch };
            self.axes(&mut svg, &frame, panel)?;
            for line in &panel.lines {
                draw(&mut svg, &frame, line)?;
            }
        }
        let has = |who: Who| lines().any(|line| line.look.who == who && !line.points.is_empty());
        let present = [Who::Basefs, Who::Baseline, Who::Published];
        legend(&mut svg, present.into_iter().filter(|&who| has(who)), width)?;
        if lines().flat_map(|line| &line.points).any(|point| !point.complete) {
            let note = "hollow: in some runs a node never had it";
            text(&mut svg, "e", width - RIGHT, 24.0, note)?;
        }
        svg.push_str("</svg>\n");
        Ok(svg)
    }

    fn axes(&self, svg: &mut String, frame: &Stretched, panel: &Panel) -> std::fmt::Result {
        let (left, right) = (frame.left(), frame.right());
        let (top, bottom) = (TOP, TOP + PLOT.1);
        text(svg, "m", f64::midpoint(left, right), TOP - 10.0, &panel.title)?;
        let mut y = frame.frame.y.0;
        while y <= frame.frame.y.1 * 1.001 {
            let at = frame.frame.at_y(y);
            writeln!(svg, "<path class=\"g\" d=\"M{left:.1} {at:.1}H{right:.1}\"/>")?;
            text(svg, "e", left - 8.0, at + 4.0, &plain(y))?;
            y *= 10.0;
        }
        let mut free_from = f64::NEG_INFINITY;
        for &tick in &self.ticks {
            let at = frame.at_x(tick);
            writeln!(svg, "<path class=\"g\" d=\"M{at:.1} {top}V{bottom}\"/>")?;
            let label = plain(tick);
            let half = 4.0 * label.len() as f64;
            // A label that would touch the one before is left out.
            if at - half > free_from {
                text(svg, "m", at, bottom + 18.0, &label)?;
                free_from = at + half + 4.0;
            }
        }
        writeln!(svg, "<path class=\"a\" d=\"M{left:.1} {top}V{bottom}H{right:.1}\"/>")?;
        text(svg, "m", f64::midpoint(left, right), bottom + 40.0, &self.x)?;
        let middle = f64::midpoint(top, bottom);
        let x = left - 50.0;
        writeln!(
            svg,
            "<text class=\"m\" transform=\"translate({x:.1} {middle:.1})rotate(-90)\">{}</text>",
            self.y
        )
    }
}

/// A frame that may be wider than usual.
struct Stretched {
    frame: Frame,
    stretch: f64,
}

impl Stretched {
    fn left(&self) -> f64 {
        self.frame.left
    }

    fn right(&self) -> f64 {
        self.frame.left + PLOT.0 * self.stretch
    }

    fn at_x(&self, x: f64) -> f64 {
        self.frame.left + (self.frame.at_x(x) - self.frame.left) * self.stretch
    }
}

fn draw(svg: &mut String, frame: &Stretched, line: &Series) -> std::fmt::Result {
    let Series { look: Look { who, what }, points } = line;
    let class = who.class();
    let at = |point: &Point| (frame.at_x(point.x), frame.frame.at_y(point.y));
    let mut path = String::new();
    for (x, y) in points.iter().map(at) {
        let step = if path.is_empty() { 'M' } else { 'L' };
        write!(path, "{step}{x:.1} {y:.1}")?;
    }
    if path.is_empty() {
        return Ok(());
    }
    match what {
        What::Median => {
            writeln!(svg, "<path class=\"l {class}\" d=\"{path}\"/>")?;
            for point in points {
                let (x, y) = at(point);
                let hollow = if point.complete { "" } else { " h" };
                let at = format!("cx=\"{x:.1}\" cy=\"{y:.1}\"");
                writeln!(svg, "<circle class=\"{class}{hollow}\" {at} r=\"3\"/>")?;
            }
            Ok(())
        }
        What::Worst => writeln!(svg, "<path class=\"w {class}\" d=\"{path}\"/>"),
    }
}

/// Below the panels, so that it hides nothing.
fn legend(svg: &mut String, present: impl Iterator<Item = Who>, width: f64) -> std::fmt::Result {
    let column = (width - 40.0) / 3.0;
    for (number, who) in (0_u8..).zip(present) {
        let class = who.class();
        let x = 24.0 + column * f64::from(number);
        for (row, what) in (0_u8..).zip([What::Median, What::Worst]) {
            let y = TOP + PLOT.1 + 68.0 + 20.0 * f64::from(row);
            let line = if what == What::Median { "l" } else { "w" };
            writeln!(svg, "<path class=\"{line} {class}\" d=\"M{x:.1} {y}h32\"/>")?;
            if what == What::Median {
                let x = x + 16.0;
                writeln!(svg, "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y}\" r=\"3\"/>")?;
            }
            let name = format!("{}: {}", who.name(), what.name());
            text(svg, "", x + 40.0, y + 4.0, &name)?;
        }
    }
    Ok(())
}

fn text(svg: &mut String, class: &str, x: f64, y: f64, text: &str) -> std::fmt::Result {
    writeln!(svg, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>")
}

fn bounds(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)))
}

/// Whole powers of ten around all values.
fn decades(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = bounds(values.filter(|&value| value > 0.0 && value.is_finite()));
    if low > high {
        return (0.1, 10.0);
    }
    let (low, high) = (low.log10().floor(), high.log10().ceil());
    (10_f64.powf(low), 10_f64.powf(high.max(low + 1.0)))
}

/// Without exponents, for people.
fn plain(value: f64) -> String {
    match value {
        _ if value >= 1e6 => format!("{}M", value / 1e6),
        _ if value >= 1e4 => format!("{}k", value / 1e3),
        _ if value >= 1.0 => format!("{value:.0}"),
        _ => {
            let text = format!("{value:.4}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_small_and_shows_what_never_happened_at_the_top() {
        let point = |x: f64, y| Point { x, y, complete: f64::is_finite(y) };
        let line = Series {
            look: Look { who: Who::Basefs, what: What::Median },
            points: vec![point(1.0, 0.02), point(10.0, 0.3), point(100.0, f64::INFINITY)],
        };
        let chart = Chart {
            title: "Title".into(),
            x: "x".into(),
            y: "y".into(),
            log_x: true,
            ticks: vec![1.0, 10.0, 100.0],
            panels: vec![Panel { title: String::new(), lines: vec![line] }],
        };
        let svg = chart.svg().unwrap();
        assert!(svg.len() < 4_000, "{} bytes", svg.len());
        assert!(svg.contains(&format!("class=\"b h\" cx=\"849.4\" cy=\"{TOP:.1}\"")), "{svg}");
        assert!(svg.contains("hollow: in some runs a node never had it"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn axes_end_at_whole_powers_of_ten() {
        assert_eq!(decades([0.02, 3.0].into_iter()), (0.01, 10.0));
        assert_eq!(decades([f64::INFINITY].into_iter()), (0.1, 10.0));
        assert_eq!(
            [0.01, 0.1, 1.0, 1024.0, 20_000.0].map(plain),
            ["0.01", "0.1", "1", "1024", "20k"]
        );
    }
}
