//! The command line, GraphQL and HTTP doors of Tidewater.

mod audit;
pub mod cli;
mod demo;
mod fault;
pub mod graphql;
pub mod http;
