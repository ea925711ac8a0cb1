//! Every end-to-end test, in one binary so that they link once.
fn main() {}
