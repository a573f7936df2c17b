//! The text that Prometheus reads: OpenMetrics, made by `prometheus-client`.

use std::{fmt, sync::Arc};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, MetricEncoder, NoLabelSet, text},
    metrics::MetricType,
    registry::Registry,
};

use super::{Counter, Histogram, Table};

/// The text's type.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Whoever has instruments, and writes all of them when it is asked.
pub trait Source: fmt::Debug + Send + Sync + 'static {
    /// Writes them.
    ///
    /// # Errors
    /// That of the writer.
    fn write(&self, writer: &mut Writer<'_>) -> fmt::Result;
}

/// What all sources have to tell. Each name may be written by one of them.
///
/// # Panics
/// Never: what a `String` is written to does not fail.
#[must_use]
pub fn render(sources: &[Arc<dyn Source>]) -> String {
    let mut registry = Registry::default();
    for source in sources {
        registry.register_collector(Box::new(Collected(Arc::clone(source))));
    }
    let mut out = String::with_capacity(32 * 1024);
    text::encode(&mut out, &registry).expect("a String takes every text");
    out
}

#[derive(Debug)]
struct Collected(Arc<dyn Source>);

impl Collector for Collected {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.0.write(&mut Writer { encoder })
    }
}

/// Takes instruments by name. Counters' names are written with `_total`
/// behind them.
#[derive(Debug)]
pub struct Writer<'a> {
    encoder: DescriptorEncoder<'a>,
}

impl Writer<'_> {
    /// A counter without labels.
    ///
    /// # Errors
    /// That of the text.
    pub fn counter(&mut self, name: &str, help: &str, counter: &Counter) -> fmt::Result {
        self.total(name, help, counter.get())
    }

    /// A number that grows, from elsewhere.
    ///
    /// # Errors
    /// That of the text.
    pub fn total(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let mut metric = self.descriptor(name, help, MetricType::Counter)?;
        metric.encode_counter::<NoLabelSet, _, f64>(&value, None)
    }

    /// A time that grows, in seconds.
    ///
    /// # Errors
    /// That of the text.
    pub fn seconds(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        let mut metric = self.descriptor(name, help, MetricType::Counter)?;
        metric.encode_counter::<NoLabelSet, _, f64>(&value, None)
    }

    /// Numbers that grow, each with its labels.
    ///
    /// # Errors
    /// That of the text.
    pub fn totals<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = (L, u64)>,
    ) -> fmt::Result {
        let mut metric = self.descriptor(name, help, MetricType::Counter)?;
        for (labels, value) in rows {
            let mut row = metric.encode_family(&labels)?;
            row.encode_counter::<NoLabelSet, _, f64>(&value, None)?;
        }
        Ok(())
    }

    /// A table of counters.
    ///
    /// # Errors
    /// That of the text.
    pub fn counters<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        table: &Table<Counter, N>,
    ) -> fmt::Result {
        let rows = table
            .rows()
            .map(|(labels, counter)| (labels, counter.get()));
        self.totals(name, help, rows)
    }

    /// A number that goes up and down.
    ///
    /// # Errors
    /// That of the text.
    pub fn gauge(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        let mut metric = self.descriptor(name, help, MetricType::Gauge)?;
        metric.encode_gauge(&value)
    }

    /// Numbers that go up and down, each with its labels.
    ///
    /// # Errors
    /// That of the text.
    pub fn values<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = (L, f64)>,
    ) -> fmt::Result {
        let mut metric = self.descriptor(name, help, MetricType::Gauge)?;
        for (labels, value) in rows {
            metric.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    /// A histogram without labels.
    ///
    /// # Errors
    /// That of the text.
    pub fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) -> fmt::Result {
        let mut metric = self.descriptor(name, help, MetricType::Histogram)?;
        let (sum, count) = (histogram.sum(), histogram.count());
        metric.encode_histogram::<NoLabelSet>(sum, count, &histogram.buckets(), None)
    }

    /// Histograms, each with its labels.
    ///
    /// # Errors
    /// That of the text.
    pub fn histograms<'h, L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = (L, &'h Histogram)>,
    ) -> fmt::Result {
        let mut metric = self.descriptor(name, help, MetricType::Histogram)?;
        for (labels, histogram) in rows {
            let (sum, count) = (histogram.sum(), histogram.count());
            let mut row = metric.encode_family(&labels)?;
            row.encode_histogram::<NoLabelSet>(sum, count, &histogram.buckets(), None)?;
        }
        Ok(())
    }

    fn descriptor<'s>(
        &'s mut self,
        name: &'s str,
        help: &str,
        kind: MetricType,
    ) -> Result<MetricEncoder<'s>, fmt::Error> {
        self.encoder.encode_descriptor(name, help, None, kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Axis, LATENCY};

    #[derive(Debug)]
    struct Shop {
        sold: Table<Counter, 1>,
        took: Histogram,
    }

    impl Source for Shop {
        fn write(&self, writer: &mut Writer<'_>) -> fmt::Result {
            writer.counters("shop_sold", "What was sold.", &self.sold)?;
            writer.histogram("shop_seconds", "How long it took.", &self.took)?;
            writer.gauge("shop_open", "Whether it is open.", 1.0)
        }
    }

    #[test]
    fn prometheus_reads_what_is_written() {
        let shop = Shop {
            sold: Table::new([Axis::new("what", ["tea", "a \"b\"\n"])], Counter::default),
            took: Histogram::new(LATENCY),
        };
        shop.sold.of(["tea"]).add(2);
        shop.took.observe(0.03);
        let text = render(&[Arc::new(shop)]);
        for line in [
            "# HELP shop_sold What was sold.",
            "# TYPE shop_sold counter",
            "shop_sold_total{what=\"tea\"} 2",
            "shop_sold_total{what=\"a \\\"b\\\"\\n\"} 0",
            "shop_seconds_bucket{le=\"0.025\"} 0",
            "shop_seconds_bucket{le=\"0.05\"} 1",
            "shop_seconds_bucket{le=\"+Inf\"} 1",
            "shop_seconds_count 1",
            "shop_seconds_sum 0.03",
            "shop_open 1.0",
            "# EOF",
        ] {
            assert!(text.lines().any(|each| each == line), "{line} in {text}");
        }
    }
}
