//! The table: what was measured, beside the goals; as text, as JSON, as a plot.

mod plot;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde::Serialize;

use crate::contender::Outcome;

/// One measured work.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    pub(crate) work: String,
    pub(crate) unit: &'static str,
    pub(crate) figures: Vec<Figure>,
    /// The goal in words; empty when there is none.
    pub(crate) goal: String,
    /// Whether it was met in this run.
    pub(crate) met: Option<bool>,
}

/// What one contender reached.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figure {
    pub(crate) contender: String,
    pub(crate) value: f64,
}

impl Row {
    pub(crate) fn new(work: impl Into<String>, unit: &'static str) -> Self {
        Self { work: work.into(), unit, figures: Vec::new(), goal: String::new(), met: None }
    }

    pub(crate) fn figure(mut self, contender: &str, value: f64) -> Self {
        self.figures.push(Figure { contender: contender.into(), value });
        self
    }

    /// States the goal for Tidewater: `holds` sees its value and a look-up of the others'. Without a figure of Tidewater
    /// nothing is judged.
    pub(crate) fn goal(mut self, words: &str, holds: impl FnOnce(f64, &dyn Fn(&str) -> f64) -> bool) -> Self {
        let value = |contender: &str| {
            self.figures.iter().find(|figure| figure.contender == contender).map_or(f64::NAN, |figure| figure.value)
        };
        let own = value(TIDEWATER);
        self.met = (!own.is_nan()).then(|| holds(own, &value));
        self.goal = words.into();
        self
    }
}

/// Tidewater's name in the table.
pub(crate) const TIDEWATER: &str = "Tidewater";

/// Everything a run measured.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    /// The machine and the amount of work, in words.
    pub(crate) setting: String,
    pub(crate) rows: Vec<Row>,
}

impl Report {
    /// The table as text.
    pub(crate) fn table(&self) -> String {
        let mut contenders: Vec<&str> = Vec::new();
        for figure in self.rows.iter().flat_map(|row| &row.figures) {
            if !contenders.contains(&figure.contender.as_str()) {
                contenders.push(&figure.contender);
            }
        }
        let head: Vec<String> =
            ["work", "unit"].into_iter().chain(contenders.iter().copied()).map(String::from).collect();
        let mut lines = vec![[head, vec!["goal".into(), String::new()]].concat()];
        for row in &self.rows {
            let mut line = vec![row.work.clone(), row.unit.to_owned()];
            for contender in &contenders {
                let figure = row.figures.iter().find(|figure| figure.contender == **contender);
                line.push(figure.map_or(String::new(), |figure| short(figure.value)));
            }
            line.push(row.goal.clone());
            line.push(match row.met {
                Some(true) => "met".into(),
                Some(false) => "MISSED".into(),
                None => String::new(),
            });
            lines.push(line);
        }
        let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..lines[0].len()).map(width).collect();
        let mut out = format!("{}\n\n", self.setting);
        for line in &lines {
            let mut text = String::new();
            for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
                let number = (2..2 + contenders.len()).contains(&column);
                let pad = " ".repeat(width - cell.chars().count());
                let _ = if number { write!(text, "{pad}{cell}  ") } else { write!(text, "{cell}{pad}  ") };
            }
            out += text.trim_end();
            out.push('\n');
        }
        out
    }

    /// Writes `NAME.json` and `NAME.svg` into `folder`.
    pub(crate) fn write(&self, folder: &Path, name: &str) -> Outcome<()> {
        fs::create_dir_all(folder)?;
        fs::write(folder.join(format!("{name}.json")), serde_json::to_string_pretty(self)? + "\n")?;
        fs::write(folder.join(format!("{name}.svg")), plot::svg(self))?;
        Ok(())
    }
}

/// Three significant digits, and thousands set apart.
pub(crate) fn short(value: f64) -> String {
    if !value.is_finite() {
        return "-".into();
    }
    let digits = if value == 0.0 { 0 } else { (2 - value.abs().log10().floor() as i32).max(0) as usize };
    let text = format!("{value:.digits$}");
    let (whole, rest) = text.split_once('.').map_or((text.as_str(), String::new()), |(a, b)| (a, format!(".{b}")));
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) && digit.is_ascii_digit() && !grouped.ends_with('-') {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + &rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (value, text) in
            [(0.0, "0"), (0.1234, "0.123"), (5.3, "5.30"), (1234.5, "1,234"), (1_234_567.0, "1,234,567")]
        {
            assert_eq!(short(value), text);
        }
        assert_eq!(short(f64::NAN), "-");
    }

    #[test]
    fn a_goal_without_a_figure_is_not_judged() {
        let row = Row::new("w", "us").figure("SQLite", 2.0);
        assert_eq!(row.clone().goal("ahead", |own, of| own < of("SQLite")).met, None);
        assert_eq!(row.figure(TIDEWATER, 1.0).goal("ahead", |own, of| own < of("SQLite")).met, Some(true));
    }

    #[test]
    fn the_table_lists_every_figure() {
        let row =
            Row::new("read", "us").figure(TIDEWATER, 1.5).figure("redb", 0.5).goal("ahead", |own, of| own < of("redb"));
        let report = Report { setting: "here".into(), rows: vec![row] };
        let table = report.table();
        assert!(table.contains("1.50") && table.contains("0.500") && table.contains("MISSED"), "{table}");
    }
}
