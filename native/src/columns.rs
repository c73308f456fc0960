//! Columns in ClickHouse's Native format.
//!
//! A block is the number of columns and of rows, then for each column its name, its type and its values. An array is
//! the ends of its rows, and then all elements as one column. A `LowCardinality` column begins with a version, which
//! stands before all else that the column has.
//!
//! Source: https://clickhouse.com/docs/interfaces/formats/Native

use crate::batch::{Batch, Text};
use crate::pages;
use crate::wire::put_varint;
use crate::Failure;

const DICTIONARY_VERSION: u64 = 1;
/// The dictionary stands in the block itself, and is complete.
const DICTIONARY_FLAGS: u64 = 0x600;
const MAP: &str = "Map(LowCardinality(String), String)";
pub const TIME: &str = "DateTime64(9, 'UTC')";

/// What is written may have so many bytes, since few bytes of a request can stand in many rows.
pub const MOST_BYTES: usize = 1 << 30;

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

/// Write a block, of about `capacity` bytes.
pub fn write(
    batch: &Batch<'_, '_>,
    rows: usize,
    columns: &[Column<'_>],
    capacity: usize,
) -> Result<Vec<u8>, Failure> {
    let mut out = pages::vector(capacity);
    put_varint(&mut out, columns.len() as u64);
    put_varint(&mut out, rows as u64);
    for column in columns {
        put_text(&mut out, column.name.as_bytes());
        let kind = match column.values {
            Values::Plain(kind, _) => kind,
            Values::Texts(_) => "String",
            Values::Maps(_) => MAP,
        };
        match column.ends {
            Some(_) => put_text(&mut out, format!("Array({kind})").as_bytes()),
            None => put_text(&mut out, kind.as_bytes()),
        }
        if matches!(column.values, Values::Maps(_)) {
            put_number(&mut out, DICTIONARY_VERSION);
        }
        for &end in column.ends.iter().flatten() {
            put_number(&mut out, end);
        }
        match &column.values {
            Values::Plain(_, values) => out.extend_from_slice(values),
            Values::Texts(texts) => put_texts(&mut out, batch, texts)?,
            Values::Maps(maps) => put_maps(&mut out, batch, maps)?,
        }
        if out.len() > MOST_BYTES {
            return Err(Failure::TooLarge);
        }
    }
    Ok(out)
}

fn put_texts(out: &mut Vec<u8>, batch: &Batch<'_, '_>, texts: &[Text<'_>]) -> Result<(), Failure> {
    for &text in texts {
        put_text(out, batch.bytes(text));
        if out.len() > MOST_BYTES {
            return Err(Failure::TooLarge);
        }
    }
    Ok(())
}

fn put_maps(out: &mut Vec<u8>, batch: &Batch<'_, '_>, maps: &[u32]) -> Result<(), Failure> {
    let mut end = 0u64;
    for &map in maps {
        end += batch.entries_of(map).len() as u64;
        put_number(out, end);
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
    put_number(out, DICTIONARY_FLAGS | width as u64);
    put_number(out, dictionary.len() as u64 + 1);
    put_text(out, b"");
    for &key in &dictionary {
        put_text(out, &batch.worker.keys[key].bytes);
    }
    put_number(out, end);
    for &map in maps {
        for entry in batch.entries_of(map) {
            let place = places[entry.key() as usize];
            match width {
                0 => out.push(place as u8),
                1 => out.extend_from_slice(&(place as u16).to_le_bytes()),
                _ => out.extend_from_slice(&place.to_le_bytes()),
            }
        }
        if out.len() > MOST_BYTES {
            return Err(Failure::TooLarge);
        }
    }
    let mut last = u32::MAX;
    let mut written = 0..0;
    for &map in maps {
        if map == last {
            out.extend_from_within(written.clone());
            written = out.len() - written.len()..out.len();
        } else {
            let start = out.len();
            for entry in batch.entries_of(map) {
                put_text(out, batch.bytes(entry.value));
            }
            written = start..out.len();
            last = map;
        }
        if out.len() > MOST_BYTES {
            return Err(Failure::TooLarge);
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
