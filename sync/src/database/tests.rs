//! Databases alone: identities, spaces, members, tickets, and what survives a restart.


