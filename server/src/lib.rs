//! The command line, GraphQL and HTTP doors of Tidewater.

pub mod graphql;
pub mod http;
