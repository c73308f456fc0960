//! Memory for what is as large as a batch: on Linux in pages of 2 MiB, where the system has them for those who ask. The
//! kernel hands out a few of them for thousands of small ones; they are written from beginning to end, so none is wasted.

/// Smaller ones hardly hold a large page.
#[cfg(target_os = "linux")]
const LEAST_BYTES: usize = 2 << 20;

/// Return a vector with room for about so many.
pub fn vector<T>(capacity: usize) -> Vec<T> {
    let made = Vec::with_capacity(capacity);
    #[cfg(target_os = "linux")]
    prefer_large_pages(&made);
    made
}

#[cfg(target_os = "linux")]
fn prefer_large_pages<T>(vector: &Vec<T>) {
    use std::ffi::{c_int, c_void};
    // Sources: https://man7.org/linux/man-pages/man2/madvise.2.html and madvise(3p).
    extern "C" {
        fn madvise(address: *mut c_void, length: usize, advice: c_int) -> c_int;
    }
    const MADV_HUGEPAGE: c_int = 14;
    const PAGE: usize = 4096;
    let bytes = vector.capacity() * std::mem::size_of::<T>();
    if bytes < LEAST_BYTES {
        return;
    }
    let start = (vector.as_ptr() as usize).next_multiple_of(PAGE);
    let end = (vector.as_ptr() as usize + bytes) / PAGE * PAGE;
    // SAFETY: whole pages of an allocation that is ours; the advice changes nothing that is in them. Where it is not
    // taken, pages are small.
    unsafe { madvise(start as *mut c_void, end - start, MADV_HUGEPAGE) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_has_the_room_and_is_empty() {
        for capacity in [0, 1, 4096, 5 << 20] {
            let mut made: Vec<u64> = vector(capacity);
            assert!(made.capacity() >= capacity && made.is_empty());
            made.extend(0..capacity as u64);
            assert_eq!(made.last().copied(), (capacity as u64).checked_sub(1));
        }
    }
}
