//! `tide demo`: two devices, each a process with a file of its own, sync, part, diverge and converge.
//!
//! Everything goes through the public doors: commands of this same program, and GraphQL over HTTP. What is claimed is
//! checked, and the process fails when a check does.

mod device;
mod post;
mod records;
mod report;
mod story;
mod watching;

use std::path::{Path, PathBuf};

use report::Report;

/// What the demonstration is told.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The records to import; generated ones when there is no file.
    pub(crate) input: Option<PathBuf>,
    /// The collection they go to.
    pub(crate) collection: String,
    /// The field that holds the id.
    pub(crate) id: String,
    /// How many records to generate.
    pub(crate) records: u64,
}

/// Runs the demonstration in a temporary folder, which is removed unless something went wrong.
///
/// # Errors
/// What did not hold, or could not be done, in one line.
pub(crate) fn run(plan: &Plan) -> Result<(), String> {
    let folder = Folder::new()?;
    let mut report = Report::default();
    let told = story::tell(plan, &folder.0, &mut report);
    let outcome = told.and_then(|()| report.outcome());
    match outcome {
        Ok(()) => {
            folder.remove();
            Ok(())
        }
        Err(why) => Err(format!("{why}; the files are kept in {}", folder.0.display())),
    }
}

/// A temporary folder.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self, String> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| error.to_string())?;
        let name = format!("tide-demo-{:016x}", u64::from_be_bytes(random));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self(path))
    }

    fn remove(&self) {
        // A folder that stays behind in the place for temporary files does no harm.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A path as an argument.
fn argument(path: &Path) -> Result<&str, String> {
    path.to_str().ok_or_else(|| format!("{}: the path is not UTF-8", path.display()))
}
