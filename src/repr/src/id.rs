//! Identifiers. Each prints as a letter and a number (`u12`), which is also how SQL sees it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An error from parsing an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid identifier {0:?}")]
pub struct ParseIdError(String);

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $prefix:literal),+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* $variant(u64)),+ }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self { $($name::$variant(n) => write!(f, concat!($prefix, "{}"), n)),+ }
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(s: &str) -> Result<Self, ParseIdError> {
                $(if let Some(Ok(n)) = s.strip_prefix($prefix).map(str::parse) {
                    return Ok($name::$variant(n));
                })+
                Err(ParseIdError(s.to_owned()))
            }
        }
    };
}

id_type!(
    /// The id of a catalog item or of a transient dataflow object.
    GlobalId {
        /// Built into the server.
        System = "s",
        /// Created by a user.
        User = "u",
        /// Lives no longer than one statement.
        Transient = "t"
    }
);

id_type!(
    /// The id of a cluster.
    ClusterId {
        /// Built into the server.
        System = "s",
        /// Created by a user.
        User = "u"
    }
);

id_type!(
    /// The id of a cluster replica.
    ReplicaId {
        /// Replica of a built-in cluster.
        System = "s",
        /// Replica of a user's cluster.
        User = "u"
    }
);

id_type!(
    /// The id of a database.
    DatabaseId {
        /// Built into the server.
        System = "s",
        /// Created by a user.
        User = "u"
    }
);

id_type!(
    /// The id of a schema.
    SchemaId {
        /// Built into the server.
        System = "s",
        /// Created by a user.
        User = "u"
    }
);

id_type!(
    /// The id of a role.
    RoleId {
        /// Built into the server.
        System = "s",
        /// Created by a user.
        User = "u"
    }
);

impl GlobalId {
    /// Whether the object is built into the server.
    pub fn is_system(&self) -> bool {
        matches!(self, GlobalId::System(_))
    }

    /// Whether a user created the object.
    pub fn is_user(&self) -> bool {
        matches!(self, GlobalId::User(_))
    }

    /// Whether the object lives no longer than one statement.
    pub fn is_transient(&self) -> bool {
        matches!(self, GlobalId::Transient(_))
    }
}
