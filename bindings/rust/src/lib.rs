//! Tidewater: a local-first database.
