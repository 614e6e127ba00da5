//! Text and json cells: automerge behind a gate of pure checks.
