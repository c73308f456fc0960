//! Reads protobuf messages field by field, without copies.
//!
//! A field whose wire type is not the one that the schema says is skipped, as every protobuf library does.
//! Source: https://protobuf.dev/programming-guides/encoding/

/// The message is no protobuf.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Field<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(&'a [u8]),
    Group,
}

pub struct Message<'a> {
    rest: &'a [u8],
}

impl<'a> Message<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Message { rest: data }
    }

    /// Return the next field's number and content, None at the end.
    #[inline]
    pub fn next(&mut self) -> Result<Option<(u64, Field<'a>)>, Malformed> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        if tag >> 3 == 0 || tag > u64::from(u32::MAX) {
            return Err(Malformed);
        }
        let field = match tag & 7 {
            0 => Field::Varint(self.varint()?),
            1 => Field::Fixed64(u64::from_le_bytes(self.take(8)?.try_into().map_err(|_| Malformed)?)),
            2 => {
                let size = usize::try_from(self.varint()?).map_err(|_| Malformed)?;
                Field::Bytes(self.take(size)?)
            }
            3 => {
                self.skip_group(tag >> 3)?;
                Field::Group
            }
            5 => Field::Fixed32(u32::from_le_bytes(self.take(4)?.try_into().map_err(|_| Malformed)?)),
            _ => return Err(Malformed),
        };
        Ok(Some((tag >> 3, field)))
    }

    /// Read to the end of a group. Groups in it are counted, not recursed into.
    fn skip_group(&mut self, number: u64) -> Result<(), Malformed> {
        let mut open = vec![number];
        while let Some(&last) = open.last() {
            let tag = self.varint()?;
            match tag & 7 {
                0 => drop(self.varint()?),
                1 => drop(self.take(8)?),
                2 => {
                    let size = usize::try_from(self.varint()?).map_err(|_| Malformed)?;
                    self.take(size)?;
                }
                3 if open.len() < 100 => open.push(tag >> 3),
                4 if tag >> 3 == last => drop(open.pop()),
                5 => drop(self.take(4)?),
                _ => return Err(Malformed),
            }
        }
        Ok(())
    }

    #[inline]
    pub fn varint(&mut self) -> Result<u64, Malformed> {
        if let [first, rest @ ..] = self.rest {
            if *first < 128 {
                self.rest = rest;
                return Ok(u64::from(*first));
            }
        }
        let mut number = 0u64;
        for (place, &byte) in self.rest.iter().take(10).enumerate() {
            number |= u64::from(byte & 127) << (7 * place);
            if byte < 128 {
                if place == 9 && byte > 1 {
                    return Err(Malformed);
                }
                self.rest = &self.rest[place + 1..];
                return Ok(number);
            }
        }
        Err(Malformed)
    }

    #[inline]
    fn take(&mut self, size: usize) -> Result<&'a [u8], Malformed> {
        if size > self.rest.len() {
            return Err(Malformed);
        }
        let (taken, rest) = self.rest.split_at(size);
        self.rest = rest;
        Ok(taken)
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Return how many bytes are not read yet.
    pub fn left(&self) -> usize {
        self.rest.len()
    }
}

/// Append a number as a varint.
#[inline]
pub fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number > 127 {
        out.push(number as u8 | 128);
        number >>= 7;
    }
    out.push(number as u8);
}
