//! What devices took, as a table and as a picture.

use std::fmt::Write;

use super::device::Sample;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 180.0;
const MARGIN: f64 = 60.0;
const COLOURS: [(&str, &str); 3] = [("a", "#1b6ca8"), ("b", "#c8553d"), ("c", "#588b5b")];

/// One of what is plotted.
type Panel = (&'static str, fn(&Sample) -> f64);

const PANELS: [Panel; 4] = [
    ("memory, MiB", |sample| sample.memory_kib as f64 / 1_024.0),
    ("open handles", |sample| sample.handles as f64),
    ("file on disk, MiB", |sample| sample.disk_bytes as f64 / 1_048_576.0),
    ("file on disk / live data", |sample| sample.disk_bytes as f64 / sample.live_bytes.max(1) as f64),
];

pub(super) fn csv(samples: &[Sample]) -> String {
    let mut out = String::from("operations,device,memory_kib,handles,file_bytes,disk_bytes,live_bytes\n");
    for Sample { device, operations, memory_kib, handles, file_bytes, disk_bytes, live_bytes } in samples {
        writeln!(out, "{operations},{device},{memory_kib},{handles},{file_bytes},{disk_bytes},{live_bytes}")
            .expect("a string");
    }
    out
}

pub(super) fn svg(samples: &[Sample]) -> String {
    let height = (HEIGHT + MARGIN) * PANELS.len() as f64 + MARGIN;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{height}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        WIDTH + 2.0 * MARGIN
    );
    let last = samples.last().map_or(1, |sample| sample.operations).max(1) as f64;
    for (number, (name, value)) in PANELS.iter().enumerate() {
        let top = MARGIN / 2.0 + number as f64 * (HEIGHT + MARGIN);
        let most = samples.iter().map(value).fold(1e-9, f64::max);
        let bottom = top + HEIGHT;
        let frame = format!("<path d=\"M{MARGIN} {top}V{bottom}H{}\" fill=\"none\" stroke=\"#888\"/>", WIDTH + MARGIN);
        writeln!(out, "{frame}\n<text x=\"{MARGIN}\" y=\"{}\">{name}</text>", top - 6.0).expect("a string");
        writeln!(out, "<text x=\"4\" y=\"{}\">{most:.1}</text>", top + 12.0).expect("a string");
        for (device, colour) in COLOURS {
            let points: Vec<String> = samples
                .iter()
                .filter(|sample| sample.device == device)
                .map(|sample| {
                    let (x, y) = (sample.operations as f64 / last * WIDTH, value(sample) / most * HEIGHT);
                    format!("{:.1},{:.1}", MARGIN + x, bottom - y)
                })
                .collect();
            let points = points.join(" ");
            writeln!(out, "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>")
                .expect("a string");
        }
    }
    for (number, (device, colour)) in COLOURS.iter().enumerate() {
        let x = MARGIN + 80.0 * number as f64;
        writeln!(out, "<text x=\"{x}\" y=\"{}\" fill=\"{colour}\">device {device}</text>", height - 20.0)
            .expect("a string");
    }
    writeln!(out, "<text x=\"{}\" y=\"{}\">{last} operations</text>\n</svg>", WIDTH - 40.0, height - 20.0)
        .expect("a string");
    out
}
