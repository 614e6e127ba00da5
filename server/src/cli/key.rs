//! Passphrases and key files: from files, or from a person at a terminal.

use std::io::{ErrorKind, IsTerminal, Read, Write};
use std::path::Path;

use serde_json::json;
use tidewater_engine::store::{KEY_BYTES, MAX_PASSPHRASE_BYTES, OpenError, Seal, SealKind};
use zeroize::Zeroizing;

use super::arguments::{ChangeKey, Global, Sealing};
use super::context;
use super::failure::{Code, Done, Failure};
use super::output::Output;

/// How a file with a passphrase may end.
const LINE_ENDS: [&str; 2] = ["\r\n", "\n"];

/// The seal that files on the command line or in the environment give.
pub(crate) fn given(sealing: &Sealing) -> Done<Option<Seal>> {
    match (&sealing.passphrase_file, &sealing.key_file) {
        (Some(_), Some(_)) => Err(Failure::usage(
            "a passphrase file and a key file are given; give one (options, TIDE_PASSPHRASE_FILE, TIDE_KEY_FILE)",
        )),
        (Some(file), None) => passphrase_of(file).map(Some),
        (None, Some(file)) => key_of(file).map(Some),
        (None, None) => Ok(None),
    }
}

/// How a new database is sealed. `None`: not at all, as somebody chose.
pub(crate) fn for_new(sealing: &Sealing) -> Done<Option<Seal>> {
    match (given(sealing)?, sealing.plain_file) {
        (Some(_), true) => Err(Failure::usage(
            "a new database is either sealed or plain: leave --plain-file (TIDE_PLAIN_FILE) out, or the passphrase or key file",
        )),
        (Some(seal), false) => Ok(Some(seal)),
        (None, true) => Ok(None),
        (None, false) if std::io::stdin().is_terminal() => asked_for_twice("passphrase for the new database").map(Some),
        (None, false) => Err(Failure::usage(
            "say how the new database is sealed: --passphrase-file FILE, --key-file FILE (tide key new makes one), or --plain-file to leave it unsealed",
        )),
    }
}

/// What opens a sealed database for which no file was given: a person may know it.
pub(crate) fn for_existing(refused: OpenError, by: SealKind) -> Done<Seal> {
    if by == SealKind::Passphrase && std::io::stdin().is_terminal() {
        return seal_of(&asked("passphrase")?, "the passphrase");
    }
    let how = match by {
        SealKind::KeyFile => "--key-file FILE, or set TIDE_KEY_FILE",
        _ => "--passphrase-file FILE, or set TIDE_PASSPHRASE_FILE",
    };
    let Failure { code, message } = refused.into();
    Err(Failure::new(code, format!("{message}: give {how}")))
}

/// Makes a key file.
pub(crate) fn new(file: &Path, output: &mut Output) -> Done {
    let shown = file.display();
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    getrandom::fill(&mut *key).map_err(|error| Failure::failed(format!("the system gives no randomness: {error}")))?;
    let mut open = std::fs::OpenOptions::new();
    open.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut open, 0o600);
    let made = open.open(file).and_then(|mut made| made.write_all(&*key).and_then(|()| made.sync_all()));
    made.map_err(|error| Failure::failed(format!("{shown}: {error}")))?;
    let sentence = format!("made {shown}; keep a copy where the database is not: nothing else opens what it seals");
    output.say(&sentence, &json!({ "path": shown.to_string() }))
}

/// Seals a database under another secret.
pub(crate) fn change(global: &Global, change: &ChangeKey, output: &mut Output) -> Done {
    let database = context::open(global)?;
    if database.sealed_by().is_none() {
        return Err(Failure::usage("the database is not sealed; export it, and import that into a sealed one"));
    }
    let new = Sealing {
        passphrase_file: change.new_passphrase_file.clone(),
        key_file: change.new_key_file.clone(),
        plain_file: false,
    };
    let seal = match given(&new)? {
        Some(seal) => seal,
        None if std::io::stdin().is_terminal() => asked_for_twice("new passphrase")?,
        None => {
            return Err(Failure::usage(
                "say what seals it from now on: --new-passphrase-file FILE, or --new-key-file FILE",
            ));
        }
    };
    database.change_seal(&seal).map_err(Failure::failed)?;
    let path = context::path(global)?;
    let record = json!({ "path": path.display().to_string(), "sealed": kind_name(seal.kind()) });
    output.say(&format!("{} is sealed under the new {} from now on", path.display(), seal.kind()), &record)
}

/// What seals a database, as output says it.
pub(crate) fn kind_name(kind: SealKind) -> &'static str {
    match kind {
        SealKind::KeyFile => "keyFile",
        _ => "passphrase",
    }
}

fn passphrase_of(file: &Path) -> Done<Seal> {
    // With the end of its line, and a byte by which more is noticed.
    let bytes = read(file, MAX_PASSPHRASE_BYTES + 3)?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| Failure::usage(format!("{}: a passphrase is text in UTF-8", file.display())))?;
    let text = LINE_ENDS.iter().find_map(|end| text.strip_suffix(end)).unwrap_or(text);
    seal_of(text, &file.display().to_string())
}

fn key_of(file: &Path) -> Done<Seal> {
    let bytes = read(file, KEY_BYTES + 1)?;
    Seal::key(&bytes).map_err(|error| Failure::usage(format!("{}: {error}", file.display())))
}

fn seal_of(passphrase: &str, from: &str) -> Done<Seal> {
    Seal::passphrase(passphrase).map_err(|error| Failure::usage(format!("{from}: {error}")))
}

/// The first bytes of a file with a secret.
fn read(file: &Path, most: usize) -> Done<Zeroizing<Vec<u8>>> {
    let failed = |error: std::io::Error| {
        let code = if error.kind() == ErrorKind::NotFound { Code::NotFound } else { Code::Failed };
        Failure::new(code, format!("{}: {error}", file.display()))
    };
    let opened = std::fs::File::open(file).map_err(failed)?;
    #[cfg(unix)]
    if opened.metadata().is_ok_and(|found| std::os::unix::fs::PermissionsExt::mode(&found.permissions()) & 0o077 > 0) {
        tracing::warn!(file = %file.display(), "others than its owner may read the secret: chmod 600");
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(most));
    opened.take(most as u64).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

fn asked(what: &str) -> Done<Zeroizing<String>> {
    let typed = rpassword::prompt_password(format!("{what}: "));
    typed.map(Zeroizing::new).map_err(|error| Failure::failed(format!("the terminal: {error}")))
}

fn asked_for_twice(what: &str) -> Done<Seal> {
    let (once, again) = (asked(what)?, asked("again")?);
    if once != again {
        return Err(Failure::usage("the passphrases differ; nothing was changed"));
    }
    seal_of(&once, "the passphrase")
}
