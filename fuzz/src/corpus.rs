//! The inputs worth keeping.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A file of the corpus.
#[derive(Debug)]
pub struct Entry {
    /// Where it lies.
    pub path: PathBuf,
    /// What is in it.
    pub bytes: Vec<u8>,
}

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target)
}

/// The corpus of a target, ordered by name.
///
/// # Errors
///
/// When its folder, or a file in it, cannot be read.
///
/// ```
/// let entries = ringpost_fuzz::entries("frame")?;
/// assert!(entries.iter().any(|entry| entry.path.ends_with("heartbeat")));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn entries(target: &str) -> io::Result<Vec<Entry>> {
    let mut paths = Vec::new();
    for file in fs::read_dir(folder(target))? {
        paths.push(file?.path());
    }
    paths.sort();
    let read = |path: PathBuf| fs::read(&path).map(|bytes| Entry { path, bytes });
    paths.into_iter().map(read).collect()
}

/// Puts an input at which a target has panicked into its corpus and returns where. The same input always
/// gets the same name.
///
/// # Errors
///
/// When the file cannot be written.
pub fn keep(target: &str, input: &[u8]) -> io::Result<PathBuf> {
    let hash = input.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    });
    let path = folder(target).join(format!("crash-{hash:016x}"));
    fs::write(&path, input)?;
    Ok(path)
}
