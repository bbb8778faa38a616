/** A client of mqtt.js that keeps what it was sent. */

import { readFileSync } from 'node:fs';

import mqtt from 'mqtt';

import { world } from './driver.js';

/** @import { IClientOptions, IClientPublishOptions, IClientSubscribeOptions, IConnackPacket, IPublishPacket, MqttClient } from 'mqtt' */

/** @typedef {'tcp' | 'tls' | 'ws' | 'wss' | 'proxy'} Way */

/** The ways to the server that are not the proxy's. */
export const WAYS = /** @type {const} */ (['tcp', 'tls', 'ws', 'wss']);

/** How long anything may take, in milliseconds. */
const PATIENCE = 10_000;
/** How long a session may wait for its client, in seconds. */
const SESSION_SECONDS = 60;

/**
 * @param {Way} way
 * @returns {string}
 */
function url(way) {
  const scheme = { tcp: 'mqtt', proxy: 'mqtt', tls: 'mqtts', ws: 'ws', wss: 'wss' }[way];
  return `${scheme}://${world.host}:${world[way]}${way.startsWith('w') ? '/mqtt' : ''}`;
}

/** Options of a client whose session outlives its connections. */
export function lasting() {
  return {
    clean: false,
    ...(world.version === 5 && { properties: { sessionExpiryInterval: SESSION_SECONDS } }),
  };
}

/**
 * Waits for a promise, but not for ever.
 *
 * @template T
 * @param {string} what
 * @param {Promise<T>} promise
 * @returns {Promise<T>}
 */
export async function within(what, promise) {
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`gave up on: ${what}`)), PATIENCE);
  });
  try {
    return /** @type {T} */ (await Promise.race([promise, late]));
  } finally {
    clearTimeout(timer);
  }
}

/** A client, connected. */
export class Peer {
  /** @type {IPublishPacket[]} */
  #messages = [];
  #wake = () => {};

  /**
   * @param {MqttClient} client
   * @param {string} id
   */
  constructor(client, id) {
    this.client = client;
    this.id = id;
    /** How many messages it was sent in all. */
    this.count = 0;
    /** @type {IConnackPacket | undefined} */
    this.connack = undefined;
    client.on('connect', (connack) => (this.connack = connack));
    // It says why it lost its connection, and connects again by itself.
    client.on('error', () => {});
    client.on('message', (_topic, _payload, packet) => {
      this.count += 1;
      this.#messages.push(packet);
      this.#wake();
    });
  }

  /**
   * Connects.
   *
   * @param {string} id
   * @param {IClientOptions & { way?: Way }} [options]
   */
  static async open(id, { way = 'tcp', ...options } = {}) {
    const client = mqtt.connect(url(way), {
      clientId: id,
      protocolVersion: world.version,
      reconnectPeriod: 10,
      ca: readFileSync(world.authority),
      ...options,
    });
    const peer = new Peer(client, id);
    await within(
      `CONNACK for ${id} over ${way}`,
      new Promise((resolve) => client.once('connect', resolve)),
    );
    return peer;
  }

  /**
   * @param {string} filter
   * @param {IClientSubscribeOptions['qos']} qos
   * @param {Omit<IClientSubscribeOptions, 'qos'>} [options]
   */
  async subscribe(filter, qos, options = {}) {
    const [granted] = await within(
      `SUBACK for ${filter}`,
      this.client.subscribeAsync(filter, { qos, ...options }),
    );
    if (granted?.qos !== qos) throw new Error(`${filter} was granted at ${granted?.qos}, not ${qos}`);
  }

  /**
   * Publishes, and waits for the last acknowledgement.
   *
   * @param {string} topic
   * @param {string} payload
   * @param {IClientPublishOptions} [options]
   */
  async publish(topic, payload, options = {}) {
    await within(`the end of publishing ${topic}`, this.client.publishAsync(topic, payload, options));
  }

  /** Waits for one more message. */
  async arrival() {
    const arrived = new Promise((resolve) => (this.#wake = () => resolve(undefined)));
    await within(`a message for ${this.id}, after ${this.count}`, arrived);
  }

  /** What it was sent and nobody has looked at yet, as texts. */
  rest() {
    return this.#messages.splice(0).map(({ payload }) => String(payload));
  }

  /** The next message. */
  async next() {
    for (;;) {
      const message = this.#messages.shift();
      if (message) return message;
      await this.arrival();
    }
  }

  /**
   * Waits until it was sent that many messages in all.
   *
   * @param {number} count
   */
  async reaches(count) {
    while (this.count < count) await this.arrival();
  }

  /**
   * The payloads of all messages up to the one that says `last`.
   *
   * @param {string} last
   */
  async until(last) {
    const payloads = [];
    for (;;) {
      const payload = String((await this.next()).payload);
      if (payload === last) return payloads;
      payloads.push(payload);
    }
  }

  /** Says goodbye. */
  async close() {
    await within(`the end of ${this.id}`, this.client.endAsync());
  }

  /** Ends without a word. */
  async vanish() {
    this.client.options.reconnectPeriod = 0;
    this.client.stream.destroy();
    await within(`the end of ${this.id}`, this.client.endAsync(true));
  }
}
