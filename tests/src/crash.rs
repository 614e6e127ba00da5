//! What can happen to storage, tried at every place: power cuts, calls that fail, bytes that rot.

pub mod disk;
pub mod faults;
pub mod image;
pub mod points;
pub mod rot;
pub mod workload;
