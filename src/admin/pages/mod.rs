//! The pages. Each is a pure function of what it shows.

mod checks;
mod events;
mod feature;
mod features;
mod frame;
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

/// What the stream at `/_admin/live` sends: for each event its name and its data. The script puts the data into
/// the element whose `data-live` is the name. Beside these the stream sends the event `snapshot` with the id of
/// the snapshot, when it changes.
pub fn live(view: &View<'_>) -> [(&'static str, Markup); 2] {
    [("figures", overview::figures(view)), ("traffic", traffic::current(view))]
}

/// The page for an address that the Admin UI does not have. `what` says what was looked for.
pub fn not_found(view: &View<'_>, what: &str) -> Markup {
    frame::not_found(view, what)
}
