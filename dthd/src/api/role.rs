//! Who a peer is and what they may do.

use std::{ffi::CString, fmt};

use nix::unistd::{Gid, Group, Uid, User, getgrouplist};

use crate::config::{Access, Principal};

/// What a client may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Look.
    Viewer,
    /// Look and change.
    Operator,
}

impl Role {
    /// The word on the wire and on screens.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// A user of this machine, as the system's user database knows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// User id of the peer's process.
    pub uid: u32,
    /// Its group id.
    pub gid: u32,
    /// Login name; the number when there is none.
    pub user: String,
    /// Names of all groups; the number of those without a name.
    pub groups: Vec<String>,
}

impl Identity {
    /// Looks the user up. May ask the network (LDAP) and block, so not on an async thread.
    #[must_use]
    pub fn lookup(uid: u32, gid: u32) -> Self {
        // a user database that cannot answer must not grant anything: the peer is then only a number
        let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
        let mut gids = vec![Gid::from_raw(gid)];
        if let Some(user) = &user {
            let name = CString::new(user.name.as_str()).ok();
            gids.extend(name.and_then(|name| getgrouplist(&name, user.gid).ok()).unwrap_or_default());
        }
        gids.sort_unstable_by_key(|gid| gid.as_raw());
        gids.dedup();
        let name = |gid: Gid| Group::from_gid(gid).ok().flatten().map_or_else(|| gid.to_string(), |group| group.name);
        Self { uid, gid, user: user.map_or_else(|| uid.to_string(), |u| u.name), groups: gids.into_iter().map(name).collect() }
    }

    fn is(&self, principal: &Principal) -> bool {
        match principal {
            Principal::User(name) => *name == self.user,
            Principal::Group(name) => self.groups.contains(name),
        }
    }
}

/// The role of `who` for a daemon that runs as `daemon_uid`; `None`: not even looking.
#[must_use]
pub fn role(who: &Identity, access: &Access, daemon_uid: u32) -> Option<Role> {
    let named = |principals: &[Principal]| principals.iter().any(|p| who.is(p));
    if who.uid == 0 || who.uid == daemon_uid || named(&access.operators) {
        Some(Role::Operator)
    } else if access.viewers.is_empty() || named(&access.viewers) {
        Some(Role::Viewer)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAEMON: u32 = 990;

    fn who(uid: u32, user: &str, groups: &[&str]) -> Identity {
        Identity { uid, gid: uid, user: user.to_owned(), groups: groups.iter().map(|g| (*g).to_owned()).collect() }
    }

    fn principals(texts: &[&str]) -> Vec<Principal> {
        texts.iter().map(|t| t.parse().expect("principal")).collect()
    }

    #[test]
    fn roles_follow_the_rules() {
        let closed = Access { operators: principals(&["group:dth-admin", "user:ci"]), viewers: principals(&["group:dth"]) };
        let open = Access { viewers: Vec::new(), ..closed.clone() };
        for (identity, access, expected) in [
            (who(0, "root", &["root"]), &closed, Some(Role::Operator)),
            (who(DAEMON, "dth", &[]), &closed, Some(Role::Operator)),
            (who(7, "mli", &["dth-admin"]), &closed, Some(Role::Operator)),
            (who(7, "ci", &[]), &closed, Some(Role::Operator)),
            (who(7, "guest", &["dth"]), &closed, Some(Role::Viewer)),
            (who(7, "guest", &["users"]), &closed, None),
            // a user's name is not a group's
            (who(7, "dth-admin", &[]), &closed, None),
            (who(7, "guest", &["users"]), &open, Some(Role::Viewer)),
            (who(7, "guest", &["users"]), &Access::default(), Some(Role::Viewer)),
        ] {
            assert_eq!(role(&identity, access, DAEMON), expected, "{identity:?}");
        }
    }

    #[test]
    fn unknown_numbers_stay_numbers() {
        let identity = Identity::lookup(4_000_000_123, 4_000_000_124);
        assert_eq!((identity.user.as_str(), identity.groups.as_slice()), ("4000000123", &["4000000124".to_owned()][..]));
        assert_eq!(Identity::lookup(0, 0).user, "root");
    }
}
