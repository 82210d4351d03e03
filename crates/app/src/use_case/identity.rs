//! Identities at providers: inviting a person to link one, listing, and unlinking.

use std::time::Duration;

use jiff::Timestamp;
use nightshift_domain::id::{IdentityId, UserId};
use nightshift_store::identity::{self, Identity};
use nightshift_store::{token, user};
use serde_json::json;

use super::session::{INVITATION, SESSION};
use crate::say::{account as say, quoted};
use crate::{App, Caller, Error, Secret};

/// How long an invitation works.
pub const INVITATION_LASTS: Duration = Duration::from_secs(7 * 24 * 3_600);

impl App {
    /// Makes an invitation's secret: whoever brings it links their identity at a provider to this
    /// person's account. Says until when it works.
    ///
    /// # Errors
    /// `Forbidden` without administration, `NotFound` for an unknown name, `Refused` where there is
    /// no provider.
    pub async fn identity_invite(
        &self,
        caller: &Caller,
        name: &str,
    ) -> Result<(Secret, Timestamp), Error> {
        self.admin(caller)?;
        let mut tx = self.db().write().await?;
        let whose = known(&mut tx, name).await?;
        if self.settings().providers.is_empty() {
            return Err(Error::refused(say::no_provider()));
        }
        let secret = self
            .limited_token(&mut tx, whose, INVITATION, INVITATION_LASTS)
            .await?;
        self.record_server(&mut tx, caller, "identity.invited", json!({ "name": name }))
            .await?;
        self.commit(tx, caller).await?;
        Ok((secret, self.now() + INVITATION_LASTS))
    }

    /// Lists a person's identities: one's own, or as an administrator another's.
    ///
    /// # Errors
    /// `Forbidden` for another's without administration, `NotFound` for an unknown name.
    pub async fn identity_list(&self, caller: &Caller, name: &str) -> Result<Vec<Identity>, Error> {
        self.own_or_admin(caller, name)?;
        let mut tx = self.db().read().await?;
        let whose = known(&mut tx, name).await?;
        Ok(identity::identity_list_of_user(&mut tx, whose).await?)
    }

    /// Unlinks an identity, and ends every session of its person.
    ///
    /// # Errors
    /// `Forbidden` for another's without administration, `NotFound` for one that is not theirs.
    pub async fn identity_remove(
        &self,
        caller: &Caller,
        name: &str,
        id: IdentityId,
    ) -> Result<(), Error> {
        self.own_or_admin(caller, name)?;
        let mut tx = self.db().write().await?;
        let whose = known(&mut tx, name).await?;
        if !identity::identity_remove(&mut tx, id, whose).await? {
            return Err(Error::not_found(say::no_identity(name, id.to_string())));
        }
        token::token_revoke_labelled(&mut tx, whose, SESSION, self.now()).await?;
        self.record_server(&mut tx, caller, "identity.removed", json!({ "name": name }))
            .await?;
        self.commit(tx, caller).await
    }

    fn own_or_admin(&self, caller: &Caller, name: &str) -> Result<(), Error> {
        let (_, own) = caller.person()?;
        if own == name {
            return Ok(());
        }
        self.admin(caller)
    }
}

async fn known(tx: &mut nightshift_store::Tx, name: &str) -> Result<UserId, Error> {
    let found = user::user_by_name(tx, name).await?;
    found
        .map(|person| person.id)
        .ok_or_else(|| Error::not_found(say::no_person_listed(quoted(name))))
}
