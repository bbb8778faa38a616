/** One lasting MQTT connection over WebSockets: connects, notices loss, and connects again. */

// The browser build of mqtt.js has a default export only.
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt';

import { backoffMs } from './backoff.ts';
import { type Timers, watchWake } from './wake.ts';

/** How the connection stands. `taken-over`: another client uses this client id now, and this one has stopped. */
export type ConnectionState = 'connecting' | 'online' | 'offline' | 'taken-over';

/** MQTT's keep-alive. */
export const KEEP_ALIVE_SECONDS = 30;
const CONNECT_TIMEOUT_MS = 10_000;
const PROBE_TIMEOUT_MS = 3_000;
/** Only a connection that lasted this long ends a row of failures. */
const STABLE_MS = 10_000;

const REASON_TAKEN_OVER = 0x8e;
/** "Unsupported protocol version" in MQTT 3.1.1 and in MQTT 5. */
const REASONS_PROTOCOL_VERSION: readonly unknown[] = [0x01, 0x84];

/** The server refused one thing; the connection is well. */
export class Refused extends Error {
  constructor(
    what: string,
    readonly reasonCode: number,
  ) {
    super(`the server refused ${what} (reason 0x${reasonCode.toString(16)})`);
    this.name = 'Refused';
  }
}

/** What a link needs. */
export interface LinkOptions {
  readonly url: string;
  readonly clientId: string;
  readonly protocolVersion?: 4 | 5;
  readonly username?: string;
  readonly password?: string;
  /** Timers that are not slowed in the background; without them mqtt.js chooses its own. */
  readonly timers?: Timers;
  readonly now: () => number;
  readonly random: () => number;
}

/** What a link tells. */
export interface LinkEvents {
  /** Connected: subscribe here. The link counts as online when the promise resolves, and starts over when it rejects. */
  up(): Promise<void>;
  state(state: ConnectionState): void;
  message(topic: string, payload: string): void;
}

/** The connection of one client id. */
export class Link {
  #state: ConnectionState = 'offline';
  #client: MqttClient | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #unwatch: (() => void) | undefined;
  #failures = 0;
  #upSince = 0;
  #protocolVersion: 4 | 5;

  constructor(
    private readonly options: LinkOptions,
    private readonly events: LinkEvents,
  ) {
    this.#protocolVersion = options.protocolVersion ?? 5;
  }

  /** How the connection stands. */
  get state(): ConnectionState {
    return this.#state;
  }

  /** Connects and stays connected. Also takes the client id back after it was taken over. */
  start(): void {
    if (this.#client !== undefined) return;
    this.#unwatch ??= watchWake(() => this.wake(), this.options.timers ?? globalTimers, this.options.now);
    this.#open();
  }

  /** Disconnects and stays so. */
  stop(): void {
    this.#unwatch?.();
    this.#unwatch = undefined;
    const client = this.#client;
    this.#client = undefined;
    clearTimeout(this.#retry);
    client?.end();
    this.#set('offline');
  }

  /** The machine or the network woke: connect now, or check that the connection still lives. */
  wake(): void {
    if (this.#state === 'offline' && this.#unwatch !== undefined) this.#open();
    else if (this.#state === 'online' && this.#client !== undefined) this.#probe(this.#client);
  }

  /** Subscribes at QoS 1; rejects with `Refused` when the server says no. */
  async subscribe(filter: string): Promise<void> {
    try {
      await this.#connected().subscribeAsync(filter, { qos: 1 });
    } catch (error) {
      const granted = (error as { packet?: { granted?: unknown } }).packet?.granted;
      const code: unknown = Array.isArray(granted) ? granted[0] : undefined;
      throw isRefusal(code) ? new Refused(`the subscription to ${filter}`, code) : error;
    }
  }

  /** Unsubscribes. */
  async unsubscribe(filter: string): Promise<void> {
    await this.#connected().unsubscribeAsync(filter);
  }

  /** Publishes; resolves when the server has acknowledged (QoS 1) or the socket has taken it (QoS 0). */
  async publish(topic: string, payload: string, qos: 0 | 1): Promise<void> {
    try {
      await this.#connected().publishAsync(topic, payload, { qos });
    } catch (error) {
      const code: unknown = (error as { code?: unknown }).code;
      throw isRefusal(code) ? new Refused('the message', code) : error;
    }
  }

  #connected(): MqttClient {
    if (this.#client?.connected !== true) throw new Error('not connected');
    return this.#client;
  }

  #open(): void {
    clearTimeout(this.#retry);
    this.#upSince = 0;
    this.#set('connecting');
    const client = mqtt.connect(this.options.url, this.#clientOptions());
    this.#client = client;
    const current = () => this.#client === client;
    client.on('connect', () => {
      if (!current()) return;
      this.#upSince = this.options.now();
      this.events.up().then(
        () => current() && this.#set('online'),
        () => this.#lost(client),
      );
    });
    client.on('message', (topic, payload) => {
      if (current()) this.events.message(topic, payload.toString());
    });
    client.on('disconnect', (packet) => {
      if (packet.reasonCode === REASON_TAKEN_OVER) this.#takenOver(client);
    });
    client.on('error', (error) => {
      const code: unknown = (error as { code?: unknown }).code;
      if (this.#protocolVersion === 5 && REASONS_PROTOCOL_VERSION.includes(code)) this.#protocolVersion = 4;
      this.#lost(client);
    });
    client.on('close', () => this.#lost(client));
  }

  #clientOptions(): IClientOptions {
    const { clientId, username, password, timers } = this.options;
    return {
      clientId,
      protocolVersion: this.#protocolVersion,
      clean: true,
      keepalive: KEEP_ALIVE_SECONDS,
      connectTimeout: CONNECT_TIMEOUT_MS,
      // Reconnecting is this file's work: every attempt is a new client with nothing left over.
      reconnectPeriod: 0,
      resubscribe: false,
      queueQoSZero: false,
      ...(timers && { timerVariant: { set: timers.setInterval, clear: timers.clearInterval } }),
      ...(username !== undefined && { username }),
      ...(password !== undefined && { password }),
    };
  }

  #lost(client: MqttClient): void {
    if (this.#client !== client) return;
    this.#client = undefined;
    client.end(true);
    const stable = this.#upSince > 0 && this.options.now() - this.#upSince >= STABLE_MS;
    this.#failures = stable ? 0 : this.#failures + 1;
    this.#retry = setTimeout(() => this.#open(), backoffMs(Math.max(0, this.#failures - 1), this.options.random));
    this.#set('offline');
  }

  #takenOver(client: MqttClient): void {
    if (this.#client !== client) return;
    this.#client = undefined;
    this.#unwatch?.();
    this.#unwatch = undefined;
    client.end(true);
    this.#set('taken-over');
  }

  #probe(client: MqttClient): void {
    let alive = false;
    client.once('packetreceive', () => (alive = true));
    client.sendPing();
    setTimeout(() => {
      if (!alive) this.#lost(client);
    }, PROBE_TIMEOUT_MS);
  }

  #set(state: ConnectionState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.events.state(state);
  }
}

function isRefusal(code: unknown): code is number {
  return typeof code === 'number' && code >= 0x80;
}

const globalTimers: Timers = {
  setInterval: (task, ms) => setInterval(task, ms) as unknown as number,
  clearInterval: (handle) => clearInterval(handle),
};
