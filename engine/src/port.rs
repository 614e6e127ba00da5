//! Import and export of newline-delimited JSON: one object a line, UTF-8.
//!
//! [`import`] and [`export`] work in memory that does not depend on the size of the data, and are each other's inverse:
//! what one wrote the other reads as the same documents, and a second export is equal byte for byte.

mod export;
mod import;
mod lines;

pub use export::{ExportError, ExportOptions, ExportProgress, export};
pub use import::{
    DEFAULT_COMMIT_RECORDS, DEFAULT_LINE_BYTES, ImportError, ImportFault, ImportOptions, ImportProgress, ImportReport,
    import,
};
