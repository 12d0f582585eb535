//! Sessions, sequencing, timestamp oracle and selection, group commit, peeks and subscribes.
