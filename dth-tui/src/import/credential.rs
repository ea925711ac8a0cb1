//! From secrets of AWS Secrets Manager to credentials of `dthd.toml`.

use std::collections::BTreeMap;

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

    /// What `dthd.toml` needs for them. The hub's secrets have the form of the daemon's credential files.
    pub(super) fn snippet(&self) -> String {
        let one = |(name, secret): (&String, &String)| {
            let secret = format!("'{}'", secret.replace('\'', "'\\''"));
            format!(
                "# the secret {secret} of Secrets Manager, as the daemon's user:\n\
                 #   umask 077; aws secretsmanager get-secret-value --secret-id {secret} --query SecretString --output text > /etc/dth/credentials.d/{name}\n\
                 [credentials.{key}]\ntype = \"file\"\npath = \"/etc/dth/credentials.d/{name}\"\n",
                key = if name.contains('.') { format!("\"{name}\"") } else { name.clone() },
            )
        };
        self.secrets.iter().map(one).collect::<Vec<_>>().join("\n")
    }
}
