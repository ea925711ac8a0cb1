//! The host of a registry: `ACCOUNT.dkr.ecr.REGION.SUFFIX`, the suffix by the region's partition.

use aws_sdk_ecr::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};

/// Where docker finds the registry of an account (AWS: "Amazon ECR endpoints and quotas", Docker and OCI client endpoints).
///
/// # Errors
/// When the SDK knows no partition for the region; in its words.
pub(super) async fn host(account: &str, region: &str, fips: bool) -> Result<String, String> {
    let service = if fips { "ecr-fips" } else { "ecr" };
    let suffix = dns_suffix(region).await?;
    Ok(format!("{account}.dkr.{service}.{region}.{suffix}"))
}

/// The end of all host names of a region: `amazonaws.com`, in China `amazonaws.com.cn`. The SDK has the partitions as rules for its own
/// endpoints; this reads it off the API's.
async fn dns_suffix(region: &str) -> Result<String, String> {
    let params = Params::builder().region(region).build().map_err(|e| e.to_string())?;
    let endpoint = DefaultResolver::new().resolve_endpoint(&params).await.map_err(|e| e.to_string())?;
    let url = endpoint.url();
    let suffix = url.split_once(&format!(".{region}.")).map(|(_, suffix)| suffix.trim_end_matches('/'));
    suffix.map(str::to_owned).ok_or_else(|| format!("its API is at {url}, which has no region in it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn hosts_by_partition() {
        for (region, fips, expected) in [
            ("us-east-1", false, "123456789012.dkr.ecr.us-east-1.amazonaws.com"),
            ("us-east-1", true, "123456789012.dkr.ecr-fips.us-east-1.amazonaws.com"),
            ("cn-north-1", false, "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn"),
            ("cn-northwest-1", false, "123456789012.dkr.ecr.cn-northwest-1.amazonaws.com.cn"),
            ("us-gov-west-1", false, "123456789012.dkr.ecr.us-gov-west-1.amazonaws.com"),
            ("eusc-de-east-1", false, "123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu"),
        ] {
            assert_eq!(host("123456789012", region, fips).await.as_deref(), Ok(expected));
        }
        assert!(host("123456789012", "no region", false).await.is_err());
    }
}
