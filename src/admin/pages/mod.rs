//! The pages. Each is a pure function of what it shows.

use maud::{Markup, html};
use pilar_artifact::FeatureId;
use serde::Deserialize;

use super::View;

/// The first page: is everything as it should be, and if not, what is not.
pub fn overview(view: &View<'_>) -> Markup {
    html! { (view.snapshot.id()) }
}

/// Every feature.
pub fn features(view: &View<'_>) -> Markup {
    overview(view)
}

/// One feature; none if there is no such feature.
pub fn feature(view: &View<'_>, id: &FeatureId) -> Option<Markup> {
    view.snapshot.features().get(id).map(|_| overview(view))
}

/// URL prefixes, and who has them.
pub fn routes(view: &View<'_>) -> Markup {
    overview(view)
}

/// What was asked for and how it was answered.
pub fn traffic(view: &View<'_>) -> Markup {
    overview(view)
}

/// Which events are asked for, as the query of `/_admin/events` has it; what makes no sense asks for all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct EventFilter {
    /// The id of a feature, or empty.
    pub feature: String,
    /// The least severity, or empty.
    pub severity: String,
}

/// What happened.
pub fn events(view: &View<'_>, filter: &EventFilter) -> Markup {
    html! { (overview(view)) (filter.feature) }
}

/// Why somebody is not signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginProblem {
    /// The token is not `ADMIN_AUTH_TOKEN`.
    WrongToken,
    /// The form was too old, or not ours.
    Expired,
    /// Too many tries.
    TooManyTries,
}

/// The form that asks for the token. It posts `token`, `csrf` and `next`, the path to go on to, to
/// `/_admin/login`.
pub fn login(csrf: &str, next: &str, problem: Option<LoginProblem>) -> Markup {
    html! { (csrf) (next) @if problem.is_some() { "!" } }
}

/// What the stream at `/_admin/live` sends: for each event its name and its data. The script puts the data into
/// the element whose `data-live` is the name. Beside these the stream sends the event `snapshot` with the id of
/// the snapshot, when it changes.
pub fn live(view: &View<'_>) -> [(&'static str, Markup); 2] {
    [("figures", overview(view)), ("traffic", traffic(view))]
}

/// The page for an address that the Admin UI does not have. `what` says what was looked for.
pub fn not_found(view: &View<'_>, what: &str) -> Markup {
    html! { (overview(view)) (what) }
}
