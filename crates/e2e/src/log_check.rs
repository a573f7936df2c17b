//! What must hold of a user's notifications, however they were obtained.

use std::collections::BTreeMap;

use anyhow::{Result, bail, ensure};
use shared_dto::notification::Notification;

/// The log has the sequences 1, 2, 3, ... and each analysis ends in it exactly once.
pub fn check_log(log: &[Notification], analyses: &[i64]) -> Result<()> {
    for (position, entry) in (1..).zip(log) {
        ensure!(
            entry.sequence == position,
            "entry {position} has the sequence {}",
            entry.sequence
        );
        ensure!(
            entry.payload["sequence"] == position,
            "the payload of entry {position} says {}",
            entry.payload["sequence"]
        );
    }
    let mut ends: BTreeMap<i64, usize> = BTreeMap::new();
    for entry in log {
        if let Some(id) = entry.payload["analysisId"].as_i64() {
            *ends.entry(id).or_default() += 1;
        }
    }
    for id in analyses {
        match ends.remove(id) {
            Some(1) => {}
            Some(times) => bail!("analysis {id} is {times} times in the log"),
            None => bail!("analysis {id} is not in the log"),
        }
    }
    ensure!(
        ends.is_empty(),
        "the log has analyses of nobody's knowledge: {ends:?}"
    );
    Ok(())
}

/// What a client received has every sequence up to `head` and, repeats left
/// aside, in order.
pub fn check_received(sequences: &[i64], head: i64) -> Result<()> {
    let mut newest = 0;
    for &sequence in sequences {
        ensure!(
            sequence <= newest + 1,
            "sequence {sequence} came while {} was missing",
            newest + 1
        );
        newest = newest.max(sequence);
    }
    ensure!(
        newest == head,
        "the last sequence received is {newest}, the log's {head}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::OffsetDateTime;

    use super::*;

    fn entry(sequence: i64, analysis: i64) -> Notification {
        Notification {
            notification_id: sequence,
            sequence,
            event: "ReceiveAnalysisCompleted".to_owned(),
            payload: json!({ "analysisId": analysis, "sequence": sequence }),
            created_at: OffsetDateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn holes_repeats_and_strangers_in_the_log_are_found() {
        assert!(check_log(&[entry(1, 7), entry(2, 8)], &[7, 8]).is_ok());
        assert!(check_log(&[entry(1, 7), entry(3, 8)], &[7, 8]).is_err());
        assert!(check_log(&[entry(1, 7), entry(2, 7)], &[7]).is_err());
        assert!(check_log(&[entry(1, 7)], &[7, 8]).is_err());
        assert!(check_log(&[entry(1, 7), entry(2, 9)], &[7]).is_err());
    }

    #[test]
    fn repeats_may_come_but_no_gap_and_no_early_end() {
        assert!(check_received(&[1, 2, 3], 3).is_ok());
        assert!(check_received(&[1, 2, 1, 2, 3], 3).is_ok());
        assert!(check_received(&[1, 3, 2], 3).is_err());
        assert!(check_received(&[1, 2], 3).is_err());
    }
}
