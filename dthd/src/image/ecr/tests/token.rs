//! The registry's password over its life.

use base64::{Engine, engine::general_purpose::STANDARD};
use futures::future::join_all;
use serde_json::json;

use super::*;
use crate::{
    clock,
    image::registry::login::{Login, Renew},
};

const HOUR: Duration = Duration::from_secs(3600);

/// The n-th token, good for twelve hours.
fn token(n: usize) -> Vec<Step> {
    let expires = clock::now().plus(12 * HOUR).0 / 1000;
    good(&json!({ "authorizationData": [{
        "authorizationToken": STANDARD.encode(format!("AWS:password-{n}")),
        "expiresAt": expires,
        "proxyEndpoint": "https://123456789012.dkr.ecr.eu-west-1.amazonaws.com",
    }]}))
}

fn renew(ecr: &Ecr) -> Arc<dyn Renew> {
    match ecr.login() {
        Login::Renewed(renew) => renew,
        _ => panic!("ECR's login is renewed"),
    }
}

async fn password(renew: &Arc<dyn Renew>) -> Result<String, String> {
    let basic = renew.basic().await.map_err(|error| error.code)?;
    assert_eq!(basic.user(), "AWS");
    Ok(basic.password().reveal().to_owned())
}

/// Lets time go by, without a request on its way.
async fn pass(span: Duration) {
    tokio::time::pause();
    tokio::time::advance(span).await;
    tokio::time::resume();
}

#[tokio::test]
async fn one_fetch_serves_all_and_tells_the_account() {
    let stage = stage(|n, _| token(n)).await;
    let renew = renew(&stage.ecr);
    for got in join_all((0..20).map(|_| password(&renew))).await {
        assert_eq!(got.as_deref(), Ok("password-0"));
    }
    assert_eq!(stage.ecr.site().await.expect("told").host(), "123456789012.dkr.ecr.eu-west-1.amazonaws.com");
    assert_eq!(stage.operations(), ["GetAuthorizationToken"]);
}

#[tokio::test]
async fn runs_with_the_same_credential_share_a_token() {
    let server = Fake::start(|n, _| token(n)).await;
    let (accounts, (one, _dir), (other, _other_dir)) = (Accounts::default(), signer().await, signer().await);
    let at = registry(Some(server.endpoint()));
    let got = async |side, credential: &Credential| {
        let ecr = Ecr::open_with(&at, side, credential, &accounts, Arc::default(), QUICK).await.expect("a registry");
        password(&renew(&ecr)).await
    };
    for side in [Side::Source, Side::Destination, Side::Source] {
        assert_eq!(got(side, &one.clone()).await.as_deref(), Ok("password-0"));
    }
    assert_eq!(got(Side::Source, &other).await.as_deref(), Ok("password-1"), "another credential");
    assert_eq!(server.heard().len(), 2);
}

#[tokio::test]
async fn a_token_is_renewed_at_half_its_life() {
    let stage = stage(|n, _| token(n)).await;
    let renew = renew(&stage.ecr);
    assert_eq!(password(&renew).await.as_deref(), Ok("password-0"));
    pass(5 * HOUR).await;
    assert_eq!(password(&renew).await.as_deref(), Ok("password-0"));
    pass(HOUR).await;
    assert_eq!(password(&renew).await.as_deref(), Ok("password-1"));
}

#[tokio::test]
async fn a_refused_token_is_fetched_anew() {
    let stage = stage(|n, _| token(n)).await;
    let renew = renew(&stage.ecr);
    assert_eq!(password(&renew).await.as_deref(), Ok("password-0"));
    renew.refused();
    renew.refused();
    for got in join_all((0..5).map(|_| password(&renew))).await {
        assert_eq!(got.as_deref(), Ok("password-1"));
    }
}

#[tokio::test]
async fn a_renewal_that_fails_costs_nothing_while_the_old_token_is_good() {
    let stage = stage(|n, _| if n == 0 { token(0) } else { bad("AccessDeniedException") }).await;
    let renew = renew(&stage.ecr);
    assert_eq!(password(&renew).await.as_deref(), Ok("password-0"));
    pass(7 * HOUR).await;
    assert_eq!(password(&renew).await.as_deref(), Ok("password-0"));
    assert_eq!(password(&renew).await.as_deref(), Ok("password-0"));
    assert_eq!(stage.asked().len(), 2, "the next try has time");
    pass(6 * HOUR).await;
    assert_eq!(password(&renew).await, Err("AccessDeniedException".to_owned()));
    let later = super::stage(|n, _| if n == 0 { token(0) } else { bad("AccessDeniedException") }).await;
    let renew = super::token::renew(&later.ecr);
    assert_eq!(password(&renew).await.as_deref(), Ok("password-0"));
    renew.refused();
    assert_eq!(password(&renew).await, Err("AccessDeniedException".to_owned()), "what the registry refuses is not used again");
}

#[tokio::test]
async fn a_token_that_cannot_be_read_is_no_token() {
    let stage = stage(|_, _| good(&json!({ "authorizationData": [{ "authorizationToken": "%%%" }] }))).await;
    let error = renew(&stage.ecr).basic().await.expect_err("unreadable");
    assert!(error.message.contains("base64") && error.is_retryable(), "{error}");
}

#[tokio::test]
async fn another_accounts_registry_is_not_asked_about_mounts() {
    let other = |registry| spec::Registry { account: Some("999999999999".into()), ..registry };
    let stage = stage_for(other, |n, _| token(n)).await;
    assert_eq!(stage.ecr.mounts_blobs().await, Ok(false));
    assert_eq!(stage.operations(), ["GetAuthorizationToken"]);
}
