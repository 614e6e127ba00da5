//! Stories of two or three databases.

mod channel;
mod contacts;
mod exchange;
mod forks;
mod hostile;
mod joining;
mod leaving;
mod members;
mod offering;
