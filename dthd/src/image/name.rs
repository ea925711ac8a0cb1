//! What repositories are called at the destination.
