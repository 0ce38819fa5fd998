//! What serves, how that compares to what was released, and how the host learns of it.

use std::collections::BTreeMap;
use std::fmt;

use pilar_metrics::{BYTES, Labels, Page, SECONDS, Times, flag, label, one};

use super::Scrape;
use crate::catalog::{FeatureState, RetainedVersion, Standing, Watching};
use crate::snapshot::Problem;

impl Scrape {
    pub(super) fn features(&self, page: &mut Page<'_>) -> fmt::Result {
        let states = self.snapshot.features();
        let standings = states.values().flat_map(|state| {
            Standing::ALL.map(|standing| {
                (of(state, "state", standing.as_str()), flag(state.standing == standing))
            })
        });
        page.gauge("feature_state", "1 for the state that a feature is in.", None, standings)?;
        let health = self.snapshot.health();
        let problems = states.values().flat_map(|state| {
            [
                (Problem::MISSING_SHARED, !health.missing_shared(&state.id).is_empty()),
                (Problem::OLDER_INDEX, state.sequence_went_down_from().is_some()),
                (Problem::ENDED_KEY, state.serves_on_an_ended_key()),
            ]
            .map(|(kind, is)| (of(state, "kind", kind), flag(is)))
        });
        let help = "1 where something is wrong with a feature whatever its state.";
        page.gauge("feature_problem", help, None, problems)?;
        let serving = || states.values().filter_map(FeatureState::serving);
        let versions = serving().map(|version| {
            let manifest = &version.manifest;
            vec![
                ("feature", manifest.id.to_string()),
                ("version", manifest.version.to_string()),
                ("channel", manifest.channel.clone()),
            ]
        });
        page.info("feature", "The version that serves.", versions)?;
        let sizes = serving().map(|version| {
            (label("feature", version.manifest.id.to_string()), version.bytes as f64)
        });
        page.gauge("feature_size", "Files of the version that serves.", BYTES, sizes)
    }

    pub(super) fn retained(&self, page: &mut Page<'_>) -> fmt::Result {
        let sums = |measure: fn(&RetainedVersion) -> u64| {
            [("served", true), ("listed", false)].map(|(reason, served)| {
                let kept = self.snapshot.retained().iter();
                let kept = kept.filter(|kept| kept.served_until.is_some() == served);
                (label("reason", reason), kept.map(measure).sum::<u64>() as f64)
            })
        };
        let help =
            "Files of versions that stay reachable because they served or are listed in an index.";
        page.gauge("retained", help, BYTES, sums(|kept| kept.version.bytes))?;
        page.gauge("retained_versions", "Such versions.", None, sums(|_| 1))?;
        let limit = one(self.admin.parts.retain.bytes as f64);
        let help = "Bytes of them at the most: FEATURE_RETAIN_MAX_BYTES.";
        page.gauge("retained_limit", help, BYTES, limit)
    }

    pub(super) fn problems(&self, page: &mut Page<'_>) -> fmt::Result {
        let host = &self.admin.parts.host;
        let of_host = [
            ("refresh-failed", !host.refresh_error.load().is_empty()),
            ("watch-failed", matches!(*host.watching.borrow(), Watching::Failed(_))),
        ];
        let of_host = of_host.map(|(kind, is)| (label("kind", kind), flag(is)));
        let counted = self.snapshot.health().counted_problems().iter();
        let counted = counted.map(|problem| (label("kind", problem.kind), problem.count as f64));
        let help = "Features, names or 1 for the host, that are not as released. All are 0 while /_health says ok.";
        page.gauge("problems", help, None, of_host.into_iter().chain(counted))?;
        let refusals = self.tally.refusals.iter();
        let refusals = refusals.map(|(code, count)| (label("code", code), *count));
        let help = "Indexes and versions that were refused, by the code of the check.";
        page.counter("verification_failures", help, None, refusals)?;
        let mut refused: BTreeMap<Labels, f64> = BTreeMap::new();
        for state in self.snapshot.features().values() {
            for (version, code) in state.refused() {
                let subject = if version.is_some() { "version" } else { "index" };
                let mut labels = of(state, "subject", subject);
                labels.push(("code", code.to_owned()));
                *refused.entry(labels).or_default() += 1.0;
            }
        }
        let help =
            "Indexes and versions that are refused now; those that nobody needs are not looked at.";
        page.gauge("verification_refused", help, None, refused)
    }

    pub(super) fn control(&self, page: &mut Page<'_>) -> fmt::Result {
        let snapshot = label("id", self.snapshot.id());
        page.info("snapshot", "The snapshot that serves: equal ids, equal content.", [snapshot])?;
        let built = one(self.snapshot.built_at().as_second() as f64);
        page.gauge("snapshot_built_timestamp", "When it was built.", SECONDS, built)?;
        let events = self.tally.events.iter();
        let events = events.map(|(code, count)| (label("code", code), *count));
        let help = "What happened to features and to the host, refusals apart, by code.";
        page.counter("events", help, None, events)?;
        let times = Times { steps: &self.tally.refreshes, sum: self.tally.refresh_time };
        let help = "Time of a look at the artifacts, up to the swap of the snapshot.";
        page.times("refresh_duration", help, one(times))?;
        let failed = one(self.tally.failed_refreshes);
        page.counter("refresh_failures", "Looks that failed as a whole.", None, failed)?;
        let success = self.tally.last_success.map(|at| at.as_second() as f64);
        let help = "When the last look began that did not fail.";
        let success = success.into_iter().flat_map(one);
        page.gauge("refresh_success_timestamp", help, SECONDS, success)?;
        let now = self.admin.parts.host.watching.borrow().clone();
        let states = [
            ("off", now == Watching::Off),
            ("working", now == Watching::Working),
            ("failed", matches!(now, Watching::Failed(_))),
        ];
        let states = states.map(|(state, is)| (label("state", state), flag(is)));
        let help = "1 for how the artifacts directory is watched.";
        page.gauge("watch_state", help, None, states)
    }
}

fn of(state: &FeatureState, name: &'static str, value: &str) -> Labels {
    vec![("feature", state.id.to_string()), (name, value.to_owned())]
}
