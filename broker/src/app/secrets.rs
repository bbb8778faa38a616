//! The operator's account, and how often this server has started.

use std::sync::Arc;

use crate::auth::{ADMIN, PasswordHash, random_password};
use crate::random;
use crate::store::{AppendError, CommitError, ReadError, Record, Store, Write};

const USERS: &str = "_users";
const SERVER: &str = "_server";
const STARTS: &str = "starts";

/// Why the account cannot be read or made.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// It cannot be written.
    #[error("cannot keep the admin account")]
    Append(#[from] AppendError),
    /// It was not written to disk.
    #[error("cannot keep the admin account")]
    Commit(#[from] CommitError),
    /// What is stored is no password hash.
    #[error("the stored admin account is damaged; restore the data directory from a backup")]
    Damaged,
    /// It cannot be read.
    #[error("cannot read the admin account")]
    Read(#[from] ReadError),
}

/// What the server knows of itself.
pub(super) struct Secrets {
    /// The operator's password hash.
    pub(super) admin: PasswordHash,
    /// The operator's password, if it was made now.
    pub(super) admin_password: Option<String>,
    /// How often this data directory was started before.
    pub(super) starts: u64,
}

/// Reads the account, or makes it at the first start; counts the start.
pub(super) fn load_or_make(store: &Arc<Store>) -> Result<Secrets, SecretsError> {
    let mut writes = Vec::new();
    let mut put = |table: &str, hash: &str, value: String| {
        writes.push(Write::put(table, hash, "", value, None));
    };
    let starts = store.get(SERVER, STARTS, "")?;
    let starts = starts.and_then(|row| std::str::from_utf8(&row.value).ok()?.parse().ok()).unwrap_or(0_u64);
    put(SERVER, STARTS, (starts + 1).to_string());
    let (admin, admin_password) = if let Some(row) = store.get(USERS, ADMIN, "")? {
        let text = std::str::from_utf8(&row.value).map_err(|_| SecretsError::Damaged)?;
        (PasswordHash::parse(text).map_err(|_| SecretsError::Damaged)?, None)
    } else {
        let password = random_password(random::array());
        let hash = PasswordHash::of(&password, random::array());
        put(USERS, ADMIN, hash.as_str().to_owned());
        (hash, Some(password))
    };
    store.append(Record { writes, ..Record::default() })?.wait()?;
    Ok(Secrets { admin, admin_password, starts })
}
