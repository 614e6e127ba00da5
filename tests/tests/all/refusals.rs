//! What is wrong, through the real program: each a clear line and an exit code (or a status), and nothing is lost.

mod files;
mod http;
mod peers;
mod records;
mod streams;
mod subscribers;
mod writes;
