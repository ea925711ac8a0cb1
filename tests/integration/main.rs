//! Every end-to-end test, in one binary so that they link once.

mod embedded_s3;
mod real_servers;
