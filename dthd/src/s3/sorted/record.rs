//! An entry as it stands in a run file: length-prefixed texts and little-endian numbers.

use std::io::{self, Read, Write};

use dth_proto::time::Timestamp;

use crate::s3::page::EntryRef;

/// Longest text that is believed when read back; keys have at most 1,024 bytes on S3, some stores allow more.
const LONGEST_TEXT: u32 = 1 << 20;

/// Appends an entry.
pub(super) fn write(entry: &EntryRef<'_>, to: &mut impl Write) -> io::Result<()> {
    text(entry.key, to)?;
    to.write_all(&entry.size.to_le_bytes())?;
    text(entry.etag, to)?;
    to.write_all(&entry.modified.0.to_le_bytes())?;
    text(entry.class, to)?;
    text(entry.version.unwrap_or_default(), to)
}

/// An entry that was read; the next one takes its memory over.
#[derive(Debug, Default)]
pub(super) struct Record {
    key: String,
    size: u64,
    etag: String,
    modified: Timestamp,
    class: String,
    version: String,
}

impl Record {
    /// The entry.
    pub(super) fn entry(&self) -> EntryRef<'_> {
        let version = Some(self.version.as_str()).filter(|version| !version.is_empty());
        EntryRef { key: &self.key, size: self.size, etag: &self.etag, modified: self.modified, class: &self.class, version }
    }

    /// Reads the next entry. The caller knows how many there are, so the end of the file is an error like any other.
    pub(super) fn read(&mut self, from: &mut impl Read) -> io::Result<()> {
        read_text(&mut self.key, from)?;
        self.size = number(from)?;
        read_text(&mut self.etag, from)?;
        self.modified = Timestamp(number(from)?);
        read_text(&mut self.class, from)?;
        read_text(&mut self.version, from)
    }
}

fn text(text: &str, to: &mut impl Write) -> io::Result<()> {
    let length = u32::try_from(text.len()).ok().filter(|l| *l <= LONGEST_TEXT);
    let length =
        length.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("a text of {} bytes in a listing", text.len())))?;
    to.write_all(&length.to_le_bytes())?;
    to.write_all(text.as_bytes())
}

fn read_text(text: &mut String, from: &mut impl Read) -> io::Result<()> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length);
    if length > LONGEST_TEXT {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a text of {length} bytes in a run file")));
    }
    let mut bytes = std::mem::take(text).into_bytes();
    bytes.resize(length as usize, 0);
    from.read_exact(&mut bytes)?;
    *text = String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    Ok(())
}

fn number(from: &mut impl Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    from.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::s3::object::{ETag, Entry};

    proptest! {
        #[test]
        fn entries_survive_the_file(
            entries in prop::collection::vec((any::<String>(), any::<u64>(), "[0-9a-f\"]{0,32}", any::<u64>(), "[A-Z_]{0,12}"), 1..3),
        ) {
            let entry = |(key, size, etag, modified, class): &(String, u64, String, u64, String)| -> Entry {
                let (version, modified) = ((!class.is_empty()).then(|| etag.clone()).filter(|v| !v.is_empty()), Timestamp(*modified));
                Entry { key: key.clone(), size: *size, etag: ETag::new(etag), modified, class: class.clone(), version }
            };
            let entries: Vec<Entry> = entries.iter().map(entry).collect();
            let mut bytes = Vec::new();
            entries.iter().for_each(|e| write(&e.into(), &mut bytes).expect("memory"));
            let (mut rest, mut record) = (bytes.as_slice(), Record::default());
            for entry in &entries {
                record.read(&mut rest).expect("whole");
                prop_assert_eq!(record.entry(), entry.into());
            }
            prop_assert!(rest.is_empty());
            for cut in 0..bytes.len() {
                let mut rest = &bytes[..cut];
                let whole = entries.iter().take_while(|_| record.read(&mut rest).is_ok()).count();
                prop_assert!(whole < entries.len(), "cut at {}", cut);
            }
        }

        #[test]
        fn garbage_is_an_error_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = Record::default().read(&mut bytes.as_slice());
        }
    }
}
