//! Transports, and the node that keeps sessions with peers.
//!
//! [`transport`] says what a transport is; [`quic`] is the one between native devices, [`memory`] the one within a
//! process. Nothing here knows what the bytes mean: that is `tidewater-sync`.

mod bucket;
pub mod host;
pub mod memory;
pub mod quic;
pub mod transport;
