//! Who is let in when a provider of identities vouches for them, and as what.
//!
//! A person is known by what never changes (the provider's issuer and its subject), so an e-mail
//! address alone lets nobody in and links nothing. Invariant: whoever is not linked and not invited
//! gets an account only where the provider's settings say so. Deliberately absent: how a provider
//! proved what it says.

use crate::config::is_name;

/// What the operator decided about a provider.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Whoever is in none of these groups is turned away; empty for no such rule.
    pub require_groups: Vec<String>,
    /// A verified address of one of these domains gets an account; empty for no such rule.
    pub email_domains: Vec<String>,
    /// Whoever is in one of these administers the server, nobody else; empty for no such rule.
    pub admin_groups: Vec<String>,
}

impl Policy {
    /// Whether it asks for groups.
    #[must_use]
    pub fn needs_groups(&self) -> bool {
        !self.require_groups.is_empty() || !self.admin_groups.is_empty()
    }

    /// Whether it makes accounts for people it does not know.
    #[must_use]
    pub fn creates(&self) -> bool {
        !self.require_groups.is_empty() || !self.email_domains.is_empty()
    }
}

/// What a provider says of a person.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claims {
    /// The name they use there.
    pub username: Option<String>,
    /// Their address.
    pub email: Option<String>,
    /// Whether the provider has verified that the address is theirs.
    pub email_verified: bool,
    /// Their groups.
    pub groups: Vec<String>,
}

/// What is known here of the person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// This identity belongs to an account.
    Linked,
    /// It belongs to none, and an administrator invited its bearer to one.
    Invited,
    /// It belongs to an account, and its bearer was invited to another.
    Taken,
    /// Nothing.
    Stranger,
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Into the account that the identity belongs to.
    Enter,
    /// Link the identity to the account of the invitation.
    Link,
    /// Make an account.
    Create,
}

/// Why somebody is turned away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turned {
    /// In none of the groups that are required.
    NoGroup {
        /// Which would do.
        wanted: Vec<String>,
    },
    /// The identity belongs to another account than the invitation's.
    Taken,
    /// Unknown, and this provider makes no accounts.
    NotInvited,
    /// Unknown, and the provider names no address.
    NoEmail,
    /// Unknown, and the provider has not verified the address.
    EmailUnverified {
        /// The address.
        email: String,
    },
    /// Unknown, and the address is of another domain.
    EmailElsewhere {
        /// The address.
        email: String,
        /// Which domains would do.
        wanted: Vec<String>,
    },
}

/// Decides what follows.
///
/// # Errors
/// See [`Turned`].
pub fn admit(policy: &Policy, claims: &Claims, known: Known) -> Result<Way, Turned> {
    if !policy.require_groups.is_empty() && !is_in(&policy.require_groups, claims) {
        return Err(Turned::NoGroup {
            wanted: policy.require_groups.clone(),
        });
    }
    match known {
        Known::Linked => Ok(Way::Enter),
        Known::Invited => Ok(Way::Link),
        Known::Taken => Err(Turned::Taken),
        Known::Stranger if !policy.creates() => Err(Turned::NotInvited),
        Known::Stranger => email_fits(policy, claims).map(|()| Way::Create),
    }
}

/// Whether the person administers the server from now on, where the provider decides that.
#[must_use]
pub fn administers(policy: &Policy, claims: &Claims) -> Option<bool> {
    (!policy.admin_groups.is_empty()).then(|| is_in(&policy.admin_groups, claims))
}

/// A name for a new account, made of what the provider says; what is no letter of a name becomes
/// a dash.
#[must_use]
pub fn name_of(claims: &Claims) -> String {
    let said = [&claims.username, &claims.email].into_iter().flatten();
    let mut names = said.map(|text| {
        let text = text.split('@').next().unwrap_or_default();
        let name: String = text
            .chars()
            .map(|one| match one {
                'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.' => one,
                _ => '-',
            })
            .take(36)
            .collect();
        name.trim_matches(['-', '.']).to_owned()
    });
    names
        .find(|name| is_name(name))
        .unwrap_or_else(|| "person".to_owned())
}

fn is_in(groups: &[String], claims: &Claims) -> bool {
    claims.groups.iter().any(|group| groups.contains(group))
}

fn email_fits(policy: &Policy, claims: &Claims) -> Result<(), Turned> {
    if policy.email_domains.is_empty() {
        return Ok(());
    }
    let email = claims.email.clone().ok_or(Turned::NoEmail)?;
    if !claims.email_verified {
        return Err(Turned::EmailUnverified { email });
    }
    let domain = email.rsplit_once('@').map_or("", |(_, domain)| domain);
    let fits = policy
        .email_domains
        .iter()
        .any(|one| one.eq_ignore_ascii_case(domain));
    if fits {
        Ok(())
    } else {
        Err(Turned::EmailElsewhere {
            email,
            wanted: policy.email_domains.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(groups: &[&str], domains: &[&str]) -> Policy {
        let texts = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect();
        Policy {
            require_groups: texts(groups),
            email_domains: texts(domains),
            admin_groups: Vec::new(),
        }
    }

    fn claims(email: &str, verified: bool, groups: &[&str]) -> Claims {
        Claims {
            username: None,
            email: (!email.is_empty()).then(|| email.to_owned()),
            email_verified: verified,
            groups: groups.iter().map(|one| (*one).to_owned()).collect(),
        }
    }

    #[test]
    fn strangers_get_in_only_as_the_settings_say() {
        let closed = policy(&[], &[]);
        let domain = policy(&[], &["example.com"]);
        let group = policy(&["devs"], &[]);
        let both = policy(&["devs"], &["example.com"]);
        let good = claims("a@Example.com", true, &["devs"]);
        let outside = claims("a@example.com", true, &["sales"]);
        let cases: Vec<(&Policy, Claims, Result<Way, &str>)> = vec![
            (&closed, good.clone(), Err("NotInvited")),
            (&domain, good.clone(), Ok(Way::Create)),
            (&domain, outside.clone(), Ok(Way::Create)),
            (&group, good.clone(), Ok(Way::Create)),
            (&group, outside.clone(), Err("NoGroup")),
            (&group, claims("", false, &["devs"]), Ok(Way::Create)),
            (&both, good, Ok(Way::Create)),
            (&both, outside, Err("NoGroup")),
            (
                &both,
                claims("a@other.com", true, &["devs"]),
                Err("EmailElsewhere"),
            ),
            (
                &domain,
                claims("a@example.com", false, &[]),
                Err("EmailUnverified"),
            ),
            (&domain, claims("", true, &[]), Err("NoEmail")),
            (
                &domain,
                claims("a@example.com@evil.test", true, &[]),
                Err("EmailElsewhere"),
            ),
            (
                &domain,
                claims("a@example.com.evil.test", true, &[]),
                Err("EmailElsewhere"),
            ),
            (
                &domain,
                claims("example.com", true, &[]),
                Err("EmailElsewhere"),
            ),
            (
                &domain,
                claims("a@evilexample.com", true, &[]),
                Err("EmailElsewhere"),
            ),
        ];
        for (policy, claims, expected) in cases {
            let found = admit(policy, &claims, Known::Stranger);
            match expected {
                Ok(way) => assert_eq!(found, Ok(way), "{policy:?} {claims:?}"),
                Err(word) => {
                    let turned = format!("{:?}", found.expect_err("turned away"));
                    assert!(turned.starts_with(word), "{policy:?} {claims:?}: {turned}");
                }
            }
        }
    }

    #[test]
    fn a_required_group_holds_for_those_who_are_known_as_well() {
        let group = policy(&["devs"], &[]);
        let (member, left) = (claims("", false, &["devs"]), claims("", false, &[]));
        for (known, way) in [(Known::Linked, Way::Enter), (Known::Invited, Way::Link)] {
            assert_eq!(admit(&group, &member, known), Ok(way));
            assert!(admit(&group, &left, known).is_err(), "{known:?}");
            assert_eq!(admit(&policy(&[], &[]), &left, known), Ok(way));
        }
        assert_eq!(admit(&group, &member, Known::Taken), Err(Turned::Taken));
    }

    #[test]
    fn the_provider_makes_administrators_only_where_it_is_asked_to() {
        let none = policy(&[], &[]);
        let some = Policy {
            admin_groups: vec!["ops".to_owned()],
            ..none.clone()
        };
        let ops = claims("", false, &["x", "ops"]);
        assert_eq!(administers(&none, &ops), None);
        assert_eq!(administers(&some, &ops), Some(true));
        assert_eq!(
            administers(&some, &claims("", false, &["OPS"])),
            Some(false)
        );
    }

    #[test]
    fn names_are_made_of_anything() {
        let named = |username: &str, email: &str| {
            name_of(&Claims {
                username: (!username.is_empty()).then(|| username.to_owned()),
                ..claims(email, true, &[])
            })
        };
        assert_eq!(named("ada", "x@example.com"), "ada");
        assert_eq!(named("ada@example.com", ""), "ada");
        assert_eq!(named("", "ada.l@example.com"), "ada.l");
        assert_eq!(named("Ada Lovelace", ""), "Ada-Lovelace");
        assert_eq!(named("-.x", ""), "x");
        assert_eq!(named("林", "lin@example.com"), "lin");
        assert_eq!(named("林", ""), "person");
        assert_eq!(named(&"x".repeat(90), "").len(), 36);
    }
}
