//! Redaction of the usual texts in which a privacy pattern is found, as `privacy/search.py` does it: the same bytes and
//! the same counts. That module is the definition, and this one is to be read beside it.
//!
//! Whatever is unusual is left to Python: texts that are long, not in ASCII or to be folded, those in which a pattern
//! matches whose check is not made here, and those whose key is a part of a match. So is the rest of a batch that
//! needs much: Python bounds the time it takes for one.

use std::collections::HashSet;
use std::sync::OnceLock;

use regex_automata::hybrid::dfa;
use regex_automata::meta::{self, Regex};
use regex_automata::util::primitives::NonMaxUsize;
use regex_automata::{Input, PatternSet};
use regex_syntax::hir::Hir;

use crate::ascii;
use crate::checks::{is_alphanumeric, Check, Checks};
use crate::search::{overlapping, Search};

/// The bytes of a text and its key, before and after each replacement, and the matches in all passes, at most. With them
/// no text meets a limit of `privacy/search.py`: 16 matches refuse 16 * 1,024 bytes at most, which is `MAX_REFUSED_SHARE`
/// of the 4,096 that count at least, and scan a hundredth of `MAX_SCANNED`.
pub const MOST_BYTES: usize = 1024;
pub const MOST_MATCHES: usize = 16;
/// As in `privacy/search.py`.
pub const MAX_PASSES: usize = 4;
const TOGETHER: usize = 20;
/// The bytes that are searched in one batch at most, some 100 for a usual span.
const MOST_SEARCHED: usize = 8 << 20;
/// The memory of one pattern's automaton at most, of which few states are ever made.
const CACHE_BYTES: usize = 128 << 10;
const OPENING: &[u8] = b"[REDACTED:";

/// A pattern as Python hands it over: its name, what is sought for it, what it matches, and its check.
pub type Described = (String, String, String, String);

/// Where a match or its group begins and ends.
type Span = (usize, usize);

pub struct Redactor {
    /// What a text holds that is folded.
    folds: Search,
    which: Vec<dfa::DFA>,
    patterns: Vec<Pattern>,
    markers: HashSet<Vec<u8>>,
    longest: usize,
    checks: Checks,
}

struct Pattern {
    marker: Vec<u8>,
    /// None where it may match otherwise here than in RE2.
    hir: Option<Hir>,
    /// Compiled when it is first needed, as most never are.
    regex: OnceLock<Option<Regex>>,
    /// None for one that is made in Python alone.
    check: Option<Check>,
}

/// A worker's memory: of the searches, from batch to batch, and what the batch at hand redacted and searched.
pub struct Memory {
    folds: Option<dfa::Cache>,
    which: Vec<dfa::Cache>,
    regexes: Vec<Option<meta::Cache>>,
    /// Redactions in the batch, by the place of their pattern.
    pub counts: Vec<u64>,
    searched: usize,
}

impl Memory {
    /// Forget the batch.
    pub fn begin(&mut self) {
        self.counts.fill(0);
        self.searched = 0;
    }
}

/// A text on its way: its key and `=`, if it has one, and behind them, from `floor` on, itself.
struct Passing {
    data: Vec<u8>,
    floor: usize,
    matches: usize,
    /// Redactions by pattern, in the order in which they were made.
    counts: Vec<(usize, u64)>,
}

impl Redactor {
    /// Raises the name of what is not understood.
    pub fn new(patterns: &[Described], folds: &[String], checks: Checks) -> Result<Self, String> {
        let mut sought = Vec::new();
        let mut made = Vec::new();
        for (name, prefilter, regex, check) in patterns {
            let exact = ascii::pattern(prefilter);
            // Sought in another way than in RE2, a pattern could be found in an earlier pass over a text than there.
            let hir = exact.as_ref().and_then(|_| ascii::pattern(regex));
            sought.push(exact.or_else(|| ascii::at_least(prefilter)).ok_or_else(|| prefilter.clone())?);
            made.push(Pattern {
                marker: format!("[REDACTED:{name}]").into_bytes(),
                hir,
                regex: OnceLock::new(),
                check: Check::of(check),
            });
        }
        let markers: HashSet<Vec<u8>> = made.iter().map(|pattern| pattern.marker.clone()).collect();
        Ok(Redactor {
            folds: Search::new(folds)?,
            which: sought.chunks(TOGETHER).map(overlapping).collect::<Result<_, _>>()?,
            patterns: made,
            longest: markers.iter().map(Vec::len).max().unwrap_or(0),
            markers,
            checks,
        })
    }

    pub fn memory(&self) -> Memory {
        Memory {
            folds: self.folds.cache(),
            which: self.which.iter().map(dfa::DFA::create_cache).collect(),
            regexes: self.patterns.iter().map(|_| None).collect(),
            counts: vec![0; self.patterns.len()],
            searched: 0,
        }
    }

    /// Redact a text behind `prefix`, its key and `=` or nothing. Return it, and count what was replaced; None, and
    /// nothing is counted, where Python has to redact it.
    pub fn redact(&self, memory: &mut Memory, prefix: &[u8], text: &[u8]) -> Option<Vec<u8>> {
        if text.is_empty() || prefix.len() + text.len() > MOST_BYTES {
            return None;
        }
        let data = [prefix, text].concat();
        if !data.is_ascii() || contains(&data, OPENING) || self.folds.finds(&mut memory.folds, text) {
            return None;
        }
        let mut passing = Passing { data, floor: prefix.len(), matches: 0, counts: Vec::new() };
        for _ in 0..MAX_PASSES {
            let mut changes = false;
            for index in self.likely(memory, &passing.data)? {
                changes |= self.replace(memory, index, &mut passing)?;
            }
            if !changes {
                break;
            }
        }
        for (index, count) in passing.counts {
            memory.counts[index] += count;
        }
        Some(passing.data.split_off(passing.floor))
    }

    /// The places of the patterns that can match, in their order.
    fn likely(&self, memory: &mut Memory, data: &[u8]) -> Option<Vec<usize>> {
        memory.searched += data.len();
        let mut likely = Vec::new();
        for (place, which) in self.which.iter().enumerate() {
            let mut found = PatternSet::new(which.pattern_len());
            let input = Input::new(data);
            which.try_which_overlapping_matches(&mut memory.which[place], &input, &mut found).ok()?;
            likely.extend(found.iter().map(|pattern| place * TOGETHER + pattern.as_usize()));
        }
        Some(likely)
    }

    /// Replace what a pattern matches and its check confirms. Return whether there was any.
    fn replace(&self, memory: &mut Memory, index: usize, passing: &mut Passing) -> Option<bool> {
        let pattern = &self.patterns[index];
        let (data, floor) = (&passing.data, passing.floor);
        let mut made = Vec::new();
        let (mut replaced, mut copied, mut position) = (0, 0, 0);
        while position < data.len() {
            let Some(((first, last), group)) = self.find(memory, index, data, position)? else {
                break;
            };
            let (start, end) = group.unwrap_or((0, 0));
            if start == end || end <= floor {
                position = last.max(first + 1);
                continue;
            }
            if let Some(past) = self.inside_marker(data, start, end) {
                position = past;
                continue;
            }
            passing.matches += 1;
            // The key may name a secret, and all of the value be one; or what the key ends with is matched.
            if passing.matches > MOST_MATCHES || first + 1 < floor || start < floor {
                return None;
            }
            if !self.checks.confirms(pattern.check?, data, start, end)? {
                position = word_end(data, first);
                continue;
            }
            if may_be_bare_in_json(data, start, end) {
                return None;
            }
            made.extend_from_slice(&data[copied..start]);
            made.extend_from_slice(&pattern.marker);
            replaced += 1;
            copied = end;
            position = copied.max(first + 1);
        }
        if replaced == 0 {
            return Some(false);
        }
        made.extend_from_slice(&data[copied..]);
        passing.data = made;
        passing.counts.push((index, replaced));
        (passing.data.len() <= MOST_BYTES).then_some(true)
    }

    /// Return the first match from a place on, and its group, or itself where it has none. None where that is left to
    /// Python: any match of a pattern whose check is made there.
    fn find(
        &self,
        memory: &mut Memory,
        index: usize,
        data: &[u8],
        position: usize,
    ) -> Option<Option<(Span, Option<Span>)>> {
        let pattern = &self.patterns[index];
        memory.searched += data.len() - position;
        if memory.searched > MOST_SEARCHED {
            return None;
        }
        let regex = pattern.regex.get_or_init(|| compiled(pattern.hir.as_ref()?)).as_ref()?;
        let cache = memory.regexes[index].get_or_insert_with(|| regex.create_cache());
        // What stands before the place is seen: a word that begins there has a border only if none goes on.
        let input = Input::new(data).range(position..);
        if pattern.check.is_none() {
            return regex.search_half_with(cache, &input).is_none().then_some(None);
        }
        let mut slots: [Option<NonMaxUsize>; 4] = [None; 4];
        let slots = &mut slots[..2 * regex.captures_len()];
        if regex.search_slots_with(cache, &input, slots).is_none() {
            return Some(None);
        }
        let span = |at: usize| Some((slots[at]?.get(), slots[at + 1]?.get()));
        Some(Some((span(0)?, span(slots.len() - 2))))
    }

    /// Return where the marker that holds data[start..end] ends, if one does.
    fn inside_marker(&self, data: &[u8], start: usize, end: usize) -> Option<usize> {
        let from = start.saturating_sub(self.longest);
        let before = &data[from..data.len().min(start + OPENING.len())];
        let opening = from + before.windows(OPENING.len()).rposition(|window| window == OPENING)?;
        let marker = &data[opening..data.len().min(opening + self.longest)];
        let closing = opening + marker.iter().position(|&byte| byte == b']')? + 1;
        (closing >= end && self.markers.contains(&data[opening..closing])).then_some(closing)
    }
}

fn compiled(hir: &Hir) -> Option<Regex> {
    let config = meta::Config::new().utf8_empty(false).hybrid_cache_capacity(CACHE_BYTES);
    Regex::builder().configure(config).build_from_hir(hir).ok()
}

/// Where the search goes on after a refusal.
fn word_end(data: &[u8], start: usize) -> usize {
    let no_word = |byte: &u8| !byte.is_ascii_alphanumeric();
    data[start + 1..].iter().position(no_word).map_or(data.len(), |length| start + 1 + length)
}

/// Whether the marker may need the quotes of a number in JSON, before which a quoted key stands.
fn may_be_bare_in_json(data: &[u8], start: usize, end: usize) -> bool {
    start > 0
        && matches!(data[start - 1], b':' | b' ' | b'[' | b',' | b'\n')
        && is_alphanumeric(&data[start..end])
        && data[start.saturating_sub(512)..start].contains(&b'"')
}

fn contains(data: &[u8], part: &[u8]) -> bool {
    data.windows(part.len()).any(|window| window == part)
}
