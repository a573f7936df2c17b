//! One connection as a reader of its user's log.
//!
//! A reader waits (nothing is sent until it is known where it stands), catches
//! up (it reads the log), or is live (each new entry is sent as it comes).
//! Every change of state is made here, under one lock, so that no entry is
//! sent twice or left out between catching up and being live.

use parking_lot::Mutex;
use time::OffsetDateTime;

use crate::store::{Stream, UnixMillis};

/// Where a connection stands in its user's log.
#[derive(Debug)]
pub(super) struct Reader {
    stream: Stream,
    connected_at: OffsetDateTime,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    mode: Mode,
    /// Everything up to here was handed to the connection.
    sent: i64,
    /// First sequence that was announced: it is news for this connection,
    /// whoever else confirms it.
    first_announced: Option<i64>,
    /// Newest sequence that was announced.
    head: i64,
    /// Changes with each begin: an older catch-up stops.
    turn: u64,
    /// Entries before those that it gets were left out (an incomplete resume,
    /// or retention that overtook it): that it has the later ones says nothing
    /// of the earlier.
    skipped: bool,
    /// The first entry that was sent live and is not known to have arrived,
    /// with when it was logged.
    under_way: Option<(i64, UnixMillis)>,
}

/// What the arrival of an entry tells.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrived {
    /// Whether it shows that all before it arrived.
    pub(super) confirms: bool,
    /// When the entry was logged that was awaited longest, where one was.
    pub(super) logged: Option<UnixMillis>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Waiting,
    CatchingUp,
    Live,
    /// An entry is missing before the announced one; a catch-up is due.
    Behind,
}

/// What an announcement asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing more: it was sent.
    Sent,
    /// Nothing more: it was not sent. The connection has it already, finds it
    /// in the log, or has ended.
    Kept,
    /// The connection is behind: it must read the log.
    CatchUp,
}

/// What news from another hub ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// Nothing: it has them, or reads the log anyway.
    Nothing,
    /// A few entries: all of the stream's readers get them from one reading.
    Follow,
    /// So many that it must read by itself, at the pace of its client.
    CatchUp,
}

/// Entries that may be handed over without regard to the client's pace.
const FEW: i64 = 32;

impl Reader {
    pub(super) fn new(stream: Stream, connected_at: OffsetDateTime) -> Self {
        let state = State {
            mode: Mode::Waiting,
            sent: 0,
            first_announced: None,
            head: 0,
            turn: 0,
            skipped: false,
            under_way: None,
        };
        Self {
            stream,
            connected_at,
            state: Mutex::new(state),
        }
    }

    pub(super) fn stream(&self) -> &Stream {
        &self.stream
    }

    pub(super) fn connected_at(&self) -> OffsetDateTime {
        self.connected_at
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.state.lock().mode == Mode::Waiting
    }

    /// Everything up to here was handed to the connection.
    pub(super) fn sent(&self) -> i64 {
        self.state.lock().sent
    }

    /// A new entry: a live reader gets it by `send`, the others find it in the log.
    pub(super) fn announce(
        &self,
        sequence: i64,
        logged: UnixMillis,
        send: impl FnOnce() -> bool,
    ) -> Step {
        let mut state = self.state.lock();
        state.head = state.head.max(sequence);
        state.first_announced.get_or_insert(sequence);
        if state.mode != Mode::Live || sequence <= state.sent {
            return Step::Kept;
        }
        if sequence > state.sent + 1 {
            state.mode = Mode::Behind;
            return Step::CatchUp;
        }
        // Under the lock, so that entries of two hooks keep their order. It
        // only queues.
        if !send() {
            return Step::Kept;
        }
        state.sent = sequence;
        state.under_way.get_or_insert((sequence, logged));
        Step::Sent
    }

    /// Entries that another hub wrote, and that are only heard of: a live
    /// reader is to be handed them from the log.
    pub(super) fn hear(&self, first: i64, last: i64) -> Heard {
        let mut state = self.state.lock();
        state.head = state.head.max(last);
        state.first_announced.get_or_insert(first);
        if state.mode != Mode::Live || last <= state.sent {
            return Heard::Nothing;
        }
        if last > state.sent + FEW {
            state.mode = Mode::Behind;
            return Heard::CatchUp;
        }
        Heard::Follow
    }

    /// Where a live reader stands.
    pub(super) fn live_position(&self) -> Option<i64> {
        let state = self.state.lock();
        (state.mode == Mode::Live).then_some(state.sent)
    }

    /// Starts reading at `first`, or at what was announced since the
    /// connection opened where that is earlier; not when the client has said
    /// where it stands.
    pub(super) fn begin_if_waiting(&self, first: i64) -> Option<u64> {
        let mut state = self.state.lock();
        if state.mode != Mode::Waiting {
            return None;
        }
        let first = state
            .first_announced
            .map_or(first, |announced| announced.min(first));
        Some(state.begin(first, false))
    }

    /// Starts reading at `first`, everything before it being the client's;
    /// gives the turn.
    pub(super) fn begin(&self, first: i64) -> u64 {
        self.state.lock().begin(first, false)
    }

    /// Starts reading at `first` though the client lacks what is before it.
    pub(super) fn begin_after_gap(&self, first: i64) -> u64 {
        self.state.lock().begin(first, true)
    }

    /// The client is known to have the entry.
    pub(super) fn arrived(&self, sequence: i64) -> Arrived {
        let mut state = self.state.lock();
        let awaited = state.under_way.take_if(|(first, _)| *first <= sequence);
        Arrived {
            confirms: !state.skipped,
            logged: awaited.map(|(_, logged)| logged),
        }
    }

    /// What a turn would have read next is no longer kept: the client lacks it.
    pub(super) fn skip(&self, turn: u64) {
        let mut state = self.state.lock();
        state.skipped |= state.turn == turn;
    }

    /// Where a turn goes on; `None` when another turn began.
    pub(super) fn position(&self, turn: u64) -> Option<i64> {
        let state = self.state.lock();
        (state.turn == turn).then_some(state.sent)
    }

    /// Takes on the catch-up that a gap asked for.
    pub(super) fn take_behind(&self) -> Option<u64> {
        let mut state = self.state.lock();
        if state.mode != Mode::Behind {
            return None;
        }
        state.mode = Mode::CatchingUp;
        state.turn += 1;
        Some(state.turn)
    }

    /// Hands over the next entry by `send`, which only queues; false when it
    /// was not taken or another turn began: two turns must not mix their entries.
    pub(super) fn hand(&self, turn: u64, sequence: i64, send: impl FnOnce() -> bool) -> bool {
        let mut state = self.state.lock();
        if state.turn != turn {
            return false;
        }
        if sequence > state.sent {
            if !send() {
                return false;
            }
            state.sent = sequence;
        }
        true
    }

    /// The log was read up to `head`: live, unless more was announced since.
    /// True also when another turn began: this one is over.
    pub(super) fn go_live(&self, turn: u64, head: i64) -> bool {
        let mut state = self.state.lock();
        if state.turn != turn {
            return true;
        }
        // A log without entries below its head has lost them to retention.
        state.sent = state.sent.max(head);
        if state.head > state.sent {
            return false;
        }
        state.mode = Mode::Live;
        true
    }
}

impl State {
    fn begin(&mut self, first: i64, skipped: bool) -> u64 {
        self.skipped = skipped;
        self.mode = Mode::CatchingUp;
        self.sent = first - 1;
        self.turn += 1;
        self.turn
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use shared_dto::UserId;

    use super::*;

    fn reader() -> Reader {
        Reader::new(
            Stream::of_user(&UserId::from(42)),
            OffsetDateTime::UNIX_EPOCH,
        )
    }

    #[test]
    fn what_is_announced_while_catching_up_is_not_lost() {
        let reader = reader();
        let turn = reader.begin(1);
        assert!(reader.hand(turn, 1, || true));
        assert_eq!(
            reader.announce(2, UnixMillis(0), || panic!("not live yet")),
            Step::Kept
        );
        assert!(
            !reader.go_live(turn, 1),
            "2 was announced and is not read yet"
        );
        assert!(reader.hand(turn, 2, || true));
        assert!(reader.go_live(turn, 2));
        let sent = RefCell::new(Vec::new());
        reader.announce(3, UnixMillis(0), || {
            sent.borrow_mut().push(3);
            true
        });
        assert_eq!((sent.into_inner(), reader.sent()), (vec![3], 3));
    }

    #[test]
    fn a_gap_asks_for_a_catch_up_and_a_repeat_for_nothing() {
        let reader = reader();
        let turn = reader.begin(1);
        assert!(reader.go_live(turn, 4));
        assert_eq!(
            reader.announce(4, UnixMillis(0), || panic!("it has 4")),
            Step::Kept
        );
        assert_eq!(
            reader.announce(7, UnixMillis(0), || panic!("5 and 6 are missing")),
            Step::CatchUp
        );
        assert!(reader.take_behind().is_some());
        assert!(reader.take_behind().is_none(), "one catch-up is enough");
        assert_eq!(reader.sent(), 4);
    }

    #[test]
    fn news_of_another_hub_are_read_from_the_log() {
        let reader = reader();
        assert_eq!(reader.hear(5, 6), Heard::Nothing, "it waits");
        assert!(reader.begin_if_waiting(7).is_some());
        assert_eq!(reader.sent(), 4, "what it heard of is news for it");
        let turn = reader.begin(7);
        assert_eq!(reader.hear(7, 7), Heard::Nothing, "it reads");
        assert!(!reader.go_live(turn, 6), "7 was heard of");
        assert!(reader.go_live(turn, 7));
        assert_eq!(reader.live_position(), Some(7));
        assert_eq!(reader.hear(6, 7), Heard::Nothing, "it has them");
        assert_eq!(reader.hear(8, 9), Heard::Follow);
        assert_eq!(reader.announce(8, UnixMillis(0), || true), Step::Sent);
        assert_eq!(reader.hear(9, 500), Heard::CatchUp);
        assert!(reader.take_behind().is_some());
    }

    #[test]
    fn a_second_resume_ends_the_turn_of_the_first() {
        let reader = reader();
        let first = reader.begin(1);
        let second = reader.begin(5);
        assert!(!reader.hand(first, 1, || panic!("its turn is over")));
        assert!(reader.go_live(first, 9), "its turn is over");
        assert_eq!(reader.sent(), 4);
        assert!(reader.hand(second, 5, || true));
    }

    #[test]
    fn a_client_that_resumed_in_time_is_not_begun_again() {
        let reader = reader();
        reader.begin(3);
        assert_eq!(reader.begin_if_waiting(1), None);
    }

    #[test]
    fn what_came_while_it_waited_is_sent_even_if_another_device_confirmed_it() {
        let reader = reader();
        reader.announce(5, UnixMillis(0), || panic!("it waits"));
        reader.announce(6, UnixMillis(0), || panic!("it waits"));
        assert!(
            reader.begin_if_waiting(7).is_some(),
            "6 is confirmed by then"
        );
        assert_eq!(reader.sent(), 4);
    }

    #[test]
    fn what_an_ended_connection_did_not_take_was_not_sent() {
        let reader = reader();
        let turn = reader.begin(1);
        assert!(reader.go_live(turn, 0));
        assert_eq!(reader.announce(1, UnixMillis(0), || false), Step::Kept);
        assert_eq!(reader.sent(), 0);
    }

    #[test]
    fn a_turn_that_is_over_leaves_nothing_out() {
        let reader = reader();
        let first = reader.begin(1);
        let second = reader.begin(5);
        reader.skip(first);
        assert!(reader.arrived(9).confirms);
        reader.skip(second);
        assert!(!reader.arrived(9).confirms);
    }

    #[test]
    fn after_an_incomplete_resume_its_receipts_confirm_nothing() {
        let reader = reader();
        reader.begin_after_gap(16);
        assert!(!reader.arrived(1).confirms);
        reader.begin(3);
        assert!(reader.arrived(1).confirms);
    }
}
