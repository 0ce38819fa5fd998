//! The pages. Each is a pure function of what it shows.

mod checks;
mod events;
mod feature;
mod features;
mod frame;
mod loader;
mod login;
mod overview;
pub(super) mod parts;
mod routes;
mod standing;
mod traffic;

use maud::Markup;

use super::View;

pub use events::{EventFilter, events};
pub use feature::feature;
pub use features::features;
pub use login::{LoginProblem, login};
pub use overview::overview;
pub use routes::routes;
pub use traffic::traffic;

/// A page of which parts are kept current while it is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LivePage {
    /// The first page.
    Overview,
    /// What is asked for.
    Traffic,
}

impl LivePage {
    /// All of them, in their order.
    pub const ALL: [Self; 2] = [Self::Overview, Self::Traffic];

    /// The one that the query of the stream names.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|page| page.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::Traffic => "traffic",
        }
    }
}

/// What the stream at `/_admin/live?page=…` sends: for each event its name and its data. The script puts the data into
/// the element whose `data-live` is the name. They are the same for whoever looks: no form is in them. Beside these the
/// stream sends the event `snapshot` with the id of the snapshot, when it changes.
pub fn live(page: LivePage, view: &View<'_>) -> Vec<(&'static str, Markup)> {
    match page {
        LivePage::Overview => overview::parts(view).into(),
        LivePage::Traffic => vec![("traffic", traffic::current(view))],
    }
}

/// The page for an address that the Admin UI does not have. `what` says what was looked for.
pub fn not_found(view: &View<'_>, what: &str) -> Markup {
    frame::not_found(view, what)
}
