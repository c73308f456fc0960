//! An attribute's key and value from its bytes, and values as texts.
//!
//! Source: https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/common/v1/common.proto

use crate::wire::Message;

/// The value of an attribute. `Other` is read by Python: lists, maps, bytes, infinities, negative numbers, and all that
/// is encoded in a way that encoders do not choose.
#[derive(Clone, Copy)]
pub enum Kind<'a> {
    None,
    Text(&'a [u8]),
    False,
    True,
    Int(u64),
    Double(f64),
    Other,
}

/// Split an attribute into key and value; None when it does not begin with a key of less than 128 bytes. One without
/// a byte has an empty key and no value.
#[inline]
pub fn split(pair: &[u8]) -> Option<(&[u8], Kind<'_>)> {
    let [0x0a, size @ 0..=127, rest @ ..] = pair else {
        return pair.is_empty().then_some((pair, Kind::None));
    };
    let (key, rest) = rest.split_at_checked(usize::from(*size))?;
    Some((key, kind(rest, key.is_empty())))
}

#[inline]
fn kind(rest: &[u8], is_nameless: bool) -> Kind<'_> {
    match rest {
        [] | [0x12, 0] => Kind::None,
        [0x12, outer @ 0..=127, 0x0a, inner @ 0..=127, text @ ..]
            if usize::from(*outer) == text.len() + 2 && usize::from(*inner) == text.len() =>
        {
            Kind::Text(text)
        }
        [0x12, 2, 0x10, 1] => Kind::True,
        [0x12, 2, 0x10, 0] => Kind::False,
        [0x12, 9, 0x21, bits @ ..] if bits.len() == 8 => {
            let number = f64::from_le_bytes(bits.try_into().unwrap_or_default());
            if number.is_finite() {
                Kind::Double(number)
            } else {
                Kind::Other
            }
        }
        [0x12, size @ 2..=9, 0x18, varint @ ..] if usize::from(*size) == varint.len() + 1 => int(varint),
        [0x12, ..] => long_text(rest, is_nameless).map_or(Kind::Other, Kind::Text),
        _ => Kind::Other,
    }
}

fn int(varint: &[u8]) -> Kind<'_> {
    let mut message = Message::new(varint);
    match message.varint() {
        Ok(number) if message.is_empty() => Kind::Int(number),
        _ => Kind::Other,
    }
}

/// A text of 124 bytes and more. One without a key is treated as a text outside attributes, which Python does.
fn long_text(rest: &[u8], is_nameless: bool) -> Option<&[u8]> {
    let value = sole_bytes(rest, 0x12)?;
    let text = sole_bytes(value, 0x0a)?;
    (!is_nameless || (128..16_381).contains(&text.len())).then_some(text)
}

/// The text of a body that is a text and nothing else.
pub fn body_text(body: &[u8]) -> Option<&[u8]> {
    sole_bytes(body, 0x0a)
}

/// The content of a message's only field, whose tag is one byte.
fn sole_bytes(data: &[u8], tag: u8) -> Option<&[u8]> {
    let mut message = Message::new(data);
    if data.first() != Some(&tag) {
        return None;
    }
    match message.next() {
        Ok(Some((_, crate::wire::Field::Bytes(content)))) if message.is_empty() => Some(content),
        _ => None,
    }
}

/// Whether an int can be the number of a card, as `otlp_can_be_card` says in SQL.
pub fn can_be_card(number: u64) -> bool {
    number >= 2_000_000_000_000
        && !(1_000_000_000_000_000..=1_999_999_999_999_999).contains(&number)
        && !(1_000_000_000_000_000_000..=1_999_999_999_999_999_999).contains(&number)
}

pub fn put_int(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Append a finite double as JavaScript prints it.
pub fn put_double(out: &mut Vec<u8>, number: f64) {
    out.extend_from_slice(ryu_js::Buffer::new().format_finite(number + 0.0).as_bytes());
}

/// Append the first line of a text, cut to a number of characters; `…` marks a cut.
pub fn put_excerpt(out: &mut Vec<u8>, text: &str, length: usize) {
    let line = text.split(['\n', '\r']).next().unwrap_or_default();
    let end = line.char_indices().nth(length).map_or(line.len(), |(at, _)| at);
    out.extend_from_slice(&line.as_bytes()[..end]);
    if end < text.len() {
        out.extend_from_slice("…".as_bytes());
    }
}

/// Append a text with U+FFFD for each character that nothing shows, as `otlp_legible` does it in SQL.
pub fn put_legible(out: &mut Vec<u8>, text: &[u8]) {
    let mut bytes = [0u8; 4];
    for character in String::from_utf8_lossy(text).chars() {
        let shown = if is_unseen(character) { '\u{fffd}' } else { character };
        out.extend_from_slice(shown.encode_utf8(&mut bytes).as_bytes());
    }
}

fn is_unseen(character: char) -> bool {
    matches!(character,
        '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fdd0}'..='\u{fdef}'
        | '\u{fff0}'..='\u{fff8}' | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{e0fff}')
}
