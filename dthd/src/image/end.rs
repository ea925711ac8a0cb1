//! What either end of a task can do: any registry, and ECR with its own API.
