//! Instruments with labels whose values are known when the service starts.

use std::fmt;

/// A label and all values that it can have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Axis {
    /// The label's name.
    pub name: &'static str,
    /// Its values, by position.
    pub values: Vec<String>,
}

impl Axis {
    /// A label with its values.
    pub fn new<V: Into<String>>(name: &'static str, values: impl IntoIterator<Item = V>) -> Self {
        let values: Vec<String> = values.into_iter().map(Into::into).collect();
        assert!(!values.is_empty(), "a label has a value");
        Self { name, values }
    }

    /// The position of a value; of one that is not known, the last one, which
    /// stands for all others.
    #[must_use]
    pub fn position(&self, value: &str) -> usize {
        let found = self.values.iter().position(|each| each == value);
        found.unwrap_or(self.values.len() - 1)
    }
}

/// One instrument for each combination of its labels' values.
pub struct Table<M, const N: usize> {
    axes: [Axis; N],
    cells: Box<[M]>,
}

impl<M, const N: usize> Table<M, N> {
    /// Makes all instruments.
    pub fn new(axes: [Axis; N], make: impl FnMut() -> M) -> Self {
        let cells = axes.iter().map(|axis| axis.values.len()).product();
        Self {
            cells: std::iter::repeat_with(make).take(cells).collect(),
            axes,
        }
    }

    /// The instrument at these positions of the axes.
    #[must_use]
    pub fn at(&self, positions: [usize; N]) -> &M {
        let axes = self.axes.iter().zip(positions);
        let index = axes.fold(0, |index, (axis, position)| {
            index * axis.values.len() + position.min(axis.values.len() - 1)
        });
        &self.cells[index]
    }

    /// The instrument of these values.
    #[must_use]
    pub fn of(&self, values: [&str; N]) -> &M {
        let mut positions = [0; N];
        for ((position, axis), value) in positions.iter_mut().zip(&self.axes).zip(values) {
            *position = axis.position(value);
        }
        self.at(positions)
    }

    /// All instruments.
    pub fn cells(&self) -> impl Iterator<Item = &M> {
        self.cells.iter()
    }

    /// All instruments with their labels.
    pub fn rows(&self) -> impl Iterator<Item = ([(&'static str, &str); N], &M)> {
        self.cells.iter().enumerate().map(|(index, cell)| {
            let mut rest = index;
            let mut labels = [("", ""); N];
            for (label, axis) in labels.iter_mut().zip(&self.axes).rev() {
                let value = &axis.values[rest % axis.values.len()];
                *label = (axis.name, value);
                rest /= axis.values.len();
            }
            (labels, cell)
        })
    }
}

impl<M: fmt::Debug, const N: usize> fmt::Debug for Table<M, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.rows()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Counter;

    fn table() -> Table<Counter, 2> {
        let axes = [
            Axis::new("method", ["Ping", "Resume", "unknown"]),
            Axis::new("outcome", ["completed", "failed"]),
        ];
        Table::new(axes, Counter::default)
    }

    #[test]
    fn what_is_counted_is_found_under_its_labels() {
        let table = table();
        table.of(["Resume", "failed"]).add(3);
        table.at([0, 0]).increment();
        let counted: Vec<_> = table.rows().filter(|(_, each)| each.get() > 0).collect();
        let labels: Vec<_> = counted.iter().map(|(labels, _)| *labels).collect();
        assert_eq!(
            labels,
            [
                [("method", "Ping"), ("outcome", "completed")],
                [("method", "Resume"), ("outcome", "failed")],
            ]
        );
        assert_eq!(counted[1].1.get(), 3);
    }

    #[test]
    fn what_nobody_knows_has_one_label() {
        let table = table();
        for index in 0..100 {
            table.of([&format!("x{index}"), "completed"]).increment();
        }
        assert_eq!(table.of(["unknown", "completed"]).get(), 100);
        assert_eq!(table.cells().count(), 6);
    }
}
