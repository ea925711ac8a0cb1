//! How to sign in to a registry.

/// A way to sign in.
#[derive(Clone, Default)]
pub enum Login {
    /// As nobody; the registry may still ask for a token, and give one.
    #[default]
    Anonymous,
}
