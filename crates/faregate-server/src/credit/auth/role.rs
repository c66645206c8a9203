//! What wallets may do: roles and scopes (specs/4mica.md §1.5).

use std::collections::BTreeMap;

use faregate_types::Address;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// For whom a wallet acts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(
    clippy::exhaustive_enums,
    reason = "every rule has to decide about each"
)]
pub enum Role {
    /// For itself.
    #[default]
    User,
    /// For recipients whose payments it settles.
    Facilitator,
    /// For the operator.
    Admin,
}

impl Role {
    /// Its name on the wire and in files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Facilitator => "facilitator",
            Self::Admin => "admin",
        }
    }

    /// The role of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let mut all = [Self::User, Self::Facilitator, Self::Admin].into_iter();
        all.find(|role| role.as_str().eq_ignore_ascii_case(name))
    }
}

/// What a token allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_enums,
    reason = "every rule has to decide about each"
)]
pub enum Scope {
    /// Have guarantees issued.
    IssueGuarantee,
    /// Open tabs.
    CreateTab,
    /// Read tabs, guarantees, payments and balances.
    ReadTab,
}

impl Scope {
    /// All of them, in the order of their names.
    pub const ALL: [Self; 3] = [Self::IssueGuarantee, Self::CreateTab, Self::ReadTab];

    /// Its name on the wire and in files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::IssueGuarantee => "guarantee:issue",
            Self::CreateTab => "tab:create",
            Self::ReadTab => "tab:read",
        }
    }

    /// The scope of this name, in any case of letters.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|scope| scope.as_str().eq_ignore_ascii_case(name.trim()))
    }

    const fn bit(self) -> u8 {
        match self {
            Self::IssueGuarantee => 1,
            Self::CreateTab => 2,
            Self::ReadTab => 4,
        }
    }
}

/// Some scopes. By default all: a wallet acts for itself, and there is nobody who would have to allow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scopes(u8);

impl Default for Scopes {
    fn default() -> Self {
        Self(7)
    }
}

impl Scopes {
    /// Whether this is one of them.
    #[must_use]
    pub const fn has(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// Those that both have.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }
}

impl Serialize for Scopes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mine = Scope::ALL.into_iter().filter(|scope| self.has(*scope));
        serializer.collect_seq(mine.map(Scope::as_str))
    }
}

impl<'de> Deserialize<'de> for Scopes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        let scopes = names.iter().map(|name| Scope::from_name(name));
        let scopes: Option<Self> = scopes.collect();
        scopes.ok_or_else(|| D::Error::custom("a scope nobody knows"))
    }
}

/// What the operator says about a wallet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "plain data that configuration code builds by literal"
)]
pub struct Standing {
    /// For whom it acts.
    pub role: Role,
    /// What it may do at most.
    pub scopes: Scopes,
    /// It may not sign in, and its tokens count for nothing.
    pub barred: bool,
}

/// What the operator says about all of them; of who is not named here, nothing special.
pub(super) type Standings = BTreeMap<Address, Standing>;
