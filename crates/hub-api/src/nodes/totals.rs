//! What each hub tells of itself to the operators of any.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    Nodes,
    message::{Answer, Question},
};
use crate::metrics::Metrics;

/// One hub, in figures.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeTotals {
    /// Names this start of this hub.
    pub node: String,
    /// The version that it runs: while one is rolled out they differ.
    pub version: String,
    /// Since it was started.
    pub up_seconds: u64,
    /// Its clients by transport; those that nobody uses are left out.
    pub connections: BTreeMap<String, u64>,
}

/// All hubs, as one of them knows.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AllTotals {
    /// The hub that was asked, then the others in the order of their names.
    pub nodes: Vec<NodeTotals>,
    /// Hubs that heard the question and did not answer in time.
    pub silent: usize,
}

impl Nodes {
    /// Says where the clients of this hub are counted. Before that it tells of none.
    pub fn counted_in(&self, metrics: &Arc<Metrics>) {
        let _ = self.shared.metrics.set(Arc::clone(metrics));
    }

    /// The totals of all hubs; `None` where this one is told of no others.
    pub async fn totals(&self) -> Option<AllTotals> {
        self.shared.redis.as_ref()?;
        let (answers, silent) = self.ask_all(Question::Totals).await;
        let totals = answers.into_iter().filter_map(|answer| match answer {
            Answer::Totals(totals) => Some(totals),
            _ => None,
        });
        let mut others: Vec<NodeTotals> = totals.collect();
        others.sort_by(|one, other| one.node.cmp(&other.node));
        let mut nodes = vec![self.totals_here()];
        nodes.extend(others);
        Some(AllTotals { nodes, silent })
    }

    pub(super) fn totals_here(&self) -> NodeTotals {
        let metrics = self.shared.metrics.get();
        NodeTotals {
            node: self.shared.id.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            up_seconds: self.shared.started.elapsed().as_secs(),
            connections: metrics
                .map(|all| all.connections_by_transport())
                .unwrap_or_default(),
        }
    }
}
