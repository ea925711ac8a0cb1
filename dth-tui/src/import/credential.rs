//! From secrets of AWS Secrets Manager to credentials of `dthd.toml`.

use std::collections::BTreeMap;

use serde_json::Value;

/// The secrets that definitions name.
#[derive(Clone, Debug, Default)]
pub(super) struct Credentials {
    /// By the name of the credential.
    secrets: BTreeMap<String, String>,
}

impl Credentials {
    /// The credential of a secret, by name.
    pub(super) fn of(&mut self, secret: &str) -> String {
        let known = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
        let plain: String = secret.chars().map(known).take(60).collect();
        // "anonymous" is built in
        let plain = if plain == "anonymous" { "anonymous-secret".to_owned() } else { plain };
        let mut name = plain.clone();
        let mut number = 2;
        while self.secrets.get(&name).is_some_and(|other| other != secret) {
            name = format!("{plain}-{number}");
            number += 1;
        }
        self.secrets.insert(name.clone(), secret.to_owned());
        name
    }

    /// What `dthd.toml` needs for them: the hub's secrets have the form that the daemon reads.
    pub(super) fn snippet(&self) -> String {
        let one = |(name, secret): (&String, &String)| {
            let key = if name.contains('.') { format!("\"{name}\"") } else { name.clone() };
            // a text of JSON is one of TOML
            let quoted = Value::from(secret.as_str());
            let region = match secret.split(':').nth(3) {
                Some(_) => String::new(),
                None => "# of the hub, in whose account the secret is\nregion = \"REGION\"\n".to_owned(),
            };
            format!("[credentials.{key}]\ntype = \"secret\"\nsecret = {quoted}\n{region}")
        };
        self.secrets.iter().map(one).collect::<Vec<_>>().join("\n")
    }
}
