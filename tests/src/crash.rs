//! What can happen to storage, tried at every place: power cuts, calls that fail, bytes that rot.

pub mod faults;
pub mod points;
pub mod rot;
pub mod workload;
