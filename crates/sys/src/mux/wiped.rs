//! Buffers of frames, which may have secrets in them: what is done with is zeroed, and growing leaves no copy behind.

use zeroize::Zeroize;

/// Appends bytes.
pub(super) fn append(to: &mut Vec<u8>, bytes: &[u8]) {
    make_room(to, bytes.len());
    to.extend_from_slice(bytes);
}

/// Makes room for so many more bytes.
pub(super) fn make_room(in_buffer: &mut Vec<u8>, bytes: usize) {
    let wanted = in_buffer.len() + bytes;
    if wanted > in_buffer.capacity() {
        let mut larger = Vec::with_capacity(wanted.max(2 * in_buffer.capacity()));
        larger.extend_from_slice(in_buffer);
        in_buffer.zeroize();
        *in_buffer = larger;
    }
}

/// Drops the first bytes.
pub(super) fn drop_front(of: &mut Vec<u8>, bytes: usize) {
    let left = of.len() - bytes;
    of.copy_within(bytes.., 0);
    of[left..].fill(0);
    of.truncate(left);
}

/// Drops everything, and the memory if it is more than `keep`.
pub(super) fn clear(buffer: &mut Vec<u8>, keep: usize) {
    buffer.fill(0);
    buffer.clear();
    if buffer.capacity() > keep {
        *buffer = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_and_go_in_order() {
        let mut buffer = Vec::new();
        append(&mut buffer, b"abc");
        append(&mut buffer, b"defgh");
        drop_front(&mut buffer, 4);
        assert_eq!(buffer, b"efgh");
        drop_front(&mut buffer, 0);
        append(&mut buffer, b"i");
        assert_eq!(buffer, b"efghi");
        clear(&mut buffer, 0);
        assert!(buffer.is_empty() && buffer.capacity() == 0);
    }
}
