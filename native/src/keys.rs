//! The keys of attributes that were seen, each with what the rules and the patterns say of it: few keys recur in all
//! attributes, so a key is judged once.

use std::collections::HashMap;

use regex_automata::hybrid::dfa::Cache;

use crate::city;
use crate::rules::{Rules, Treatment};

/// Past so many a worker forgets its keys before the next batch.
const MOST: usize = 8192;
const NONE: u32 = u32::MAX;

pub struct Key {
    pub bytes: Box<[u8]>,
    pub treatment: Treatment,
    /// Whether a pattern matches the key alone.
    pub found: bool,
    /// Whether a pattern matches the key and an equals sign.
    pub found_bare: bool,
    pub dropped: bool,
    pub city: u64,
    /// The place among all keys in bytewise order; valid after `rank`.
    pub rank: u32,
    /// The key that stood behind this one lately.
    next: u32,
}

#[derive(Default)]
pub struct Keys {
    keys: Vec<Key>,
    ids: HashMap<Box<[u8]>, u32>,
    last: u32,
    is_ranked: bool,
}

impl Keys {
    /// Return the number of a key, None when it is not UTF-8.
    #[inline]
    pub fn id(&mut self, key: &[u8], rules: &Rules, cache: &mut Option<Cache>) -> Option<u32> {
        let guess = self.keys.get(self.last as usize).map_or(NONE, |last| last.next);
        if let Some(next) = self.keys.get(guess as usize) {
            if *next.bytes == *key {
                self.last = guess;
                return Some(guess);
            }
        }
        let id = match self.ids.get(key) {
            Some(&id) => id,
            None => self.add(key, rules, cache)?,
        };
        if let Some(last) = self.keys.get_mut(self.last as usize) {
            last.next = id;
        }
        self.last = id;
        Some(id)
    }

    fn add(&mut self, key: &[u8], rules: &Rules, cache: &mut Option<Cache>) -> Option<u32> {
        std::str::from_utf8(key).ok()?;
        let id = u32::try_from(self.keys.len()).ok()?;
        let bare = [key, b"="].concat();
        self.keys.push(Key {
            bytes: key.into(),
            treatment: rules.treatment(key),
            found: rules.search.finds(cache, key),
            found_bare: rules.search.finds(cache, &bare),
            dropped: rules.drop_keys.contains(key),
            city: city::bytes(key),
            rank: 0,
            next: NONE,
        });
        self.ids.insert(key.into(), id);
        self.is_ranked = false;
        Some(id)
    }

    /// Return the number of a key that was seen, None when it was not.
    pub fn seen(&self, key: &[u8]) -> Option<u32> {
        self.ids.get(key).copied()
    }

    /// Give each key its place in bytewise order.
    pub fn rank(&mut self) {
        if self.is_ranked {
            return;
        }
        let mut order: Vec<u32> = (0..self.keys.len() as u32).collect();
        order.sort_unstable_by(|&a, &b| self.keys[a as usize].bytes.cmp(&self.keys[b as usize].bytes));
        for (rank, id) in order.into_iter().enumerate() {
            self.keys[id as usize].rank = rank as u32;
        }
        self.is_ranked = true;
    }

    /// Forget all keys when they are many. Numbers from before are invalid then.
    pub fn bound(&mut self) {
        if self.keys.len() > MOST {
            *self = Keys::default();
        }
    }

    pub fn len(&self) -> usize {
        self.keys.len()
    }
}

impl std::ops::Index<u32> for Keys {
    type Output = Key;

    #[inline]
    fn index(&self, id: u32) -> &Key {
        &self.keys[id as usize]
    }
}
