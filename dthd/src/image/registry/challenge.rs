//! What a registry that answers 401 asks for: `WWW-Authenticate` (RFC 9110, section 11.6.1).

use http::{HeaderMap, header};

/// A way in which a registry lets itself be signed in to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// Name and password with every request.
    Basic,
    /// A token with every request ("Docker Registry v2 authentication specification").
    Bearer(Bearer),
}

/// Where tokens are had.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bearer {
    /// Address of the token server.
    pub(super) realm: String,
    /// What it calls the registry.
    pub(super) service: Option<String>,
    /// What the token must be for, in words of the form `repository:NAME:pull,push`.
    pub(super) scope: Vec<String>,
}

/// The best challenge of an answer: tokens before passwords. `None`: none that is known here.
pub(super) fn best(headers: &HeaderMap) -> Option<Challenge> {
    let all: Vec<Challenge> =
        headers.get_all(header::WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok()).flat_map(parse).collect();
    let bearer = all.iter().find(|challenge| matches!(challenge, Challenge::Bearer(_)));
    bearer.or_else(|| all.first()).cloned()
}

/// All challenges of one header that are known here, in their order.
fn parse(text: &str) -> Vec<Challenge> {
    let mut found = Vec::new();
    let mut current: Option<(String, Vec<(String, String)>)> = None;
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let end = rest.find([' ', '\t', ',', '=', '"']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if word.is_empty() {
            // something that no word begins with: left out, so that the rest is read
            let mut odd = rest.chars();
            if odd.next().is_none() {
                break;
            }
            rest = odd.as_str();
            continue;
        }
        let value = after.trim_start_matches([' ', '\t']).strip_prefix('=');
        match (value, &mut current) {
            (Some(after), Some((_, parameters))) => {
                let (value, after) = value_of(after.trim_start_matches([' ', '\t']));
                parameters.push((word.to_ascii_lowercase(), value));
                rest = after;
            }
            (Some(after), None) => rest = after,
            (None, _) => {
                found.extend(current.take().and_then(challenge));
                current = Some((word.to_ascii_lowercase(), Vec::new()));
                rest = after;
            }
        }
    }
    found.extend(current.take().and_then(challenge));
    found
}

/// A token or quoted string, and what comes after it.
fn value_of(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([' ', '\t', ',']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut chars = quoted.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => value.extend(chars.next()),
            c => value.push(c),
        }
    }
    (value, chars.as_str())
}

fn challenge((scheme, parameters): (String, Vec<(String, String)>)) -> Option<Challenge> {
    let parameter = |name: &str| parameters.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone()).filter(|v| !v.is_empty());
    match scheme.as_str() {
        "basic" => Some(Challenge::Basic),
        "bearer" => {
            let scope = parameter("scope").unwrap_or_default();
            let scope = scope.split_whitespace().map(str::to_owned).collect();
            Some(Challenge::Bearer(Bearer { realm: parameter("realm")?, service: parameter("service"), scope }))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: &[&str]) -> Challenge {
        let scope = scope.iter().map(ToString::to_string).collect();
        Challenge::Bearer(Bearer { realm: realm.to_owned(), service: service.map(str::to_owned), scope })
    }

    #[test]
    fn what_registries_ask_for() {
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/nginx:pull""#;
        let hub_means = bearer("https://auth.docker.io/token", Some("registry.docker.io"), &["repository:library/nginx:pull"]);
        for (text, expected) in [
            (hub, vec![hub_means.clone()]),
            ("Basic realm=\"Registry Realm\"", vec![Challenge::Basic]),
            ("Basic", vec![Challenge::Basic]),
            (
                "basic realm=x, BEARER Realm = http://a/t , error=\"insufficient_scope\"",
                vec![Challenge::Basic, bearer("http://a/t", None, &[])],
            ),
            (
                r#"Bearer realm="https://a/t?x=1,2",scope="repository:a:pull repository:b:pull,push",service="say \"hi\"""#,
                vec![bearer("https://a/t?x=1,2", Some("say \"hi\""), &["repository:a:pull", "repository:b:pull,push"])],
            ),
            (&format!("Negotiate YWJj==, {hub}, Basic realm=\"r\""), vec![hub_means, Challenge::Basic]),
            ("Bearer service=\"no realm\"", vec![]),
            ("Bearer realm=\"not closed", vec![bearer("not closed", None, &[])]),
            ("", vec![]),
            (", ,=\"", vec![]),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    #[test]
    fn tokens_go_before_passwords() {
        let mut headers = HeaderMap::new();
        assert_eq!(best(&headers), None);
        headers.append(header::WWW_AUTHENTICATE, "Basic realm=\"r\"".parse().expect("a value"));
        assert_eq!(best(&headers), Some(Challenge::Basic));
        headers.append(header::WWW_AUTHENTICATE, "Bearer realm=\"http://a/t\"".parse().expect("a value"));
        assert_eq!(best(&headers), Some(bearer("http://a/t", None, &[])));
    }

    proptest! {
        #[test]
        fn no_header_is_too_odd(text in "[a-zA-Z =,\"\\\\:/é\t]{0,80}") {
            let _ = parse(&text);
        }

        #[test]
        fn values_come_back_whatever_they_hold(realm in "[ -~]{1,40}", service in "[ -~]{1,40}") {
            let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
            let text = format!("Bearer realm=\"{}\", service=\"{}\"", quoted(&realm), quoted(&service));
            prop_assert_eq!(parse(&text), vec![bearer(&realm, Some(&service), &[])]);
        }
    }
}
