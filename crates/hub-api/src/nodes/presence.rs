//! Which connections a user has, on all nodes: a hash for each user in Redis.
//!
//! A field is a connection, its value the order in which it came and its node.
//! The hash is an index and not the truth: a node that died leaves its fields
//! behind. So nobody is refused because of a field alone; the node that is
//! said to have the connection is asked first. Where Redis or that node does
//! not answer, the limit of this node alone counts.

use std::{collections::HashMap, time::Duration};

use redis::Cmd;
use shared_dto::UserId;
use signalr_redis::RedisLink;
use tokio::{
    sync::{Notify, mpsc},
    time::{interval, timeout},
};

use super::{
    Nodes, Redis,
    message::{Answer, Question},
    questions::Asked,
};
use crate::delivery::Delivery;

/// Nobody waits longer for a place.
const PATIENCE: Duration = Duration::from_secs(2);

/// A hash that nobody touches is forgotten.
const LIFETIME: Duration = Duration::from_secs(15 * 60);

/// So often a node touches those of its connections.
const TOUCH: Duration = Duration::from_secs(5 * 60);

/// Connections in one round trip.
const AT_ONCE: usize = 250;

/// Connections that left and are not yet taken out. One that is forgotten is
/// found to be gone when somebody asks for it.
const LEAVING: usize = 4096;

/// Adds a connection, where it is not there, with the next number; gives the hash.
const ENTER: &str = "
    if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then
        local order = redis.call('HINCRBY', KEYS[1], '#', 1)
        redis.call('HSET', KEYS[1], ARGV[1], order .. ':' .. ARGV[2])
    end
    redis.call('PEXPIRE', KEYS[1], ARGV[3])
    return redis.call('HGETALL', KEYS[1])";

/// Takes connections out, and the hash with the last of them.
const LEAVE: &str = "
    redis.call('HDEL', KEYS[1], unpack(ARGV))
    if redis.call('HLEN', KEYS[1]) <= 1 then redis.call('DEL', KEYS[1]) end";

#[derive(Debug)]
pub(super) struct Presence {
    leaving: mpsc::Sender<(UserId, String)>,
    left: parking_lot::Mutex<Option<mpsc::Receiver<(UserId, String)>>>,
    /// Redis may have lost everything.
    lost: Notify,
}

impl Default for Presence {
    fn default() -> Self {
        let (leaving, left) = mpsc::channel(LEAVING);
        Self {
            leaving,
            left: parking_lot::Mutex::new(Some(left)),
            lost: Notify::new(),
        }
    }
}

/// The epoch of the log, whose users are counted, and this node.
type Place<'a> = (&'a str, &'a str);

/// A connection that came before, on another node.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Earlier {
    node: String,
    id: String,
}

/// How many others a user has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Connections of other nodes that came before.
    pub elsewhere: usize,
}

impl Nodes {
    /// Enters a connection of this node, and counts the user's earlier ones on
    /// the others: those above `spare` only if they are there and not silent.
    /// Silent ones are closed to make room.
    pub async fn enter(&self, user: &UserId, id: &str, spare: usize) -> Room {
        let none = Room { elsewhere: 0 };
        let Some(redis) = self
            .shared
            .redis
            .as_ref()
            .filter(|redis| redis.link.is_up())
        else {
            return none;
        };
        let Some(epoch) = self.shared.epoch.get() else {
            return none;
        };
        let entering = async {
            let earlier = match redis.enter((epoch, &self.shared.id), user, id).await {
                Ok(earlier) => earlier,
                Err(error) => {
                    tracing::debug!(%error, "connections of other nodes are not counted");
                    return none;
                }
            };
            if earlier.len() <= spare {
                return Room {
                    elsewhere: earlier.len(),
                };
            }
            let present = self.verified(redis, user, earlier, spare).await;
            Room { elsewhere: present }
        };
        timeout(PATIENCE, entering).await.unwrap_or(none)
    }

    /// A connection of this node is over, or was refused.
    pub fn leave(&self, user: &UserId, id: &str) {
        if let Some(redis) = &self.shared.redis {
            // Where too many leave at once, some are found to be gone later.
            let _ = redis
                .presence
                .leaving
                .try_send((user.clone(), id.to_owned()));
        }
    }

    /// How many of `earlier` are there, after their nodes made room.
    async fn verified(
        &self,
        redis: &Redis,
        user: &UserId,
        earlier: Vec<Earlier>,
        spare: usize,
    ) -> usize {
        let mut left = earlier.len();
        let mut by_node: HashMap<String, Vec<String>> = HashMap::new();
        for each in earlier {
            by_node.entry(each.node).or_default().push(each.id);
        }
        for (node, ids) in by_node {
            let question = Question::MakeRoom {
                user: user.clone(),
                ids: ids.clone(),
                wanted: left.saturating_sub(spare),
            };
            let gone = match self.ask(&node, question).await {
                Asked::Nobody => ids,
                Asked::Answered(Answer::Gone(gone)) => gone,
                // A node that does not answer counts for nothing: better one
                // connection too many than one refused for no reason.
                Asked::Answered(_) | Asked::Unknown => {
                    left -= ids.len();
                    continue;
                }
            };
            left = left.saturating_sub(gone.len());
            for id in gone {
                let _ = redis.presence.leaving.try_send((user.clone(), id));
            }
        }
        left
    }
}

impl Redis {
    /// Enters a connection; gives those of other nodes that came before it.
    async fn enter(
        &self,
        place: Place<'_>,
        user: &UserId,
        id: &str,
    ) -> Result<Vec<Earlier>, signalr_redis::LinkError> {
        let fields: HashMap<String, String> =
            self.link.query(&enter(&self.link, place, user, id)).await?;
        Ok(earlier(&fields, place.1, id))
    }
}

impl Presence {
    /// Everything is to be entered again.
    pub(super) fn lost(&self) {
        self.lost.notify_one();
    }

    /// Keeps the hashes as they should be, for ever.
    pub(super) async fn keep(&self, link: &RedisLink, place: Place<'_>, delivery: &Delivery) {
        let Some(mut left) = self.left.lock().take() else {
            return std::future::pending().await;
        };
        let mut touch = interval(TOUCH);
        let mut leaving = Vec::new();
        loop {
            tokio::select! {
                count = left.recv_many(&mut leaving, AT_ONCE) => {
                    if count == 0 {
                        return std::future::pending().await;
                    }
                    take_out(link, place.0, leaving.drain(..)).await;
                }
                () = self.lost.notified() => enter_all(link, place, delivery).await,
                _ = touch.tick() => enter_all(link, place, delivery).await,
            }
        }
    }
}

async fn take_out(
    link: &RedisLink,
    epoch: &str,
    connections: impl Iterator<Item = (UserId, String)>,
) {
    let mut by_user: HashMap<UserId, Vec<String>> = HashMap::new();
    for (user, id) in connections {
        by_user.entry(user).or_default().push(id);
    }
    let mut commands = redis::pipe();
    for (user, ids) in by_user {
        let mut command = redis::cmd("EVAL");
        command.arg(LEAVE).arg(1).arg(key(link, epoch, &user));
        command.arg(ids);
        commands.add_command(command).ignore();
    }
    // What stays there is found to be gone.
    let _ = link.query_all::<()>(&commands).await;
}

async fn enter_all(link: &RedisLink, place: Place<'_>, delivery: &Delivery) {
    let connections = delivery.all_connections_here();
    for some in connections.chunks(AT_ONCE) {
        let mut commands = redis::pipe();
        for (user, id) in some {
            commands.add_command(enter(link, place, user, id)).ignore();
        }
        if link.query_all::<()>(&commands).await.is_err() {
            return;
        }
    }
}

fn enter(link: &RedisLink, (epoch, node): Place<'_>, user: &UserId, id: &str) -> Cmd {
    let lifetime = u64::try_from(LIFETIME.as_millis()).unwrap_or(u64::MAX);
    let mut command = redis::cmd("EVAL");
    command.arg(ENTER).arg(1).arg(key(link, epoch, user));
    command.arg(id).arg(node).arg(lifetime);
    command
}

fn key(link: &RedisLink, epoch: &str, user: &UserId) -> String {
    format!(
        "{}tendril:connections:{epoch}:{user}",
        link.options().channel_prefix
    )
}

/// Those of other nodes that came before `id`.
fn earlier(fields: &HashMap<String, String>, node: &str, id: &str) -> Vec<Earlier> {
    let read = |value: &str| {
        let (order, node) = value.split_once(':')?;
        Some((order.parse::<u64>().ok()?, node.to_owned()))
    };
    let Some((mine, _)) = fields.get(id).and_then(|value| read(value)) else {
        return Vec::new();
    };
    let others = fields.iter().filter_map(|(id, value)| {
        let (order, its) = read(value)?;
        (order < mine && its != node).then(|| Earlier {
            node: its,
            id: id.clone(),
        })
    });
    others.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_of_other_nodes_that_came_before_count() {
        let fields = [
            ("#", "9"),
            ("first", "1:b"),
            ("own", "2:a"),
            ("mine", "3:a"),
            ("later", "4:b"),
            ("odd", "nonsense"),
        ];
        let fields = fields.map(|(id, value)| (id.to_owned(), value.to_owned()));
        let first = Earlier {
            node: "b".to_owned(),
            id: "first".to_owned(),
        };
        assert_eq!(earlier(&fields.clone().into(), "a", "mine"), [first]);
        assert_eq!(earlier(&fields.into(), "a", "unknown"), []);
    }
}
