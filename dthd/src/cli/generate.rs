//! Man pages and shell completions, made from the command line itself.

use std::{fs, path::Path};

use anyhow::Context;
use clap::Command;
use clap_complete::Shell;

/// Writes `dthd.8` and a page per command (`dthd-check.8`) into `dir`.
pub(super) fn man(command: Command, dir: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let mut command = command;
    command.build();
    let name = command.get_name().to_owned();
    page(&command, &name, dir)?;
    for sub in command.get_subcommands().filter(|c| c.get_name() != "help") {
        page(sub, &format!("{name}-{}", sub.get_name()), dir)?;
    }
    Ok(())
}

fn page(command: &Command, name: &str, dir: &Path) -> anyhow::Result<()> {
    let path = dir.join(format!("{name}.8"));
    let mut text = Vec::new();
    let page = clap_mangen::Man::new(command.clone()).title(name).section("8");
    page.render(&mut text).with_context(|| format!("cannot render {name}"))?;
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// The completion script for `shell`.
pub(super) fn completions(mut command: Command, shell: Shell) -> String {
    let mut script = Vec::new();
    let name = command.get_name().to_owned();
    clap_complete::generate(shell, &mut command, name, &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn every_command_has_a_page() {
        let dir = tempfile::tempdir().expect("dir");
        man(Cli::command(), &dir.path().join("man8")).expect("written");
        for (page, word) in [("dthd.8", "Exit codes"), ("dthd-dial-stdio.8", "socket"), ("dthd-state.8", "backup")] {
            let text = fs::read_to_string(dir.path().join("man8").join(page)).expect(page);
            assert!(text.contains(word), "{page}: {text}");
        }
    }

    #[test]
    fn completions_know_the_commands() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = completions(Cli::command(), shell);
            assert!(script.contains("dial-stdio") && script.contains("print-config"), "{shell}");
        }
    }
}
