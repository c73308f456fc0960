//! Labels from an attribute whose value is JSON, as `labels` of `privacy/sanitizer.py` takes them.
//!
//! Only what is plain is read here, and every plain text means in Python what it means here. For all else (escapes in a
//! name, numbers with an exponent, a path in front of a command) the answer is None, and Python is asked.

/// How deep arrays and objects may stand in each other.
const MOST_DEPTH: usize = 32;
/// The longest number, in bytes: it is no infinity, whatever its digits are.
const MOST_DIGITS: usize = 64;
const MOST_NAME: usize = 64;
const MOST_COMMAND: usize = 31;
/// Words before a program that are not the program.
const PREFIXES: [&[u8]; 2] = [b"sudo", b"env"];

/// A field that is kept, under a name of its own, as a name or as the first word of a command.
pub struct Label {
    pub field: Vec<u8>,
    pub name: Vec<u8>,
    pub is_command: bool,
}

/// Read the last value of each wanted field of an object into `found`: a string without its quotes and with its
/// escapes, an empty one for another value, None for a field that is not there. A text that is no object has none.
pub fn read<'a>(text: &'a [u8], wanted: &[Label], found: &mut Vec<Option<&'a [u8]>>) -> Option<()> {
    found.clear();
    found.resize(wanted.len(), None);
    let mut json = Json { rest: text };
    if !matches!(json.peek(), Some(b'{' | b' ' | b'\t' | b'\n' | b'\r')) {
        return Some(());
    }
    json.blanks();
    json.object(0, &mut |field, value| {
        for (label, found) in wanted.iter().zip(found.iter_mut()) {
            if label.field == field {
                *found = Some(value);
            }
        }
    })?;
    json.blanks();
    json.rest.is_empty().then_some(())
}

/// The part of a string that is kept, which still has to be searched.
pub fn kept(value: &[u8], is_command: bool) -> Option<&[u8]> {
    if !is_command {
        return (value.len() <= MOST_NAME && is_name(value)).then_some(value);
    }
    let size = value.iter().position(|&byte| !is_of_command(byte)).unwrap_or(value.len());
    let (word, rest) = value.split_at(size);
    let is_whole = matches!(rest, [] | [b' ', ..] | [b'\\', b'n' | b't', ..]);
    let is_plain = size <= MOST_COMMAND && word.first().is_some_and(u8::is_ascii_alphabetic);
    (is_whole && is_plain && !PREFIXES.contains(&word)).then_some(word)
}

fn is_of_command(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._+-".contains(&byte)
}

fn is_name(value: &[u8]) -> bool {
    value.first().is_some_and(|&byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && value.iter().all(|&byte| byte.is_ascii_alphanumeric() || b"._:/@+-".contains(&byte))
}

/// What is left of a text in JSON (RFC 8259). The text is UTF-8.
struct Json<'a> {
    rest: &'a [u8],
}

impl<'a> Json<'a> {
    fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    fn skip(&mut self, size: usize) {
        self.rest = &self.rest[size..];
    }

    fn blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.skip(1);
        }
    }

    fn expect(&mut self, text: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(text)?;
        Some(())
    }

    /// Read an object, and call `each` with a field's name and its string, or nothing for a value of another kind.
    fn object(&mut self, depth: usize, each: &mut dyn FnMut(&'a [u8], &'a [u8])) -> Option<()> {
        self.list(b"{", b'}', |json| {
            let field = json.string()?;
            if field.contains(&b'\\') {
                return None;
            }
            json.blanks();
            json.expect(b":")?;
            json.blanks();
            let value = json.value(depth)?;
            each(field, value);
            Some(())
        })
    }

    fn list(
        &mut self,
        opening: &[u8],
        closing: u8,
        mut item: impl FnMut(&mut Self) -> Option<()>,
    ) -> Option<()> {
        self.expect(opening)?;
        self.blanks();
        if self.peek() == Some(closing) {
            self.skip(1);
            return Some(());
        }
        loop {
            item(self)?;
            self.blanks();
            if self.peek()? == closing {
                self.skip(1);
                return Some(());
            }
            self.expect(b",")?;
            self.blanks();
        }
    }

    /// Read a value; return a string's, nothing for another.
    fn value(&mut self, depth: usize) -> Option<&'a [u8]> {
        if depth == MOST_DEPTH {
            return None;
        }
        match self.peek()? {
            b'"' => return self.string(),
            b'{' => self.object(depth + 1, &mut |_, _| ())?,
            b'[' => self.list(b"[", b']', |json| json.value(depth + 1).map(|_| ()))?,
            b't' => self.expect(b"true")?,
            b'f' => self.expect(b"false")?,
            b'n' => self.expect(b"null")?,
            _ => self.number()?,
        }
        Some(b"")
    }

    /// Read a string without escapes of numbers, which can be half a character.
    fn string(&mut self) -> Option<&'a [u8]> {
        self.expect(b"\"")?;
        let text = self.rest;
        let mut at = 0;
        loop {
            match *text.get(at)? {
                b'"' => break,
                b'\\' if b"\"\\/bfnrt".contains(text.get(at + 1)?) => at += 2,
                b'\\' | 0..=31 => return None,
                _ => at += 1,
            }
        }
        self.skip(at + 1);
        Some(&text[..at])
    }

    fn number(&mut self) -> Option<()> {
        let before = self.rest.len();
        if self.peek() == Some(b'-') {
            self.skip(1);
        }
        match self.digits()? {
            b"0" => (),
            [b'0', ..] => return None,
            _ => (),
        }
        if self.peek() == Some(b'.') {
            self.skip(1);
            self.digits()?;
        }
        (before - self.rest.len() <= MOST_DIGITS && !matches!(self.peek(), Some(b'e' | b'E'))).then_some(())
    }

    fn digits(&mut self) -> Option<&'a [u8]> {
        let size = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.rest.split_at(size);
        self.rest = rest;
        (size > 0).then_some(digits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(text: &str) -> Option<Option<&str>> {
        let wanted = [Label { field: b"command".to_vec(), name: Vec::new(), is_command: true }];
        let mut found = Vec::new();
        read(text.as_bytes(), &wanted, &mut found)?;
        Some(found[0].map(|value| std::str::from_utf8(value).expect("UTF-8")))
    }

    #[test]
    fn plain_objects_are_read() {
        assert_eq!(command(r#"{"command":"git push"}"#), Some(Some("git push")));
        assert_eq!(command(" {\n\"a\" : [1, -0.5, {}, []] ,\"command\":\"ls\\n\"}\r\n"), Some(Some("ls\\n")));
        assert_eq!(command(r#"{"command":"ls","command":null}"#), Some(Some("")));
        assert_eq!(command(r#"{"a":{"command":"ls"}}"#), Some(None));
        for other in ["", "x", "[1]", "\u{feff}{}"] {
            assert_eq!(command(other), Some(None), "{other}");
        }
    }

    #[test]
    fn python_is_asked_for_what_is_not_plain() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(40), "]".repeat(40));
        let long = format!("{{\"a\":{}}}", "9".repeat(400));
        for text in [
            r#"{"c\u006fmmand":"ls"}"#,
            r#"{"a":"\ud800"}"#,
            r#"{"a":1e999}"#,
            r#"{"a":01}"#,
            r#"{"a":NaN}"#,
            r#"{"a":1,}"#,
            r#"{"a":1} x"#,
            r#"{"a":1"#,
            "{\"a\":\"\n\"}",
            &deep,
            &long,
        ] {
            assert_eq!(command(text), None, "{text}");
        }
    }

    #[test]
    fn only_plain_words_are_kept() {
        for (value, word) in [("git push", "git"), ("ls", "ls"), ("ls\\n-l", "ls"), ("g++ a.c", "g++")] {
            assert_eq!(kept(value.as_bytes(), true), Some(word.as_bytes()));
        }
        let long = "a".repeat(65);
        for value in ["", "A=1 ls", "/bin/ls", "sudo ls", "ls\\\\", "ls;id", "ls\u{a0}x", &long[..32]] {
            assert_eq!(kept(value.as_bytes(), true), None, "{value}");
        }
        assert_eq!(kept(b"_a.b:c/d@e+f-1", false), Some(&b"_a.b:c/d@e+f-1"[..]));
        for value in ["", "a b", "-a", "a\\/b", "\u{e9}", &long] {
            assert_eq!(kept(value.as_bytes(), false), None, "{value}");
        }
    }
}
