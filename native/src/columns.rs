//! Columns in ClickHouse's Native format.
//!
//! A block is the number of columns and of rows, then for each column its name, its type and its values. An array is
//! the ends of its rows, and then all elements as one column. A `LowCardinality` column begins with a version, which
//! stands before all else that the column has.
//!
//! Source: https://clickhouse.com/docs/interfaces/formats/Native

use std::ops::Range;

use crate::batch::{Batch, Text};
use crate::wire::put_varint;
use crate::Failure;

const DICTIONARY_VERSION: u64 = 1;
/// The dictionary stands in the block itself, and is complete.
const DICTIONARY_FLAGS: u64 = 0x600;
const MAP: &str = "Map(LowCardinality(String), String)";
pub const TIME: &str = "DateTime64(9, 'UTC')";

/// What is written may have so many bytes, since few bytes of a request can stand in many rows.
const MOST_BYTES: usize = 1 << 30;

/// A block is written in pieces of so many bytes and some more, which fit: malloc gives larger ones back at once.
const PIECE: usize = 160 << 10;
const PIECE_CAPACITY: usize = 240 << 10;
/// Values of so many bytes are a piece as they are.
const LARGE_VALUES: usize = 32 << 10;

/// The values of a column before the answers of Python are known.
pub enum Values<'a> {
    /// Values as they are written.
    Plain(&'static str, Vec<u8>),
    Texts(Vec<Text<'a>>),
    Maps(Vec<u32>),
}

pub struct Column<'a> {
    pub name: &'static str,
    pub values: Values<'a>,
    /// Where each row ends, for an array.
    pub ends: Option<Vec<u64>>,
}

impl<'a> Column<'a> {
    pub fn plain(name: &'static str, kind: &'static str, values: Vec<u8>) -> Self {
        Column { name, values: Values::Plain(kind, values), ends: None }
    }

    pub fn texts(name: &'static str, values: Vec<Text<'a>>) -> Self {
        Column { name, values: Values::Texts(values), ends: None }
    }

    pub fn maps(name: &'static str, values: Vec<u32>) -> Self {
        Column { name, values: Values::Maps(values), ends: None }
    }

    pub fn arrays(mut self, ends: &[u64]) -> Self {
        self.ends = Some(ends.to_vec());
        self
    }
}

/// A block on its way, in pieces. Each is small enough for malloc to keep its memory; the kernel would have to clear that
/// of a whole block again.
struct Out {
    done: Vec<Vec<u8>>,
    open: Vec<u8>,
    size: usize,
}

impl Out {
    fn new() -> Self {
        Out { done: Vec::new(), open: Vec::with_capacity(PIECE_CAPACITY), size: 0 }
    }

    /// End a piece that is large enough. Return whether another one is open now.
    fn step(&mut self) -> Result<bool, Failure> {
        if self.size + self.open.len() > MOST_BYTES {
            return Err(Failure::TooLarge);
        }
        let is_full = self.open.len() >= PIECE;
        if is_full {
            self.end(Vec::with_capacity(PIECE_CAPACITY));
        }
        Ok(is_full)
    }

    /// Put bytes that stand in memory of their own.
    fn put(&mut self, values: Vec<u8>) -> Result<(), Failure> {
        if values.len() < LARGE_VALUES {
            self.open.extend_from_slice(&values);
        } else {
            self.end(values);
            self.end(Vec::with_capacity(PIECE_CAPACITY));
        }
        self.step().map(drop)
    }

    fn end(&mut self, next: Vec<u8>) {
        let mut ended = std::mem::replace(&mut self.open, next);
        if !ended.is_empty() {
            ended.shrink_to_fit();
            self.size += ended.len();
            self.done.push(ended);
        }
    }
}

/// Write a block.
pub fn write(batch: &Batch<'_, '_>, rows: usize, columns: Vec<Column<'_>>) -> Result<Vec<Vec<u8>>, Failure> {
    let mut out = Out::new();
    put_varint(&mut out.open, columns.len() as u64);
    put_varint(&mut out.open, rows as u64);
    for column in columns {
        put_text(&mut out.open, column.name.as_bytes());
        let kind = match column.values {
            Values::Plain(kind, _) => kind,
            Values::Texts(_) => "String",
            Values::Maps(_) => MAP,
        };
        match column.ends {
            Some(_) => put_text(&mut out.open, format!("Array({kind})").as_bytes()),
            None => put_text(&mut out.open, kind.as_bytes()),
        }
        if matches!(column.values, Values::Maps(_)) {
            put_number(&mut out.open, DICTIONARY_VERSION);
        }
        for &end in column.ends.iter().flatten() {
            put_number(&mut out.open, end);
        }
        out.step()?;
        match column.values {
            Values::Plain(_, values) => out.put(values)?,
            Values::Texts(texts) => put_texts(&mut out, batch, &texts)?,
            Values::Maps(maps) => put_maps(&mut out, batch, &maps)?,
        }
    }
    out.end(Vec::new());
    Ok(out.done)
}

fn put_texts(out: &mut Out, batch: &Batch<'_, '_>, texts: &[Text<'_>]) -> Result<(), Failure> {
    for &text in texts {
        put_text(&mut out.open, batch.bytes(text));
        out.step()?;
    }
    Ok(())
}

fn put_maps(out: &mut Out, batch: &Batch<'_, '_>, maps: &[u32]) -> Result<(), Failure> {
    let mut end = 0u64;
    for &map in maps {
        end += batch.entries_of(map).len() as u64;
        put_number(&mut out.open, end);
        out.step()?;
    }
    if end == 0 {
        return Ok(());
    }
    if end as usize > MOST_BYTES {
        return Err(Failure::TooLarge);
    }
    // The dictionary's first element is the default value.
    let mut places = vec![u32::MAX; batch.worker.keys.len()];
    if let Some(default) = batch.worker.keys.seen(b"") {
        places[default as usize] = 0;
    }
    let mut dictionary: Vec<u32> = Vec::new();
    let mut last = u32::MAX;
    for &map in maps {
        if map == last {
            continue;
        }
        last = map;
        for entry in batch.entries_of(map) {
            let place = &mut places[entry.key() as usize];
            if *place == u32::MAX {
                dictionary.push(entry.key());
                *place = dictionary.len() as u32;
            }
        }
    }
    let width: usize = match dictionary.len() {
        0..=255 => 0,
        256..=65_535 => 1,
        _ => 2,
    };
    put_number(&mut out.open, DICTIONARY_FLAGS | width as u64);
    put_number(&mut out.open, dictionary.len() as u64 + 1);
    put_text(&mut out.open, b"");
    for &key in &dictionary {
        put_text(&mut out.open, &batch.worker.keys[key].bytes);
        out.step()?;
    }
    put_number(&mut out.open, end);
    for &map in maps {
        for entry in batch.entries_of(map) {
            let place = places[entry.key() as usize];
            match width {
                0 => out.open.push(place as u8),
                1 => out.open.extend_from_slice(&(place as u16).to_le_bytes()),
                _ => out.open.extend_from_slice(&place.to_le_bytes()),
            }
        }
        out.step()?;
    }
    // The last map that was written, and where it stands in the open piece.
    let mut written = None;
    for &map in maps {
        match &written {
            Some((last, place)) if *last == map => out.open.extend_from_within(Range::clone(place)),
            _ => {
                let start = out.open.len();
                for entry in batch.entries_of(map) {
                    put_text(&mut out.open, batch.bytes(entry.value));
                }
                written = Some((map, start..out.open.len()));
            }
        }
        if out.step()? {
            written = None;
        }
    }
    Ok(())
}

#[inline]
pub fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    put_varint(out, text.len() as u64);
    out.extend_from_slice(text);
}

#[inline]
pub fn put_number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&number.to_le_bytes());
}
