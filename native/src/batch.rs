//! One group of requests on its way to rows: texts, attributes, and what Python is asked about them.
//!
//! A pass has three parts: requests are read, and nearly every value is finished; Python is asked for the values that
//! it has to look at; columns are written.

use std::borrow::Cow;
use std::collections::HashMap;

use regex_automata::hybrid::dfa::Cache;

use crate::digest::put_hex;
use crate::keys::Keys;
use crate::labels;
use crate::pages;
use crate::redact::Memory;
use crate::rules::{Rules, Treatment};
use crate::value::{self, Kind};
use crate::wire::Malformed;

/// A text of the output: bytes of a request, bytes that were made, or Python's answer.
#[derive(Clone, Copy)]
pub enum Text<'a> {
    Sent(&'a [u8]),
    Made(u32, u32),
    Asked(u32),
}

pub const EMPTY: Text<'static> = Text::Sent(b"");
const ASKED_KEY: u32 = 1 << 31;
/// Bytes that are set aside at most for what a batch may make, whatever the last one made.
const MOST_FORESEEN: usize = 16 << 20;
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy)]
pub struct Entry<'a> {
    /// The number of a key, or of the question whose answer is the key.
    key: u32,
    pub value: Text<'a>,
}

impl Entry<'_> {
    /// The key's number; valid after `settle`.
    #[inline]
    pub fn key(&self) -> u32 {
        self.key
    }
}

/// A map: where its entries are, and the question for labels that are added to it, NONE when they are among them.
#[derive(Clone, Copy)]
pub struct Map {
    start: u32,
    len: u32,
    labels: u32,
}

/// What Python is asked, by the function of `receiver/scrub.py` that answers.
pub enum Ask<'a> {
    Redact(&'a [u8]),
    Text(&'a [u8], &'a [u8]),
    Key(&'a [u8]),
    Number(&'a [u8], Vec<u8>),
    Value(&'a [u8]),
    Body(Vec<u8>),
    Extract(Vec<&'a [u8]>),
}

#[derive(Default)]
pub struct Answer {
    pub text: Vec<u8>,
    pub labels: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What a batch took for the bytes of its requests.
#[derive(Clone, Copy, Default)]
pub struct Sizes {
    pub sent: usize,
    pub entries: usize,
    pub made: usize,
    pub block: usize,
}

impl Sizes {
    /// What as many bytes as these may take, and some more, since growing costs a copy.
    pub fn of(self, sent: usize) -> Self {
        let of = |size: usize| {
            let about = sent.saturating_mul(size) / self.sent.max(1);
            about + about / 16
        };
        Sizes { sent, entries: of(self.entries), made: of(self.made), block: of(self.block) }
    }
}

/// A worker's memory from batch to batch.
pub struct Worker {
    pub keys: Keys,
    pub cache: Option<Cache>,
    pub memory: Memory,
    pub scratch: Vec<u8>,
    /// What the last batch took.
    pub sizes: Sizes,
}

impl Worker {
    pub fn new(rules: &Rules) -> Self {
        Worker {
            keys: Keys::default(),
            cache: rules.search.cache(),
            memory: rules.redactor.memory(),
            scratch: Vec::new(),
            sizes: Sizes::default(),
        }
    }
}

pub struct Batch<'a, 'w> {
    pub rules: &'w Rules,
    pub worker: &'w mut Worker,
    pub made: Vec<u8>,
    pub entries: Vec<Entry<'a>>,
    pub maps: Vec<Map>,
    pub asks: Vec<Ask<'a>>,
    pub answers: Vec<Answer>,
    cleaned: HashMap<(u8, &'a [u8]), Text<'a>>,
    last_cleaned: [Option<(&'a [u8], Text<'a>)>; 16],
    /// The fields that are wanted of one JSON object.
    fields: Vec<Option<&'a [u8]>>,
}

impl<'a, 'w> Batch<'a, 'w> {
    /// Begin a batch of so many bytes of requests.
    pub fn new(rules: &'w Rules, worker: &'w mut Worker, sent: usize) -> Self {
        worker.keys.bound();
        worker.memory.begin();
        let sizes = worker.sizes.of(sent);
        Batch {
            rules,
            worker,
            made: pages::vector(sizes.made.min(MOST_FORESEEN)),
            entries: pages::vector(sizes.entries.min(MOST_FORESEEN / std::mem::size_of::<Entry>())),
            maps: Vec::new(),
            asks: Vec::new(),
            answers: Vec::new(),
            cleaned: HashMap::new(),
            last_cleaned: [None; 16],
            fields: Vec::new(),
        }
    }

    fn ask(&mut self, ask: Ask<'a>) -> u32 {
        self.asks.push(ask);
        self.asks.len() as u32 - 1
    }

    #[inline]
    fn finds(&mut self, text: &[u8]) -> bool {
        self.rules.search.finds(&mut self.worker.cache, text)
    }

    /// Make a text in the batch's own memory.
    #[inline]
    pub fn make(&mut self, put: impl FnOnce(&mut Vec<u8>)) -> Text<'a> {
        let start = self.made.len();
        put(&mut self.made);
        Text::Made(start as u32, (self.made.len() - start) as u32)
    }

    /// A text outside attributes. `column` tells apart texts that are counted by themselves.
    #[inline]
    pub fn clean(&mut self, column: u8, text: &'a [u8]) -> Result<Text<'a>, Malformed> {
        if text.is_empty() {
            return Ok(EMPTY);
        }
        if let Some((last, cleaned)) = self.last_cleaned[usize::from(column)] {
            if last == text {
                return Ok(cleaned);
            }
        }
        let cleaned = match self.cleaned.get(&(column, text)) {
            Some(&cleaned) => cleaned,
            None => {
                let cleaned = self.clean_once(text)?;
                self.cleaned.insert((column, text), cleaned);
                cleaned
            }
        };
        self.last_cleaned[usize::from(column)] = Some((text, cleaned));
        Ok(cleaned)
    }

    /// A text outside attributes that hardly ever recurs.
    pub fn clean_once(&mut self, text: &'a [u8]) -> Result<Text<'a>, Malformed> {
        std::str::from_utf8(text).map_err(|_| Malformed)?;
        if !self.finds(text) {
            return Ok(Text::Sent(text));
        }
        Ok(match self.rules.redactor.redact(&mut self.worker.memory, b"", text) {
            Some(redacted) => self.make(|out| out.extend_from_slice(&redacted)),
            None => Text::Asked(self.ask(Ask::Redact(text))),
        })
    }

    /// A span's status message, under the rules for the key `status.message`.
    pub fn status_message(&mut self, column: u8, text: &'a [u8]) -> Result<Text<'a>, Malformed> {
        const KEY: &[u8] = b"status.message";
        if text.is_empty() {
            return Ok(EMPTY);
        }
        std::str::from_utf8(text).map_err(|_| Malformed)?;
        Ok(match self.rules.treatment(KEY) {
            Treatment::Drop => EMPTY,
            Treatment::Safe => Text::Sent(text),
            Treatment::Hash => {
                let digest = &self.rules.digest;
                self.make(|out| digest.put(out, text))
            }
            Treatment::Excerpt => match self.cleaned.get(&(column, text)) {
                Some(&known) => known,
                None => {
                    let made = self.excerpt(KEY, text);
                    self.cleaned.insert((column, text), made);
                    made
                }
            },
            Treatment::Scan | Treatment::Extract => self.clean(column, text)?,
        })
    }

    /// A log record's body, in the pieces in which it was sent.
    pub fn body(&mut self, pieces: &[&'a [u8]]) -> Result<Text<'a>, Malformed> {
        if let [piece] = pieces {
            if let Some(text) = value::body_text(piece) {
                if std::str::from_utf8(text).is_ok() {
                    return self.clean_once(text);
                }
            }
        }
        if pieces.is_empty() {
            return Ok(EMPTY);
        }
        let joined = pieces.concat();
        Ok(Text::Asked(self.ask(Ask::Body(joined))))
    }

    /// An id in lower-case hex; nothing for one that is all zero.
    #[inline]
    pub fn put_id(out: &mut Vec<u8>, id: &[u8]) {
        if matches!(id.len(), 8 | 16) && id.iter().all(|&byte| byte == 0) {
            out.push(0);
            return;
        }
        crate::wire::put_varint(out, id.len() as u64 * 2);
        put_hex(out, id);
    }

    /// Attributes as a private map; with labels where `is_labelled`.
    pub fn map(&mut self, pairs: &[&'a [u8]], is_labelled: bool) -> u32 {
        let start = self.entries.len() as u32;
        let mut labelled: Vec<&'a [u8]> = Vec::new();
        for pair in pairs {
            let takes_label = self.attribute(pair);
            if takes_label && is_labelled {
                labelled.push(pair);
            }
        }
        let labels = if labelled.is_empty() || self.take_labels(start as usize, &labelled) {
            NONE
        } else {
            self.ask(Ask::Extract(labelled))
        };
        self.maps.push(Map { start, len: self.entries.len() as u32 - start, labels });
        self.maps.len() as u32 - 1
    }

    /// Add the labels of a map, whose entries begin at `start`; none, and false, where Python has to be asked.
    fn take_labels(&mut self, start: usize, labelled: &[&'a [u8]]) -> bool {
        let end = self.entries.len();
        let is_done = self.entries[start..].iter().all(|entry| entry.key & ASKED_KEY == 0)
            && labelled.iter().all(|pair| self.take_labels_of(pair, start, end).is_some());
        if !is_done {
            self.entries.truncate(end);
        }
        is_done
    }

    /// Add the labels of an attribute. Those that were sent, from `start` to `end`, stay; a label of another attribute
    /// that has the same name does not.
    fn take_labels_of(&mut self, pair: &'a [u8], start: usize, end: usize) -> Option<()> {
        let rules = self.rules;
        let (key, kind) = value::split(pair)?;
        let (Some(wanted), Kind::Text(text)) = (rules.labels.get(key), kind) else {
            return Some(());
        };
        labels::read(text, wanted, &mut self.fields)?;
        for (at, label) in wanted.iter().enumerate() {
            let Some(value) = self.fields[at].filter(|value| !value.is_empty()) else {
                continue;
            };
            let kept = labels::kept(value, label.is_command).filter(|kept| !self.finds(kept))?;
            let key = self.worker.keys.id(&label.name, rules, &mut self.worker.cache)?;
            if self.entries[start..end].iter().any(|entry| entry.key == key) {
                continue;
            }
            let value = Text::Sent(kept);
            match self.entries[end..].iter_mut().find(|entry| entry.key == key) {
                Some(entry) => entry.value = value,
                None => self.entries.push(Entry { key, value }),
            }
        }
        Some(())
    }

    /// Add the entry of an attribute. Return whether labels may be taken from it.
    fn attribute(&mut self, pair: &'a [u8]) -> bool {
        let Some((key, kind)) = value::split(pair) else {
            return self.unusual(pair);
        };
        let is_legal = match kind {
            Kind::Text(text) => std::str::from_utf8(text).is_ok(),
            Kind::Other => false,
            _ => true,
        };
        if !is_legal {
            return self.unusual(pair);
        }
        let Some(id) = self.worker.keys.id(key, self.rules, &mut self.worker.cache) else {
            return self.unusual(pair);
        };
        let known = &self.worker.keys[id];
        let (treatment, key_found, bare_found) = (known.treatment, known.found, known.found_bare);
        let is_text = matches!(kind, Kind::Text(_));
        let is_searched = treatment == Treatment::Scan || (treatment == Treatment::Excerpt && !is_text);
        let number = match kind {
            Kind::Int(number) => Some(self.make(|out| value::put_int(out, number))),
            Kind::Double(number) => Some(self.make(|out| value::put_double(out, number))),
            _ => None,
        };
        let found = is_searched
            && match (kind, number) {
                (Kind::Text(text), _) => self.finds_pair(key, text),
                (Kind::Int(n), Some(made)) if value::can_be_card(n) => self.finds_made(key, made),
                (Kind::Double(n), Some(made)) if n.abs() > 1e12 => self.finds_made(key, made),
                _ => bare_found,
            };
        let key_out = if found && key_found { self.ask(Ask::Redact(key)) | ASKED_KEY } else { id };
        let is_hashed = matches!(treatment, Treatment::Hash | Treatment::Extract);
        let value = match kind {
            Kind::Text(text) => match treatment {
                Treatment::Safe => self.legible(text),
                Treatment::Drop => Text::Sent(text),
                Treatment::Scan if !found => Text::Sent(text),
                Treatment::Hash | Treatment::Extract => {
                    let digest = &self.rules.digest;
                    self.make(|out| digest.put(out, text))
                }
                Treatment::Excerpt => self.excerpt(key, text),
                Treatment::Scan => match self.redact_scratch(key.len()) {
                    Some(redacted) => self.make(|out| out.extend_from_slice(&redacted)),
                    None => Text::Asked(self.ask(Ask::Text(key, text))),
                },
            },
            Kind::None => EMPTY,
            _ if is_hashed => Text::Asked(self.ask(Ask::Value(pair))),
            Kind::Int(_) | Kind::Double(_) => match number {
                Some(made) if found => {
                    let text = self.bytes(made).to_vec();
                    Text::Asked(self.ask(Ask::Number(key, text)))
                }
                Some(made) => made,
                None => EMPTY,
            },
            Kind::True => Text::Sent(b"true"),
            Kind::False | Kind::Other => Text::Sent(b"false"),
        };
        self.entries.push(Entry { key: key_out, value });
        treatment == Treatment::Extract
    }

    /// Add the entry of an attribute that is not encoded in the usual way, which Python reads.
    fn unusual(&mut self, pair: &'a [u8]) -> bool {
        let key = self.ask(Ask::Key(pair)) | ASKED_KEY;
        let value = Text::Asked(self.ask(Ask::Value(pair)));
        self.entries.push(Entry { key, value });
        true
    }

    #[inline]
    fn finds_pair(&mut self, key: &[u8], text: &[u8]) -> bool {
        let worker = &mut *self.worker;
        worker.scratch.clear();
        worker.scratch.extend_from_slice(key);
        worker.scratch.push(b'=');
        worker.scratch.extend_from_slice(text);
        self.rules.search.finds(&mut worker.cache, &worker.scratch)
    }

    fn finds_made(&mut self, key: &[u8], made: Text<'a>) -> bool {
        let text = self.bytes(made).to_vec();
        self.finds_pair(key, &text)
    }

    /// The beginning of an error text, which is redacted before it is cut.
    fn excerpt(&mut self, key: &'a [u8], text: &'a [u8]) -> Text<'a> {
        let mut whole = Cow::Borrowed(text);
        if self.finds_pair(key, text) {
            match self.redact_scratch(key.len()) {
                Some(redacted) => whole = Cow::Owned(redacted),
                None => return Text::Asked(self.ask(Ask::Text(key, text))),
            }
        }
        let length = self.rules.excerpt_length;
        self.make(|out| value::put_excerpt(out, &String::from_utf8_lossy(&whole), length))
    }

    /// Redact the pair that was searched last.
    fn redact_scratch(&mut self, key: usize) -> Option<Vec<u8>> {
        let worker = &mut *self.worker;
        let (prefix, text) = worker.scratch.split_at(key + 1);
        self.rules.redactor.redact(&mut worker.memory, prefix, text)
    }

    #[inline]
    fn legible(&mut self, text: &'a [u8]) -> Text<'a> {
        if text.iter().all(|&byte| (0x20..0x7f).contains(&byte)) {
            return Text::Sent(text);
        }
        self.make(|out| value::put_legible(out, text))
    }

    /// The bytes of a text; of one that Python answers, after it did.
    #[inline]
    pub fn bytes(&self, text: Text<'a>) -> &[u8] {
        match text {
            Text::Sent(sent) => sent,
            Text::Made(start, len) => &self.made[start as usize..(start + len) as usize],
            Text::Asked(index) => &self.answers[index as usize].text,
        }
    }

    /// Put answers in their places, and each map's entries in bytewise order of keys, without those that are dropped.
    pub fn settle(&mut self) -> Result<(), Malformed> {
        let rules = self.rules;
        for entry in &mut self.entries {
            if entry.key & ASKED_KEY != 0 {
                let answer = &self.answers[(entry.key & !ASKED_KEY) as usize].text;
                entry.key = self.worker.keys.id(answer, rules, &mut self.worker.cache).ok_or(Malformed)?;
            }
        }
        for index in 0..self.maps.len() {
            self.add_labels(index)?;
        }
        self.worker.keys.rank();
        let keys = &self.worker.keys;
        let drops = !rules.drop_keys.is_empty();
        for map in &mut self.maps {
            let entries = &mut self.entries[map.start as usize..(map.start + map.len) as usize];
            entries.sort_by_key(|entry| keys[entry.key].rank);
            if drops {
                let mut kept = 0;
                for at in 0..entries.len() {
                    if !keys[entries[at].key].dropped {
                        entries[kept] = entries[at];
                        kept += 1;
                    }
                }
                map.len = kept as u32;
            }
        }
        Ok(())
    }

    /// Add to a map the labels that it does not have, at the end of all entries.
    fn add_labels(&mut self, index: usize) -> Result<(), Malformed> {
        let map = self.maps[index];
        if map.labels == NONE {
            return Ok(());
        }
        let labels = std::mem::take(&mut self.answers[map.labels as usize].labels);
        if labels.is_empty() {
            return Ok(());
        }
        let sent = self.entries[map.start as usize..(map.start + map.len) as usize].to_vec();
        let start = self.entries.len() as u32;
        for (key, text) in labels {
            let key = self.worker.keys.id(&key, self.rules, &mut self.worker.cache).ok_or(Malformed)?;
            if !sent.iter().any(|entry| entry.key == key) {
                let value = self.make(|out| out.extend_from_slice(&text));
                self.entries.push(Entry { key, value });
            }
        }
        self.entries.extend_from_slice(&sent);
        self.maps[index] = Map { start, len: self.entries.len() as u32 - start, labels: NONE };
        Ok(())
    }

    /// The entries of a map, after `settle`.
    #[inline]
    pub fn entries_of(&self, map: u32) -> &[Entry<'a>] {
        let map = self.maps[map as usize];
        &self.entries[map.start as usize..(map.start + map.len) as usize]
    }

    /// The value under a key in a map, after `settle`; nothing when there is none.
    pub fn value_in(&self, map: u32, key: &[u8]) -> Text<'a> {
        let Some(id) = self.worker.keys.seen(key) else {
            return EMPTY;
        };
        self.entries_of(map).iter().find(|entry| entry.key == id).map_or(EMPTY, |entry| entry.value)
    }
}
