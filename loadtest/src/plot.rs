//! The plot: for each case one line, on it a dot for each server.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::Failure;
use crate::peers::Part;
use crate::rounds::{Measured, Row};
use crate::statistics::Spread;

const WIDTH: u32 = 960;
/// Pixels for each case, and for what is above and below the cases.
const LINE: u32 = 34;
const ABOVE: u32 = 110;
const BELOW: u32 = 60;
/// Pixels for the names of the cases, and to the right of the scale.
const LEFT: u32 = 190;
const RIGHT: u32 = 30;

const INK: RGBColor = RGBColor(38, 44, 52);
const FAINT: RGBColor = RGBColor(222, 226, 230);
const FONT: &str = "Helvetica, Arial, sans-serif";

/// How a server is drawn.
struct Look {
    colour: RGBColor,
    radius: i32,
    filled: bool,
}

/// Draws all cases as one SVG.
pub(crate) fn draw(measured: &[Measured]) -> Result<String, Failure> {
    let mut svg = String::new();
    let height = ABOVE + BELOW + LINE * u32::try_from(measured.len()).unwrap_or(0);
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        paint(&area, measured, height).map_err(|error| format!("the plot: {error}"))?;
    }
    Ok(svg)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), DrawingAreaErrorKind<<SVGBackend<'static> as DrawingBackend>::ErrorType>>;

fn paint(area: &Area<'_>, measured: &[Measured], height: u32) -> Drawn {
    area.fill(&WHITE)?;
    let text = |size: i32| (FONT, size).into_font().color(&INK);
    let at = |horizontal, vertical| Pos::new(horizontal, vertical);
    area.draw(&Text::new(
        "Requests for the same CPU time, relative to the better nginx",
        (20, 18),
        text(19),
    ))?;
    legend(area, measured)?;

    let scale = Scale::fitting(measured);
    let (top, bottom) = (pixel(ABOVE), pixel(height - BELOW));
    for tick in scale.ticks() {
        let x = scale.x(tick);
        let line = if tick == 1.0 { INK.stroke_width(1) } else { FAINT.stroke_width(1) };
        area.draw(&PathElement::new(vec![(x, top), (x, bottom)], line))?;
        let label = if tick < 1.0 { format!("1/{:.0}", 1.0 / tick) } else { format!("{tick:.0}") };
        let style = text(13).pos(at(HPos::Center, VPos::Top));
        area.draw(&Text::new(label, (x, bottom + 8), style))?;
    }
    let style = text(13).pos(at(HPos::Center, VPos::Top));
    let middle = (pixel(LEFT) + pixel(WIDTH - RIGHT)) / 2;
    area.draw(&Text::new("more is better; logarithmic scale", (middle, bottom + 30), style))?;

    let mut y = top + pixel(LINE) / 2;
    for measured in measured {
        let style = text(14).pos(at(HPos::Right, VPos::Center));
        area.draw(&Text::new(measured.case.title, (pixel(LEFT) - 16, y), style))?;
        let ends = vec![(pixel(LEFT), y), (pixel(WIDTH - RIGHT), y)];
        area.draw(&PathElement::new(ends, FAINT.stroke_width(1)))?;
        if let Some(goal) = measured.case.goal {
            let x = scale.x(goal);
            let tick = vec![(x, y - 12), (x, y + 12)];
            area.draw(&PathElement::new(tick, look_of(Part::Ours, "").colour.stroke_width(2)))?;
        }
        // Our host last, so that it lies above the others.
        for row in measured.rows.iter().rev() {
            if let Some(spread) = relative(measured, row) {
                dot(area, &scale, y, &look_of(row.part, row.name), spread)?;
            }
        }
        y += pixel(LINE);
    }
    area.present()
}

fn dot(area: &Area<'_>, scale: &Scale, y: i32, look: &Look, spread: Spread) -> Drawn {
    let span = vec![(scale.x(spread.least), y), (scale.x(spread.greatest), y)];
    area.draw(&PathElement::new(span, look.colour.stroke_width(2)))?;
    mark(area, (scale.x(spread.median), y), look)
}

fn mark(area: &Area<'_>, place: (i32, i32), look: &Look) -> Drawn {
    area.draw(&Circle::new(place, look.radius, WHITE.filled()))?;
    let style = if look.filled { look.colour.filled() } else { look.colour.stroke_width(2) };
    area.draw(&Circle::new(place, look.radius, style))
}

fn legend(area: &Area<'_>, measured: &[Measured]) -> Drawn {
    let Some(first) = measured.first() else { return Ok(()) };
    let style = (FONT, 13).into_font().color(&INK);
    let columns = 5;
    let place = |at: usize| {
        let column = i32::try_from(at % columns).unwrap_or(0);
        let line = i32::try_from(at / columns).unwrap_or(0);
        (28 + column * 180, 58 + line * 22)
    };
    let middle = style.pos(Pos::new(HPos::Left, VPos::Center));
    for (at, row) in first.rows.iter().enumerate() {
        let (x, y) = place(at);
        mark(area, (x, y), &look_of(row.part, row.name))?;
        area.draw(&Text::new(row.name, (x + 12, y), middle.clone()))?;
    }
    let (x, y) = place(first.rows.len());
    let colour = look_of(Part::Ours, "").colour;
    area.draw(&PathElement::new(vec![(x, y - 8), (x, y + 8)], colour.stroke_width(2)))?;
    area.draw(&Text::new("goal", (x + 12, y), middle))
}

fn look_of(part: Part, name: &str) -> Look {
    let (colour, radius, filled) = match (part, name) {
        (Part::Ours, _) => (RGBColor(0, 98, 114), 7, true),
        (Part::OursOnEpoll, _) => (RGBColor(0, 98, 114), 6, false),
        (Part::Nginx, "nginx, sendfile on") => (RGBColor(110, 118, 129), 5, true),
        (Part::Nginx, _) => (RGBColor(110, 118, 129), 5, false),
        (Part::Other, "nginx, no file cache") => (RGBColor(176, 182, 190), 5, true),
        (Part::Other, "h2o") => (RGBColor(196, 138, 26), 5, true),
        (Part::Other, "Caddy") => (RGBColor(74, 120, 176), 5, true),
        (Part::Other, "static-web-server") => (RGBColor(120, 148, 90), 5, true),
        (Part::Other, _) => (RGBColor(168, 84, 70), 5, true),
        (Part::Floor, _) => (INK, 3, true),
    };
    Look { colour, radius, filled }
}

/// How many requests a server answers in the time in which the better nginx answers one.
fn relative(measured: &Measured, row: &Row) -> Option<Spread> {
    Spread::of_ratios(measured.better_nginx()?, row.microseconds.as_ref().ok()?)
}

/// A logarithmic scale whose ends are powers of two.
struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    fn fitting(measured: &[Measured]) -> Self {
        let spreads = measured
            .iter()
            .flat_map(|measured| measured.rows.iter().filter_map(|row| relative(measured, row)));
        let (low, high) = spreads.fold((0.5, 2.0), |(low, high): (f64, f64), spread| {
            (low.min(spread.least), high.max(spread.greatest))
        });
        let goals = measured.iter().filter_map(|measured| measured.case.goal);
        let high = goals.fold(high, f64::max);
        Self { low: low.log2().floor(), high: high.log2().ceil() }
    }

    fn x(&self, value: f64) -> i32 {
        let width = f64::from(WIDTH - LEFT - RIGHT);
        let share = (value.log2() - self.low) / (self.high - self.low);
        pixel(LEFT) + (share * width).round() as i32
    }

    fn ticks(&self) -> impl Iterator<Item = f64> {
        (self.low as i32..=self.high as i32).map(|power| f64::from(power).exp2())
    }
}

fn pixel(length: u32) -> i32 {
    i32::try_from(length).unwrap_or(i32::MAX)
}
