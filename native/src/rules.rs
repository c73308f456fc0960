//! The privacy rules of a server, as the pass needs them.

use std::collections::{HashMap, HashSet};

use crate::digest::Digest;
use crate::labels::Label;
use crate::redact::Redactor;
use crate::search::Search;

/// What the rules do with the value of a key. The numbers are those of `receiver/transform.py`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    Scan,
    Safe,
    Hash,
    Excerpt,
    Drop,
    Extract,
}

impl Treatment {
    pub fn of(number: u8) -> Option<Self> {
        Some(match number {
            0 => Treatment::Scan,
            1 => Treatment::Safe,
            2 => Treatment::Hash,
            3 => Treatment::Excerpt,
            4 => Treatment::Drop,
            5 => Treatment::Extract,
            _ => return None,
        })
    }
}

pub struct Rules {
    pub treatments: HashMap<Vec<u8>, Treatment>,
    pub drop_keys: HashSet<Vec<u8>>,
    /// What is taken from the JSON under a key.
    pub labels: HashMap<Vec<u8>, Vec<Label>>,
    pub search: Search,
    pub redactor: Redactor,
    pub digest: Digest,
    /// How many characters are kept of an error text.
    pub excerpt_length: usize,
}

impl Rules {
    pub fn treatment(&self, key: &[u8]) -> Treatment {
        self.treatments.get(key).copied().unwrap_or(Treatment::Scan)
    }
}
