//! Which images of a registry a task means.
