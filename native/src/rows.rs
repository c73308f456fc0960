//! What the tables of all signals share.

use crate::batch::{Batch, Text, EMPTY};
use crate::city;
use crate::wire::{Field, Malformed, Message};
use crate::Failure;

/// The rows of a group of requests.
pub struct Block {
    pub data: Vec<u8>,
    pub rows: usize,
    /// A hash a row, by which a record is known that arrives again; 0 for none.
    pub contents: Vec<u64>,
    pub identities: Vec<u64>,
    pub past_retention: u64,
    pub ends_before_start: u64,
}

/// What is gathered for the rows of one table.
pub trait Table<'a>: Send {
    /// Read a request; `oldest` is the time before which the table's TTL removes a row.
    fn read(&mut self, batch: &mut Batch<'a, '_>, request: &'a [u8], oldest: i64) -> Result<(), Malformed>;

    /// Write the rows, once Python has answered, in a block of about `capacity` bytes.
    fn write(self, batch: &mut Batch<'a, '_>, capacity: usize) -> Result<Block, Failure>;
}

/// The scope of a message of spans, log records or metrics.
#[derive(Default)]
pub struct Scope<'a> {
    pub name: &'a [u8],
    pub version: &'a [u8],
    pub pairs: Vec<&'a [u8]>,
    pub dropped: u32,
    pub url: &'a [u8],
}

/// Read the pairs of attributes and the schema URL of the resource of a message of resource spans, logs or metrics.
pub fn read_resource(data: &[u8]) -> Result<(Vec<&[u8]>, &[u8]), Malformed> {
    let mut pairs = Vec::new();
    let mut url: &[u8] = b"";
    let mut message = Message::new(data);
    while let Some(field) = message.next()? {
        match field {
            (1, Field::Bytes(content)) => read_attributes(content, 1, &mut pairs)?,
            (3, Field::Bytes(content)) => url = content,
            _ => {}
        }
    }
    Ok((pairs, url))
}

/// Read the scope of such a message, and the schema URL beside it.
pub fn read_scope(data: &[u8]) -> Result<Scope<'_>, Malformed> {
    let mut found = Scope::default();
    let mut message = Message::new(data);
    while let Some(field) = message.next()? {
        match field {
            (1, Field::Bytes(content)) => {
                let mut scope = Message::new(content);
                while let Some(field) = scope.next()? {
                    match field {
                        (1, Field::Bytes(text)) => found.name = text,
                        (2, Field::Bytes(text)) => found.version = text,
                        (3, Field::Bytes(pair)) => found.pairs.push(pair),
                        (4, Field::Varint(number)) => found.dropped = number as u32,
                        _ => {}
                    }
                }
            }
            (3, Field::Bytes(content)) => found.url = content,
            _ => {}
        }
    }
    Ok(found)
}

/// The number of a row in a column of UInt64.
pub fn number_at(column: &[u8], row: usize) -> u64 {
    column[8 * row..8 * row + 8].try_into().map_or(0, u64::from_le_bytes)
}

/// Join the hash of a map to that of the values before it.
pub fn city_of_map(batch: &Batch<'_, '_>, before: u64, map: u32) -> u64 {
    let entries = batch.entries_of(map);
    let mut hash = city::joined(before, city::number(entries.len() as u64));
    for entry in entries {
        let key = batch.worker.keys[entry.key()].city;
        hash = city::joined(hash, city::joined(key, city::bytes(batch.bytes(entry.value))));
    }
    hash
}

/// The service's name of each row.
pub fn services<'a>(batch: &Batch<'a, '_>, resources: &[u32]) -> Vec<Text<'a>> {
    let mut last = (u32::MAX, EMPTY);
    resources
        .iter()
        .map(|&resource| {
            if resource != last.0 {
                last = (resource, batch.value_in(resource, b"service.name"));
            }
            last.1
        })
        .collect()
}

/// Add the attributes of a message to `pairs`.
pub fn read_attributes<'a>(data: &'a [u8], number: u64, pairs: &mut Vec<&'a [u8]>) -> Result<(), Malformed> {
    let mut message = Message::new(data);
    while let Some(field) = message.next()? {
        if let (found, Field::Bytes(pair)) = field {
            if found == number {
                pairs.push(pair);
            }
        }
    }
    Ok(())
}
