//! The local half of Tidewater: one file that holds signed, sealed operation logs, and the documents they fold into.
//!
//! [`Store`](store::Store) is the entry point. The engine is synchronous, deterministic and knows no network, no peer and no clock
//! it was not handed: time and randomness come from a [`Host`](host::Host), signatures from a [`HeadSigner`](host::HeadSigner), authority and keys
//! from an [`EffectiveTable`](space::EffectiveTable) that the `tidewater-sync` crate computes.

#[macro_use]
#[doc(hidden)]
pub mod planted;

pub mod codec;
mod contain;
pub mod document;
pub mod host;
pub mod id;
pub mod log;
pub mod operation;
pub mod port;
pub mod query;
pub mod rich;
pub mod schema;
pub mod space;
pub mod store;
pub mod value;
