//! Import and export of newline-delimited JSON.
