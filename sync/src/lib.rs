//! Who may do what, and how two replicas agree: identities, spaces, keys, tickets and the sans-io session.
