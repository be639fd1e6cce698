//! Files of the peers, made of their bytes.

/// A file with these entries: key, value and, in files of Python's client since 0.18, time.
pub(crate) fn file_bytes<K: AsRef<str>>(entries: impl IntoIterator<Item = (K, f64, Option<f64>)>) -> Vec<u8> {
    let mut bytes = vec![0; 8];
    for (key, value, time) in entries {
        let key = key.as_ref().as_bytes();
        bytes.extend(u32::try_from(key.len()).unwrap().to_le_bytes());
        bytes.extend(key);
        bytes.resize(bytes.len() + 8 - (4 + key.len()) % 8, b' ');
        bytes.extend(value.to_le_bytes());
        bytes.extend(time.iter().flat_map(|time| time.to_le_bytes()));
    }
    let used = u32::try_from(bytes.len()).unwrap();
    bytes[..4].copy_from_slice(&used.to_le_bytes());
    bytes
}
