//! Vectors written by hand from the MessagePack specification, and whatever
//! else may come over a channel.

use bytes::Bytes;
use proptest::{collection::vec, option, prelude::*};

use super::*;

/// Bytes from pieces, so that each vector reads like the specification.
fn bytes(pieces: &[&[u8]]) -> Bytes {
    pieces.concat().into()
}

const JSON: &[u8] = b"{\"type\":1,\"target\":\"M\",\"arguments\":[7]}\x1e";
const MESSAGE_PACK: &[u8] = b"\x09\x96\x01\x80\xc0\xa1M\x91\x07\x90";

fn frames() -> Vec<(&'static str, Bytes)> {
    vec![
        ("json", Bytes::from_static(JSON)),
        ("messagepack", Bytes::from_static(MESSAGE_PACK)),
    ]
}

/// `{"json": bin 8, "messagepack": bin 8}`.
fn frames_on_the_wire() -> Bytes {
    bytes(&[
        b"\x82\xa4json\xc4\x28",
        JSON,
        b"\xabmessagepack\xc4\x0a",
        MESSAGE_PACK,
    ])
}

#[test]
fn a_plain_invocation_has_the_origin_as_its_third_item() {
    let invocation = Invocation {
        excluded: vec!["AAAAAAAAAAAAAAAAAAAAAA"],
        frames: frames(),
        answer: None,
        origin: Some("0123456789abcdef0123456789abcdef"),
    };
    let expected = bytes(&[
        b"\x93\x91\xb6AAAAAAAAAAAAAAAAAAAAAA",
        &frames_on_the_wire(),
        b"\xd9\x200123456789abcdef0123456789abcdef",
    ]);
    assert_eq!(invocation.to_bytes(), expected);
    assert_eq!(Invocation::read(&expected), Ok(invocation));
}

#[test]
fn an_invocation_that_wants_an_answer_has_the_origin_as_its_fifth_item() {
    let invocation = Invocation {
        excluded: vec![],
        frames: frames(),
        answer: Some(Answer {
            invocation_id: "s1",
            return_channel: "Chat:internal:return:web_00",
        }),
        origin: Some("00"),
    };
    let expected = bytes(&[
        b"\x95\x90",
        &frames_on_the_wire(),
        b"\xa2s1\xbbChat:internal:return:web_00\xa200",
    ]);
    assert_eq!(invocation.to_bytes(), expected);
    assert_eq!(Invocation::read(&expected), Ok(invocation));
}

#[test]
fn what_dotnet_publishes_has_two_or_four_items() {
    let plain = bytes(&[b"\x92\x90", &frames_on_the_wire()]);
    let read = Invocation::read(&plain).unwrap();
    assert_eq!((&read.frames, &read.origin), (&frames(), &None));
    assert_eq!(read.to_bytes(), plain);

    let asking = bytes(&[b"\x94\x90", &frames_on_the_wire(), b"\xa2s9\xa1C"]);
    let read = Invocation::read(&asking).unwrap();
    let answer = read.answer.as_ref().unwrap();
    assert_eq!((answer.invocation_id, answer.return_channel), ("s9", "C"));
    assert_eq!((read.origin, read.to_bytes()), (None, asking.to_vec()));
}

/// .NET reads two items, or four of more than three: ours sit behind both.
#[test]
fn dotnet_does_not_take_our_item_for_one_of_its_own() {
    let mut invocation = Invocation {
        excluded: vec![],
        frames: frames(),
        answer: None,
        origin: Some("node"),
    };
    let items = |bytes: Vec<u8>| bytes[0] & 0x0f;
    assert_eq!(items(invocation.to_bytes()), 3);
    invocation.answer = Some(Answer {
        invocation_id: "s1",
        return_channel: "C",
    });
    assert_eq!(items(invocation.to_bytes()), 5);
}

#[test]
fn items_of_a_later_version_are_ignored() {
    let plain = bytes(&[b"\x93\x90", &frames_on_the_wire(), b"\x81\xa1x\x01"]);
    assert_eq!(Invocation::read(&plain).unwrap().origin, None);
    let more = bytes(&[
        b"\x97\x90",
        &frames_on_the_wire(),
        b"\xa1i\xa1C\xa1n\xc0\xc3",
    ]);
    assert_eq!(Invocation::read(&more).unwrap().origin, Some("n"));
    assert_eq!(
        Ack::read(&Bytes::from_static(b"\x92\x05\xc0")),
        Ok(Ack { id: 5 })
    );
}

#[test]
fn group_commands_acks_and_completions_are_as_documented() {
    let command = GroupCommand {
        id: 300,
        server: "web_00",
        action: GroupAction::Remove,
        group: "g",
        connection_id: "c",
    };
    let expected = Bytes::from_static(b"\x95\xcd\x01\x2c\xa6web_00\x02\xa1g\xa1c");
    assert_eq!(command.to_bytes(), expected);
    assert_eq!(GroupCommand::read(&expected), Ok(command));
    let add = Bytes::from_static(b"\x95\x01\xa1s\x01\xa0\xa1c");
    assert_eq!(GroupCommand::read(&add).unwrap().action, GroupAction::Add);

    let ack = Bytes::from_static(b"\x91\xd2\x80\x00\x00\x00");
    assert_eq!(Ack::read(&ack), Ok(Ack { id: i32::MIN }));
    assert_eq!(Ack { id: i32::MIN }.to_bytes(), ack);
    assert_eq!(Ack { id: 7 }.to_bytes(), b"\x91\x07");

    let completion = Completion {
        protocol: "json",
        frame: Bytes::from_static(b"{}\x1e"),
    };
    let expected = Bytes::from_static(b"\x92\xa4json\xc4\x03{}\x1e");
    assert_eq!(completion.to_bytes(), expected);
    assert_eq!(Completion::read(&expected), Ok(completion));
}

#[test]
fn lengths_are_not_believed() {
    // An array, a map and a string of 4,294,967,295.
    for lie in [
        b"\x92\xdd\xff\xff\xff\xff".as_slice(),
        b"\x92\x90\xdf\xff\xff\xff\xff",
        b"\x92\x90\x81\xdb\xff\xff\xff\xff",
        b"\x92\x90\x81\xa1p\xc6\xff\xff\xff\xff",
    ] {
        let payload = Bytes::copy_from_slice(lie);
        assert_eq!(Invocation::read(&payload), Err(WireError::Truncated));
    }
    let many = bytes(&[b"\x92\x90\xde\x00\x20", &[0xa0; 64]]);
    assert_eq!(
        Invocation::read(&many),
        Err(WireError::TooMany("protocols"))
    );
}

#[test]
fn what_is_something_else_is_refused() {
    let invocation = |payload: &'static [u8]| {
        let payload = Bytes::from_static(payload);
        Invocation::read(&payload).map(|_| ()).unwrap_err()
    };
    assert_eq!(invocation(b""), WireError::Truncated);
    assert_eq!(
        invocation(b"\x91\x90"),
        WireError::Insufficient("Invocation")
    );
    assert_eq!(invocation(b"\x07\x07\x07"), WireError::Expected("an array"));
    assert_eq!(
        invocation(b"\x92\x90\x81\xa1\xff\xc4\x00"),
        WireError::Expected("UTF-8")
    );
    let action = Bytes::from_static(b"\x95\x01\xa1s\x03\xa1g\xa1c");
    assert!(GroupCommand::read(&action).is_err());
    let wide = Bytes::from_static(b"\x91\xcf\x00\x00\x00\x01\x00\x00\x00\x00");
    assert_eq!(Ack::read(&wide), Err(WireError::Expected("an int32")));
}

fn frame() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..400).prop_map(Bytes::from)
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        excluded in vec(".{0,40}", 0..20),
        frames in vec((".{0,40}", frame()), 0..5),
        answer in option::of((".{0,300}", ".{0,40}")),
        origin in option::of(".{0,40}"),
    ) {
        let answer = answer.map(|(invocation_id, return_channel)| Answer { invocation_id, return_channel });
        let invocation = Invocation { excluded, frames, answer, origin };
        let payload = Bytes::from(invocation.to_bytes());
        let read = Invocation::read(&payload).unwrap();
        prop_assert_eq!(&read.frames.iter().map(|(p, f)| ((*p).to_owned(), f.clone())).collect::<Vec<_>>(), &invocation.frames);
        prop_assert_eq!(read.to_bytes(), payload);
    }

    #[test]
    fn commands_and_completions_are_read(id in any::<i32>(), server in ".{0,300}", group in ".*", frame in frame()) {
        let command = GroupCommand { id, server: &*server, action: GroupAction::Add, group: &group, connection_id: "c" };
        let payload = Bytes::from(command.to_bytes());
        prop_assert_eq!(GroupCommand::read(&payload), Ok(command));
        prop_assert_eq!(Ack::read(&Ack { id }.to_bytes().into()), Ok(Ack { id }));
        let completion = Completion { protocol: &*server, frame };
        let payload = Bytes::from(completion.to_bytes());
        prop_assert_eq!(Completion::read(&payload), Ok(completion));
    }

    #[test]
    fn no_bytes_panic(payload in vec(any::<u8>(), 0..200)) {
        let payload = Bytes::from(payload);
        let _ = Invocation::read(&payload);
        let _ = GroupCommand::read(&payload);
        let _ = Ack::read(&payload);
        let _ = Completion::read(&payload);
    }

    #[test]
    fn no_truncation_is_taken_for_a_message(cut in 0usize..200) {
        let invocation = Invocation { excluded: vec!["a"], frames: frames(), answer: Some(Answer { invocation_id: "i", return_channel: "c" }), origin: None };
        let whole = Bytes::from(invocation.to_bytes());
        let cut = cut % whole.len();
        prop_assert!(Invocation::read(&whole.slice(..cut)).is_err());
    }
}
