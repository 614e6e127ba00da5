//! Transports, and the node that keeps sessions with peers.
