//! The checks of `privacy/checks.py` that usual texts meet, for texts of ASCII. They decide as that module does, by its
//! own words and expressions, which Python hands over; a case that hardly ever occurs is left to it.

use std::collections::{HashMap, HashSet};

use regex_automata::meta::{Config, Regex};
use regex_automata::{Anchored, Input};

use crate::ascii;

/// A check that is made here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    None,
    Email,
    Home,
    Ipv4,
    Token,
}

impl Check {
    /// Return the check of a name, nothing for one that Python alone makes.
    pub fn of(name: &str) -> Option<Self> {
        Some(match name {
            "" => Check::None,
            "email" => Check::Email,
            "home" => Check::Home,
            "ipv4" => Check::Ipv4,
            "token" => Check::Token,
            _ => return None,
        })
    }
}

/// The words and expressions of `privacy/checks.py`, under its own names.
pub struct Checks {
    everybody: HashSet<Vec<u8>>,
    robots: Vec<Vec<u8>>,
    no_domains: Vec<Vec<u8>>,
    /// By byte, a blank for each that ends a word.
    ends_of_words: Vec<u8>,
    robot: Expression,
    version: Expression,
    glued: Expression,
    web_page: Expression,
    port: Expression,
    version_left: Expression,
    version_right: Expression,
    no_token: Expression,
}

impl Checks {
    /// Raises the name of what is missing or not understood.
    pub fn new(
        mut words: HashMap<String, Vec<Vec<u8>>>,
        expressions: &HashMap<String, String>,
    ) -> Result<Self, String> {
        let expression = |name: &str| {
            let made = expressions.get(name).and_then(|written| Expression::new(written));
            made.ok_or_else(|| name.to_owned())
        };
        let mut words = |name: &str| words.remove(name).ok_or_else(|| name.to_owned());
        Ok(Checks {
            everybody: words("everybody")?.into_iter().collect(),
            robots: words("robots")?,
            no_domains: words("no_domains")?,
            ends_of_words: words("ends_of_words")?.concat(),
            robot: expression("robot")?,
            version: expression("version")?,
            glued: expression("glued")?,
            web_page: expression("web_page")?,
            port: expression("port")?,
            version_left: expression("version_left")?,
            version_right: expression("version_right")?,
            no_token: expression("no_token")?,
        })
    }

    /// Whether data[start..end] is to be replaced; None where Python has to decide.
    pub fn confirms(&self, check: Check, data: &[u8], start: usize, end: usize) -> Option<bool> {
        match check {
            Check::None => Some(true),
            Check::Email => self.email(data, start, end),
            Check::Home => self.home(data, start, end),
            Check::Ipv4 => self.ipv4(data, start, end),
            Check::Token => Some(self.token(data, start, end)),
        }
    }

    fn email(&self, data: &[u8], start: usize, end: usize) -> Option<bool> {
        let address = data[start.saturating_sub(64)..end].to_ascii_lowercase();
        if address.contains(&b'%') || address.contains(&b'\\') {
            return None; // %40 and \u0040
        }
        let (local, domain) = match address.iter().rposition(|&byte| byte == b'@') {
            Some(at) => (&address[..at], &address[at + 1..]),
            None => (&address[..0], &address[..]),
        };
        if ends_with_any(local, &self.robots) && self.robot.finds(local) {
            return Some(false);
        }
        Some(!(ends_with_any(domain, &self.no_domains) || self.version.begins(domain)))
    }

    fn home(&self, data: &[u8], start: usize, end: usize) -> Option<bool> {
        let name = data[start..end].to_ascii_lowercase();
        if self.everybody.contains(&name) || name.starts_with(b"$") || name.starts_with(b".") {
            return Some(false);
        }
        if start > 0 && data[start - 1] == b'~' {
            let is_number = name.iter().all(u8::is_ascii_digit);
            if data.get(end) != Some(&b'/') || is_number {
                return Some(false);
            }
            return Some(!self.glued.finds(&before(data, start)?));
        }
        let before = &data[start.saturating_sub(200)..start];
        if [&b"./home/"[..], b"./Users/", b"../home/"].iter().any(|ending| before.ends_with(ending)) {
            return Some(false);
        }
        let last_word = before.iter().rposition(|&byte| self.ends_of_words[usize::from(byte)] == b' ');
        Some(!self.web_page.finds(&before[last_word.map_or(0, |at| at + 1)..]))
    }

    fn ipv4(&self, data: &[u8], start: usize, end: usize) -> Option<bool> {
        let text = &data[start..end];
        if !is_ipv4(text)
            || text.ends_with(b".0.0.0")
            || text.starts_with(b"127.")
            || text.starts_with(b"255.")
        {
            return Some(false);
        }
        let (before, after) = (before(data, start)?, &data[end..data.len().min(end + 2)]);
        match before[..] {
            [.., b'a'..=b'z', b'/'] => return Some(self.port.begins(after)),
            [.., b'a'..=b'z' | b'0'..=b'9', b'-' | b'_'] => return None, // unless it is private
            _ => {}
        }
        Some(!(self.version_left.finds(&before) || self.version_right.begins(after)))
    }

    fn token(&self, data: &[u8], start: usize, end: usize) -> bool {
        let beginning = &data[start..data.len().min(start + 4)];
        if is_alphanumeric(beginning) && start > 0 && data[start - 1].is_ascii_alphanumeric() {
            return false;
        }
        !self.no_token.finds(&data[start..end])
    }
}

/// The 32 bytes before a place, in lower case; None where a colour code or the sign of a diff's line may end them.
fn before(data: &[u8], start: usize) -> Option<Vec<u8>> {
    let before = data[start.saturating_sub(32)..start].to_ascii_lowercase();
    match before[..] {
        [.., b'm'] if before.contains(&b'[') => None,
        [b'+' | b'-'] | [.., b'\n', b'+' | b'-'] | [.., b'\\', b'n', b'+' | b'-'] => None,
        _ => Some(before),
    }
}

/// Whether a text is four numbers below 256 without zeros before them, between points.
fn is_ipv4(text: &[u8]) -> bool {
    let is_number = |part: &[u8]| {
        let is_written_so = matches!(part, [b'0'..=b'9'] | [b'1'..=b'9', _] | [b'1'..=b'9', _, _]);
        let value = part.iter().try_fold(0u32, |value, &byte| {
            byte.is_ascii_digit().then(|| value * 10 + u32::from(byte - b'0'))
        });
        is_written_so && value.is_some_and(|value| value < 256)
    };
    let parts: Vec<&[u8]> = text.split(|&byte| byte == b'.').collect();
    parts.len() == 4 && parts.into_iter().all(is_number)
}

pub fn is_alphanumeric(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_alphanumeric)
}

fn ends_with_any(text: &[u8], endings: &[Vec<u8>]) -> bool {
    endings.iter().any(|ending| text.ends_with(ending))
}

/// An expression of Python's for bytes, of which only is asked whether it matches.
struct Expression(Regex);

impl Expression {
    fn new(written: &str) -> Option<Self> {
        let hir = ascii::expression(written)?;
        let config = Config::new().utf8_empty(false);
        Regex::builder().configure(config).build_from_hir(&hir).ok().map(Expression)
    }

    /// Whether it matches anywhere.
    fn finds(&self, text: &[u8]) -> bool {
        self.0.is_match(text)
    }

    /// Whether it matches at the beginning.
    fn begins(&self, text: &[u8]) -> bool {
        self.0.is_match(Input::new(text).anchored(Anchored::Yes))
    }
}
