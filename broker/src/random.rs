//! Random bytes from the operating system.

/// Fills a buffer.
pub(crate) fn fill(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("an operating system without random numbers cannot run a server");
}

/// An array of random bytes.
pub(crate) fn array<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    fill(&mut bytes);
    bytes
}
