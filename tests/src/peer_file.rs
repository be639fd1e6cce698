//! Files of the peers, made of their bytes.

/// A file of Python's client with these entries, of key, value and time.
///
/// # Panics
///
/// When it would be longer than such a file can be.
#[must_use]
pub fn python<K: AsRef<str>>(entries: impl IntoIterator<Item = (K, f64, f64)>) -> Vec<u8> {
    let mut bytes = vec![0; 8];
    for (key, value, time) in entries {
        let key = key.as_ref();
        bytes.extend(u32::try_from(key.len()).unwrap().to_le_bytes());
        bytes.extend(key.as_bytes());
        bytes.resize(bytes.len() + 8 - (4 + key.len()) % 8, b' ');
        bytes.extend(value.to_le_bytes());
        bytes.extend(time.to_le_bytes());
    }
    let used = u32::try_from(bytes.len()).unwrap();
    bytes[..4].copy_from_slice(&used.to_le_bytes());
    bytes
}
