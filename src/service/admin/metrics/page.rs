//! Writing families of metrics.

use std::fmt;
use std::time::Duration;

use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, MetricEncoder, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::registry::Unit;

use crate::edge::CLASSES;

pub(super) const SECONDS: Option<&Unit> = Some(&Unit::Seconds);
pub(super) const BYTES: Option<&Unit> = Some(&Unit::Bytes);

const CLASS_NAMES: [&str; CLASSES] = ["2xx", "3xx", "4xx", "5xx"];

/// Names and values of the labels of one sample.
pub(super) type Labels = Vec<(&'static str, String)>;

/// One label.
pub(super) fn label(name: &'static str, value: impl Into<String>) -> Labels {
    vec![(name, value.into())]
}

/// A sample without labels.
pub(super) fn one<V>(value: V) -> [(Labels, V); 1] {
    [(Vec::new(), value)]
}

/// 1 or 0.
pub(super) fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}

/// These labels, with the class of status behind them.
pub(super) fn classes<'a>(
    labels: &'a Labels,
    counts: &[u64; CLASSES],
) -> impl Iterator<Item = (Labels, u64)> + use<'a> {
    CLASS_NAMES
        .into_iter()
        .zip(*counts)
        .map(|(class, count)| ([labels.as_slice(), &label("class", class)].concat(), count))
}

/// How often something took at most so many seconds and longer than the step before, and how long all took together.
pub(super) struct Times<'a> {
    pub(super) steps: &'a [(f64, u64)],
    pub(super) sum: Duration,
}

/// Where the families go. Each has its name and help even where it has no sample.
pub(super) struct Page<'a>(pub(super) DescriptorEncoder<'a>);

impl Page<'_> {
    pub(super) fn counter<V: EncodeCounterValue>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        rows: impl IntoIterator<Item = (Labels, V)>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, unit, MetricType::Counter)?;
        for (labels, count) in rows {
            let none = None::<&Exemplar<NoLabelSet, f64>>;
            labelled(&mut metric, &labels, |metric| metric.encode_counter(&count, none))?;
        }
        Ok(())
    }

    pub(super) fn gauge(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        rows: impl IntoIterator<Item = (Labels, f64)>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, unit, MetricType::Gauge)?;
        for (labels, value) in rows {
            labelled(&mut metric, &labels, |metric| metric.encode_gauge(&value))?;
        }
        Ok(())
    }

    pub(super) fn info(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = Labels>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Info)?;
        rows.into_iter().try_for_each(|labels| metric.encode_info(&labels))
    }

    pub(super) fn times<'t>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = (Labels, Times<'t>)>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, SECONDS, MetricType::Histogram)?;
        for (labels, Times { steps, sum }) in rows {
            let count = steps.iter().map(|(_, count)| count).sum();
            labelled(&mut metric, &labels, |metric| {
                metric.encode_histogram::<NoLabelSet>(sum.as_secs_f64(), count, steps, None)
            })?;
        }
        Ok(())
    }
}

fn labelled(
    metric: &mut MetricEncoder<'_>,
    labels: &Labels,
    write: impl FnOnce(&mut MetricEncoder<'_>) -> fmt::Result,
) -> fmt::Result {
    if labels.is_empty() { write(metric) } else { write(&mut metric.encode_family(labels)?) }
}
