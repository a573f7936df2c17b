//! A figure, and what of it was measured of each server.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::servers::Server;

/// One figure of a report.
#[derive(Clone, Copy)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    /// Where it is in the report.
    pub(crate) place: &'static str,
    pub(crate) unit: &'static str,
    /// More is better.
    pub(crate) more: bool,
    /// The goal, as a text.
    pub(crate) goal: &'static str,
}

/// A figure's values of each server.
pub(crate) struct Measured {
    pub(crate) figure: Figure,
    values: BTreeMap<&'static str, Vec<f64>>,
}

impl Measured {
    pub(crate) fn new(figure: Figure) -> Self {
        Self {
            figure,
            values: BTreeMap::new(),
        }
    }

    pub(crate) fn take(&mut self, server: Server, report: &Value) {
        let value = report.pointer(self.figure.place).and_then(Value::as_f64);
        let values = self.values.entry(server.name()).or_default();
        values.extend(value);
    }

    /// The median of a server's values.
    pub(crate) fn of(&self, server: Server) -> Option<f64> {
        let mut values = self.values.get(server.name())?.clone();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    }

    /// That of whichever hub was measured.
    pub(crate) fn of_hub(&self) -> Option<f64> {
        let hubs = [Server::Hub, Server::OnPostgres, Server::OneOfTwo];
        hubs.into_iter().find_map(|server| self.of(server))
    }

    /// The hub's by the floor's.
    pub(crate) fn ratio(&self) -> Option<f64> {
        Some(self.of_hub()? / self.of(Server::Floor)?)
    }
}
