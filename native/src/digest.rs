//! The digest that replaces a value: SHA256, or HMAC-SHA256 under a key, as `otlp_hash` does it in SQL.

use sha2::{Digest as _, Sha256};

/// What the client sends in place of a text that it does not send: it is stored as it is.
const NOT_SENT: &[u8] = b"<REDACTED>";
const HEX: &[u8; 16] = b"0123456789abcdef";

pub struct Digest {
    keyed: Option<(Sha256, Sha256)>,
}

impl Digest {
    /// `key` is the inner and the outer key of HMAC-SHA256, 64 bytes each, or empty.
    /// Source: https://www.rfc-editor.org/rfc/rfc2104
    pub fn new(key: &[u8]) -> Self {
        let keyed = (key.len() == 128)
            .then(|| (Sha256::new_with_prefix(&key[..64]), Sha256::new_with_prefix(&key[64..])));
        Digest { keyed }
    }

    /// Append the digest of a text, or the text where it is empty or says that it was not sent.
    pub fn put(&self, out: &mut Vec<u8>, text: &[u8]) {
        if text.is_empty() || text == NOT_SENT {
            out.extend_from_slice(text);
            return;
        }
        match &self.keyed {
            None => {
                out.extend_from_slice(b"sha256:");
                put_hex(out, &Sha256::digest(text));
            }
            Some((inner, outer)) => {
                let within = inner.clone().chain_update(text).finalize();
                out.extend_from_slice(b"hmac-sha256:");
                put_hex(out, &outer.clone().chain_update(within).finalize());
            }
        }
    }
}

/// Append bytes in lower-case hex.
#[inline]
pub fn put_hex(out: &mut Vec<u8>, data: &[u8]) {
    for byte in data {
        out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
}
