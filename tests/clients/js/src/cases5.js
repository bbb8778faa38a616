/** What only MQTT 5 has. */

import assert from 'node:assert/strict';

import { Peer, lasting } from './peer.js';

export async function propertiesArriveAsTheyWereSent() {
  const subscriber = await Peer.open('reader');
  const publisher = await Peer.open('writer');
  await subscriber.subscribe('properties/#', 2, { properties: { subscriptionIdentifier: 7 } });
  await subscriber.subscribe('properties/+', 1, { properties: { subscriptionIdentifier: 300 } });
  const properties = {
    payloadFormatIndicator: true,
    messageExpiryInterval: 100,
    contentType: 'text/plain',
    responseTopic: 'properties/answer',
    correlationData: Buffer.from([0, 1, 255]),
    userProperties: { city: ['Ulm', 'Zürich'], empty: '' },
  };
  await publisher.publish('properties/a', 'x', { qos: 2, properties });
  const message = await subscriber.next();
  const { messageExpiryInterval, subscriptionIdentifier, topicAlias, ...rest } = message.properties ?? {};
  const { messageExpiryInterval: sent, ...wanted } = properties;
  assert.deepEqual({ ...rest, userProperties: { ...rest.userProperties } }, wanted);
  assert.ok(messageExpiryInterval !== undefined && messageExpiryInterval <= sent && messageExpiryInterval > sent - 20);
  assert.equal(topicAlias, undefined, 'it did not ask for aliases');
  assert.deepEqual([subscriptionIdentifier].flat().sort((a, b) => Number(a) - Number(b)), [7, 300]);
  await subscriber.close();
  await publisher.close();
}

export async function topicAliasesShortenBothWays() {
  const subscriber = await Peer.open('aliased', { properties: { topicAliasMaximum: 5 } });
  const publisher = await Peer.open('aliasing', { autoAssignTopicAlias: true });
  let [sent, received] = [0, 0];
  publisher.client.on('packetsend', (packet) => {
    if (packet.cmd === 'publish' && String(packet.topic) === '') sent += 1;
  });
  subscriber.client.on('packetreceive', (packet) => {
    if (packet.cmd === 'publish' && packet.properties?.topicAlias !== undefined) received += 1;
  });
  await subscriber.subscribe('a/topic/that/is/worth/an/alias/#', 1);
  for (const name of ['one', 'two', 'one', 'two', 'one', 'two']) {
    await publisher.publish(`a/topic/that/is/worth/an/alias/${name}`, name, { qos: 1 });
    const { topic, payload } = await subscriber.next();
    // mqtt.js leaves the topic of the packet empty where an alias stands for it; the event has the real one.
    assert.ok(topic === '' || String(topic).endsWith(String(payload)));
    assert.equal(String(payload), name);
  }
  assert.equal(sent, 4, 'the client used its aliases');
  assert.ok(received > 0, 'the server used aliases');
  await subscriber.close();
  await publisher.close();
}

export async function aGroupSharesItsMessages() {
  const members = [await Peer.open('member-1'), await Peer.open('member-2')];
  for (const member of members) await member.subscribe('$share/group/jobs/#', 2);
  const bystander = await Peer.open('bystander');
  await bystander.subscribe('jobs/#', 2);
  const publisher = await Peer.open('foreman');
  const count = 40;
  for (let number = 0; number < count; number += 1) {
    await publisher.publish('jobs/item', String(number), { qos: /** @type {1 | 2} */ (1 + (number % 2)) });
  }
  await bystander.reaches(count);
  while (members.reduce((sum, member) => sum + member.count, 0) < count) {
    await Promise.race(members.map((member) => member.arrival()));
  }
  for (const member of members) await member.client.unsubscribeAsync('$share/group/jobs/#');
  const shares = members.map((member) => member.rest());
  assert.ok(shares.every((share) => share.length > 0), 'each member has a share');
  assert.deepEqual(new Set(shares.flat()), new Set(bystander.rest()), 'each message went to a member');
  assert.equal(shares.flat().length, count, 'and to one only');
  for (const peer of [...members, bystander, publisher]) await peer.close();
}

export async function aSessionEndsWhenItsClientSaysSo() {
  const first = await Peer.open('expiring', lasting());
  await first.close();
  const second = await Peer.open('expiring', lasting());
  assert.equal(second.connack?.sessionPresent, true);
  await second.client.endAsync({ properties: { sessionExpiryInterval: 0 } });
  const third = await Peer.open('expiring', lasting());
  assert.equal(third.connack?.sessionPresent, false);
  await third.client.endAsync({ properties: { sessionExpiryInterval: 0 } });
}

export async function subscriptionOptionsAreHonoured() {
  const peer = await Peer.open('choosy');
  const other = await Peer.open('other');
  await other.publish('options/kept', 'kept', { qos: 1, retain: true });
  await peer.subscribe('options/kept', 1, { rh: 2 });
  await peer.subscribe('options/own', 1, { nl: true });
  await peer.subscribe('options/as-is', 1, { rap: true });
  await peer.publish('options/own', 'mine', { qos: 1 });
  await other.publish('options/own', 'theirs', { qos: 1 });
  await other.publish('options/as-is', 'end', { qos: 1, retain: true });
  const seen = [await peer.next(), await peer.next()].map(({ payload, retain }) => [String(payload), retain]);
  assert.deepEqual(seen, [['theirs', false], ['end', true]]);
  for (const topic of ['options/kept', 'options/as-is']) await other.publish(topic, '', { retain: true, qos: 1 });
  await peer.close();
  await other.close();
}

export async function aRequestIsAnswered() {
  const server = await Peer.open('responder');
  await server.subscribe('requests', 1);
  const client = await Peer.open('requester', { properties: { requestResponseInformation: true } });
  await client.subscribe('answers/requester', 1);
  const correlationData = Buffer.from('17');
  const properties = { responseTopic: 'answers/requester', correlationData };
  await client.publish('requests', 'six times seven', { qos: 1, properties });
  const request = await server.next();
  const { responseTopic = '', ...rest } = request.properties ?? {};
  await server.publish(responseTopic, '42', { qos: 1, properties: { correlationData: rest.correlationData ?? Buffer.of() } });
  const answer = await client.next();
  assert.deepEqual([String(answer.payload), answer.properties?.correlationData], ['42', correlationData]);
  await server.close();
  await client.close();
}

export async function aSmallWindowIsKeptTo() {
  const slow = await Peer.open('slow', { properties: { receiveMaximum: 2, maximumPacketSize: 200 } });
  await slow.subscribe('window', 2);
  const publisher = await Peer.open('fast');
  const published = [];
  for (let number = 0; number < 50; number += 1) {
    published.push(publisher.publish('window', String(number), { qos: 2 }));
    published.push(publisher.publish('window', 'too long '.repeat(30), { qos: 2 }));
  }
  await Promise.all(published);
  await publisher.publish('window', 'end', { qos: 2 });
  const seen = await slow.until('end');
  assert.deepEqual(seen, Array.from({ length: 50 }, (_, number) => String(number)));
  await slow.close();
  await publisher.close();
}
