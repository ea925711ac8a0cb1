//! Where answers go, in the form asked for.

use std::{
    io::{self, Write},
    marker::PhantomData,
};

use serde::Serialize;

use super::table::{Column, Table};
use crate::sanitise::sanitise;

/// The form of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Columns and sentences for people.
    #[default]
    Table,
    /// One JSON document: an object, or an array with one element per line.
    Json,
    /// One JSON object per line.
    Ndjson,
}

/// Something that is a row in a table and an object in JSON.
pub(super) trait Row: Serialize {
    /// The columns of the table.
    const COLUMNS: &'static [Column];
    /// One text per column; need not be sanitised.
    fn cells(&self) -> Vec<String>;
}

/// Standard output and the form.
pub(super) struct Output<'a> {
    out: &'a mut dyn Write,
    format: Format,
}

impl<'a> Output<'a> {
    pub(super) fn new(out: &'a mut dyn Write, format: Format) -> Self {
        Self { out, format }
    }

    pub(super) fn format(&self) -> Format {
        self.format
    }

    /// Whether people read it.
    pub(super) fn is_table(&self) -> bool {
        self.format == Format::Table
    }

    /// A line for people, sanitised; for programs nothing.
    pub(super) fn line(&mut self, text: &str) -> io::Result<()> {
        if self.is_table() { writeln!(self.out, "{}", sanitise(text)) } else { Ok(()) }
    }

    /// Text as it is; it must be harmless already.
    pub(super) fn raw(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())
    }

    /// An object for programs; for people nothing.
    pub(super) fn document(&mut self, value: &impl Serialize) -> io::Result<()> {
        match self.format {
            Format::Table => return Ok(()),
            Format::Json => serde_json::to_writer_pretty(&mut *self.out, value)?,
            Format::Ndjson => serde_json::to_writer(&mut *self.out, value)?,
        }
        self.out.write_all(b"\n")
    }

    /// Where bytes go that are in a form of their own.
    pub(super) fn writer(&mut self) -> &mut dyn Write {
        &mut *self.out
    }

    /// The reader sees what was written so far.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Begins a list with a header.
    pub(super) fn list<R: Row>(&mut self) -> List<'_, 'a, R> {
        self.list_in(Table::new(R::COLUMNS))
    }

    /// Begins a list without a header.
    pub(super) fn bare_list<R: Row>(&mut self) -> List<'_, 'a, R> {
        self.list_in(Table::bare(R::COLUMNS))
    }

    fn list_in<R: Row>(&mut self, table: Table) -> List<'_, 'a, R> {
        List { output: self, table, any: false, rows: PhantomData }
    }
}

/// A list that is written page by page, so that it may be longer than memory.
pub(super) struct List<'o, 'a, R> {
    output: &'o mut Output<'a>,
    table: Table,
    any: bool,
    rows: PhantomData<fn(&R)>,
}

impl<R: Row> List<'_, '_, R> {
    /// Writes more rows and shows them to the reader.
    pub(super) fn page<'r>(&mut self, rows: impl IntoIterator<Item = &'r R>) -> io::Result<()>
    where
        R: 'r,
    {
        let rows = rows.into_iter();
        if self.output.is_table() {
            let cells: Vec<_> = rows.map(Row::cells).collect();
            self.output.raw(&self.table.page(&cells))?;
        } else {
            for row in rows {
                if self.output.format == Format::Json {
                    self.output.raw(if self.any { ",\n" } else { "[\n" })?;
                }
                self.any = true;
                serde_json::to_writer(&mut *self.output.out, row)?;
                if self.output.format == Format::Ndjson {
                    self.output.raw("\n")?;
                }
            }
        }
        self.output.flush()
    }

    /// Ends the list.
    pub(super) fn finish(mut self) -> io::Result<()> {
        match (self.output.format, self.any) {
            (Format::Json, true) => self.output.raw("\n]\n"),
            (Format::Json, false) => self.output.raw("[]\n"),
            (Format::Ndjson, _) => Ok(()),
            (Format::Table, _) => self.page([]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::table::Align, *};

    #[derive(Serialize)]
    struct Count {
        n: u32,
    }

    impl Row for Count {
        const COLUMNS: &'static [Column] = &[("N", Align::Right)];
        fn cells(&self) -> Vec<String> {
            vec![self.n.to_string()]
        }
    }

    fn written(format: Format, pages: &[&[Count]]) -> String {
        let mut bytes = Vec::new();
        let mut output = Output::new(&mut bytes, format);
        let mut list = output.list::<Count>();
        for page in pages {
            list.page(*page).expect("memory");
        }
        list.finish().expect("memory");
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn a_list_in_every_form() {
        let pages: &[&[Count]] = &[&[Count { n: 1 }, Count { n: 20 }], &[], &[Count { n: 3 }]];
        assert_eq!(written(Format::Table, pages), " N\n 1\n20\n 3\n");
        assert_eq!(written(Format::Json, pages), "[\n{\"n\":1},\n{\"n\":20},\n{\"n\":3}\n]\n");
        assert_eq!(written(Format::Ndjson, pages), "{\"n\":1}\n{\"n\":20}\n{\"n\":3}\n");
    }

    #[test]
    fn an_empty_list_in_every_form() {
        assert_eq!(written(Format::Table, &[]), "N\n");
        assert_eq!(written(Format::Json, &[]), "[]\n");
        assert_eq!(written(Format::Ndjson, &[]), "");
    }
}
