//! A registry as the client meets it: challenges, tokens, redirects, limits, broken bodies.
