//! Secrets of a project, without their values.

use nightshift_api::secret::Secret;
use nightshift_app::use_case::secret::SecretView;

pub(crate) fn secret(view: SecretView) -> Secret {
    let (set_by, set_at) = view.set.unzip();
    let author = view.named.as_ref().is_some_and(|named| named.author);
    Secret {
        name: view.name,
        steps: view.named.map(|named| named.steps).unwrap_or_default(),
        author,
        set_by,
        set_at,
    }
}
