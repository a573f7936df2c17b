//! The names of channels, without the prefix that all of them share.

use signalr::{Channel, ConnectionId};

/// The channels of one hub.
#[derive(Debug)]
pub(super) struct Channels {
    /// `Namespace.ChatHub:`.
    hub: String,
}

/// What a channel carries.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Carries<'a> {
    /// Invocations for these clients.
    Invocations(Channel),
    /// Group commands.
    Groups,
    /// Acknowledgements for this server.
    Acks(&'a str),
    /// Answers for this server.
    Answers(&'a str),
}

impl Channels {
    pub(super) fn of_hub(hub: &str) -> Self {
        Self {
            hub: format!("{hub}:"),
        }
    }

    pub(super) fn of(&self, channel: &Channel) -> String {
        format!("{}{channel}", self.hub)
    }

    pub(super) fn groups(&self) -> String {
        format!("{}internal:groups", self.hub)
    }

    pub(super) fn acks(&self, server: &str) -> String {
        format!("{}internal:ack:{server}", self.hub)
    }

    pub(super) fn returns(&self, server: &str) -> String {
        format!("{}internal:return:{server}", self.hub)
    }

    pub(super) fn is_for_answers(&self, channel: &str) -> bool {
        matches!(self.read(channel), Some(Carries::Answers(_)))
    }

    /// What a channel carries; `None` where it is none of this hub's.
    pub(super) fn read<'a>(&self, channel: &'a str) -> Option<Carries<'a>> {
        let rest = channel.strip_prefix(&self.hub)?;
        if rest == "all" {
            return Some(Carries::Invocations(Channel::All));
        }
        if rest == "internal:groups" {
            return Some(Carries::Groups);
        }
        let after = |kind: &str| rest.strip_prefix(kind);
        let invocations = if let Some(id) = after("connection:") {
            Channel::Connection(ConnectionId::parse(id)?)
        } else if let Some(group) = after("group:") {
            Channel::Group(group.into())
        } else if let Some(user) = after("user:") {
            Channel::User(user.into())
        } else if let Some(server) = after("internal:ack:") {
            return Some(Carries::Acks(server));
        } else {
            return after("internal:return:").map(Carries::Answers);
        };
        Some(Carries::Invocations(invocations))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_dotnet() {
        let channels = Channels::of_hub("Shop.ChatHub");
        let id = ConnectionId::parse("AAAAAAAAAAAAAAAAAAAAAA").unwrap();
        let expected = [
            (Channel::All, "Shop.ChatHub:all"),
            (
                Channel::Connection(id),
                "Shop.ChatHub:connection:AAAAAAAAAAAAAAAAAAAAAA",
            ),
            (Channel::Group("a:b".into()), "Shop.ChatHub:group:a:b"),
            (Channel::User("42".into()), "Shop.ChatHub:user:42"),
        ];
        for (channel, name) in expected {
            assert_eq!(channels.of(&channel), name);
            assert_eq!(channels.read(name), Some(Carries::Invocations(channel)));
        }
        assert_eq!(channels.groups(), "Shop.ChatHub:internal:groups");
        assert_eq!(
            channels.read("Shop.ChatHub:internal:groups"),
            Some(Carries::Groups)
        );
        assert_eq!(channels.acks("web_00"), "Shop.ChatHub:internal:ack:web_00");
        assert_eq!(
            channels.read("Shop.ChatHub:internal:ack:web_00"),
            Some(Carries::Acks("web_00"))
        );
        assert_eq!(
            channels.returns("web_00"),
            "Shop.ChatHub:internal:return:web_00"
        );
    }

    #[test]
    fn channels_of_others_are_none() {
        let channels = Channels::of_hub("Shop.ChatHub");
        for name in [
            "Shop.ChatHub2:all",
            "all",
            "Shop.ChatHub:everything",
            "Shop.ChatHub:connection:short",
            "Shop.ChatHub:internal:else",
        ] {
            assert_eq!(channels.read(name), None, "{name}");
        }
        assert!(!channels.is_for_answers("Shop.ChatHub:user:42"));
        assert!(channels.is_for_answers("Shop.ChatHub:internal:return:x"));
    }
}
