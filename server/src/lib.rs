//! The command line, GraphQL and HTTP doors.
