//! CityHash64 of version 1.0.2, and how ClickHouse's `cityHash64` combines it over several values.
//!
//! Source: https://github.com/ClickHouse/ClickHouse/blob/master/src/Functions/FunctionsHashing.h

const K0: u64 = 0xc3a5_c85c_97cb_3127;
const K1: u64 = 0xb492_b66f_be98_f273;
const K2: u64 = 0x9ae1_6a3b_2f90_404f;
const K3: u64 = 0xc949_d7c7_509e_6557;
const MULTIPLIER: u64 = 0x9ddf_ea08_eb38_2d69;

/// Return the hash of a number as ClickHouse hashes integers, floats by their bits.
#[inline]
pub fn number(value: u64) -> u64 {
    let mut x = value ^ 0x4cf2_d2ba_ae6d_a887;
    x ^= x >> 33;
    x = x.wrapping_mul(0xff51_afd7_ed55_8ccd);
    x ^= x >> 33;
    x = x.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    x ^ (x >> 33)
}

/// Join the hash of another value to that of those before it.
#[inline]
pub fn joined(before: u64, next: u64) -> u64 {
    let mut a = (before ^ next).wrapping_mul(MULTIPLIER);
    a ^= a >> 47;
    let mut b = (next ^ a).wrapping_mul(MULTIPLIER);
    b ^= b >> 47;
    b.wrapping_mul(MULTIPLIER)
}

/// Return the hash of bytes.
pub fn bytes(s: &[u8]) -> u64 {
    match s.len() {
        0..=16 => up_to_16(s),
        17..=32 => up_to_32(s),
        33..=64 => up_to_64(s),
        _ => longer(s),
    }
}

#[inline]
fn word(s: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(s[at..at + 8].try_into().expect("eight bytes"))
}

#[inline]
fn half(s: &[u8], at: usize) -> u64 {
    u64::from(u32::from_le_bytes(s[at..at + 4].try_into().expect("four bytes")))
}

#[inline]
fn mixed(x: u64) -> u64 {
    x ^ (x >> 47)
}

fn up_to_16(s: &[u8]) -> u64 {
    let len = s.len();
    if len > 8 {
        let (a, b) = (word(s, 0), word(s, len - 8));
        return joined(a, b.wrapping_add(len as u64).rotate_right(len as u32)) ^ b;
    }
    if len >= 4 {
        return joined((len as u64).wrapping_add(half(s, 0) << 3), half(s, len - 4));
    }
    if len > 0 {
        let y = u64::from(u32::from(s[0]) + (u32::from(s[len >> 1]) << 8));
        let z = u64::from(len as u32 + (u32::from(s[len - 1]) << 2));
        return mixed(y.wrapping_mul(K2) ^ z.wrapping_mul(K3)).wrapping_mul(K2);
    }
    K2
}

fn up_to_32(s: &[u8]) -> u64 {
    let len = s.len();
    let a = word(s, 0).wrapping_mul(K1);
    let b = word(s, 8);
    let c = word(s, len - 8).wrapping_mul(K2);
    let d = word(s, len - 16).wrapping_mul(K0);
    joined(
        a.wrapping_sub(b).rotate_right(43).wrapping_add(c.rotate_right(30)).wrapping_add(d),
        a.wrapping_add((b ^ K3).rotate_right(20)).wrapping_sub(c).wrapping_add(len as u64),
    )
}

fn up_to_64(s: &[u8]) -> u64 {
    let len = s.len();
    let mut z = word(s, 24);
    let mut a = word(s, 0).wrapping_add((len as u64).wrapping_add(word(s, len - 16)).wrapping_mul(K0));
    let mut b = a.wrapping_add(z).rotate_right(52);
    let mut c = a.rotate_right(37);
    a = a.wrapping_add(word(s, 8));
    c = c.wrapping_add(a.rotate_right(7));
    a = a.wrapping_add(word(s, 16));
    let vf = a.wrapping_add(z);
    let vs = b.wrapping_add(a.rotate_right(31)).wrapping_add(c);
    a = word(s, 16).wrapping_add(word(s, len - 32));
    z = word(s, len - 8);
    b = a.wrapping_add(z).rotate_right(52);
    c = a.rotate_right(37);
    a = a.wrapping_add(word(s, len - 24));
    c = c.wrapping_add(a.rotate_right(7));
    a = a.wrapping_add(word(s, len - 16));
    let wf = a.wrapping_add(z);
    let ws = b.wrapping_add(a.rotate_right(31)).wrapping_add(c);
    let r = mixed(vf.wrapping_add(ws).wrapping_mul(K2).wrapping_add(wf.wrapping_add(vs).wrapping_mul(K0)));
    mixed(r.wrapping_mul(K0).wrapping_add(vs)).wrapping_mul(K2)
}

fn weak(s: &[u8], at: usize, a: u64, b: u64) -> (u64, u64) {
    let (w, x, y, z) = (word(s, at), word(s, at + 8), word(s, at + 16), word(s, at + 24));
    let mut a = a.wrapping_add(w);
    let mut b = b.wrapping_add(a).wrapping_add(z).rotate_right(21);
    let c = a;
    a = a.wrapping_add(x).wrapping_add(y);
    b = b.wrapping_add(a.rotate_right(44));
    (a.wrapping_add(z), b.wrapping_add(c))
}

fn longer(s: &[u8]) -> u64 {
    let len = s.len();
    let mut x = word(s, 0);
    let mut y = word(s, len - 16) ^ K1;
    let mut z = word(s, len - 56) ^ K0;
    let mut v = weak(s, len - 64, len as u64, y);
    let mut w = weak(s, len - 32, (len as u64).wrapping_mul(K1), K0);
    z = z.wrapping_add(mixed(v.1).wrapping_mul(K1));
    x = z.wrapping_add(x).rotate_right(39).wrapping_mul(K1);
    y = y.rotate_right(33).wrapping_mul(K1);
    let mut at = 0;
    while at < (len - 1) & !63 {
        x = x
            .wrapping_add(y)
            .wrapping_add(v.0)
            .wrapping_add(word(s, at + 16))
            .rotate_right(37)
            .wrapping_mul(K1);
        y = y.wrapping_add(v.1).wrapping_add(word(s, at + 48)).rotate_right(42).wrapping_mul(K1);
        x ^= w.1;
        y ^= v.0;
        z = (z ^ w.0).rotate_right(33);
        v = weak(s, at, v.1.wrapping_mul(K1), x.wrapping_add(w.0));
        w = weak(s, at + 32, z.wrapping_add(w.1), y);
        std::mem::swap(&mut z, &mut x);
        at += 64;
    }
    joined(
        joined(v.0, w.0).wrapping_add(mixed(y).wrapping_mul(K1)).wrapping_add(z),
        joined(v.1, w.1).wrapping_add(x),
    )
}
