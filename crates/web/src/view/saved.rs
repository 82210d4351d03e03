//! Saved views of the board.

use nightshift_api::view::{View, ViewFilter};
use nightshift_app::record;
use nightshift_domain::view::Filter;

pub(crate) fn view(view: record::View) -> View {
    let filter = view.filter;
    View {
        name: view.name,
        filter: ViewFilter {
            project: filter.project,
            agent: filter.agent,
            label: filter.label,
            text: filter.text,
        },
        is_default: view.is_default,
        created_at: view.created_at,
    }
}

pub(crate) fn filter(filter: ViewFilter) -> Filter {
    Filter {
        project: filter.project,
        agent: filter.agent,
        label: filter.label,
        text: filter.text,
    }
}
