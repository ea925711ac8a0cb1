//! An entry as it stands in a run file: length-prefixed texts and little-endian numbers.

use std::io::{self, Read, Write};

use dth_proto::time::Timestamp;

use crate::s3::object::{ETag, Entry};

/// Longest text that is believed when read back; keys have at most 1,024 bytes on S3, some stores allow more.
const LONGEST_TEXT: u32 = 1 << 20;

/// Appends an entry.
pub(super) fn write(entry: &Entry, to: &mut impl Write) -> io::Result<()> {
    text(&entry.key, to)?;
    to.write_all(&entry.size.to_le_bytes())?;
    // with its quotes, as reading takes one pair away
    text(&entry.etag.quoted(), to)?;
    to.write_all(&entry.modified.0.to_le_bytes())?;
    text(&entry.class, to)
}

/// Reads the next entry. The caller knows how many there are, so the end of the file is an error like any other.
pub(super) fn read(from: &mut impl Read) -> io::Result<Entry> {
    let key = read_text(from)?;
    let size = number(from)?;
    let etag = ETag::new(&read_text(from)?);
    let modified = Timestamp(number(from)?);
    let class = read_text(from)?;
    Ok(Entry { key, size, etag, modified, class })
}

fn text(text: &str, to: &mut impl Write) -> io::Result<()> {
    let length = u32::try_from(text.len()).ok().filter(|l| *l <= LONGEST_TEXT);
    let length =
        length.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("a text of {} bytes in a listing", text.len())))?;
    to.write_all(&length.to_le_bytes())?;
    to.write_all(text.as_bytes())
}

fn read_text(from: &mut impl Read) -> io::Result<String> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length);
    if length > LONGEST_TEXT {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a text of {length} bytes in a run file")));
    }
    let mut bytes = vec![0; length as usize];
    from.read_exact(&mut bytes)?;
    String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
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

    proptest! {
        #[test]
        fn entries_survive_the_file(key in any::<String>(), size: u64, etag in "[0-9a-f]{0,32}", modified: u64, class in "[A-Z_]{0,12}") {
            let entry = Entry { key, size, etag: ETag::new(&etag), modified: Timestamp(modified), class };
            let mut bytes = Vec::new();
            write(&entry, &mut bytes).expect("memory");
            prop_assert_eq!(read(&mut bytes.as_slice()).expect("whole"), entry);
            for cut in 0..bytes.len() {
                prop_assert!(read(&mut &bytes[..cut]).is_err(), "cut at {}", cut);
            }
        }

        #[test]
        fn garbage_is_an_error_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = read(&mut bytes.as_slice());
        }
    }
}
