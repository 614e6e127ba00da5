//! Results on standard output: tables for people, JSON for programs.

use std::io::{BufWriter, Write};

use serde_json::Value as Json;

use super::arguments::{Format, Global};
use super::failure::{Done, Failure};

/// The widest cell of a table, in characters: ids of spaces, devices and identities are not cut.
const MAX_CELL: usize = 64;

/// Standard output, or a connection that stands for it, in the format that was asked for.
pub(crate) struct Output {
    format: Format,
    out: BufWriter<Box<dyn Write + Send>>,
}

impl Output {
    pub(crate) fn new(global: &Global, to: Box<dyn Write + Send>) -> Self {
        let format = if global.json { Format::Json } else { global.output };
        Self { format, out: BufWriter::new(to) }
    }

    pub(crate) fn is_table(&self) -> bool {
        self.format == Format::Table
    }

    /// Writes a list of records: a table with these columns, a JSON list, or a line each.
    pub(crate) fn records(&mut self, columns: &[&str], records: &[Json]) -> Done {
        match self.format {
            Format::Table => self.text(&table(columns, records)),
            Format::Json => self.text(&format!("{}\n", Json::from(records.to_vec()))),
            Format::Ndjson => records.iter().try_for_each(|record| self.text(&format!("{record}\n"))),
        }
    }

    /// Writes one record: `name  value` lines, or one JSON object.
    pub(crate) fn record(&mut self, record: &Json) -> Done {
        match (self.format, record) {
            (Format::Table, Json::Object(fields)) => {
                let width = fields.keys().map(|name| name.chars().count()).max().unwrap_or(0);
                fields.iter().try_for_each(|(name, value)| self.text(&format!("{name:width$}  {}\n", cell(value))))
            }
            (_, record) => self.text(&format!("{record}\n")),
        }
    }

    /// Writes a sentence for people; programs get `record` instead.
    pub(crate) fn say(&mut self, sentence: &str, record: &Json) -> Done {
        match self.format {
            Format::Table => self.text(&format!("{sentence}\n")),
            Format::Json | Format::Ndjson => self.text(&format!("{record}\n")),
        }
    }

    /// Where a stream of results goes.
    pub(crate) fn writer(&mut self) -> &mut (dyn Write + Send) {
        &mut self.out
    }

    /// Writes text as it is.
    pub(crate) fn text(&mut self, text: &str) -> Done {
        self.out.write_all(text.as_bytes()).map_err(|error| Failure::output(&error))
    }

    /// Makes sure that everything is out.
    pub(crate) fn flush(&mut self) -> Done {
        self.out.flush().map_err(|error| Failure::output(&error))
    }
}

/// A value in one line: text as it is, the rest as JSON.
fn cell(value: &Json) -> String {
    match value {
        Json::String(text) => text.replace(|c: char| c.is_control(), "·"),
        Json::Null => "-".to_owned(),
        other => other.to_string(),
    }
}

fn table(columns: &[&str], records: &[Json]) -> String {
    let cut = |text: String| match text.char_indices().nth(MAX_CELL) {
        Some((at, _)) => text[..at].to_owned() + "…",
        None => text,
    };
    let rows: Vec<Vec<String>> = records
        .iter()
        .map(|record| columns.iter().map(|column| cut(cell(record.get(*column).unwrap_or(&Json::Null)))).collect())
        .collect();
    let header: Vec<String> = columns.iter().map(|column| column.to_uppercase()).collect();
    let widths: Vec<usize> = (0..columns.len())
        .map(|at| std::iter::once(&header).chain(&rows).map(|row| row[at].chars().count()).max().unwrap_or(0))
        .collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        cells.join("  ").trim_end().to_owned() + "\n"
    };
    std::iter::once(&header).chain(&rows).map(line).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_has_aligned_columns_and_short_cells() {
        let records = [json!({"id": "a", "n": 1}), json!({"id": "long", "n": null, "more": true})];
        assert_eq!(table(&["id", "n"], &records), "ID    N\na     1\nlong  -\n");
        let long = table(&["x"], &[json!({"x": "é".repeat(MAX_CELL + 1)})]);
        assert_eq!(long, format!("X\n{}…\n", "é".repeat(MAX_CELL)));
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(cell(&json!("a\u{1b}[31mb\n")), "a·[31mb·");
    }
}
