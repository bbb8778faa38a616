"""aiomqtt against a server: `aiomqtt_cases.py '<where the server is, as JSON>'`."""

import asyncio
import ssl
from asyncio import timeout

from aiomqtt import Client, MqttError, ProtocolVersion, Will
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.subscribeoptions import SubscribeOptions

from driver import FLOOD, IS_5, PATIENCE_SECONDS, SESSION_SECONDS, VERSION, WAYS, WORLD, ask, differences, equal
from driver import numbers, run
from paho_peer import properties

LEVELS = (0, 1, 2)


def client(client_id, way="tcp", lasting=False, **more):
    """A client, not connected yet."""
    if IS_5:
        values = {"SessionExpiryInterval": SESSION_SECONDS} if lasting else {}
        more |= {"clean_start": not lasting, "properties": properties(PacketTypes.CONNECT, **values)}
    else:
        more |= {"clean_session": not lasting}
    if way in ("tls", "wss"):
        more |= {"tls_context": ssl.create_default_context(cafile=WORLD["authority"])}
    if way in ("ws", "wss"):
        more |= {"transport": "websockets", "websocket_path": "/mqtt"}
    protocol = ProtocolVersion(VERSION)
    made = Client(WORLD["host"], WORLD[way], identifier=client_id, protocol=protocol, timeout=PATIENCE_SECONDS, **more)
    # It warns of what the cases want.
    made.pending_calls_threshold = 2 * FLOOD
    return made


async def subscribe(peer, topic_filter, qos, **options):
    if IS_5:
        granted = await peer.subscribe(topic_filter, options=SubscribeOptions(qos, **options))
    else:
        granted = await peer.subscribe(topic_filter, qos)
    equal([getattr(it, "value", it) for it in granted], [qos], topic_filter)


async def messages(peer, count):
    return [await anext(aiter(peer.messages)) for _ in range(count)]


async def until(peer, last):
    payloads = []
    async for message in peer.messages:
        if message.payload == last:
            return payloads
        payloads.append(message.payload)


async def every_level_over_every_transport():
    for way in WAYS:
        async with client(f"subscriber-{way}", way) as subscriber, client(f"publisher-{way}", way) as publisher:
            await subscribe(subscriber, f"levels/{way}/#", 2)
            for qos in LEVELS:
                await publisher.publish(f"levels/{way}/{qos}", way, qos)
            seen = sorted((it.qos, it.topic.value) for it in await messages(subscriber, 3))
            equal(seen, [(qos, f"levels/{way}/{qos}") for qos in LEVELS])


async def retained_messages_are_kept_and_cleared():
    async with client("keeper") as keeper:
        for qos in LEVELS:
            await keeper.publish(f"kept/{qos}", "x", qos, retain=True)
        async with client("late") as late:
            await subscribe(late, "kept/+", 2)
            kept = sorted((it.topic.value, it.retain) for it in await messages(late, 3))
            equal(kept, [(f"kept/{qos}", True) for qos in LEVELS])
        for qos in LEVELS:
            await keeper.publish(f"kept/{qos}", None, qos, retain=True)
        async with client("last") as last:
            await subscribe(last, "kept/+", 2)
            await keeper.publish("kept/end", "end", 1)
            equal(await until(last, b"end"), [])


async def a_will_follows_an_abrupt_end():
    async with client("mourner") as mourner:
        await subscribe(mourner, "wills/#", 2)
        for qos in LEVELS:
            will = Will(f"wills/{qos}", "gone", qos)
            try:
                async with client(f"mortal-{qos}", "proxy", will=will) as mortal:
                    await mortal.publish("anything", "x", 1)
                    await asyncio.to_thread(ask, "cut")
                    await until(mortal, "the end of its connection")
            except MqttError:
                pass
            (seen,) = await messages(mourner, 1)
            equal((seen.topic.value, seen.payload, seen.qos), (f"wills/{qos}", b"gone", qos))


async def a_session_keeps_what_its_client_missed():
    async with client("sleeper", lasting=True) as sleeper:
        await subscribe(sleeper, "missed/#", 2)
    async with client("waker") as waker:
        for number in numbers(20):
            await waker.publish("missed/a", number, 1 + int(number) % 2)
        async with client("sleeper", lasting=True) as sleeper:
            seen = await messages(sleeper, 20)
            for qos in (1, 2):
                payloads = [it.payload.decode() for it in seen if it.qos == qos]
                equal(payloads, [it for it in numbers(20) if 1 + int(it) % 2 == qos])
    async with client("sleeper"):
        pass


async def publish_all(publisher, topic, payloads, qos):
    """Publishes with as many on their way as the client lets out."""
    async with asyncio.TaskGroup() as group:
        for payload in payloads:
            group.create_task(publisher.publish(topic, payload, qos, timeout=PATIENCE_SECONDS))


async def listen(what, seen, ready):
    """Gathers what comes until the end is said at both levels, and connects again as often as it takes."""
    subscriber = client(f"subscriber-{what}", "proxy" if what == "cut" else "tcp", lasting=True)
    ends = set()
    while len(ends) < 2:
        try:
            async with subscriber:
                if not ready.is_set():
                    for qos in (1, 2):
                        await subscribe(subscriber, f"{what}/{qos}", qos)
                    ready.set()
                while len(ends) < 2:
                    (message,) = await messages(subscriber, 1)
                    if message.payload == b"end":
                        ends.add(message.qos)
                    else:
                        seen[message.qos].append(message.payload.decode())
        except MqttError:
            await asyncio.sleep(0.02)


async def flood(what, parts):
    """Has a subscriber lose its connection while messages are on their way to it."""
    seen, ready = {1: [], 2: []}, asyncio.Event()
    listening = asyncio.create_task(listen(what, seen, ready))
    await ready.wait()
    part = FLOOD // parts
    for first in range(0, FLOOD, part):
        # A publisher of its own for each part, since aiomqtt gives up on what was on its way.
        async with client(f"publisher-{what}") as publisher:
            payloads = numbers(FLOOD)[first : first + part]
            await asyncio.gather(*(publish_all(publisher, f"{what}/{qos}", payloads, qos) for qos in (1, 2)))
        if first + part < FLOOD:
            await asyncio.to_thread(ask, what)
    async with client(f"publisher-{what}") as publisher:
        for qos in (1, 2):
            await publisher.publish(f"{what}/{qos}", "end", qos)
    async with timeout(PATIENCE_SECONDS):
        await listening
    assert set(seen[1]) == set(numbers(FLOOD)), f"QoS 1: {differences(set(seen[1]), numbers(FLOOD))}"
    assert sorted(seen[2], key=int) == numbers(FLOOD), f"QoS 2: {differences(seen[2], numbers(FLOOD))}"


async def cut_connections_lose_nothing():
    await flood("cut", 3)


async def a_server_killed_in_mid_flow_loses_nothing():
    await flood("restart", 2)


async def properties_arrive_as_they_were_sent():
    async with client("reader") as reader, client("writer") as writer:
        await subscribe(reader, "properties/#", 2)
        sent = {
            "PayloadFormatIndicator": 1,
            "ContentType": "text/plain",
            "ResponseTopic": "properties/answer",
            "CorrelationData": bytes((0, 1, 255)),
            "UserProperty": [("city", "Ulm"), ("city", "Zürich"), ("", "")],
        }
        await writer.publish("properties/a", "x", 2, properties=properties(PacketTypes.PUBLISH, **sent))
        (message,) = await messages(reader, 1)
        equal({name: getattr(message.properties, name) for name in sent}, sent)


async def a_group_shares_its_messages():
    async with client("member-1") as one, client("member-2") as two, client("foreman") as foreman:
        for member in (one, two):
            await subscribe(member, "$share/group/jobs/#", 2)
        payloads = numbers(40)
        await publish_all(foreman, "jobs/item", payloads, 2)
        shares = ([], [])

        async def gather(member, share):
            async for message in member.messages:
                share.append(message.payload.decode())
                if sum(map(len, shares)) == len(payloads):
                    done.set()

        done = asyncio.Event()
        gathering = [asyncio.create_task(gather(*pair)) for pair in zip((one, two), shares)]
        async with timeout(PATIENCE_SECONDS):
            await done.wait()
        for task in gathering:
            task.cancel()
        equal(sorted(shares[0] + shares[1], key=int), payloads)
        assert all(shares), "each member has a share"


CASES = (
    every_level_over_every_transport,
    retained_messages_are_kept_and_cleared,
    a_will_follows_an_abrupt_end,
    a_session_keeps_what_its_client_missed,
    cut_connections_lose_nothing,
)
CASES_5 = (properties_arrive_as_they_were_sent, a_group_shares_its_messages)

run(
    (*CASES, *(CASES_5 if IS_5 else ()), a_server_killed_in_mid_flow_loses_nothing),
    lambda case: asyncio.run(asyncio.wait_for(case(), 2 * PATIENCE_SECONDS)),
)
