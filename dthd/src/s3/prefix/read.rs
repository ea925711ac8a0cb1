//! Prefixes from the task itself, from a file on this machine, or from an object, a piece at a time.

use dth_proto::{
    failure::{FailureClass, Side},
    time::Timestamp,
};
use tokio::{fs::File, io::AsyncReadExt};

use super::lines::Lines;
use crate::{
    s3::{
        client::Bucket,
        list::{ListError, Pages},
        object::{ETag, Pin},
        page::{EntryRef, Page},
    },
    transfer::TransferError,
};

/// What reading a list is called where a request is named.
pub(super) const OPERATION: &str = "ReadPrefixList";
/// Bytes of a file read at once.
const PIECE: usize = 1 << 20;
/// Bytes of an object read with one request.
const REQUEST: u64 = 8 << 20;
/// Prefixes of the task handed over at once.
const GIVEN: usize = 1_000;

/// Where prefixes come from. Its pages hold them as keys, in the order of the lines.
pub(super) struct Source {
    pieces: Pieces,
    lines: Lines,
}

enum Pieces {
    Given(std::vec::IntoIter<String>),
    File(File, Vec<u8>),
    /// Always one generation of the object.
    Object {
        bucket: Bucket,
        key: String,
        etag: ETag,
        size: u64,
        at: u64,
    },
    End,
}

impl Source {
    /// Prefixes of a task.
    pub(super) fn given(prefixes: Vec<String>) -> Self {
        Self::new(Pieces::Given(prefixes.into_iter()))
    }

    /// A list on this machine.
    ///
    /// # Errors
    /// In words, to be put behind the name of the list.
    pub(super) async fn file(path: &str) -> Result<Self, String> {
        let unread = |e: std::io::Error| format!("cannot be read on this machine: {e}; correct the path, or let the daemon's user read it");
        let file = File::open(path).await.map_err(unread)?;
        if file.metadata().await.map_err(unread)?.is_dir() {
            return Err("is a directory: name a file with one prefix per line".to_owned());
        }
        Ok(Self::new(Pieces::File(file, vec![0; PIECE])))
    }

    /// A list in a bucket.
    ///
    /// # Errors
    /// In words, to be put behind the name of the list.
    pub(super) async fn object(bucket: &Bucket, key: String) -> Result<Self, String> {
        let unread = |e: TransferError| {
            let way = match e.class {
                FailureClass::Auth => "allow the source's credential s3:GetObject on it",
                _ => "correct its bucket and key, or put it there",
            };
            format!("cannot be read: {e}; {way}")
        };
        let info = bucket.head(&key, Pin::default()).await.map_err(unread)?;
        Ok(Self::new(Pieces::Object { bucket: bucket.clone(), key, etag: info.etag, size: info.size, at: 0 }))
    }

    fn new(pieces: Pieces) -> Self {
        Self { pieces, lines: Lines::default() }
    }

    fn broken(message: String) -> ListError {
        TransferError::new(FailureClass::Permanent, Side::Source, OPERATION, "BadPrefixList", message).into()
    }
}

impl Pages for Source {
    async fn next(&mut self) -> Result<Option<Page>, ListError> {
        let mut page = Page::default();
        let mut unfit = None;
        let mut add = |prefix: &str| {
            let entry = EntryRef { key: prefix, size: 0, etag: "", modified: Timestamp(0), class: "", version: None };
            unfit = page.push(entry).err().or(unfit.take());
        };
        let ended = match &mut self.pieces {
            Pieces::Given(prefixes) => {
                prefixes.by_ref().take(GIVEN).for_each(|prefix| add(&prefix));
                prefixes.as_slice().is_empty()
            }
            Pieces::File(file, buffer) => {
                let read = file.read(buffer).await.map_err(|e| Self::broken(format!("cannot be read to its end: {e}")))?;
                self.lines.take(&buffer[..read], &mut add);
                read == 0
            }
            Pieces::Object { bucket, key, etag, size, at } => {
                let end = (*at + REQUEST).min(*size);
                if *at < end {
                    let got = bucket.get_range(key, Pin::to(etag), *at..end).await?;
                    got.body.pieces().iter().for_each(|piece| self.lines.take(piece, &mut add));
                }
                *at = end;
                end == *size
            }
            Pieces::End => return Ok(None),
        };
        if ended {
            if !matches!(self.pieces, Pieces::Given(_)) {
                self.lines.end(&mut add).map_err(Self::broken)?;
            }
            self.pieces = Pieces::End;
        }
        match unfit {
            Some(error) => Err(Self::broken(format!("cannot be sorted: {error}"))),
            None => Ok(Some(page)),
        }
    }
}
