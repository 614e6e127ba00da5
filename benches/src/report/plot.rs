//! The table as a picture: for every work one bar per contender, each work on its own scale.

use std::fmt::Write as _;

use super::{Report, TIDEWATER, short};

const WIDTH: u32 = 960;
const LEFT: u32 = 330;
const BAR: u32 = 14;
const BARS_END: u32 = WIDTH - 130;

/// An SVG with light and dark colours.
pub(super) fn svg(report: &Report) -> String {
    let mut body = String::new();
    let mut y = 56;
    for row in &report.rows {
        let most = row.figures.iter().map(|figure| figure.value).fold(0.0, f64::max);
        let verdict = match row.met {
            Some(true) => " (met)",
            Some(false) => " (missed)",
            None => "",
        };
        let goal = if row.goal.is_empty() { String::new() } else { format!("goal: {}{verdict}", row.goal) };
        let _ = writeln!(body, r#"<text x="16" y="{}" class="work">{}</text>"#, y + 11, escape(&row.work));
        let _ = writeln!(body, r#"<text x="16" y="{}" class="goal">{}</text>"#, y + 25, escape(&goal));
        for figure in row.figures.iter().filter(|figure| figure.value.is_finite()) {
            let length = if most > 0.0 { f64::from(BARS_END - LEFT) * figure.value / most } else { 0.0 };
            let class = if figure.contender == TIDEWATER { "own" } else { "other" };
            let _ = writeln!(
                body,
                r#"<rect x="{LEFT}" y="{y}" width="{:.1}" height="{}" class="{class}"/><text x="{:.1}" y="{}" class="value">{} {} · {}</text>"#,
                length.max(1.0),
                BAR - 3,
                f64::from(LEFT) + length.max(1.0) + 5.0,
                y + 9,
                short(figure.value),
                escape(row.unit),
                escape(&figure.contender),
            );
            y += BAR;
        }
        y += BAR.max(31_u32.saturating_sub(BAR * row.figures.len() as u32)) + 4;
    }
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}" font-family="system-ui, sans-serif">
<style>
svg {{ background: #fff }} text {{ fill: #1b2733 }} .title {{ font-size: 15px; font-weight: 600 }} .work {{ font-size: 12px }}
.goal, .value {{ font-size: 10px; opacity: .75 }} .own {{ fill: #0b7285 }} .other {{ fill: #adb5bd }}
@media (prefers-color-scheme: dark) {{ svg {{ background: #10171e }} text {{ fill: #e6edf3 }} .own {{ fill: #3bc9db }} .other {{ fill: #5c6770 }} }}
</style>
<text x="16" y="26" class="title">{}</text>
{body}</svg>
"#,
        escape(&report.setting)
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::super::Row;
    use super::*;

    #[test]
    fn every_figure_has_a_bar_and_text_is_escaped() {
        let row = Row::new("a < b", "us").figure(TIDEWATER, 1.0).figure("redb", 2.0);
        let picture = svg(&Report { setting: "x & y".into(), rows: vec![row] });
        assert_eq!(picture.matches("<rect").count(), 2);
        assert!(picture.contains("a &lt; b") && picture.contains("x &amp; y"));
    }
}
