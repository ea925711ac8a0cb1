//! Reading a file that a person names, from a path or from standard input.

use std::{
    fs,
    io::{self, Read},
    path::Path,
};

use dth_proto::spec::TaskSpec;

use super::{Caller, CommandError};

/// Longest such file, in bytes; a larger one is some other file.
const LONGEST: u64 = 1024 * 1024;

/// The definition in `file`; `-` is standard input.
pub(super) fn read(caller: &mut Caller<'_>, file: &Path) -> Result<TaskSpec, CommandError> {
    let (name, text) = text(caller, file)?;
    Ok(TaskSpec::from_toml(&name, &text)?)
}

/// The text of `file`, and what to call it in messages; `-` is standard input.
pub(super) fn text(caller: &mut Caller<'_>, file: &Path) -> Result<(String, String), CommandError> {
    let stdin = file == Path::new("-");
    let name = if stdin { "standard input".to_owned() } else { file.to_string_lossy().into_owned() };
    let text = if stdin { all_of(&mut *caller.input) } else { fs::File::open(file).and_then(all_of) };
    match text {
        Ok(text) => Ok((name, text)),
        Err(source) => Err(CommandError::File { verb: "read", file: name, source }),
    }
}

fn all_of(source: impl Read) -> io::Result<String> {
    let mut text = String::new();
    source.take(LONGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LONGEST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "such a file has at most 1 MiB"));
    }
    Ok(text)
}
