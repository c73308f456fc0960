//! A pattern of RE2 for texts of ASCII alone, in which it matches here exactly where it does in RE2, groups and all.
//!
//! `search::translated` makes a pattern find at least what it finds in RE2. Here it must find the very same, so a
//! pattern is taken only where each of its parts is known to mean the same to both: the list is short, and what is not
//! on it is left to Python.

use regex_syntax::hir::{Class, ClassBytes, ClassBytesRange, ClassUnicode, ClassUnicodeRange, Hir, HirKind};
use regex_syntax::ParserBuilder;

use crate::search::translated;

const GROUPS: [&str; 8] = ["?:", "?i:", "?-i:", "?s:", "?i)", "?s)", "?is)", "?si)"];

/// Return what a pattern with one group or none matches in texts of ASCII, None where that is not known.
pub fn pattern(pattern: &str) -> Option<Hir> {
    if !is_known(pattern) {
        return None;
    }
    let parsed = ParserBuilder::new().utf8(false).nest_limit(500).build().parse(&translated(pattern)).ok()?;
    in_ascii(&parsed).filter(|hir| hir.properties().explicit_captures_len() <= 1)
}

/// Return what matches wherever a pattern does in RE2, and may match elsewhere.
pub fn at_least(pattern: &str) -> Option<Hir> {
    let mut parser = ParserBuilder::new();
    parser.utf8(false).dot_matches_new_line(true).nest_limit(500).build().parse(&translated(pattern)).ok()
}

/// Return what one of Python's expressions for bytes matches. `\Z` is the end of the text; all else means the same
/// without Unicode, but for `$`, which is refused.
pub fn expression(expression: &str) -> Option<Hir> {
    if expression.contains('$') {
        return None;
    }
    let written = expression.replace(r"\Z", r"\z");
    ParserBuilder::new().utf8(false).unicode(false).build().parse(&written).ok()
}

/// Whether all parts of a pattern mean here what they mean in RE2. Unlike there, `\B`, `\W` and `\D`, which a fold of
/// case may widen, `\Q`, `\C`, octal escapes, named classes, and flags but those for case and for line ends.
fn is_known(pattern: &str) -> bool {
    let mut rest = pattern;
    let mut in_class = false;
    while let Some(character) = rest.chars().next() {
        rest = &rest[character.len_utf8()..];
        match character {
            '\\' => match escape(rest, in_class) {
                Some(length) => rest = &rest[length..],
                None => return false,
            },
            ']' if in_class => in_class = false,
            '[' if in_class && rest.starts_with(':') => return false,
            '-' if in_class && rest.starts_with('-') => return false,
            _ if in_class => {}
            '[' => {
                in_class = true;
                rest = rest.strip_prefix('^').unwrap_or(rest);
                // At the beginning it is a member, not the end.
                rest = rest.strip_prefix(']').unwrap_or(rest);
            }
            '(' if rest.starts_with('?') && !GROUPS.iter().any(|group| rest.starts_with(group)) => {
                return false
            }
            '{' if !is_repeat(rest) => return false,
            _ => {}
        }
    }
    !in_class
}

/// The length of an escape behind its backslash, None for one that is not known.
fn escape(rest: &str, in_class: bool) -> Option<usize> {
    let character = rest.chars().next()?;
    match character {
        'd' | 's' | 'S' | 'w' | 'n' | 'r' | 't' | 'f' => Some(1),
        'b' if !in_class => Some(1),
        'p' => ["p{L}", "p{N}"].iter().any(|class| rest.starts_with(class)).then_some(4),
        'x' => {
            let (digits, length) = match rest[1..].strip_prefix('{') {
                Some(braced) => braced.split_once('}').map(|(digits, _)| (digits, digits.len() + 3))?,
                None => (rest.get(1..3)?, 3),
            };
            let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            is_number.then_some(length)
        }
        _ => character.is_ascii_punctuation().then_some(1),
    }
}

/// Whether a repeat's numbers follow; a brace without them is itself in RE2, and an error here. One of nothing loses
/// its groups here.
fn is_repeat(rest: &str) -> bool {
    let Some((numbers, _)) = rest.split_once('}') else {
        return false;
    };
    let (least, most) = numbers.split_once(',').unwrap_or((numbers, numbers));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_nothing = |text: &str| text.bytes().all(|byte| byte == b'0');
    is_number(least) && (most.is_empty() || is_number(most) && !is_nothing(most))
}

/// Return what of an expression can match in ASCII: its automaton is a fraction of that for all of Unicode.
///
/// None for a repeat of what can be empty, whose groups and preference the engines do not agree on.
fn in_ascii(hir: &Hir) -> Option<Hir> {
    Some(match hir.kind() {
        HirKind::Empty => Hir::empty(),
        HirKind::Look(look) => Hir::look(*look),
        HirKind::Literal(literal) if literal.0.is_ascii() => Hir::literal(literal.0.clone()),
        HirKind::Literal(_) => Hir::fail(),
        HirKind::Class(class) => Hir::class(Class::Bytes(ascii_of(class))),
        HirKind::Repetition(repetition) => {
            let mut made = repetition.clone();
            if made.max != Some(1) && made.sub.properties().minimum_len() == Some(0) {
                return None;
            }
            made.sub = Box::new(in_ascii(&made.sub)?);
            Hir::repetition(made)
        }
        HirKind::Capture(capture) => {
            let mut made = capture.clone();
            made.sub = Box::new(in_ascii(&made.sub)?);
            Hir::capture(made)
        }
        HirKind::Concat(parts) => Hir::concat(parts.iter().map(in_ascii).collect::<Option<_>>()?),
        HirKind::Alternation(parts) => Hir::alternation(parts.iter().map(in_ascii).collect::<Option<_>>()?),
    })
}

fn ascii_of(class: &Class) -> ClassBytes {
    let mut made = match class {
        Class::Bytes(bytes) => bytes.clone(),
        Class::Unicode(unicode) => {
            let mut unicode = unicode.clone();
            unicode.intersect(&ClassUnicode::new([ClassUnicodeRange::new('\0', '\x7f')]));
            unicode.to_byte_class().unwrap_or_else(ClassBytes::empty)
        }
    };
    made.intersect(&ClassBytes::new([ClassBytesRange::new(0, 0x7f)]));
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_taken_only_where_all_of_it_is_known() {
        for known in [
            r"(?i)(?:\b|\\[nrt])(a{2,}[]a-c]*?[^\s\x{80}-\x{10ffff}]\x41)\b",
            r"(?:^|a{1}|(?-i:[\p{L}\p{N}_-]{3,4}))$",
            "[é-ü]|é|[[a]",
        ] {
            assert!(pattern(known).is_some(), "{known}");
        }
        for unknown in [
            r"\W",
            r"[\W]",
            r"\D",
            r"\B",
            r"\Qa\E",
            r"\C",
            r"\07",
            r"\A",
            r"\pN",
            r"\p{Greek}",
            r"[\pL]",
            r"\a",
            r"\x{}",
            "[[:alpha:]]",
            "[a--b]",
            "(?m)^a",
            "(?U)a+",
            "(?P<name>a)",
            "a{,2}",
            "a{b",
            "a{",
            "(a){0}",
            "(a){0,0}",
            "(?:a*)*",
            "(?:|a)+",
            "(?:\\b|a?){2}",
            "(a)(b)",
            "[a",
        ] {
            assert!(pattern(unknown).is_none(), "{unknown}");
        }
    }

    #[test]
    fn an_expression_of_python_is_taken_but_for_the_end_of_a_line() {
        assert!(expression(r"(?i)[a-z]/\Z|\bso\.").is_some());
        assert!(expression(r"a$").is_none());
        assert!(expression(r"a(?!\Z)").is_none());
    }
}
