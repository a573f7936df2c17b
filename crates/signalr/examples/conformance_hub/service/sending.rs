//! Methods that send to clients. .NET refuses null where it needs a name; the
//! crate's types have no null, so these methods refuse it.

use serde::Serialize;
use signalr::{Clients, ConnectionId, Context, Groups, HubBuilder, HubError};

use super::hub::Golden;

type Text = Option<String>;
type Texts = Option<Vec<Text>>;

pub(crate) fn register(builder: HubBuilder<Golden>) -> HubBuilder<Golden> {
    let builder = builder
        .method("SendCaller", send_caller)
        .method("SendAll", send_all)
        .method("SendOthers", send_others)
        .method("SendAllExcept", send_all_except)
        .method("SendClient", send_client)
        .method("SendClients", send_clients)
        .method("SendUser", send_user)
        .method("SendUsers", send_users);
    builder
        .method("SendGroup", send_group)
        .method("SendGroups", send_groups)
        .method("SendGroupExcept", send_group_except)
        .method("SendOthersInGroup", send_others_in_group)
        .method("SendNoArgs", send_no_args)
        .method("SendObject", send_object)
        .method("JoinGroup", join_group)
        .method("LeaveGroup", leave_group)
        .method("JoinGroupFor", join_group_for)
}

/// The name, or .NET's refusal of null.
fn named(value: Text, parameter: &str) -> Result<String, HubError> {
    value.ok_or_else(|| null_argument(parameter))
}

fn listed(values: Texts) -> Result<Vec<Text>, HubError> {
    values.ok_or_else(|| null_argument("source"))
}

fn null_argument(parameter: &str) -> HubError {
    let message = format!("Value cannot be null. (Parameter '{parameter}')");
    HubError::internal("ArgumentNullException", message)
}

/// Those that can be ids at all; the others belong to nobody.
fn ids(texts: Vec<Text>) -> Vec<ConnectionId> {
    texts
        .iter()
        .flatten()
        .filter_map(|text| ConnectionId::parse(text))
        .collect()
}

async fn send_caller(clients: Clients, message: Text) {
    clients.caller().send("Message", (message,)).await;
}

async fn send_all(clients: Clients, message: Text) {
    clients.all().send("Message", (message,)).await;
}

async fn send_others(clients: Clients, message: Text) {
    clients.others().send("Message", (message,)).await;
}

async fn send_all_except(clients: Clients, except: Texts, message: Text) -> Result<(), HubError> {
    clients
        .all_except(&ids(listed(except)?))
        .send("Message", (message,))
        .await;
    Ok(())
}

async fn send_client(clients: Clients, id: Text, message: Text) -> Result<(), HubError> {
    if let Some(id) = ConnectionId::parse(&named(id, "connectionId")?) {
        clients.client(id).send("Message", (message,)).await;
    }
    Ok(())
}

async fn send_clients(clients: Clients, to: Texts, message: Text) -> Result<(), HubError> {
    clients
        .clients(&ids(listed(to)?))
        .send("Message", (message,))
        .await;
    Ok(())
}

async fn send_user(clients: Clients, user: Text, message: Text) -> Result<(), HubError> {
    clients
        .user(&named(user, "userId")?)
        .send("Message", (message,))
        .await;
    Ok(())
}

async fn send_users(clients: Clients, users: Texts, message: Text) -> Result<(), HubError> {
    let users = listed(users)?;
    let users: Vec<&str> = users.iter().flatten().map(String::as_str).collect();
    clients.users(&users).send("Message", (message,)).await;
    Ok(())
}

async fn send_group(clients: Clients, group: Text, message: Text) -> Result<(), HubError> {
    clients
        .group(&named(group, "groupName")?)
        .send("Message", (message,))
        .await;
    Ok(())
}

async fn send_groups(clients: Clients, groups: Texts, message: Text) -> Result<(), HubError> {
    let groups = groups.ok_or_else(|| {
        let message = "Object reference not set to an instance of an object.";
        HubError::internal("NullReferenceException", message)
    })?;
    let groups: Vec<&str> = groups
        .iter()
        .map(|group| group.as_deref().unwrap_or_default())
        .collect();
    if groups.contains(&"") {
        let message = "Cannot send to an empty group name.";
        return Err(HubError::internal("InvalidOperationException", message));
    }
    clients.groups_of(&groups).send("Message", (message,)).await;
    Ok(())
}

async fn send_group_except(
    clients: Clients,
    group: Text,
    except: Texts,
    message: Text,
) -> Result<(), HubError> {
    let except = ids(listed(except)?);
    clients
        .group_except(&named(group, "groupName")?, &except)
        .send("Message", (message,))
        .await;
    Ok(())
}

async fn send_others_in_group(
    clients: Clients,
    group: Text,
    message: Text,
) -> Result<(), HubError> {
    clients
        .others_in_group(&named(group, "groupName")?)
        .send("Message", (message,))
        .await;
    Ok(())
}

async fn send_no_args(clients: Clients) {
    clients.caller().send("Nudge", ()).await;
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Mixed {
    mixed_case: bool,
    nested: Nested,
}

#[derive(Serialize)]
struct Nested {
    a: Option<i32>,
}

async fn send_object(clients: Clients) {
    let mixed = Mixed {
        mixed_case: true,
        nested: Nested { a: None },
    };
    clients
        .caller()
        .send("Things", (1, None::<i32>, "x", mixed))
        .await;
}

async fn join_group(context: Context, groups: Groups, group: Text) -> Result<(), HubError> {
    groups
        .add(context.connection_id(), &named(group, "groupName")?)
        .await;
    Ok(())
}

async fn leave_group(context: Context, groups: Groups, group: Text) -> Result<(), HubError> {
    groups
        .remove(context.connection_id(), &named(group, "groupName")?)
        .await;
    Ok(())
}

async fn join_group_for(groups: Groups, id: Text, group: Text) -> Result<(), HubError> {
    let (id, group) = (named(id, "connectionId")?, named(group, "groupName")?);
    if let Some(id) = ConnectionId::parse(&id) {
        groups.add(id, &group).await;
    }
    Ok(())
}
