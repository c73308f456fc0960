//! Reads a request in OTLP's JSON and writes it in protobuf, byte for byte as protobuf's own writers do.
//!
//! It takes what nearly every client sends, and calls all else odd: a name that is not known or comes twice, a value of
//! another type or out of range, half a surrogate pair, too many parts. Python reads such a request again, repairs it or
//! says what is wrong with it, so nothing here needs a reason.
//! Sources: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding and RFC 8259.

use crate::wire::{put_varint, Message as Wire};

/// The request is one for Python.
#[derive(Debug)]
pub struct Odd;

/// Messages inside of messages; values that are nested deeper are cut off in Python.
const DEEPEST: usize = 40;
const OF_BYTES: u64 = 2;

/// The message types of the requests. A message's fields are in the order in which a client is likely to write them.
pub struct Schema(pub Vec<Message>);

pub struct Message {
    pub is_record: bool,
    pub fields: Vec<Field>,
}

pub struct Field {
    pub name: Vec<u8>,
    pub number: u64,
    pub kind: Kind,
    pub is_repeated: bool,
    /// Whether a value that is the default is written, too.
    pub has_presence: bool,
    /// A bit for the oneof that it belongs to, 0 without one.
    pub oneof: u64,
    /// Whether its items are records, or messages that hold some.
    pub holds_records: bool,
}

#[derive(Clone, Copy)]
pub enum Kind {
    Message(usize),
    Text,
    Hex,
    Bool,
    Double,
    Enum,
    Integer { encoding: Encoding, low: i128, high: i128 },
}

#[derive(Clone, Copy)]
pub enum Encoding {
    Varint,
    ZigZag,
    Fixed32,
    Fixed64,
}

impl Kind {
    /// `number` is of `FieldDescriptorProto.Type`, with bytes for what is in hex, and `below` a message's place.
    pub fn of(number: u8, below: usize) -> Option<Kind> {
        let (signed32, signed64) =
            ((i128::from(i32::MIN), i128::from(i32::MAX)), (i128::from(i64::MIN), i128::from(i64::MAX)));
        let (unsigned32, unsigned64) = ((0, i128::from(u32::MAX)), (0, i128::from(u64::MAX)));
        let (encoding, (low, high)) = match number {
            1 => return Some(Kind::Double),
            8 => return Some(Kind::Bool),
            9 => return Some(Kind::Text),
            11 => return Some(Kind::Message(below)),
            12 => return Some(Kind::Hex),
            14 => return Some(Kind::Enum),
            3 => (Encoding::Varint, signed64),
            4 => (Encoding::Varint, unsigned64),
            5 => (Encoding::Varint, signed32),
            6 => (Encoding::Fixed64, unsigned64),
            7 => (Encoding::Fixed32, unsigned32),
            13 => (Encoding::Varint, unsigned32),
            15 => (Encoding::Fixed32, signed32),
            16 => (Encoding::Fixed64, signed64),
            17 => (Encoding::ZigZag, signed32),
            18 => (Encoding::ZigZag, signed64),
            _ => return None,
        };
        Some(Kind::Integer { encoding, low, high })
    }

    fn wire_type(self) -> u64 {
        match self {
            Kind::Message(_) | Kind::Text | Kind::Hex => OF_BYTES,
            Kind::Double | Kind::Integer { encoding: Encoding::Fixed64, .. } => 1,
            Kind::Integer { encoding: Encoding::Fixed32, .. } => 5,
            Kind::Bool | Kind::Enum | Kind::Integer { .. } => 0,
        }
    }
}

pub struct Limits {
    /// Records, and the messages that hold them.
    pub held: usize,
    /// Items of any other array.
    pub items: usize,
}

/// Return a request in protobuf, and the number of its records.
pub fn translate(
    schema: &Schema,
    request: usize,
    text: &[u8],
    limits: Limits,
) -> Result<(Vec<u8>, usize), Odd> {
    std::str::from_utf8(text).map_err(|_| Odd)?;
    let out = Vec::with_capacity(text.len() * 5 / 8 + 16);
    let mut reader = Reader { schema, text, at: 0, out, limits, held: 0, records: 0 };
    reader.message(request, 1)?;
    match reader.next() {
        None => Ok((reader.out, reader.records)),
        Some(_) => Err(Odd),
    }
}

struct Reader<'a> {
    schema: &'a Schema,
    text: &'a [u8],
    at: usize,
    out: Vec<u8>,
    limits: Limits,
    held: usize,
    records: usize,
}

impl<'a> Reader<'a> {
    /// Read an object and write it as a message, without a length before it.
    fn message(&mut self, which: usize, depth: usize) -> Result<(), Odd> {
        if depth > DEEPEST {
            return Err(Odd);
        }
        let schema = self.schema;
        let message = &schema.0[which];
        self.records += usize::from(message.is_record);
        let begin = self.out.len();
        let (mut seen, mut oneofs, mut expected, mut highest) = (0u64, 0u64, 0, 0);
        self.take(b'{')?;
        if self.is_next(b'}') {
            return Ok(());
        }
        loop {
            let place = self.name(message, expected)?;
            let field = &message.fields[place];
            expected = place + 1;
            if seen & 1 << place != 0 {
                return Err(Odd);
            }
            seen |= 1 << place;
            if !self.is_null(field.kind)? {
                if oneofs & field.oneof != 0 {
                    return Err(Odd);
                }
                oneofs |= field.oneof;
                let start = self.out.len();
                self.field(field, depth)?;
                if field.number < highest {
                    self.put_in_order(begin, start, field.number)?;
                }
                highest = highest.max(field.number);
            }
            if !self.is_another(b'}')? {
                return Ok(());
            }
        }
    }

    /// Read a name and the colon behind it; return the field's place. The one at `expected` is tried first.
    fn name(&mut self, message: &Message, expected: usize) -> Result<usize, Odd> {
        self.take(b'"')?;
        let (rest, count) = (&self.text[self.at..], message.fields.len());
        let is_named = |place: &usize| {
            let name = &message.fields[*place].name;
            rest.starts_with(name) && rest.get(name.len()) == Some(&b'"')
        };
        let place = (expected..count).chain(0..expected.min(count)).find(is_named).ok_or(Odd)?;
        self.at += message.fields[place].name.len() + 1;
        self.take(b':')?;
        Ok(place)
    }

    /// Pass over null, which says nothing but of a double: there it is NaN, or not, by what else there is.
    fn is_null(&mut self, kind: Kind) -> Result<bool, Odd> {
        if self.next() != Some(b'n') {
            return Ok(false);
        }
        self.word(b"null")?;
        match kind {
            Kind::Double => Err(Odd),
            _ => Ok(true),
        }
    }

    fn field(&mut self, field: &Field, depth: usize) -> Result<(), Odd> {
        let start = self.out.len();
        if !field.is_repeated {
            self.put_tag(field, field.kind.wire_type());
            if !self.value(field.kind, depth)? && !field.has_presence {
                self.out.truncate(start);
            }
            return Ok(());
        }
        let is_packed = field.kind.wire_type() != OF_BYTES;
        let mut at = start;
        if is_packed {
            self.put_tag(field, OF_BYTES);
            at = self.open();
        }
        let begin = self.out.len();
        self.take(b'[')?;
        if !self.is_next(b']') {
            let mut items = 0;
            loop {
                items += 1;
                self.held += usize::from(field.holds_records);
                if self.held > self.limits.held || !field.holds_records && items > self.limits.items {
                    return Err(Odd);
                }
                if !is_packed {
                    self.put_tag(field, OF_BYTES);
                }
                self.value(field.kind, depth)?;
                if !self.is_another(b']')? {
                    break;
                }
            }
        }
        if self.out.len() == begin {
            self.out.truncate(start);
        } else if is_packed {
            self.close(at);
        }
        Ok(())
    }

    /// Read a value and write it without its tag; return whether it is another than the default.
    fn value(&mut self, kind: Kind, depth: usize) -> Result<bool, Odd> {
        match kind {
            Kind::Message(which) => {
                let at = self.open();
                self.message(which, depth + 1)?;
                self.close(at);
                Ok(true)
            }
            Kind::Text => self.put_text(),
            Kind::Hex => self.put_hex(),
            Kind::Bool => {
                let is_true = self.next() == Some(b't');
                self.word(if is_true { b"true" } else { b"false" })?;
                self.out.push(u8::from(is_true));
                Ok(is_true)
            }
            Kind::Double => {
                let (text, is_whole) = self.number()?;
                let number: f64 = text.parse().map_err(|_| Odd)?;
                // A whole number has no negative zero.
                let number = if is_whole && number == 0.0 { 0.0 } else { number };
                if !number.is_finite() {
                    return Err(Odd);
                }
                self.out.extend_from_slice(&number.to_le_bytes());
                Ok(number.to_bits() != 0)
            }
            Kind::Enum => {
                let (text, _) = self.number()?;
                self.put_integer(text, Encoding::Varint, i128::from(i32::MIN), i128::from(i32::MAX))
            }
            Kind::Integer { encoding, low, high } => {
                let text = if self.next() == Some(b'"') { self.decimal()? } else { self.number()?.0 };
                self.put_integer(text, encoding, low, high)
            }
        }
    }

    fn put_integer(&mut self, text: &str, encoding: Encoding, low: i128, high: i128) -> Result<bool, Odd> {
        let number: i128 = text.parse().map_err(|_| Odd)?;
        if number < low || number > high {
            return Err(Odd);
        }
        match encoding {
            Encoding::Varint => put_varint(&mut self.out, number as u64),
            Encoding::ZigZag => put_varint(&mut self.out, (number << 1 ^ number >> 127) as u64),
            Encoding::Fixed32 => self.out.extend_from_slice(&(number as u32).to_le_bytes()),
            Encoding::Fixed64 => self.out.extend_from_slice(&(number as u64).to_le_bytes()),
        }
        Ok(number != 0)
    }

    /// Read a number; return it, and whether it has neither a fraction nor an exponent.
    fn number(&mut self) -> Result<(&'a str, bool), Odd> {
        self.next();
        let begin = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        let first = self.peek();
        if self.digits()? > 1 && first == Some(b'0') {
            return Err(Odd);
        }
        let whole = self.at;
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok((self.slice(begin, self.at)?, self.at == whole))
    }

    /// Read a whole number that is a string.
    fn decimal(&mut self) -> Result<&'a str, Odd> {
        self.take(b'"')?;
        let begin = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        self.digits()?;
        let text = self.slice(begin, self.at)?;
        if self.peek() != Some(b'"') || text.len() > 20 {
            return Err(Odd);
        }
        self.at += 1;
        Ok(text)
    }

    /// Pass over digits, of which there is at least one; return how many there are.
    fn digits(&mut self) -> Result<usize, Odd> {
        let count = self.text[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        if count == 0 {
            Err(Odd)
        } else {
            Ok(count)
        }
    }

    fn slice(&self, begin: usize, end: usize) -> Result<&'a str, Odd> {
        std::str::from_utf8(&self.text[begin..end]).map_err(|_| Odd)
    }

    fn put_hex(&mut self) -> Result<bool, Odd> {
        self.take(b'"')?;
        let size = self.text[self.at..].iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let digits = &self.text[self.at..self.at + size];
        self.at += size;
        if size % 2 != 0 || self.peek() != Some(b'"') {
            return Err(Odd);
        }
        self.at += 1;
        put_varint(&mut self.out, size as u64 / 2);
        let half = |digit: u8| (digit as char).to_digit(16).map_or(0, |number| number as u8);
        self.out.extend(digits.chunks_exact(2).map(|pair| half(pair[0]) << 4 | half(pair[1])));
        Ok(size > 0)
    }

    fn put_text(&mut self) -> Result<bool, Odd> {
        self.take(b'"')?;
        let plain = self.plain();
        if self.peek() == Some(b'"') {
            self.at += 1;
            put_varint(&mut self.out, plain.len() as u64);
            self.out.extend_from_slice(plain);
            return Ok(!plain.is_empty());
        }
        let at = self.open();
        self.out.extend_from_slice(plain);
        while self.peek() == Some(b'\\') {
            self.at += 1;
            let character = self.escaped()?;
            self.out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            let plain = self.plain();
            self.out.extend_from_slice(plain);
        }
        if self.peek() != Some(b'"') {
            return Err(Odd); // a control character, or the end
        }
        self.at += 1;
        self.close(at);
        Ok(true)
    }

    /// Pass over what stands for itself in a string.
    fn plain(&mut self) -> &'a [u8] {
        let rest = &self.text[self.at..];
        let ends = |&byte: &u8| byte == b'"' || byte == b'\\' || byte < b' ';
        let plain = &rest[..rest.iter().position(ends).unwrap_or(rest.len())];
        self.at += plain.len();
        plain
    }

    fn escaped(&mut self) -> Result<char, Odd> {
        let kind = self.peek().ok_or(Odd)?;
        self.at += 1;
        Ok(match kind {
            b'"' | b'\\' | b'/' => kind as char,
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let unit = self.unit()?;
                let mut units = vec![unit];
                if (0xd800..0xdc00).contains(&unit) && self.text[self.at..].starts_with(b"\\u") {
                    self.at += 2;
                    units.push(self.unit()?);
                }
                let mut characters = char::decode_utf16(units);
                match (characters.next(), characters.next()) {
                    (Some(Ok(character)), None) => character,
                    _ => return Err(Odd),
                }
            }
            _ => return Err(Odd),
        })
    }

    /// Read four hex digits.
    fn unit(&mut self) -> Result<u16, Odd> {
        let digits = self.text.get(self.at..self.at + 4).ok_or(Odd)?;
        self.at += 4;
        digits
            .iter()
            .try_fold(0u16, |unit, &digit| Some(unit << 4 | (digit as char).to_digit(16)? as u16))
            .ok_or(Odd)
    }

    fn put_tag(&mut self, field: &Field, wire_type: u64) {
        put_varint(&mut self.out, field.number << 3 | wire_type);
    }

    /// Leave room for the length of what follows.
    fn open(&mut self) -> usize {
        self.out.push(0);
        self.out.len() - 1
    }

    /// Write the length of what followed.
    fn close(&mut self, at: usize) {
        let size = self.out.len() - at - 1;
        if size < 128 {
            self.out[at] = size as u8;
        } else {
            let mut length = Vec::with_capacity(10);
            put_varint(&mut length, size as u64);
            self.out.splice(at..=at, length);
        }
    }

    /// Move the field that begins at `start` before those with higher numbers of its message, which has its `begin`.
    fn put_in_order(&mut self, begin: usize, start: usize, number: u64) -> Result<(), Odd> {
        let mut before = Wire::new(&self.out[begin..start]);
        let mut place = begin;
        while let Some((other, _)) = before.next().map_err(|_| Odd)? {
            if other > number {
                break;
            }
            place = start - before.left();
        }
        let size = self.out.len() - start;
        self.out[place..].rotate_right(size);
        Ok(())
    }

    /// Pass over white space; return the byte behind it.
    fn next(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
        self.peek()
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> Result<(), Odd> {
        if self.is_next(byte) {
            Ok(())
        } else {
            Err(Odd)
        }
    }

    fn is_next(&mut self, byte: u8) -> bool {
        let is_it = self.next() == Some(byte);
        self.at += usize::from(is_it);
        is_it
    }

    /// Pass over a comma, or the end of an object or array; return whether it was a comma.
    fn is_another(&mut self, end: u8) -> Result<bool, Odd> {
        if self.is_next(b',') {
            return Ok(true);
        }
        self.take(end)?;
        Ok(false)
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Odd> {
        self.next();
        if !self.text[self.at..].starts_with(word) {
            return Err(Odd);
        }
        self.at += word.len();
        Ok(())
    }
}
