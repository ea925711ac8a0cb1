//! `[credentials.NAME]` of type `secret`: where a secret of AWS Secrets Manager is, and which other credential reads it.

use dth_proto::document::{Place, Table, suggestion};

use super::{file::checked, validate};
use crate::credential::{ANONYMOUS, CredentialSpec, SecretSpec};

/// A credential that reads a secret; whether it can shows when all credentials are known.
pub(super) struct Reader<'i> {
    /// Of the secret's credential.
    of: String,
    name: String,
    place: Place<'i>,
}

pub(super) fn read<'i>(name: &str, t: &mut Table<'_, 'i>, readers: &mut Vec<Reader<'i>>) -> Option<SecretSpec> {
    let full = |key: &str| format!("credentials.{name}.{key}");
    let secret = t.required("secret", "the name or the ARN of a secret of AWS Secrets Manager");
    let secret = checked(t, "secret", &full("secret"), secret, &|secret: &String| validate::secret(secret));
    let told = secret.as_deref().and_then(region_of);
    let region = match told {
        None if secret.is_some() => t.required("region", "of Secrets Manager, like us-east-1; only an ARN says it by itself"),
        _ => t.text("region"),
    };
    let region = checked(t, "region", &full("region"), region, &|given: &String| match told {
        Some(told) if told != given => Err(format!("= {given:?} is not that of the ARN, {told:?}: leave it out")),
        _ => validate::region(given),
    });
    let endpoint = t.text("endpoint");
    let endpoint = checked(t, "endpoint", &full("endpoint"), endpoint, &|e: &String| validate::endpoint(e));
    let credential = t.text("credential");
    if let Some(reader) = &credential {
        readers.push(Reader { of: name.to_owned(), name: reader.clone(), place: t.place("credential") });
    }
    let region = region.or_else(|| told.map(str::to_owned))?;
    Some(SecretSpec { secret: secret?, region, endpoint, credential })
}

/// The region of an ARN.
fn region_of(secret: &str) -> Option<&str> {
    secret.starts_with("arn:").then(|| secret.split(':').nth(3)).flatten()
}

/// Reports those that can read no secret.
pub(super) fn check(readers: &[Reader<'_>], credentials: &[(String, Option<CredentialSpec>)]) {
    for Reader { of, name, place } in readers {
        if let Some(why) = problem(of, name, credentials) {
            place.problem(format!("credentials.{of}.credential = {name:?} {why}"));
        }
    }
}

fn problem(of: &str, name: &str, credentials: &[(String, Option<CredentialSpec>)]) -> Option<String> {
    const USE: &str = "name one of type default, profile, file or env";
    if name == of {
        return Some(format!("is the secret itself: {USE}"));
    }
    if name == ANONYMOUS {
        return Some(format!("signs nothing, and Secrets Manager answers nobody: {USE}"));
    }
    let Some((_, spec)) = credentials.iter().find(|(other, _)| other == name) else {
        let others: Vec<&str> = credentials.iter().map(|(other, _)| other.as_str()).filter(|other| *other != of).collect();
        return Some(format!("is not defined in [credentials]{}", suggestion(name, &others, "defined are ")));
    };
    match spec.as_ref()?.kind() {
        "default" | "profile" | "file" | "env" => None,
        "secret" => Some(format!("is a secret as well: {USE}")),
        kind => Some(format!("is of type {kind}, which signs no requests to AWS: {USE}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file;

    #[test]
    fn a_name_needs_a_region_and_an_arn_has_one() {
        let text = "
[credentials.named]
type = 'secret'
secret = 'dth/keys'
region = 'eu-west-1'
endpoint = 'http://127.0.0.1:5000'
credential = 'reader'
[credentials.by-arn]
type = 'secret'
secret = 'arn:aws-cn:secretsmanager:cn-north-1:111122223333:secret:dth/keys-AbCdEf'
[credentials.reader]
type = 'default'
";
        let values = file::read("t.toml", text).expect("good");
        let named = SecretSpec {
            secret: "dth/keys".to_owned(),
            region: "eu-west-1".to_owned(),
            endpoint: Some("http://127.0.0.1:5000".to_owned()),
            credential: Some("reader".to_owned()),
        };
        assert_eq!(values.credentials["named"], CredentialSpec::Secret(named));
        let CredentialSpec::Secret(arn) = &values.credentials["by-arn"] else { panic!("{:?}", values.credentials) };
        assert_eq!((arn.region.as_str(), &arn.endpoint, &arn.credential), ("cn-north-1", &None, &None));
    }

    #[test]
    fn every_mistake_is_named_with_its_line() {
        let text = "[credentials.a]
type = 'secret'
secret = 'my keys'
region = 'REGION'
endpoint = 'moto'
credential = 'a'
[credentials.b]
type = 'secret'
secret = 'keys'
credential = 'hub'
[credentials.c]
type = 'secret'
secret = 'arn:aws:secretsmanager:us-east-1:1:secret:keys'
region = 'us-east-2'
credential = 'd'
path = '/k'
[credentials.d]
type = 'secret'
region = 'us-east-1'
credential = 'anonymous'
[credentials.e]
type = 'secret'
secret = 'keys'
region = 'us-east-1'
credential = 'hbu'
[credentials.f]
type = 'secret'
secret = 'keys'
region = 'us-east-1'
credential = 'g'
[credentials.g]
type = 'secret'
secret = 'keys'
region = 'us-east-1'
[credentials.hub]
type = 'docker'
";
        let lines = file::read("t.toml", text).expect_err("many mistakes").lines();
        let expected = [
            "t.toml:3: credentials.a.secret \"my keys\" is not the name of a secret",
            "t.toml:4: credentials.a.region \"REGION\" is not a region: write it like us-east-1",
            "t.toml:5: credentials.a.endpoint \"moto\" is not an endpoint",
            "t.toml:6: credentials.a.credential = \"a\" is the secret itself: name one of type",
            "t.toml:7: credentials.b.region is missing: of Secrets Manager",
            "t.toml:10: credentials.b.credential = \"hub\" is of type docker, which signs no requests to AWS",
            "t.toml:14: credentials.c.region = \"us-east-2\" is not that of the ARN, \"us-east-1\": leave it out",
            "t.toml:16: credentials.c.path is not a known key",
            "t.toml:17: credentials.d.secret is missing: the name or the ARN",
            "t.toml:20: credentials.d.credential = \"anonymous\" signs nothing",
            "t.toml:25: credentials.e.credential = \"hbu\" is not defined in [credentials]: did you mean \"hub\"?",
            "t.toml:30: credentials.f.credential = \"g\" is a secret as well: name one of type",
        ];
        assert_eq!(lines.len(), expected.len(), "{lines:#?}");
        for (line, expected) in lines.iter().zip(expected) {
            assert!(line.starts_with(expected), "{line}\n{expected}");
        }
    }
}
