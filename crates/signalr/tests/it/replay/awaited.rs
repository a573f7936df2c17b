//! Hub messages that should come, against those that came. Owns the rules of
//! what is normative and what is not; never touches a socket.

use super::compare::{Mismatch, show};
use super::placeholder::Bindings;

const SEPARATOR: u8 = 0x1e;
const PING: &[u8] = b"{\"type\":6}\x1e";

/// What a run of receive steps of one connection should bring.
#[derive(Debug)]
pub(crate) struct Awaited {
    parts: Vec<Part>,
    rules: Rules,
    /// Set where the recorded bytes are not hub messages.
    raw: Option<String>,
    pings: usize,
}

/// What is not normative in this place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// Server Acks are left out on both sides.
    pub(crate) ignore_acks: bool,
    /// Server pings may come or miss.
    pub(crate) ignore_pings: bool,
    /// The order between different invocation ids is open.
    pub(crate) any_order: bool,
}

#[derive(Debug)]
struct Part {
    text: String,
    lane: String,
}

/// How far a run of steps is.
pub(crate) enum Progress {
    Complete,
    /// More must come.
    Waiting,
}

impl Awaited {
    /// Prepares the joined text of a run of steps.
    pub(crate) fn new(recorded: &str, rules: Rules) -> Self {
        let is_messages = recorded.is_empty() || recorded.ends_with(char::from(SEPARATOR));
        if !is_messages {
            let raw = Some(recorded.to_owned());
            return Self {
                parts: Vec::new(),
                rules,
                raw,
                pings: 0,
            };
        }
        let mut parts = Vec::new();
        let mut pings = 0;
        for text in recorded.split_inclusive(char::from(SEPARATOR)) {
            if rules.ignore_acks && is_ack(text.as_bytes()) {
                continue;
            }
            if rules.ignore_pings && text.as_bytes() == PING {
                pings += 1;
                continue;
            }
            parts.push(Part {
                text: text.to_owned(),
                lane: lane(text),
            });
        }
        // A step that is nothing but pings still needs one of them.
        let pings = if parts.is_empty() { pings.min(1) } else { 0 };
        Self {
            parts,
            rules,
            raw: None,
            pings,
        }
    }

    /// Takes from the front of `data` what belongs to this run.
    pub(crate) fn take(
        &mut self,
        bindings: &mut Bindings,
        data: &mut Vec<u8>,
    ) -> Result<Progress, Mismatch> {
        if let Some(raw) = &self.raw {
            if data.len() < bindings.substitute(raw).len() {
                return Ok(Progress::Waiting);
            }
            let got: Vec<u8> = std::mem::take(data);
            if bindings.matches(raw, &got) {
                return Ok(Progress::Complete);
            }
            return Err(Mismatch::new(show(raw.as_bytes()), show(&got)));
        }
        while !self.is_complete() {
            let Some(end) = data.iter().position(|byte| *byte == SEPARATOR) else {
                return Ok(Progress::Waiting);
            };
            let message: Vec<u8> = data.drain(..=end).collect();
            self.accept(bindings, &message)?;
        }
        Ok(Progress::Complete)
    }

    /// What is still missing, for reports.
    pub(crate) fn missing(&self, bindings: &Bindings) -> String {
        if let Some(raw) = &self.raw {
            return show(raw.as_bytes());
        }
        if self.parts.is_empty() && self.pings > 0 {
            return show(PING);
        }
        let texts = self
            .parts
            .iter()
            .map(|part| bindings.substitute(&part.text));
        show(texts.collect::<String>().as_bytes())
    }

    fn is_complete(&self) -> bool {
        self.raw.is_none() && self.parts.is_empty() && self.pings == 0
    }

    fn accept(&mut self, bindings: &mut Bindings, message: &[u8]) -> Result<(), Mismatch> {
        if message == PING && self.pings > 0 {
            self.pings -= 1;
            return Ok(());
        }
        if is_left_out(message, self.rules) {
            return Ok(());
        }
        let mut seen: Vec<&str> = Vec::new();
        let mut found = None;
        for (index, part) in self.parts.iter().enumerate() {
            let first_of_lane = !seen.contains(&part.lane.as_str());
            if first_of_lane && bindings.matches(&part.text, message) {
                found = Some(index);
                break;
            }
            if !self.rules.any_order {
                break;
            }
            seen.push(&part.lane);
        }
        match found {
            Some(index) => {
                self.parts.remove(index);
                Ok(())
            }
            None => Err(Mismatch::new(self.missing(bindings), show(message))),
        }
    }
}

/// Removes from `data` the whole messages that may come at any time.
pub(crate) fn leave_out(data: &mut Vec<u8>, rules: Rules) {
    let kept = data.split_inclusive(|byte| *byte == SEPARATOR);
    *data = kept
        .filter(|message| !is_left_out(message, rules))
        .collect::<Vec<_>>()
        .concat();
}

fn is_left_out(message: &[u8], rules: Rules) -> bool {
    rules.ignore_acks && is_ack(message) || rules.ignore_pings && message == PING
}

fn is_ack(message: &[u8]) -> bool {
    message.starts_with(b"{\"type\":8,") && message.ends_with(&[SEPARATOR])
}

/// Messages of one lane keep their order: those of one invocation id, and all
/// those without one.
fn lane(text: &str) -> String {
    let value = serde_json::from_str(text.trim_end_matches(char::from(SEPARATOR)));
    let value: serde_json::Value = value.unwrap_or_default();
    value["invocationId"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::{Awaited, Progress, Rules};
    use crate::replay::placeholder::Bindings;

    const STRICT: Rules = Rules {
        ignore_acks: false,
        ignore_pings: false,
        any_order: false,
    };

    fn complete(recorded: &str, rules: Rules, got: &str) -> Option<bool> {
        let mut data = got.as_bytes().to_vec();
        let progress = Awaited::new(recorded, rules).take(&mut Bindings::default(), &mut data);
        progress
            .ok()
            .map(|progress| matches!(progress, Progress::Complete) && data.is_empty())
    }

    #[test]
    fn a_wrong_missing_or_surplus_message_does_not_pass() {
        assert_eq!(
            complete("{\"a\":1}\u{1e}", STRICT, "{\"a\":1}\u{1e}"),
            Some(true)
        );
        assert_eq!(complete("{\"a\":1}\u{1e}", STRICT, "{\"a\":2}\u{1e}"), None);
        assert_eq!(
            complete("{\"a\":1}\u{1e}", STRICT, "{\"a\":1}"),
            Some(false)
        );
        assert_eq!(
            complete("{\"a\":1}\u{1e}", STRICT, "{\"a\":1}\u{1e}{}\u{1e}"),
            Some(false)
        );
        assert_eq!(complete("one\ntwo", STRICT, "one\ntoo"), None);
    }

    #[test]
    fn order_is_open_only_between_invocation_ids() {
        let message = |id: &str, item: u8| {
            format!("{{\"type\":2,\"invocationId\":\"{id}\",\"item\":{item}}}\u{1e}")
        };
        let recorded = [message("1", 0), message("2", 0), message("1", 1)].concat();
        let mixed = [message("2", 0), message("1", 0), message("1", 1)].concat();
        let wrong = [message("1", 1), message("2", 0), message("1", 0)].concat();
        let any_order = Rules {
            any_order: true,
            ..STRICT
        };
        assert_eq!(complete(&recorded, any_order, &mixed), Some(true));
        assert_eq!(complete(&recorded, STRICT, &mixed), None);
        assert_eq!(complete(&recorded, any_order, &wrong), None);
    }

    #[test]
    fn pings_may_miss_beside_other_messages_but_not_all_alone() {
        let lenient = Rules {
            ignore_pings: true,
            ignore_acks: true,
            any_order: false,
        };
        let ping = "{\"type\":6}\u{1e}";
        assert_eq!(
            complete(&format!("{ping}{{}}\u{1e}"), lenient, "{}\u{1e}"),
            Some(true)
        );
        assert_eq!(
            complete(&format!("{ping}{ping}"), lenient, ping),
            Some(true)
        );
        assert_eq!(complete(ping, lenient, ""), Some(false));
        let ack = "{\"type\":8,\"sequenceId\":2}\u{1e}";
        assert_eq!(complete(ack, lenient, ""), Some(true));
    }
}
