//! Transports, and the node that keeps sessions with peers.
//!
//! [`transport`] says what a transport is; [`quic`] is the one between native devices, [`memory`] the one within a
//! process; [`node`] keeps sessions over them. Nothing here knows what the bytes mean: that is `tidewater-sync`.

mod bucket;
pub mod host;
pub mod memory;
pub mod node;
pub mod quic;
mod tasks;
pub mod transport;
