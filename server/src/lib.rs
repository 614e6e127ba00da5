//! The command line, GraphQL and HTTP doors of Tidewater.

pub mod cli;
mod demo;
pub mod graphql;
pub mod http;
