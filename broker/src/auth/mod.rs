//! Who a client is and what it may do.

mod exchange;
mod password;
mod policy;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;

pub use exchange::{Exchange, Method, Step};
pub use password::{PasswordHash, random_password};
pub use policy::{Action, BoundPolicy, Policy, PolicyError, Ruling, StatementPlace};

/// The name under which the operator's account is known.
pub const ADMIN: &str = "admin";

/// Who a connection belongs to, with the policy bound to its client id.
#[derive(Debug)]
pub struct Identity {
    /// The user who authenticated; none for a guest.
    pub user: Option<Arc<str>>,
    policy: ArcSwap<BoundPolicy>,
    /// Which of the policies that there were over time it is.
    generation: AtomicU64,
}

impl Identity {
    /// Whether the policy allows `action` on a topic or filter.
    pub fn may(&self, action: Action, resource: &str) -> bool {
        self.policy.load().allows(action, resource)
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
    /// An exchange did not show who the client is.
    #[error("the authentication method {method} did not accept what the client said")]
    ExchangeFailed {
        /// The method.
        method: String,
    },
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
    guests: AtomicBool,
    /// Grows with each change of a policy.
    generation: AtomicU64,
    guest_policy: ArcSwap<Policy>,
    admin_policy: Policy,
    admin_password: PasswordHash,
    /// Methods of enhanced authentication.
    methods: Vec<Arc<dyn Method>>,
    /// Hashing a password takes a core for tens of milliseconds: few at a time.
    hashing: tokio::sync::Semaphore,
}

impl Auth {
    /// `guests`: whether a client without a user name may connect, as far as `guest_policy` goes.
    pub fn new(guests: bool, guest_policy: Policy, admin_password: PasswordHash) -> Auth {
        Auth {
            guests: AtomicBool::new(guests),
            generation: AtomicU64::new(0),
            guest_policy: ArcSwap::from_pointee(guest_policy),
            admin_policy: Policy::admin(),
            admin_password,
            methods: Vec::new(),
            hashing: tokio::sync::Semaphore::new(2),
        }
    }

    /// Offers a method of enhanced authentication; without this there is none.
    #[must_use]
    pub fn with_method(mut self, method: Arc<dyn Method>) -> Auth {
        self.methods.push(method);
        self
    }

    /// The method of that name.
    pub fn method(&self, name: &str) -> Option<Arc<dyn Method>> {
        self.methods.iter().find(|method| method.name() == name).cloned()
    }

    /// The identity of a user whom a method of enhanced authentication has made known, or why it may not connect.
    pub fn identify(&self, user: Arc<str>, client_id: &str) -> Result<Identity, Denial> {
        let generation = AtomicU64::new(self.generation.load(Ordering::Acquire));
        let policy = if *user == *ADMIN {
            self.admin_policy.bind(client_id, Some(&user))
        } else {
            self.guest_policy.load().bind(client_id, Some(&user))
        };
        let policy = ArcSwap::from_pointee(policy);
        may_connect(Identity { user: Some(user), policy, generation }, client_id)
    }

    /// Says who the client is, or why it may not connect.
    pub async fn authenticate(&self, credentials: Credentials<'_>) -> Result<Identity, Denial> {
        let client_id = credentials.client_id;
        let guests = self.guests.load(Ordering::Relaxed);
        let generation = AtomicU64::new(self.generation.load(Ordering::Acquire));
        let identity = match credentials.username {
            None if guests => {
                let policy = ArcSwap::from_pointee(self.guest_policy.load().bind(client_id, None));
                Identity { user: None, policy, generation }
            }
            None => return Err(Denial::CredentialsMissing),
            Some(name) => {
                self.check_password(name, credentials.password.unwrap_or_default()).await?;
                let policy = ArcSwap::from_pointee(self.admin_policy.bind(client_id, Some(name)));
                Identity { user: Some(Arc::from(name)), policy, generation }
            }
        };
        may_connect(identity, client_id)
    }

    /// Has guests let in or not from now on; those who are connected stay.
    pub fn set_guests(&self, guests: bool) {
        self.guests.store(guests, Ordering::Relaxed);
    }

    /// Has another policy for guests from now on. Those who are connected have it once they are refreshed.
    pub fn set_guest_policy(&self, policy: Policy) {
        self.guest_policy.store(Arc::new(policy));
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// Gives an identity the policy that there is now, if it has one of before.
    pub fn refresh(&self, identity: &Identity, client_id: &str) {
        let generation = self.generation.load(Ordering::Acquire);
        let user = identity.user.as_deref();
        if user != Some(ADMIN) && identity.generation.swap(generation, Ordering::AcqRel) != generation {
            identity.policy.store(Arc::new(self.guest_policy.load().bind(client_id, user)));
        }
    }

    /// What the policy of an identity says of an action, and by which statement.
    pub fn ruling(&self, identity: &Identity, action: Action, resource: &str) -> Ruling {
        let bound = identity.policy.load();
        if identity.user.as_deref() == Some(ADMIN) {
            bound.ruling(&self.admin_policy, action, resource)
        } else {
            bound.ruling(&self.guest_policy.load(), action, resource)
        }
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

/// The identity, if its policy lets it connect.
fn may_connect(identity: Identity, client_id: &str) -> Result<Identity, Denial> {
    if identity.may(Action::Connect, client_id) {
        return Ok(identity);
    }
    let principal = identity.principal().to_owned();
    Err(Denial::PolicyForbids { principal, client_id: client_id.to_owned() })
}
