//! What only ECR can do, by its own API.
