//! An in-process carrier with publish and subscribe, and a backplane on it:
//! everything crosses as bytes, in the layout of ASP.NET Core's Redis
//! backplane with the origin's name behind it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicI32, AtomicU8, Ordering},
    },
};

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_bytes::ByteBuf;
use signalr::{
    Backplane, BackplaneError, BackplaneNode, Channel, ConnectionId, GroupChange, RemoteCompletion,
    RemoteInvocation, SubscriptionChange, WantedResult, protocol::HubProtocol,
};
use tokio::sync::{mpsc, oneshot};

const GROUPS: &str = "internal:groups";

/// What the carrier does with what it is given.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Mood {
    Works = 0,
    Refuses = 1,
    Hangs = 2,
    Panics = 3,
}

type Message = (String, Bytes);

/// The carrier: channels and who listens to them.
#[derive(Default)]
pub(crate) struct Bus {
    listeners: Mutex<HashMap<String, Vec<mpsc::Sender<Message>>>>,
    mood: AtomicU8,
}

impl Bus {
    pub(crate) fn set(&self, mood: Mood) {
        self.mood.store(mood as u8, Ordering::SeqCst);
    }

    /// Names of the channels that somebody listens to.
    pub(crate) fn channels(&self) -> Vec<String> {
        let mut names: Vec<_> = self.listeners.lock().unwrap().keys().cloned().collect();
        names.sort();
        names
    }

    async fn ready(&self) -> Result<(), BackplaneError> {
        match self.mood.load(Ordering::SeqCst) {
            0 => Ok(()),
            1 => Err(BackplaneError::Unavailable("out of order".into())),
            2 => std::future::pending().await,
            _ => panic!("a carrier may have defects"),
        }
    }

    /// Gives the number of listeners, as Redis does.
    pub(crate) fn publish(&self, channel: &str, payload: Vec<u8>) -> usize {
        let payload = Bytes::from(payload);
        let listeners = self.listeners.lock().unwrap();
        let listeners = listeners.get(channel).map_or(&[][..], Vec::as_slice);
        for listener in listeners {
            let message = (channel.to_owned(), payload.clone());
            listener.try_send(message).expect("the test sends little");
        }
        listeners.len()
    }

    fn listen(&self, channel: &str, listener: &mpsc::Sender<Message>) {
        let mut listeners = self.listeners.lock().unwrap();
        let listeners = listeners.entry(channel.to_owned()).or_default();
        if !listeners.iter().any(|each| each.same_channel(listener)) {
            listeners.push(listener.clone());
        }
    }

    fn ignore(&self, channel: &str, listener: &mpsc::Sender<Message>) {
        let mut all = self.listeners.lock().unwrap();
        if let Some(listeners) = all.get_mut(channel) {
            listeners.retain(|each| !each.same_channel(listener));
            if listeners.is_empty() {
                all.remove(channel);
            }
        }
    }
}

/// One node's end of the bus.
pub(crate) struct Station(Arc<Inner>);

struct Inner {
    bus: Arc<Bus>,
    node: OnceLock<BackplaneNode>,
    inbox: mpsc::Sender<Message>,
    incoming: Mutex<Option<mpsc::Receiver<Message>>>,
    acks: Mutex<HashMap<i32, oneshot::Sender<()>>>,
    next_command: AtomicI32,
}

type Frames = BTreeMap<String, ByteBuf>;

#[derive(Serialize, Deserialize)]
struct GroupCommand(i32, String, u8, String, String);

#[derive(Serialize, Deserialize)]
struct Completion(String, ByteBuf);

impl Station {
    pub(crate) fn new(bus: &Arc<Bus>) -> Self {
        let (inbox, incoming) = mpsc::channel(1024);
        Self(Arc::new(Inner {
            bus: Arc::clone(bus),
            node: OnceLock::new(),
            inbox,
            incoming: Mutex::new(Some(incoming)),
            acks: Mutex::default(),
            next_command: AtomicI32::new(1),
        }))
    }
}

impl Backplane for Station {
    fn start(&self, node: BackplaneNode) {
        let inner = Arc::clone(&self.0);
        let own = [
            format!("internal:ack:{}", node.name()),
            return_channel(node.name()),
        ];
        for channel in ["all", GROUPS]
            .into_iter()
            .chain(own.iter().map(String::as_str))
        {
            inner.bus.listen(channel, &inner.inbox);
        }
        inner.node.set(node).expect("it is started once");
        let mut incoming = inner
            .incoming
            .lock()
            .unwrap()
            .take()
            .expect("it is started once");
        tokio::spawn(async move {
            while let Some((channel, payload)) = incoming.recv().await {
                inner.take(&channel, &payload);
            }
        });
    }

    async fn publish(
        &self,
        channel: &Channel,
        invocation: &RemoteInvocation,
    ) -> Result<Option<usize>, BackplaneError> {
        let Inner { bus, .. } = &*self.0;
        bus.ready().await?;
        let excluded: Vec<&str> = invocation
            .excluded
            .iter()
            .map(ConnectionId::as_str)
            .collect();
        let frames = invocation.frames.iter();
        let frames: Frames = frames
            .map(|(protocol, frame)| (protocol.name().to_owned(), ByteBuf::from(frame.to_vec())))
            .collect();
        let origin = invocation.origin.as_deref();
        let payload = match &invocation.result {
            None => pack(&(excluded, frames, origin)),
            Some(wanted) => {
                let back = return_channel(&wanted.return_to);
                pack(&(excluded, frames, &wanted.invocation_id, back, origin))
            }
        };
        Ok(Some(bus.publish(&channel.to_string(), payload)))
    }

    async fn subscribe(&self, changes: &[SubscriptionChange]) -> Result<(), BackplaneError> {
        let Inner { bus, inbox, .. } = &*self.0;
        bus.ready().await?;
        for change in changes {
            let channel = change.channel.to_string();
            match change.wanted {
                true => bus.listen(&channel, inbox),
                false => bus.ignore(&channel, inbox),
            }
        }
        Ok(())
    }

    async fn change_group(
        &self,
        change: GroupChange,
        group: &str,
        id: ConnectionId,
    ) -> Result<(), BackplaneError> {
        let Inner { bus, acks, .. } = &*self.0;
        bus.ready().await?;
        let number = self.0.next_command.fetch_add(1, Ordering::SeqCst);
        let (sender, ack) = oneshot::channel();
        acks.lock().unwrap().insert(number, sender);
        let action = match change {
            GroupChange::Add => 1,
            GroupChange::Remove => 2,
        };
        let name = self
            .0
            .node
            .get()
            .expect("it was started")
            .name()
            .to_string();
        let command = GroupCommand(number, name, action, group.into(), id.to_string());
        bus.publish(GROUPS, pack(&command));
        ack.await.map_err(|_| BackplaneError::TimedOut)
    }

    async fn complete(
        &self,
        return_to: &str,
        completion: &RemoteCompletion,
    ) -> Result<(), BackplaneError> {
        self.0.bus.ready().await?;
        let name = completion.protocol.name().to_owned();
        let payload = pack(&Completion(name, ByteBuf::from(completion.frame.to_vec())));
        // What came with the invocation: a channel, as .NET has it there.
        self.0.bus.publish(return_to, payload);
        Ok(())
    }
}

impl Inner {
    fn take(self: &Arc<Self>, channel: &str, payload: &[u8]) {
        let node = self.node.get().expect("it was started");
        if channel == GROUPS {
            self.take_command(node, unpack(&mut &payload[..]));
        } else if channel.starts_with("internal:ack:") {
            let (number,): (i32,) = unpack(&mut &payload[..]);
            if let Some(ack) = self.acks.lock().unwrap().remove(&number) {
                let _ = ack.send(());
            }
        } else if channel.starts_with("internal:return:") {
            let Completion(protocol, frame) = unpack(&mut &payload[..]);
            node.complete(&RemoteCompletion {
                protocol: HubProtocol::from_name(&protocol).expect("a known protocol"),
                frame: frame.into_vec().into(),
            });
        } else {
            let channel = match channel.split_once(':') {
                Some(("connection", id)) => {
                    Channel::Connection(ConnectionId::parse(id).expect("an id"))
                }
                Some(("group", group)) => Channel::Group(group.into()),
                Some(("user", user)) => Channel::User(user.into()),
                _ => Channel::All,
            };
            node.deliver(&channel, &read_invocation(payload));
        }
    }

    fn take_command(self: &Arc<Self>, node: &BackplaneNode, command: GroupCommand) {
        let GroupCommand(number, asking, action, group, id) = command;
        let change = match action {
            1 => GroupChange::Add,
            _ => GroupChange::Remove,
        };
        let id = ConnectionId::parse(&id).expect("an id");
        let Some(changed) = node.change_group(change, &group, id) else {
            return;
        };
        let inner = Arc::clone(self);
        tokio::spawn(async move {
            changed.await;
            let channel = format!("internal:ack:{asking}");
            inner.bus.publish(&channel, pack(&(number,)));
        });
    }
}

/// Two items at least; a wanted result makes four; one more is the origin.
fn read_invocation(payload: &[u8]) -> RemoteInvocation {
    let mut rest = payload;
    let items = rmp::decode::read_array_len(&mut rest).expect("an array");
    let excluded: Vec<String> = unpack(&mut rest);
    let frames: Frames = unpack(&mut rest);
    let result = (items >= 4).then(|| WantedResult {
        invocation_id: unpack::<String>(&mut rest).into(),
        return_to: unpack::<String>(&mut rest).into(),
    });
    let origin = match items {
        3 | 5 => unpack::<Option<String>>(&mut rest).map(Arc::from),
        _ => None,
    };
    RemoteInvocation {
        origin,
        excluded: excluded
            .iter()
            .filter_map(|id| ConnectionId::parse(id))
            .collect(),
        frames: frames
            .into_iter()
            .filter_map(|(name, frame)| {
                Some((HubProtocol::from_name(&name)?, frame.into_vec().into()))
            })
            .collect(),
        result,
    }
}

fn return_channel(node: &str) -> String {
    format!("internal:return:{node}")
}

pub(crate) fn pack<T: Serialize>(value: &T) -> Vec<u8> {
    rmp_serde::to_vec(value).expect("it can be written")
}

fn unpack<T: DeserializeOwned>(bytes: &mut &[u8]) -> T {
    let mut reader = rmp_serde::Deserializer::new(bytes);
    T::deserialize(&mut reader).expect("it is of that type")
}
