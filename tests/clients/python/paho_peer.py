"""A client of paho-mqtt that keeps what it was sent."""

import queue
import socket
import threading

from paho.mqtt.client import CallbackAPIVersion, Client
from paho.mqtt.enums import MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from driver import IS_5, PATIENCE_SECONDS, SESSION_SECONDS, VERSION, WORLD


def properties(packet, **values):
    """Properties of a packet; those of MQTT 3.1.1 are none."""
    if not IS_5:
        return None
    made = Properties(packet)
    for name, value in values.items():
        setattr(made, name, value)
    return made


class Peer:
    """A client, connected; one that is cut off connects again with `reconnect`.

    Left to do it by itself, paho-mqtt 2.2 forgets at its second attempt which messages it has released, and publishes
    them anew: then a message of QoS 2 comes twice, whatever the server does.
    """

    def __init__(self, client_id, way="tcp", lasting=False, will=None, **connect):
        self.id = client_id
        self.messages = queue.Queue()
        self.count = 0
        self.came = threading.Condition()
        self.acknowledged = queue.Queue()
        self.published = set()
        self.ended = threading.Event()
        self.session_present = None
        self.reason = None
        self.client = Client(
            CallbackAPIVersion.VERSION2,
            client_id,
            protocol=MQTTProtocolVersion(VERSION),
            clean_session=None if IS_5 else not lasting,
            transport="websockets" if way in ("ws", "wss") else "tcp",
            reconnect_on_failure=False,
        )
        if way in ("tls", "wss"):
            self.client.tls_set(WORLD["authority"])
        if way in ("ws", "wss"):
            self.client.ws_set_options(path="/mqtt")
        if will is not None:
            self.client.will_set(**will)
        self.client.on_connect = self._on_connect
        self.client.on_disconnect = self._on_disconnect
        self.client.on_message = self._on_message
        self.client.on_publish = self._on_publish
        self.client.on_subscribe = self._on_acknowledged
        self.client.on_unsubscribe = self._on_acknowledged
        self.connected = threading.Event()
        if lasting:
            connect["SessionExpiryInterval"] = SESSION_SECONDS
        more = {}
        if IS_5:
            more = {"clean_start": not lasting, "properties": properties(PacketTypes.CONNECT, **connect)}
        self.client.connect(WORLD["host"], WORLD[way], **more)
        self.client.loop_start()
        self._await_connack()

    def _await_connack(self):
        assert self.connected.wait(PATIENCE_SECONDS), f"gave up on CONNACK for {self.id}"
        assert not self.reason.is_failure, f"{self.id} was refused: {self.reason}"

    def reconnect(self):
        """Waits until its connection has ended, and connects again."""
        assert self.ended.wait(PATIENCE_SECONDS), f"gave up on the end of {self.id}"
        self.client.loop_stop()
        self.ended.clear()
        self.connected.clear()
        self.client.reconnect()
        self.client.loop_start()
        self._await_connack()
        assert self.session_present, f"the session of {self.id} is gone"

    def _on_connect(self, _client, _data, flags, reason, _properties):
        self.session_present = flags.session_present
        self.reason = reason
        self.connected.set()

    def _on_disconnect(self, *_):
        self.ended.set()

    def _on_message(self, _client, _data, message):
        self.messages.put(message)
        with self.came:
            self.count += 1
            self.came.notify_all()

    def _on_publish(self, _client, _data, packet_id, *_):
        with self.came:
            self.published.add(packet_id)
            self.came.notify_all()

    def _on_acknowledged(self, _client, _data, _packet_id, reasons, _properties):
        self.acknowledged.put(reasons)

    def subscribe(self, topic_filter, qos, identifier=None, **options):
        if IS_5:
            more = {} if identifier is None else {"SubscriptionIdentifier": identifier}
            self.client.subscribe(
                topic_filter,
                options=SubscribeOptions(qos, **options),
                properties=properties(PacketTypes.SUBSCRIBE, **more),
            )
        else:
            self.client.subscribe(topic_filter, qos)
        granted = self.acknowledged.get(timeout=PATIENCE_SECONDS)
        assert granted[0].value == qos, f"{topic_filter} was answered by {granted}"

    def unsubscribe(self, topic_filter):
        self.client.unsubscribe(topic_filter)
        self.acknowledged.get(timeout=PATIENCE_SECONDS)

    def start_publishing(self, topic, payload, qos=0, retain=False, **values):
        """Publishes, and gives the packet id; without a connection the message is sent when there is one."""
        return self.client.publish(topic, payload, qos, retain, properties(PacketTypes.PUBLISH, **values)).mid

    def finish_publishing(self, packet_id):
        """Waits for the last acknowledgement."""
        with self.came:
            done = self.came.wait_for(lambda: packet_id in self.published, PATIENCE_SECONDS)
        assert done, f"gave up on the end of publish {packet_id} of {self.id}"

    def publish(self, topic, payload, qos=0, retain=False, **values):
        """Publishes, and waits for the last acknowledgement."""
        self.finish_publishing(self.start_publishing(topic, payload, qos, retain, **values))

    def next(self):
        try:
            return self.messages.get(timeout=PATIENCE_SECONDS)
        except queue.Empty:
            raise AssertionError(f"gave up on a message for {self.id}, after {self.count}") from None

    def until(self, last):
        """The payloads of all messages up to the one that says `last`."""
        payloads = []
        while (payload := self.next().payload.decode()) != last:
            payloads.append(payload)
        return payloads

    def reaches(self, count):
        """Waits until it was sent that many messages in all."""
        with self.came:
            enough = self.came.wait_for(lambda: self.count >= count, PATIENCE_SECONDS)
        assert enough, f"gave up on message {count} for {self.id}, after {self.count}"

    def rest(self):
        """What it was sent and nobody has looked at yet."""
        return [self.messages.get().payload.decode() for _ in range(self.messages.qsize())]

    def close(self, **values):
        """Says goodbye."""
        if IS_5:
            self.client.disconnect(properties=properties(PacketTypes.DISCONNECT, **values))
        else:
            self.client.disconnect()
        assert self.ended.wait(PATIENCE_SECONDS), f"gave up on the end of {self.id}"
        self.client.loop_stop()

    def vanish(self):
        """Ends without a word."""
        self.client.socket().shutdown(socket.SHUT_RDWR)
        assert self.ended.wait(PATIENCE_SECONDS), f"gave up on the end of {self.id}"
