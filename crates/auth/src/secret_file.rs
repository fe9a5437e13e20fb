//! A file that keeps secrets as JSON: readable by its owner alone, replaced as a whole, and made so that two first
//! starts at once end with one content.

use std::fmt::Display;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

/// A file of secrets.
#[derive(Clone, Debug)]
pub(crate) struct SecretFile {
    path: PathBuf,
    kind: &'static str,
}

/// What changes when a file does: its modification time, size and inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint(SystemTime, u64, u64);

/// Why a file of secrets cannot be used. Never holds any of its content.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// It cannot be read or written.
    #[error("the {kind} {path} cannot be {action}: {error}")]
    Io {
        /// What the file is.
        kind: &'static str,
        /// The file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the operating system said.
        error: io::Error,
    },
    /// Others may read it.
    #[error("the {kind} {path} can be read by others (mode {mode:o}); run: chmod 600 {path}")]
    Permissions {
        /// What the file is.
        kind: &'static str,
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Its content is none of ours.
    #[error("the {kind} {path} is damaged: {reason}")]
    Damaged {
        /// What the file is.
        kind: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl SecretFile {
    /// The file `name` in `directory`; `kind` is what errors call it.
    pub(crate) fn new(directory: &Path, name: &str, kind: &'static str) -> Self {
        Self { path: directory.join(name), kind }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads it; `None` when there is none.
    pub(crate) fn find<T: DeserializeOwned>(&self) -> Result<Option<T>, SecretFileError> {
        match self.read() {
            Err(SecretFileError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some),
        }
    }

    /// Reads it.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, SecretFileError> {
        let mode = fs::metadata(&self.path).map_err(|error| self.error("read", error))?.permissions().mode();
        if mode & 0o077 != 0 {
            let (kind, path) = (self.kind, self.path.clone());
            return Err(SecretFileError::Permissions { kind, path, mode: mode & 0o777 });
        }
        let text = Zeroizing::new(fs::read(&self.path).map_err(|error| self.error("read", error))?);
        // The parser's own words could quote the content; where it stopped is enough.
        serde_json::from_slice(&text)
            .map_err(|error| self.damaged(&format!("line {}, column {}", error.line(), error.column())))
    }

    /// Makes it, unless there is one: whoever comes second has to read what the first one made.
    ///
    /// `unique` names the temporary file. It is after a key, which is random, and not after a process: those in two
    /// containers have the same number.
    pub(crate) fn create(&self, content: &impl Serialize, unique: &str) -> Result<(), SecretFileError> {
        let temporary = self.write_temporary(content, unique)?;
        // A link fails if the name is taken.
        let linked = fs::hard_link(&temporary, &self.path);
        let _ = fs::remove_file(&temporary);
        match linked {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(self.error("created", error)),
            _ => self.sync_directory(),
        }
    }

    /// Replaces it as a whole; `unique` as for [`Self::create`].
    pub(crate) fn replace(&self, content: &impl Serialize, unique: &str) -> Result<(), SecretFileError> {
        let temporary = self.write_temporary(content, unique)?;
        fs::rename(&temporary, &self.path).map_err(|error| self.error("replaced", error))?;
        self.sync_directory()
    }

    /// Lets changes take turns: for as long as the lock is kept, no other is given.
    pub(crate) fn lock(&self) -> Result<File, SecretFileError> {
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(self.path.with_extension("lock"))
            .map_err(|error| self.error("locked", error))?;
        lock.lock().map_err(|error| self.error("locked", error))?;
        Ok(lock)
    }

    /// What changes when the file does; `None` when it is not there.
    pub(crate) fn fingerprint(&self) -> Option<Fingerprint> {
        let metadata = fs::metadata(&self.path).ok()?;
        Some(Fingerprint(metadata.modified().ok()?, metadata.len(), metadata.ino()))
    }

    /// The content is none of ours.
    pub(crate) fn damaged(&self, reason: &dyn Display) -> SecretFileError {
        let (kind, path) = (self.kind, self.path.clone());
        SecretFileError::Damaged { kind, path, reason: reason.to_string() }
    }

    fn write_temporary(&self, content: &impl Serialize, unique: &str) -> Result<PathBuf, SecretFileError> {
        let text = serde_json::to_vec_pretty(content).map_err(|error| self.damaged(&error))?;
        let text = Zeroizing::new(text);
        let path = self.path.with_extension(format!("{unique}.tmp"));
        // One left behind by a crash is made anew.
        let _ = fs::remove_file(&path);
        let mut file = OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| self.error("written", error))?;
        file.write_all(&text).and_then(|()| file.sync_all()).map_err(|error| self.error("written", error))?;
        Ok(path)
    }

    /// A new name is on the disk only when its directory is.
    fn sync_directory(&self) -> Result<(), SecretFileError> {
        let directory = self.path.parent().unwrap_or(Path::new("."));
        File::open(directory)
            .and_then(|directory| directory.sync_all())
            .map_err(|error| self.error("written", error))
    }

    fn error(&self, action: &'static str, error: io::Error) -> SecretFileError {
        SecretFileError::Io { kind: self.kind, path: self.path.clone(), action, error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(directory: &Path) -> SecretFile {
        SecretFile::new(directory, "secrets.json", "secret file")
    }

    #[test]
    fn whoever_comes_second_finds_what_the_first_one_made() {
        let directory = tempfile::tempdir().unwrap();
        let file = file(directory.path());
        assert_eq!(file.find::<u32>().unwrap(), None);
        let found: Vec<u32> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..8_u32)
                .map(|number| {
                    let file = &file;
                    scope.spawn(move || {
                        file.create(&number, &number.to_string()).unwrap();
                        file.read().unwrap()
                    })
                })
                .collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        assert!(found.windows(2).all(|pair| pair[0] == pair[1]), "{found:?}");
        let left: Vec<_> = fs::read_dir(directory.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "temporary files are removed: {left:?}");
    }

    #[test]
    fn only_the_owner_may_read_it() {
        let directory = tempfile::tempdir().unwrap();
        let file = file(directory.path());
        let mode = || fs::metadata(file.path()).unwrap().permissions().mode() & 0o777;
        file.create(&7_u32, "one").unwrap();
        assert_eq!(mode(), 0o600);
        file.replace(&8_u32, "two").unwrap();
        assert_eq!(mode(), 0o600);
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o640)).unwrap();
        let error = file.find::<u32>().unwrap_err();
        assert!(matches!(error, SecretFileError::Permissions { mode: 0o640, .. }), "{error}");
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }

    #[test]
    fn changes_take_turns() {
        let directory = tempfile::tempdir().unwrap();
        let file = file(directory.path());
        file.create(&0_u32, "first").unwrap();
        std::thread::scope(|scope| {
            for number in 0..8 {
                let file = &file;
                scope.spawn(move || {
                    let _lock = file.lock().unwrap();
                    let count: u32 = file.read().unwrap();
                    file.replace(&(count + 1), &format!("n{number}")).unwrap();
                });
            }
        });
        assert_eq!(file.read::<u32>().unwrap(), 8);
    }

    #[test]
    fn a_damaged_file_is_named_without_quoting_it() {
        let directory = tempfile::tempdir().unwrap();
        let file = file(directory.path());
        file.create(&"hunter2", "one").unwrap();
        fs::write(file.path(), "\"hunter2").unwrap();
        let message = file.read::<String>().unwrap_err().to_string();
        assert!(message.contains("damaged") && message.contains("secrets.json"), "{message}");
        assert!(!message.contains("hunter2"), "{message}");
        // A number where a text belongs: the parser would quote it.
        fs::write(file.path(), "31337").unwrap();
        let message = file.read::<String>().unwrap_err().to_string();
        assert!(message.contains("damaged") && !message.contains("31337"), "{message}");
    }

    #[test]
    fn a_change_shows_in_the_fingerprint() {
        let directory = tempfile::tempdir().unwrap();
        let file = file(directory.path());
        assert_eq!(file.fingerprint(), None);
        file.create(&1_u32, "one").unwrap();
        let before = file.fingerprint();
        assert_eq!(file.fingerprint(), before);
        file.replace(&22_u32, "two").unwrap();
        assert_ne!(file.fingerprint(), before);
    }
}
