//! Families of metrics in the OpenMetrics text format, and the loader's, which say the same whether the loader or the host
//! beside it is asked.

mod loader;

use std::fmt;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, MetricEncoder, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::registry::{Registry, Unit};

pub use loader::loader;

/// The media type of [`text`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What is counted in seconds.
pub const SECONDS: Option<&Unit> = Some(&Unit::Seconds);
/// What is counted in bytes.
pub const BYTES: Option<&Unit> = Some(&Unit::Bytes);

/// The families of these collectors, each behind its prefix.
///
/// # Errors
/// What a collector says; writing into a string fails for nobody.
pub fn text<const N: usize>(
    collectors: [(&'static str, Box<dyn Collector>); N],
) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    for (prefix, collector) in collectors {
        registry.sub_registry_with_prefix(prefix).register_collector(collector);
    }
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

/// Names and values of the labels of one sample.
pub type Labels = Vec<(&'static str, String)>;

/// One label.
pub fn label(name: &'static str, value: impl Into<String>) -> Labels {
    vec![(name, value.into())]
}

/// A sample without labels.
pub fn one<V>(value: V) -> [(Labels, V); 1] {
    [(Vec::new(), value)]
}

/// 1 or 0.
pub fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}

/// How often something took at most so many seconds and longer than the step before, and how long all took together.
#[derive(Debug)]
pub struct Times<'a> {
    /// The longest time of each step, in seconds, and how often it was.
    pub steps: &'a [(f64, u64)],
    /// All together.
    pub sum: Duration,
}

/// Where the families go. Each has its name and help even where it has no sample.
#[derive(Debug)]
pub struct Page<'a>(pub DescriptorEncoder<'a>);

impl Page<'_> {
    /// What only grows; `_total` comes behind the name.
    ///
    /// # Errors
    /// What the encoder says.
    pub fn counter<V: EncodeCounterValue>(
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

    /// What goes up and down.
    ///
    /// # Errors
    /// What the encoder says.
    pub fn gauge(
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

    /// What is said in labels alone.
    ///
    /// # Errors
    /// What the encoder says.
    pub fn info(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = Labels>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Info)?;
        rows.into_iter().try_for_each(|labels| metric.encode_info(&labels))
    }

    /// How long things took, in seconds.
    ///
    /// # Errors
    /// What the encoder says.
    pub fn times<'t>(
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
