//! Who a client is and what it may do.

mod password;
mod policy;

use std::sync::Arc;

use arc_swap::ArcSwap;

pub use password::{PasswordHash, random_password};
pub use policy::{Action, BoundPolicy, Policy, PolicyError};

/// The name under which the operator's account is known.
pub const ADMIN: &str = "admin";

/// Who a connection belongs to, with the policy bound to its client id.
#[derive(Debug)]
pub struct Identity {
    /// The user who authenticated; none for a guest.
    pub user: Option<Arc<str>>,
    policy: BoundPolicy,
}

impl Identity {
    /// Whether the policy allows `action` on a topic or filter.
    pub fn may(&self, action: Action, resource: &str) -> bool {
        self.policy.allows(action, resource)
    }

    /// What lifecycle events call the credential.
    pub fn principal(&self) -> &str {
        self.user.as_deref().unwrap_or("guest")
    }
}

/// Why a client is not let in. The words are for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// Guests are not let in.
    #[error("a user name and password are required here")]
    CredentialsMissing,
    /// Nobody has this name and password.
    #[error("the user name or password is wrong")]
    CredentialsWrong,
    /// The policy does not allow it.
    #[error("the policy does not let {principal} connect as {client_id:?}")]
    PolicyForbids {
        /// Who it is.
        principal: String,
        /// The client id that was asked for.
        client_id: String,
    },
}

/// What a client shows of itself.
#[derive(Debug, Clone, Copy)]
pub struct Credentials<'a> {
    /// Its client id.
    pub client_id: &'a str,
    /// Its user name.
    pub username: Option<&'a str>,
    /// Its password.
    pub password: Option<&'a [u8]>,
}

/// Checks credentials and hands out identities.
#[derive(Debug)]
pub struct Auth {
    guests: bool,
    guest_policy: ArcSwap<Policy>,
    admin_policy: Policy,
    admin_password: PasswordHash,
    /// Hashing a password takes a core for tens of milliseconds: few at a time.
    hashing: tokio::sync::Semaphore,
}

impl Auth {
    /// `guests`: whether a client without a user name may connect, as far as `guest_policy` goes.
    pub fn new(guests: bool, guest_policy: Policy, admin_password: PasswordHash) -> Auth {
        Auth {
            guests,
            guest_policy: ArcSwap::from_pointee(guest_policy),
            admin_policy: Policy::admin(),
            admin_password,
            hashing: tokio::sync::Semaphore::new(2),
        }
    }

    /// Says who the client is, or why it may not connect.
    pub async fn authenticate(&self, credentials: Credentials<'_>) -> Result<Identity, Denial> {
        let client_id = credentials.client_id;
        let identity = match credentials.username {
            None if self.guests => {
                let policy = self.guest_policy.load().bind(client_id, None);
                Identity { user: None, policy }
            }
            None => return Err(Denial::CredentialsMissing),
            Some(name) => {
                self.check_password(name, credentials.password.unwrap_or_default()).await?;
                let policy = self.admin_policy.bind(client_id, Some(name));
                Identity { user: Some(Arc::from(name)), policy }
            }
        };
        if identity.may(Action::Connect, client_id) {
            return Ok(identity);
        }
        let principal = identity.principal().to_owned();
        Err(Denial::PolicyForbids { principal, client_id: client_id.to_owned() })
    }

    /// The operator, who asks by another way than MQTT and so has no client id.
    pub async fn operator(&self, name: &str, password: &[u8]) -> Result<Identity, Denial> {
        let credentials = Credentials { client_id: "", username: Some(name), password: Some(password) };
        let identity = self.authenticate(credentials).await?;
        if identity.user.as_deref() == Some(ADMIN) { Ok(identity) } else { Err(Denial::CredentialsWrong) }
    }

    async fn check_password(&self, name: &str, password: &[u8]) -> Result<(), Denial> {
        let _permit = self.hashing.acquire().await.map_err(|_| Denial::CredentialsWrong)?;
        let hash = self.admin_password.clone();
        let password = password.to_vec();
        // The hash is computed for unknown names too, so that time does not tell which names exist.
        let right = tokio::task::spawn_blocking(move || hash.verify(&password)).await.unwrap_or(false);
        if right && name == ADMIN { Ok(()) } else { Err(Denial::CredentialsWrong) }
    }
}
