//! The search for what the privacy patterns describe: whether any of them occurs in a text, in linear time.
//!
//! It may find too much, never too little: what it finds is looked at again with the patterns' checks, by `redact` or in
//! RE2. So the patterns, which are written for RE2, are translated such that each matches at least what it matches there.

use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::{nfa::thompson, util::syntax, Input, MatchKind};
use regex_syntax::hir::Hir;

const CACHE_BYTES: usize = 16 << 20;
/// Those that tell patterns apart see few texts.
const SMALL_CACHE_BYTES: usize = 4 << 20;

pub struct Search {
    dfa: Option<DFA>,
}

impl Search {
    /// Raises a text that names the pattern which this engine does not take.
    pub fn new(patterns: &[String]) -> Result<Self, String> {
        if patterns.is_empty() {
            return Ok(Search { dfa: None });
        }
        let translated: Vec<String> = patterns.iter().map(|pattern| translated(pattern)).collect();
        for (pattern, original) in translated.iter().zip(patterns) {
            built(&[pattern]).map_err(|_| original.clone())?;
        }
        let every: Vec<&String> = translated.iter().collect();
        built(&every).map(|dfa| Search { dfa: Some(dfa) })
    }

    pub fn cache(&self) -> Option<Cache> {
        self.dfa.as_ref().map(DFA::create_cache)
    }

    #[inline]
    pub fn finds(&self, cache: &mut Option<Cache>, text: &[u8]) -> bool {
        match (&self.dfa, cache) {
            (Some(dfa), Some(cache)) => {
                // A search that gives up is no reason to trust a text.
                dfa.try_search_fwd(cache, &Input::new(text).earliest(true))
                    .map_or(true, |found| found.is_some())
            }
            _ => false,
        }
    }
}

fn built<T: AsRef<str>>(patterns: &[T]) -> Result<DFA, String> {
    DFA::builder()
        .configure(DFA::config().cache_capacity(CACHE_BYTES).skip_cache_capacity_check(true))
        .thompson(thompson::Config::new().which_captures(thompson::WhichCaptures::None))
        .syntax(syntax::Config::new().utf8(false).dot_matches_new_line(true).nest_limit(500))
        .build_many(patterns)
        .map_err(|error| error.to_string())
}

/// Build an automaton that finds all of some patterns that occur in a text, not one.
pub fn overlapping(patterns: &[Hir]) -> Result<DFA, String> {
    let nfa = thompson::Compiler::new()
        .configure(thompson::Config::new().utf8(false).which_captures(thompson::WhichCaptures::None))
        .build_many_from_hir(patterns)
        .map_err(|error| error.to_string())?;
    let config = DFA::config().match_kind(MatchKind::All).cache_capacity(SMALL_CACHE_BYTES);
    DFA::builder()
        .configure(config.skip_cache_capacity_check(true))
        .build_from_nfa(nfa)
        .map_err(|error| error.to_string())
}

/// Write a pattern of RE2 in the syntax of Rust's `regex`: classes of Perl and borders of words are ASCII there, and a
/// bracket, a tilde and two ampersands or hyphens have no meaning in a class.
pub fn translated(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() * 2);
    let mut characters = pattern.chars().peekable();
    let mut in_class = false;
    let mut first_in_class = false;
    while let Some(character) = characters.next() {
        let first = std::mem::replace(&mut first_in_class, false);
        match character {
            '\\' => match characters.next() {
                Some('d') => out.push_str("[0-9]"),
                Some('D') => out.push_str("[^0-9]"),
                Some('w') => out.push_str("[0-9A-Za-z_]"),
                Some('W') => out.push_str("[^0-9A-Za-z_]"),
                Some('s') => out.push_str("[\\t\\n\\f\\r ]"),
                Some('S') => out.push_str("[^\\t\\n\\f\\r ]"),
                Some('b') if !in_class => out.push_str("(?-u:\\b)"),
                Some('B') if !in_class => out.push_str("(?-u:\\B)"),
                // An ASCII character that is no letter or digit means itself in RE2 whatever it is.
                Some(other) if other.is_ascii_punctuation() => {
                    out.push_str(&format!("\\x{{{:x}}}", other as u32));
                }
                Some(other) => {
                    out.push('\\');
                    out.push(other);
                }
                None => out.push('\\'),
            },
            '[' if !in_class => {
                in_class = true;
                first_in_class = true;
                out.push('[');
                if characters.peek() == Some(&'^') {
                    out.push('^');
                    characters.next();
                }
            }
            '[' if characters.peek() == Some(&':') => {
                // [:alpha:]
                out.push('[');
                for part in characters.by_ref() {
                    out.push(part);
                    if part == ']' {
                        break;
                    }
                }
            }
            ']' if in_class && !first => {
                in_class = false;
                out.push(']');
            }
            ']' | '[' | '&' | '~' if in_class => {
                out.push('\\');
                out.push(character);
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(pattern: &str, text: &str) -> bool {
        let search = Search::new(&[pattern.to_owned()]).expect("a pattern");
        search.finds(&mut search.cache(), text.as_bytes())
    }

    #[test]
    fn patterns_mean_what_they_mean_in_re2() {
        assert!(finds(r"[[]x[]]", "[x]"));
        assert!(finds(r"a[&&~~]b", "a~b"));
        assert!(!finds(r"^\d$", "\u{663}"));
        assert!(finds(r"^\W$", "\u{e9}"));
        assert!(finds(r"\bkey", "\u{e9}key"));
        assert!(finds(r"^[^\s]$", "\u{a0}"));
        assert!(finds(r"^.{2}$", "\u{e9}\n"));
        assert!(finds(r"(?i)^K$", "\u{212a}"));
        assert!(finds(r"[[:alpha:]-]+\-\/", "a-/"));
        assert!(finds(r"[][]", "["));
    }
}
