"""Who is let in, and for how long."""

from __future__ import annotations

from .support import FakeClock, http, running

DENIED = "AccessDeniedException"


async def test_a_token_of_the_other_kind_is_refused() -> None:
    """A ParticipantToken opens connections only, a ConnectionToken everything else."""
    async with running() as rig:
        chat, token = await rig.started()
        await rig.refused(DENIED, "get_transcript", ConnectionToken=chat.participant_token)
        await rig.refused(
            DENIED, "create_participant_connection", Type=["WEBSOCKET"], ParticipantToken=token
        )
        await rig.refused(DENIED, "get_transcript", ConnectionToken="made up")


async def test_a_request_without_a_token_is_refused() -> None:
    """No X-Amz-Bearer is 403 as well."""
    async with running() as rig, http(rig.emulator.url) as web:
        answer = await web.post("/participant/transcript", json={})
        assert answer.status_code == 403
        assert answer.headers["x-amzn-ErrorType"].startswith(DENIED)


async def test_a_connection_token_lives_a_day() -> None:
    """It works until its Expiry and not after it, while the ParticipantToken gives another."""
    clock = FakeClock()
    async with running(clock) as rig:
        chat, token = await rig.started()
        clock.now += 86_400
        await rig.call("get_transcript", ConnectionToken=token)
        clock.now += 1
        await rig.refused(DENIED, "get_transcript", ConnectionToken=token)
        token = await rig.token(chat.participant_token)
        await rig.call("get_transcript", ConnectionToken=token)


async def test_a_new_chat_must_be_connected_in_time() -> None:
    """A customer who has not connected within 5 minutes is refused; one who has is not."""
    clock = FakeClock()
    async with running(clock) as rig:
        late = await rig.emulator.start_chat()
        early = await rig.emulator.start_chat()
        clock.now += 300
        await rig.token(early.participant_token)
        unjoined = (await rig.connection(late.participant_token))["ConnectionCredentials"]
        clock.now += 1
        await rig.token(early.participant_token)
        await rig.refused(
            DENIED,
            "create_participant_connection",
            ConnectParticipant=True,
            ParticipantToken=late.participant_token,
        )
        await rig.refused(DENIED, "get_transcript", ConnectionToken=unjoined["ConnectionToken"])


async def test_a_custom_bot_has_15_seconds() -> None:
    """A CUSTOM_BOT that connects later is refused, and makes room for another."""
    clock = FakeClock()
    async with running(clock) as rig:
        chat, _ = await rig.started()
        bot = {
            "InstanceId": "instance",
            "ContactId": chat.contact_id,
            "ParticipantDetails": {"ParticipantRole": "CUSTOM_BOT", "DisplayName": "Bot"},
        }
        reply = await rig.call("create_participant", **bot)
        clock.now += 15
        await rig.refused("ServiceQuotaExceededException", "create_participant", **bot)
        clock.now += 0.1
        await rig.refused(
            DENIED,
            "create_participant_connection",
            ConnectParticipant=True,
            ParticipantToken=reply["ParticipantCredentials"]["ParticipantToken"],
        )
        await rig.call("create_participant", **bot)


async def test_nobody_is_let_into_a_chat_that_has_ended() -> None:
    """Both tokens are refused, also for reading the transcript."""
    async with running() as rig:
        chat, token = await rig.started()
        rig.emulator.end_chat(chat.contact_id)
        await rig.refused(DENIED, "get_transcript", ConnectionToken=token)
        await rig.refused(
            DENIED,
            "create_participant_connection",
            Type=["WEBSOCKET"],
            ParticipantToken=chat.participant_token,
        )


async def test_an_authentication_url_is_given_for_a_minute() -> None:
    """Later than a minute after the event the call is refused."""
    clock = FakeClock()
    async with running(clock) as rig:
        chat, token = await rig.started()
        members = {
            "SessionId": rig.emulator.request_authentication(chat.contact_id),
            "RedirectUri": "https://example.com",
            "ConnectionToken": token,
        }
        clock.now += 60
        await rig.call("get_authentication_url", **members)
        clock.now += 1
        await rig.refused(DENIED, "get_authentication_url", **members)


async def test_secrets_are_not_in_representations() -> None:
    """The repr of a started chat does not show its token, nor a participant's its name."""
    async with running() as rig:
        chat = await rig.emulator.start_chat()
        agent = await rig.emulator.join(chat.contact_id, display_name="Jane")
        assert agent.contact_id == chat.contact_id
        assert chat.participant_token not in repr(chat)
        assert repr(agent) == f"<EmulatedParticipant AGENT {agent.participant_id}>"
