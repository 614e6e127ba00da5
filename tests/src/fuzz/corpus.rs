//! The kept inputs: seeds, and what once broke something.

use std::path::{Path, PathBuf};
use std::{fs, io};

use super::Target;

/// An input with the name of its file.
pub type Kept = (String, Vec<u8>);

fn folder(target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target.name)
}

/// Every kept input of a target, by name.
///
/// # Errors
/// When the folder can't be read.
pub fn kept(target: &Target) -> io::Result<Vec<Kept>> {
    let mut kept = Vec::new();
    for file in fs::read_dir(folder(target))? {
        let path = file?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        kept.push((name, fs::read(path)?));
    }
    kept.sort();
    Ok(kept)
}

/// The seeds of a target as they are kept.
#[must_use]
pub fn seeds(target: &Target) -> Vec<Kept> {
    let seeds = (target.seeds)().into_iter().enumerate();
    seeds.map(|(number, seed)| (format!("seed-{number:02}.bin"), seed)).collect()
}

/// Writes the seeds of a target over those that are kept; what was found stays.
///
/// # Errors
/// When the folder can't be written.
pub fn bless(target: &Target) -> io::Result<()> {
    let folder = folder(target);
    fs::create_dir_all(&folder)?;
    for (name, _) in kept(target)?.iter().filter(|(name, _)| name.starts_with("seed-")) {
        fs::remove_file(folder.join(name))?;
    }
    seeds(target).into_iter().try_for_each(|(name, seed)| fs::write(folder.join(name), seed))
}
