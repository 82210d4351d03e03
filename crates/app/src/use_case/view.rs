//! Saved views: filters of the board that a person keeps under a name.
//!
//! One's own only; nothing of them is in the record, since nobody else sees or feels them.

use nightshift_domain::view::{self, Filter, Unfit};
use nightshift_store::view as views;
use nightshift_store::view::View;

use crate::say::{project as say, quoted};
use crate::{App, Caller, Error};

/// What a view shall be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SaveView {
    /// Another name than the one it has.
    pub rename: Option<String>,
    /// What it shows; as before where nothing is said.
    pub filter: Option<Filter>,
    /// Whether the board opens with it; as before where nothing is said.
    pub is_default: Option<bool>,
}

impl App {
    /// Lists one's own views, oldest first.
    ///
    /// # Errors
    /// `Forbidden` for runners and runs.
    pub async fn view_list(&self, caller: &Caller) -> Result<Vec<View>, Error> {
        let (own, _) = caller.person()?;
        let mut tx = self.db().read().await?;
        Ok(views::view_list(&mut tx, own).await?)
    }

    /// Keeps a filter under a name, or changes the view of that name.
    ///
    /// # Errors
    /// `Invalid` for a name or a filter that cannot be kept, `Conflict` for a name that is taken and
    /// for one view too many, `NotFound` for a change of a view that is not there.
    pub async fn view_save(
        &self,
        caller: &Caller,
        name: &str,
        save: &SaveView,
    ) -> Result<View, Error> {
        let (own, _) = caller.person()?;
        let name = view::name(name).map_err(unfit)?;
        let new_name = match &save.rename {
            Some(new) => view::name(new).map_err(unfit)?,
            None => name.clone(),
        };
        let filter = save.filter.clone().map(view::filter).transpose();
        let filter = filter.map_err(unfit)?;
        let mut tx = self.db().write().await?;
        let kept = views::view_list(&mut tx, own).await?;
        let known = kept.iter().any(|view| view.name == name);
        match &filter {
            None if !known => return Err(missing(&name)),
            Some(_) if !known && kept.len() >= view::MOST => return Err(unfit(Unfit::TooMany)),
            None => {}
            Some(filter) => {
                views::view_save(&mut tx, own, &name, filter, self.now()).await?;
            }
        }
        if new_name != name {
            if kept.iter().any(|view| view.name == new_name) {
                return Err(unfit(Unfit::Taken { name: new_name }));
            }
            views::view_rename(&mut tx, own, &name, &new_name).await?;
        }
        let was_default = kept.iter().any(|view| view.name == name && view.is_default);
        match save.is_default {
            Some(true) => views::view_set_default(&mut tx, own, Some(&new_name)).await?,
            Some(false) if was_default => views::view_set_default(&mut tx, own, None).await?,
            Some(false) | None => {}
        }
        let kept = views::view_list(&mut tx, own).await?;
        self.commit(tx, caller).await?;
        kept.into_iter()
            .find(|view| view.name == new_name)
            .ok_or_else(|| missing(&new_name))
    }

    /// Removes one of one's own views.
    ///
    /// # Errors
    /// `NotFound` when there is none of that name.
    pub async fn view_remove(&self, caller: &Caller, name: &str) -> Result<(), Error> {
        let (own, _) = caller.person()?;
        let mut tx = self.db().write().await?;
        if !views::view_remove(&mut tx, own, name).await? {
            return Err(missing(name));
        }
        self.commit(tx, caller).await
    }
}

fn missing(name: &str) -> Error {
    Error::not_found(say::no_view(quoted(name)))
}

fn unfit(why: Unfit) -> Error {
    match why {
        Unfit::Taken { .. } | Unfit::TooMany => Error::conflict(why.said()),
        Unfit::Name | Unfit::Part { .. } | Unfit::Everything => Error::invalid(why.said()),
    }
}
