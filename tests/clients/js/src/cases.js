/** What both versions of the protocol have. */

import assert from 'node:assert/strict';

import { ask, world } from './driver.js';
import { Peer, WAYS, lasting } from './peer.js';

/** Messages of each publisher in the cases that lose connections. */
const FLOOD = 300;

/** @import { Way } from './peer.js' */
/** @typedef {0 | 1 | 2} Level */

/** @type {Level[]} */
const LEVELS = [0, 1, 2];

/** The numbers below `count`, as texts. @param {number} count */
function numbers(count) {
  return Array.from({ length: count }, (_, number) => String(number));
}

export async function everyLevelOverEveryTransport() {
  for (const way of WAYS) {
    const subscriber = await Peer.open(`subscriber-${way}`, { way });
    const publisher = await Peer.open(`publisher-${way}`, { way });
    await subscriber.subscribe(`levels/${way}/#`, 2);
    for (const qos of LEVELS) await publisher.publish(`levels/${way}/${qos}`, way, { qos });
    const seen = [await subscriber.next(), await subscriber.next(), await subscriber.next()];
    const told = seen.map(({ topic, qos, retain }) => ({ topic, qos, retain })).sort((a, b) => a.qos - b.qos);
    assert.deepEqual(told, LEVELS.map((qos) => ({ topic: `levels/${way}/${qos}`, qos, retain: false })));
    await subscriber.close();
    await publisher.close();
  }
}

export async function retainedMessagesAreKeptAndCleared() {
  const publisher = await Peer.open('keeper');
  const live = await Peer.open('live');
  await live.subscribe('kept/#', 2);
  for (const qos of LEVELS) await publisher.publish(`kept/${qos}`, 'x', { qos, retain: true });
  for (const _ of LEVELS) assert.equal((await live.next()).retain, false);
  const late = await Peer.open('late');
  await late.subscribe('kept/+', 2);
  const kept = [await late.next(), await late.next(), await late.next()];
  assert.deepEqual(kept.map(({ topic, retain }) => [topic, retain]).sort(), LEVELS.map((it) => [`kept/${it}`, true]));
  for (const qos of LEVELS) await publisher.publish(`kept/${qos}`, '', { qos, retain: true });
  const last = await Peer.open('last');
  await last.subscribe('kept/+', 2);
  await publisher.publish('kept/end', 'end', { qos: 1 });
  assert.deepEqual(await last.until('end'), []);
  for (const peer of [publisher, live, late, last]) await peer.close();
}

export async function aWillFollowsAnAbruptEnd() {
  const mourner = await Peer.open('mourner');
  await mourner.subscribe('wills/#', 2);
  for (const qos of LEVELS) {
    const will = { topic: `wills/${qos}`, payload: Buffer.from('gone'), qos, retain: false };
    const mortal = await Peer.open(`mortal-${qos}`, { will });
    await mortal.vanish();
    const { topic, payload, qos: level } = await mourner.next();
    assert.deepEqual([topic, String(payload), level], [will.topic, 'gone', qos]);
  }
  const polite = await Peer.open('polite', {
    will: { topic: 'wills/polite', payload: Buffer.from('wrong'), qos: 1, retain: false },
  });
  await polite.close();
  await mourner.publish('wills/end', 'end', { qos: 1 });
  assert.deepEqual(await mourner.until('end'), []);
  await mourner.close();
}

export async function aSessionKeepsWhatItsClientMissed() {
  const first = await Peer.open('sleeper', lasting());
  assert.equal(first.connack?.sessionPresent, false);
  await first.subscribe('missed/#', 2);
  await first.close();
  const publisher = await Peer.open('waker');
  for (const number of numbers(20)) {
    await publisher.publish(`missed/${number}`, number, { qos: Number(number) % 2 ? 1 : 2 });
  }
  const second = await Peer.open('sleeper', lasting());
  assert.equal(second.connack?.sessionPresent, true);
  const seen = [];
  for (const _ of numbers(20)) seen.push(await second.next());
  // mqtt.js hands a message of QoS 2 out when its exchange has ended, so order is kept within each level.
  for (const level of [1, 2]) {
    /** @type {string[]} */
    const payloads = seen.filter(({ qos }) => qos === level).map(({ payload }) => String(payload));
    assert.deepEqual(payloads, numbers(20).filter((number) => Number(number) % 2 === level % 2));
  }
  // The subscription is as it was, without asking again.
  await publisher.publish('missed/end', 'end', { qos: 2 });
  assert.deepEqual(await second.until('end'), []);
  await second.close();
  const third = await Peer.open('sleeper', { clean: true });
  assert.equal(third.connack?.sessionPresent, false);
  await third.close();
  await publisher.close();
}

/**
 * Has a publisher and a subscriber lose their connections while messages are on their way.
 *
 * @param {'cut' | 'restart'} what
 */
async function flood(what) {
  /** @type {Way} */
  const way = what === 'cut' ? 'proxy' : 'tcp';
  const options = { way, ...lasting() };
  const subscriber = await Peer.open(`subscriber-${what}`, options);
  const publisher = await Peer.open(`publisher-${what}`, options);
  await subscriber.subscribe(`${what}/1`, 1);
  await subscriber.subscribe(`${what}/2`, 2);
  const published = numbers(FLOOD).flatMap((number) => [
    publisher.publish(`${what}/1`, number, { qos: 1 }),
    publisher.publish(`${what}/2`, number, { qos: 2 }),
  ]);
  for (const share of what === 'cut' ? [0.2, 0.6, 1.1] : [0.5]) {
    await subscriber.reaches(FLOOD * share);
    await ask(what);
  }
  await Promise.all(published);
  await publisher.publish(`${what}/1`, 'end', { qos: 1 });
  await publisher.publish(`${what}/2`, 'end', { qos: 2 });
  /** @type {Record<string, string[]>} */
  const seen = { [`${what}/1`]: [], [`${what}/2`]: [] };
  for (let ends = new Set(); ends.size < 2; ) {
    const { topic, payload } = await subscriber.next();
    if (String(payload) === 'end') ends.add(topic);
    else seen[topic]?.push(String(payload));
  }
  assert.deepEqual(sorted(new Set(seen[`${what}/1`])), numbers(FLOOD), 'QoS 1: each at least once');
  assert.deepEqual(sorted(seen[`${what}/2`] ?? []), numbers(FLOOD), 'QoS 2: each exactly once');
  await subscriber.close();
  await publisher.close();
}

/** @param {Iterable<string>} payloads */
function sorted(payloads) {
  return [...payloads].sort((a, b) => Number(a) - Number(b));
}

export async function cutConnectionsLoseNothing() {
  await flood('cut');
}

export async function aServerKilledInMidFlowLosesNothing() {
  await flood('restart');
}

export async function aClientIdIsTakenOver() {
  const first = await Peer.open('twin', { reconnectPeriod: 0 });
  const gone = new Promise((resolve) => first.client.once('close', () => resolve(undefined)));
  const second = await Peer.open('twin', { reconnectPeriod: 0 });
  await gone;
  await second.publish('twin', String(world.version), { qos: 1 });
  await second.close();
}
